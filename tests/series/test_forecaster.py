"""The series forecaster learns what it must, forecasts for everyone, and sees no future."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import foretell as ft
from foretell.series.network import QUANTILES
from foretell.series.windows import Windows, gather

QUICK = ft.TrainConfig(epochs=4, learning_rate=3e-3)
SMALL = ft.NetworkConfig(layers=1, units=16, dense=16)
H = 6


def model(**changed: Any) -> ft.SeriesForecaster:
    """Return a small forecaster; the tests share its compiled shapes."""
    given = {
        "window": ft.WindowConfig(lookback=24, patch=6, season=12),
        "network": SMALL, "training": QUICK, "ensemble": 1, "horizon": H,
    }  # fmt: skip
    return ft.SeriesForecaster(**(given | changed))


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
        window = ft.WindowConfig(lookback=12, patch=4, season=1, normalise="standard")
        one = model(window=window, horizon=1).fit(ft.Panel.from_arrays(list(series[:, :200])))
        found = median_after(one.predict())
        # The best forecast is 0.8 times the last value.
        assert np.abs(found - 0.8 * series[:, 199]).mean() < 0.25

    @pytest.mark.parametrize("variables", ["joined", "branches"])
    def test_a_series_driven_by_a_lagged_covariate(self, variables: str) -> None:
        rng = np.random.default_rng(5)
        driver = rng.standard_normal((10, 200))
        series = [np.concatenate([[0, 0], row[:-2]]) * 2 for row in driver]
        panel = ft.Panel.from_arrays(series, past={"driver": list(driver)})
        window = ft.WindowConfig(lookback=12, patch=4, season=1, normalise="standard")
        one = model(window=window, horizon=2, variables=variables).fit(panel)
        truth = 2 * driver[:, -2:]
        error = median_after(one.predict()).reshape(truth.shape) - truth
        assert np.abs(error).mean() < 0.2 * np.abs(truth).mean()

    def test_a_covariate_that_is_known_ahead(self) -> None:
        rng = np.random.default_rng(6)
        promo = (rng.random((10, 200 + H)) < 0.3).astype(float)
        series = [4 * row[:200] + 0.05 * rng.standard_normal(200) for row in promo]
        panel = ft.Panel.from_arrays(series, future={"promo": list(promo)})
        window = ft.WindowConfig(lookback=12, patch=4, season=1, normalise="standard")
        found = median_after(model(window=window).fit(panel).predict()).reshape(10, H)
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

    @pytest.mark.parametrize("method", ["recursive", "seq2seq"])
    def test_other_ways_to_many_steps(self, method: str) -> None:
        found = model(method=method).fit(ft.Panel.from_arrays(waves())).predict()
        truth = np.array([wave[120:] for wave in waves(length=120 + H, noise=0.0)])
        assert np.abs(median_after(found).reshape(truth.shape) - truth).mean() < 0.3
        assert (found["foretell-hi-80"] > found["foretell-lo-80"]).all()

    @pytest.mark.parametrize("variables", ["shared", "joined", "branches"])
    def test_several_targets(self, variables: str) -> None:
        wave = waves(4)
        both = [np.stack([one, -2 * one + 1], axis=1) for one in wave]
        panel = ft.Panel.from_arrays(both, targets=["a", "b"])
        found = model(variables=variables).fit(panel).predict()
        a, b = (median_after(found.filter(target=name)) for name in ("a", "b"))
        np.testing.assert_allclose(b, -2 * a + 1, atol=1.5)

    def test_missing_values_are_masked(self) -> None:
        holes = waves()
        for one in holes:
            one[20:40:3] = np.nan
        found = model().fit(ft.Panel.from_arrays(holes)).predict()
        assert found["foretell"].is_finite().all()

    @pytest.mark.parametrize("kind", ["window", "season", "last", "first", "standard", "minmax", "robust"])
    def test_normalisation_is_inverted(self, kind: str) -> None:
        window = ft.WindowConfig(lookback=24, patch=6, season=12, normalise=kind)
        none = ft.TrainConfig(epochs=1, learning_rate=1e-9)
        panel = ft.Panel.from_arrays([wave + 100 for wave in waves()])
        found = model(window=window, training=none).fit(panel).predict()
        last = np.concatenate([wave[108 : 108 + H] + 100 for wave in waves()])
        np.testing.assert_allclose(median_after(found), last, rtol=1e-4)

    def test_logarithms_are_inverted(self) -> None:
        window = ft.WindowConfig(lookback=24, patch=6, season=12, log=True)
        none = ft.TrainConfig(epochs=1, learning_rate=1e-9)
        panel = ft.Panel.from_arrays([np.exp(wave / 20) for wave in waves()])
        found = model(window=window, training=none).fit(panel).predict()
        last = np.concatenate([np.exp(wave[108 : 108 + H] / 20) for wave in waves()])
        np.testing.assert_allclose(median_after(found), last, rtol=1e-4)


class TestHonesty:
    """Nothing leaks, the last observation counts, the answer repeats."""

    def test_what_comes_after_the_cut_off_changes_nothing(self) -> None:
        changed = [np.concatenate([wave[:100], wave[100:] * 1e3]) for wave in waves()]
        answers = []
        for series in (waves(), changed):
            panel = ft.Panel.from_arrays(series).up_to(99)
            one = model(window=ft.WindowConfig(24, 6, 12, "standard")).fit(panel)
            answers.append(one.forecast(panel, H, [0.1, 0.5, 0.9]))
            answers.append(one.model_.reading.loc)
        np.testing.assert_array_equal(answers[0], answers[2])
        np.testing.assert_array_equal(answers[1], answers[3])

    def test_the_first_step_sees_the_last_observation(self, fitted: ft.SeriesForecaster) -> None:
        network, weights = fitted.model_.network, fitted.model_.members[0]
        flat = fitted.model_.reading.flat(fitted.panel_, H)
        windows = Windows(*(jnp.asarray(x) for x in ([120], [0], [126], [0])))

        def first_step(values: Any) -> Any:
            batch = gather(flat._replace(values=values), windows, 24, H)
            found, loc, scale, _ = network.quantiles(weights, batch)
            return (found[0, 0, 0, QUANTILES.index(0.5)] * scale + loc)[0, 0, 0]

        gradient = np.asarray(jax.grad(first_step)(flat.values))
        assert abs(gradient[119, 0]) > 1e-3

    def test_the_same_seed_gives_the_same_answer(self, fitted: ft.SeriesForecaster) -> None:
        again = model().fit(ft.Panel.from_arrays(waves()))
        np.testing.assert_array_equal(again.predict()["foretell"], fitted.predict()["foretell"])

    def test_intervals_cover_held_out_steps(self) -> None:
        rng = np.random.default_rng(11)
        noisy = [wave + rng.standard_normal(len(wave)) for wave in waves(40, 120 + H, 0.0)]
        panel = ft.Panel.from_arrays(noisy)
        before, after = panel.tail_split(H)
        low, high = np.moveaxis(model().fit(before).forecast(before, H, [0.1, 0.9])[..., 0, :], -1, 0)
        truth = after.values.reshape(40, H)
        assert 0.68 < np.mean((truth >= low) & (truth <= high)) < 0.9

    def test_saved_models_answer_the_same(self, fitted: ft.SeriesForecaster, tmp_path: Any) -> None:
        fitted.save(tmp_path / "model")
        again = ft.load(tmp_path / "model")
        assert isinstance(again, ft.SeriesForecaster)
        assert again.predict().equals(fitted.predict())


class TestErrors:
    """What came, what was expected, how to mend it."""

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"horizon": 0}, "horizon=0"),
            ({"method": "magic"}, "method='magic'"),
            ({"variables": "all"}, "variables='all'"),
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
