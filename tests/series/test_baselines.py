"""The rules' forecasts and intervals, by hand and against statsforecast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretell as ft
from foretell import baselines


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
        table = baselines.SeasonalNaive(season=2).fit(panel_of([1, 2, 1, 2])).predict(h=3, levels=[80])
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
