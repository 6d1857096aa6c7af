"""The series forecaster learns what it must, forecasts for everyone, and sees no future."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import foretell as ft
from foretell.nn.settings import SERIES
from foretell.nn.training import Trainer
from foretell.series.calibration import Calibration
from foretell.series.covariates import CovariateCode
from foretell.series.fitting import SeriesModel, choose_shape, train_further
from foretell.series.network import SeriesNetwork
from foretell.series.quantiles import QUANTILES
from foretell.series.reading import Reading
from foretell.series.windows import NORMALISATIONS, Windows, gather

QUICK = ft.TrainConfig(epochs=16, learning_rate=3e-3)
SMALL = ft.NetworkConfig(layers=1, units=16, dense=16)
SHORT = ft.WindowConfig(lookback=12, patch=4, season=1, normalise="standard")
H = 6


def model(**changed: Any) -> ft.SeriesForecaster:
    """Return a small forecaster; the tests share its compiled shapes."""
    given = {
        "window": ft.WindowConfig(lookback=24, patch=6, season=12),
        "network": SMALL, "training": QUICK, "ensemble": 1, "horizon": H, "model": "network",
    }  # fmt: skip
    return ft.SeriesForecaster(**(given | changed))


def untrained(panel: ft.Panel, window: ft.WindowConfig) -> ft.SeriesForecaster:
    """Return a forecaster that still is at its anchor."""
    one = model(window=window)
    shape = choose_shape(panel, window, H)
    network = SeriesNetwork(SMALL, shape)
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    one.model_ = SeriesModel(network, (network.initial(),), reading, Calibration.none(H))
    return one._keep(panel)


def waves(n: int = 8, length: int = 120, noise: float = 0.05) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    steps = np.arange(length)
    return [
        (3 + i) * np.sin(2 * np.pi * (steps + i) / 12) + 10 * i + noise * rng.standard_normal(length)
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def fitted() -> ft.SeriesForecaster:
    return model().fit(ft.Panel.from_arrays(waves()))


def median_after(found: Any) -> Any:
    return found["foretell"].to_numpy()


class TestLearns:
    """Errors near the noise floor."""

    def test_sine(self, fitted: ft.SeriesForecaster) -> None:
        truth = np.array([wave[120:] for wave in waves(length=120 + H, noise=0.0)])
        error = median_after(fitted.predict()).reshape(truth.shape) - truth
        assert np.abs(error).mean() < 0.1

    def test_ramp(self) -> None:
        ramps = [slope * np.arange(100.0) + 5 for slope in (1, 2, -1, 0.5)]
        window = ft.WindowConfig(lookback=12, patch=4, season=1)
        found = model(window=window).fit(ft.Panel.from_arrays(ramps)).predict()
        truth = np.array([slope * np.arange(100, 100 + H) + 5 for slope in (1, 2, -1, 0.5)])
        error = np.abs(median_after(found).reshape(truth.shape) - truth) / np.array([[1], [2], [1], [0.5]])
        assert error.max() < 0.5

    def test_autoregression(self) -> None:
        rng = np.random.default_rng(3)
        series = np.zeros((20, 201))
        for t in range(1, 201):
            series[:, t] = 0.8 * series[:, t - 1] + rng.standard_normal(20)
        one = model(window=SHORT, horizon=1).fit(ft.Panel.from_arrays(list(series[:, :200])))
        found = median_after(one.predict())
        # The best forecast is 0.8 times the last value.
        assert np.abs(found - 0.8 * series[:, 199]).mean() < 0.25

    @pytest.mark.parametrize("variables", ["shared", "joined", "branches"])
    def test_several_targets_driven_by_a_lagged_covariate(self, variables: str) -> None:
        rng = np.random.default_rng(5)
        driver = rng.standard_normal((10, 200))
        lagged = [np.concatenate([[0, 0], row[:-2]]) * 2 for row in driver]
        series = [np.stack([one, 1 + 3 * one], axis=1) for one in lagged]
        panel = ft.Panel.from_arrays(series, targets=["a", "b"], past={"driver": list(driver)})
        one = model(window=dataclasses.replace(SHORT, variables=variables), horizon=2).fit(panel)
        found = one.predict()
        assert found.columns[:3] == ["unique_id", "ds", "target"]
        truth = 2 * driver[:, -2:]
        for target, size, level in (("a", 1, 0), ("b", 3, 1)):
            error = median_after(found.filter(target=target)).reshape(truth.shape) - level - size * truth
            assert np.abs(error).mean() < 0.2 * size * np.abs(truth).mean()

    @pytest.mark.parametrize("method", ["direct", "seq2seq"])
    def test_a_covariate_that_is_known_ahead(self, method: str) -> None:
        rng = np.random.default_rng(6)
        promo = (rng.random((10, 200 + H)) < 0.3).astype(float)
        series = [4 * row[:200] + 0.05 * rng.standard_normal(200) for row in promo]
        panel = ft.Panel.from_arrays(series, future={"promo": list(promo)})
        found = median_after(
            model(window=dataclasses.replace(SHORT, method=method)).fit(panel).predict()
        ).reshape(10, H)
        assert np.abs(found - 4 * promo[:, 200:]).mean() < 0.6


class TestForEveryone:
    """Any history, any horizon."""

    def test_series_that_training_did_not_see(self, fitted: ft.SeriesForecaster) -> None:
        new = ft.Panel.from_arrays({"new": waves()[2] * 5, "short": np.array([1.0])})
        found = fitted.predict(new)
        assert found["unique_id"].unique().sort().to_list() == ["new", "short"]
        assert found["foretell"].is_finite().all()

    @pytest.mark.parametrize("h", [1, H, 2 * H + 1])
    def test_horizons_shorter_and_longer(self, fitted: ft.SeriesForecaster, h: int) -> None:
        found = fitted.forecast(fitted.panel_, h, [0.1, 0.5, 0.9])
        assert found.shape == (8, h, 1, 3)
        assert (np.diff(found, axis=-1) >= 0).all()
        np.testing.assert_allclose(found[:, :1], fitted.forecast(fitted.panel_, 1, [0.1, 0.5, 0.9]))

    def test_intervals_grow_beyond_the_trained_horizon(self, fitted: ft.SeriesForecaster) -> None:
        found = fitted.forecast(fitted.panel_, 2 * H, [0.1, 0.9])[..., 0, :]
        width = np.diff(found, axis=-1)[..., 0]
        assert (width[:, H:].mean(axis=1) > width[:, :H].mean(axis=1)).all()

    def test_one_step_fed_back(self) -> None:
        window = ft.WindowConfig(lookback=24, patch=6, season=12, method="recursive")
        found = model(window=window).fit(ft.Panel.from_arrays(waves())).predict()
        truth = np.array([wave[120:] for wave in waves(length=120 + H, noise=0.0)])
        assert np.abs(median_after(found).reshape(truth.shape) - truth).mean() < 0.3
        width = (found["foretell-hi-80"] - found["foretell-lo-80"]).to_numpy().reshape(truth.shape)
        assert (width > 0).all()

    def test_missing_values_are_masked(self) -> None:
        holes = waves()
        for one in holes:
            one[20:40:3] = np.nan
        found = model().fit(ft.Panel.from_arrays(holes)).predict()
        truth = np.array([wave[120:] for wave in waves(length=120 + H, noise=0.0)])
        assert np.abs(median_after(found).reshape(truth.shape) - truth).mean() < 0.2

    def test_training_takes_short_and_constant_series_along(self) -> None:
        series = {f"wave {k}": wave for k, wave in enumerate(waves(7))}
        odd = {"one step": [5.0], "two": [1.0, 2.0], "flat": np.full(60, 3.0)}
        found = model().fit(ft.Panel.from_arrays(series | odd)).predict()
        assert found["unique_id"].n_unique() == 10
        assert found["foretell"].is_finite().all()
        flat = median_after(found.filter(unique_id="flat"))
        np.testing.assert_allclose(flat, 3.0, atol=0.1)

    @pytest.mark.parametrize("kind", NORMALISATIONS)
    def test_normalisation_is_inverted(self, kind: str) -> None:
        panel = ft.Panel.from_arrays([wave + 100 for wave in waves()])
        found = untrained(panel, ft.WindowConfig(24, 6, 12, kind)).predict()
        last = np.concatenate([wave[108 : 108 + H] + 100 for wave in waves()])
        np.testing.assert_allclose(median_after(found), last, rtol=1e-4)

    def test_logarithms_are_inverted(self) -> None:
        panel = ft.Panel.from_arrays([np.exp(wave / 20) for wave in waves()])
        found = untrained(panel, ft.WindowConfig(24, 6, 12, log=True)).predict()
        last = np.concatenate([np.exp(wave[108 : 108 + H] / 20) for wave in waves()])
        np.testing.assert_allclose(median_after(found), last, rtol=1e-4)

    @pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
    def test_new_series_take_typical_statistics_where_they_have_none(self, kind: str) -> None:
        panel = ft.Panel.from_arrays([np.arange(10.0), np.arange(10.0) + 4, np.arange(10.0) * 3])
        reading = Reading.fit(panel, kind, log=False)
        own = reading.scales(ft.Panel.from_arrays({"known": np.arange(10.0) + 4}))
        new = reading.scales(ft.Panel.from_arrays({"blank": [np.nan] * 10, "known": np.arange(10.0) + 4}))
        for k in range(2):
            assert new[k][0] == np.median(reading.loc if k == 0 else reading.scale)
            assert new[k][1] == own[k][0]

    def test_constant_series_stay_what_they_are(self, fitted: ft.SeriesForecaster) -> None:
        found = fitted.predict(ft.Panel.from_arrays({"flat": np.full(120, 7.0), "zero": np.zeros(50)}))
        np.testing.assert_allclose(found["foretell"], np.repeat([7.0, 0.0], H), atol=0.1)

    def test_unknown_categories_count_as_none(self) -> None:
        kinds = np.tile(["a", "b"], 60)
        code = CovariateCode.fit(ft.Panel.from_arrays([np.arange(120.0)], past={"kind": [kinds]}).past)
        new = ft.Panel.from_arrays([np.arange(3.0)], past={"kind": [["b", "c", "a"]]})
        assert code.encode(new.past).tolist() == [[0, 1], [0, 0], [1, 0]]


class TestHonesty:
    """Nothing leaks, the last observation counts, the answer repeats."""

    def test_the_first_step_sees_the_last_observation(self, fitted: ft.SeriesForecaster) -> None:
        network, weights = fitted.model_.network, fitted.model_.members[0]
        reading = fitted.model_.reading
        flat = reading.flat(fitted.panel_, reading.units(fitted.panel_), H)
        windows = Windows(*(jnp.asarray(x) for x in ([120], [0], [126], [0])))

        def first_step(values: Any) -> Any:
            batch = gather(flat._replace(values=values), windows, 24, H)
            found, loc, scale, _ = network.quantiles(weights, batch)
            return (found[0, 0, 0, QUANTILES.index(0.5)] * scale + loc)[0, 0, 0]

        gradient = np.asarray(jax.jit(jax.grad(first_step))(flat.values))
        assert abs(gradient[119, 0]) > 1e-3

    def test_the_same_seed_gives_the_same_answer(self, fitted: ft.SeriesForecaster) -> None:
        again = model().fit(ft.Panel.from_arrays(waves()))
        np.testing.assert_array_equal(again.predict()["foretell"], fitted.predict()["foretell"])

    def test_intervals_cover_what_comes(self) -> None:
        rng = np.random.default_rng(11)
        noisy = [wave + rng.standard_normal(len(wave)) for wave in waves(8, 240, 0.0)]
        one = model().fit(ft.Panel.from_arrays([series[:120] for series in noisy]))
        inside = []
        for origin in range(120, 240 - H, 8):
            low, high = one.forecast(
                ft.Panel.from_arrays([series[:origin] for series in noisy]), H, [0.1, 0.9]
            )[..., 0, :].T
            truth = np.array([series[origin : origin + H] for series in noisy]).T
            inside.append((truth >= low) & (truth <= high))
        assert 0.68 < np.mean(inside) < 0.9

    def test_a_second_fit_of_the_same_shape_compiles_nothing(self, fitted: ft.SeriesForecaster) -> None:
        compiled = Trainer._run_epoch.program()._cache_size()
        model(seed=5).fit(ft.Panel.from_arrays(waves(length=117)))
        assert Trainer._run_epoch.program()._cache_size() == compiled

    def test_a_warm_start_drops_as_a_first_fit_does(self) -> None:
        panel = ft.Panel.from_arrays(waves())
        start = model(network=ft.NetworkConfig(units=8, dense=8, dropout=0.5)).fit(panel).model_
        network = ft.NetworkConfig(units=8, dense=8, dropout=1e-6)  # equal but for the rate
        hardly = dataclasses.replace(start, network=SeriesNetwork(network, start.network.shape))
        training = SERIES.complete_training(QUICK)
        further = [train_further(panel, one, training, seed=1).members[0] for one in (start, hardly, hardly)]
        differ = [
            any((a != b).any() for a, b in zip(*pair, strict=True)) for pair in itertools.pairwise(further)
        ]
        assert differ == [True, False]

    def test_saved_models_answer_the_same(self, fitted: ft.SeriesForecaster, tmp_path: Any) -> None:
        fitted.save(tmp_path / "model")
        again = ft.load(tmp_path / "model")
        assert isinstance(again, ft.SeriesForecaster)
        assert again.predict().equals(fitted.predict())


class TestErrors:
    """What came, what was expected, how to mend it."""

    @pytest.mark.parametrize("changed", [{"method": "magic"}, {"variables": "all"}])
    def test_windows(self, changed: dict[str, Any]) -> None:
        name, value = next(iter(changed.items()))
        with pytest.raises(ft.errors.ParameterError, match=f"{name}={value!r}; expected '(direct|shared)'"):
            ft.WindowConfig(**changed)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"horizon": 0}, "horizon=0"),
            ({"window": {"lookback": 3}}, "window="),
        ],
    )
    def test_parameters(self, changed: dict[str, Any], said: str) -> None:
        with pytest.raises(ft.errors.ParameterError, match=said):
            model(**changed).fit(ft.Panel.from_arrays(waves()))

    def test_other_targets(self, fitted: ft.SeriesForecaster) -> None:
        other = ft.Panel.from_arrays(waves(), targets=["sales"])
        with pytest.raises(ft.errors.DataError, match="sales"):
            fitted.predict(other)

    def test_other_steps(self, fitted: ft.SeriesForecaster) -> None:
        weekly = ft.Panel.from_arrays(waves(), freq="1w", start="2024-01-01")
        with pytest.raises(ft.errors.DataError, match="steps of '1w'"):
            fitted.predict(weekly)

    def test_a_frame_is_no_panel(self) -> None:
        with pytest.raises(ft.errors.DataError, match="read_series"):
            model().fit([1, 2, 3])  # type: ignore[arg-type]

    def test_nothing_to_learn_from(self) -> None:
        with pytest.raises(ft.errors.DataError, match="one step"):
            model().fit(ft.Panel.from_arrays([[1.0], [2.0]]))

    def test_negative_values_have_no_logarithm(self) -> None:
        window = dataclasses.replace(model().window, log=True)
        with pytest.raises(ft.errors.DataError, match="log"):
            model(window=window).fit(ft.Panel.from_arrays(waves()))
