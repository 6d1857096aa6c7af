"""The rules' forecasts and intervals, by hand and against statsforecast."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.written import as_written

import foretell as ft
from foretell import baselines
from foretell.baselines import SERIES_BASELINES
from foretell.baselines.statistic import SeriesStatistic


def panel_of(*series: list[float]) -> ft.Panel:
    return ft.Panel.from_arrays([np.asarray(one, dtype=float) for one in series])


RULES = [baselines.Naive(), baselines.SeasonalNaive(season=3), baselines.Drift()]


class TestRules:
    def test_naive_widths_grow_with_the_root(self) -> None:
        panel = panel_of([0.0, 1.0, 0.0, 1.0])
        found = baselines.Naive().fit(panel).forecast(panel, 4, [0.1, 0.5, 0.9])[0, :, 0]
        np.testing.assert_allclose(found[:, 1], 1.0)
        np.testing.assert_allclose(found[:, 2] - 1.0, 1.2815515655 * np.sqrt([1, 2, 3, 4]))

    def test_seasonal_naive_takes_the_last_observed_of_each_place(self) -> None:
        panel = panel_of([1, 2, 3, 4, np.nan, 6])
        found = baselines.SeasonalNaive(season=3).fit(panel).forecast(panel, 5, [0.5])[0, :, 0, 0]
        assert found.tolist() == [4, 2, 6, 4, 2]

    def test_drift_reaches_over_missing_ends(self) -> None:
        before, _ = panel_of([1, 2, 3, np.nan, 7]).tail_split(1)
        assert baselines.Drift().fit(before).forecast(before, 1, [0.5]).item() == 5.0

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
    def test_one_step_is_enough(self, rule: baselines.Naive) -> None:
        panel = panel_of([5.0])
        assert (rule.fit(panel).forecast(panel, 2, [0.1, 0.9]) == 5.0).all()

    @pytest.mark.parametrize(
        ("rule", "theirs"),
        [(baselines.Naive(), "Naive"), (baselines.SeasonalNaive(3), "SeasonalNaive")],
    )
    def test_statsforecast_agrees(self, rule: baselines.Naive, theirs: str) -> None:
        models = pytest.importorskip("statsforecast.models")
        values = np.random.default_rng(1).standard_normal(60).cumsum()
        peer = getattr(models, theirs)(**({"season_length": 3} if "Seasonal" in theirs else {}))
        expected = peer.forecast(y=values, h=7, level=[80])
        panel = panel_of(list(values))
        found = rule.fit(panel).forecast(panel, 7, [0.1, 0.5, 0.9])[0, :, 0]
        np.testing.assert_allclose(found[:, 1], expected["mean"])
        np.testing.assert_allclose(found[:, 2], expected["hi-80"], rtol=0.05, atol=0.05)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(1, 9))
    @settings(max_examples=40, deadline=None)
    def test_quantiles_are_sorted_and_follow_a_shift(self, values: list[float], h: int) -> None:
        panel, moved = panel_of(values), panel_of([value + 100 for value in values])
        for rule in RULES:
            found = rule.fit(panel).forecast(panel, h, [0.1, 0.5, 0.9])
            assert (np.diff(found, axis=-1) >= 0).all()
            np.testing.assert_allclose(
                rule.fit(moved).forecast(moved, h, [0.1, 0.5, 0.9]), found + 100, rtol=1e-6, atol=1e-3
            )

    def test_table(self) -> None:
        table = baselines.SeasonalNaive(season=2).fit(panel_of([1, 2, 1, 2])).predict(horizon=3, levels=[80])
        assert table.columns == [
            "unique_id", "ds", "seasonal naive", "seasonal naive-lo-80", "seasonal naive-hi-80",
        ]  # fmt: skip
        assert table["ds"].to_list() == [4, 5, 6]

    def test_a_season_of_nothing_is_refused(self) -> None:
        with pytest.raises(ft.errors.ParameterError, match="season=0"):
            baselines.SeasonalNaive(season=0).fit(panel_of([1, 2]))


class TestClassical:
    @pytest.mark.filterwarnings("ignore")  # the peers' own
    @pytest.mark.parametrize(
        "model",
        [baselines.AutoETS, baselines.AutoARIMA, baselines.AutoTheta],
        ids=lambda model: model.name,
    )
    def test_quantiles_of_a_season(self, model: type[baselines.AutoETS]) -> None:
        pytest.importorskip("statsforecast")
        wave = 10 + np.tile([1.0, 5.0, 3.0, -2.0], 15) + np.random.default_rng(0).normal(0, 0.1, 60)
        panel = panel_of(list(wave))
        found = model(season=4).fit(panel).forecast(panel, 4, [0.1, 0.5, 0.9])[0, :, 0]
        np.testing.assert_allclose(found[:, 1], 10 + np.array([1, 5, 3, -2]), atol=0.5)
        assert (np.diff(found, axis=-1) > 0).all()

    def test_missing_values_are_refused(self) -> None:
        pytest.importorskip("statsforecast")
        panel = panel_of([1.0, np.nan, 2.0])
        with pytest.raises(ft.errors.DataError, match="missing"):
            baselines.AutoETS().fit(panel).forecast(panel, 1, [0.5])


@pytest.fixture(scope="module")
def panel() -> ft.Panel:
    rng = np.random.default_rng(0)
    wave = np.tile([1.0, 5.0, 3.0, -2.0], 9)
    series = {key: 10 + wave[:n] + rng.normal(0, 0.1, n) for key, n in (("a", 36), ("b", 30))}
    return ft.Panel.from_arrays(series, freq="1d", start="2024-01-01")


@pytest.fixture(scope="module")
def ours(panel: ft.Panel) -> pl.DataFrame:
    return ft.SeriesForecaster(horizon=3, model="prior").fit(panel).predict(levels=[80])


def model_named(name: str) -> SeriesStatistic:
    if name.startswith("auto"):
        pytest.importorskip("statsforecast")
    return SERIES_BASELINES[name](horizon=3)


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("name", sorted({model.shell_name for model in SERIES_BASELINES.values()}))
class TestForecasters:
    """They fit, answer and are kept as `SeriesForecaster` is."""

    def test_the_table_has_the_columns_and_types_of_ours(
        self, name: str, panel: ft.Panel, ours: pl.DataFrame
    ) -> None:
        model = model_named(name)
        table = model.fit(panel).predict(levels=[80])
        assert table.rename({old: old.replace(model.name, "foretell") for old in table.columns}).schema == (
            ours.schema
        )
        assert table.select("unique_id", "ds").equals(ours.select("unique_id", "ds"))
        assert not any(column.is_null().any() for column in table)

    def test_fit_returns_the_model_and_queries_leave_it_as_it_is(self, name: str, panel: ft.Panel) -> None:
        model = model_named(name)
        assert model.fit(panel) is model
        before = pickle.dumps(model)
        model.predict(panel.select(["b"]), horizon=2)
        model.forecast(panel, 2, [0.5])
        model.state()
        assert pickle.dumps(model) == before

    def test_a_model_comes_back_from_its_state(self, name: str, panel: ft.Panel) -> None:
        model = model_named(name).fit(panel)
        back = type(model).from_state(as_written(model.state()))
        assert back.predict().equals(model.predict())
        assert back.get_params() == model.get_params()

    def test_a_saved_model_answers_as_before(self, name: str, panel: ft.Panel, tmp_path: Path) -> None:
        model = model_named(name).fit(panel)
        model.save(tmp_path / "model")
        back = ft.load(tmp_path / "model")
        assert type(back) is type(model)
        assert back.predict().equals(model.predict())

    def test_a_series_is_answered_alone_as_among_others(self, name: str, panel: ft.Panel) -> None:
        model = model_named(name).fit(panel)
        both = model.predict().filter(unique_id="b")
        assert model.predict(panel.select(["b"])).equals(both)

    def test_a_fit_or_question_without_sense_is_refused(self, name: str, panel: ft.Panel) -> None:
        model = model_named(name)
        with pytest.raises(ft.errors.NotFittedError, match="call fit"):
            model.predict()
        with pytest.raises(ft.errors.ParameterError, match="warm_start"):
            model.fit(panel, warm_start=model)  # type: ignore[arg-type]
        with pytest.raises(ft.errors.DataError, match="expected a Panel"):
            model.fit(panel.to_frame())  # type: ignore[arg-type]
        with pytest.raises(ft.errors.ParameterError, match="horizon=0; expected a whole number of steps"):
            model.fit(panel).predict(horizon=0)
        with pytest.raises(ft.errors.ParameterError, match="horizon=0"):
            type(model)(horizon=0).fit(panel)

    def test_it_goes_by_the_name_of_tables_and_that_of_the_shell(self, name: str, panel: ft.Panel) -> None:
        model = SERIES_BASELINES[name]
        assert SERIES_BASELINES[model.name.lower()] is model
        assert model.shell_name.replace("-", "").isalnum()
        assert (model.kind, model.is_ours, model.starts_warm) == ("series", False, False)


def test_a_series_without_any_value_is_null_in_the_table() -> None:
    panel = ft.Panel.from_arrays({"a": [1.0, 2.0, 3.0], "none": [np.nan, np.nan, np.nan]})
    for rule in RULES:
        table = rule.fit(panel).predict(levels=[80])
        assert table.filter(unique_id="none").drop("unique_id", "ds").row(0) == (None, None, None)


@pytest.mark.filterwarnings("ignore")  # the peers' own
def test_the_automatic_models_find_the_season_where_none_is_given() -> None:
    pytest.importorskip("statsforecast")
    wave = 10 + np.tile([1.0, 5.0, 3.0, -2.0], 15) + np.random.default_rng(0).normal(0, 0.1, 60)
    panel = panel_of(list(wave))
    model = SERIES_BASELINES["autoets"]().fit(panel)
    assert model.predict(horizon=4)["AutoETS"].to_numpy() == pytest.approx(
        10 + np.array([1, 5, 3, -2]), abs=0.5
    )
