"""Errors by hand and against utilsforecast; the leaderboard of series and what others read of it."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.evaluation import Evaluation
from foretell.stats import metrics

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def panel() -> ft.Panel:
    steps = np.arange(60)
    series = {f"s{i}": 20 + 5 * np.sin(2 * np.pi * steps / 6 + i) + RNG.normal(0, 0.5, 60) for i in range(5)}
    return ft.Panel.from_arrays(series, freq="1d", start="2024-01-01")


@pytest.fixture(scope="module")
def board(panel: ft.Panel) -> Evaluation:
    return ft.evaluate(panel, horizon=6, models=["naive", "seasonal naive", "drift"], season=6)


class TestMetrics:
    def test_scale_needs_a_change(self) -> None:
        assert np.isnan(metrics.naive_scale(np.ones((5, 1)), 1)).all()
        assert metrics.naive_scale(np.array([[1.0], [2.0], [5.0], [6.0]]), 2).item() == 4.0
        # What repeats itself exactly is scaled by its steps.
        assert metrics.naive_scale(np.array([[1.0], [2.0], [1.0], [2.0]]), 2).item() == 1.0


class TestLeaderboard:
    def test_the_season_wins(self, board: Evaluation) -> None:
        assert board.table()["model"][0] == "seasonal naive"
        assert board.table()["mase"].is_sorted()

    def test_json(self, board: Evaluation) -> None:
        content = json.loads(board.to_json())
        assert content["n_series"] == 5
        assert (content["h"], content["cutoff"], content["end"]) == (6, "2024-02-23", "2024-02-29")
        figures = {"mase", "smape", "mae", "rmse", "wql", "coverage_80", "bias_pct", "crps"}
        assert set(content["rows"][0]) == {"model", "fit_s", "predict_s", "n"} | figures

    def test_a_cut_off_holds_back_what_comes_after(self, panel: ft.Panel, board: Evaluation) -> None:
        by_date = ft.evaluate(panel, "2024-02-23", models=["naive", "seasonal naive", "drift"], season=6)
        figures = [name for name in board.table().columns if not name.endswith("_s")]
        assert by_date.table().select(figures).equals(board.table().select(figures))

    def test_utilsforecast_reads_our_tables_and_agrees(self, panel: ft.Panel, board: Evaluation) -> None:
        evaluation = pytest.importorskip("utilsforecast.evaluation")
        losses = pytest.importorskip("utilsforecast.losses")
        result = evaluation.evaluate(
            board.forecasts().drop("seasonal naive-lo-80", "seasonal naive-hi-80"),
            metrics=[losses.mae, losses.smape],
            models=["naive", "seasonal naive"],
        )
        for name in ("naive", "seasonal naive"):
            theirs = (
                result.group_by("metric")
                .agg(pl.col(name).mean())
                .rows_by_key("metric", named=True, unique=True)
            )
            assert board.figures(name)["mae"] == pytest.approx(theirs["mae"][name])
            assert board.figures(name)["smape"] == pytest.approx(200 * theirs["smape"][name])

    @pytest.mark.filterwarnings("ignore")  # matplotlib's own
    def test_utilsforecast_plots_our_tables(self, panel: ft.Panel, board: Evaluation) -> None:
        plotting = pytest.importorskip("utilsforecast.plotting")
        pytest.importorskip("matplotlib")
        history = board.train.to_frame()
        assert plotting.plot_series(history, board.forecasts().drop("y"), level=[80], max_ids=2) is not None

    def test_its_figures_are_those_of_the_numpy_metrics(self, panel: ft.Panel) -> None:
        values = panel.values.reshape(5, 60).copy()
        values[1, -5:] = np.nan
        values[2, -2] = np.nan
        holes = ft.Panel.from_arrays({f"s{i}": row for i, row in enumerate(values)})
        result = ft.evaluate(holes, 53, 6, models=["naive", "drift"], season=6)
        truth, seen = values[:, -6:, None], values[:, :54, None]
        scale = np.stack([metrics.naive_scale(one, 6) for one in seen])
        for name, model in result.models.items():
            quantiles = model.forecast(holes.up_to(53), 6, [k / 10 for k in range(1, 10)])
            median = quantiles[..., 4]
            size = np.abs(truth) + np.abs(median)
            share = np.arange(1, 10) / 10
            error = truth[..., None] - quantiles
            pinball = np.nanmean(np.maximum(share * error, (share - 1) * error))
            inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])
            expected = {
                "mase": metrics.mase(truth, median, scale),
                "smape": np.nanmean(np.nanmean(200 * np.abs(truth - median) / size, axis=1)),
                "mae": np.nanmean(np.abs(truth - median)),
                "rmse": np.sqrt(np.nanmean((truth - median) ** 2)),
                "wql": 2 * pinball / np.nanmean(np.abs(truth)),
                "crps": 2 * pinball,
                "coverage_80": inside[~np.isnan(truth)].mean(),
                "bias_pct": 100 * np.nansum(median - truth + 0 * truth) / np.nansum(np.abs(truth)),
            }
            assert {key: result.figures(name)[key] for key in expected} == pytest.approx(expected)

    def test_short_series_are_counted(self) -> None:
        panel = ft.Panel.from_arrays({"long": np.arange(20.0), "short": [1.0, 2.0]})
        board = ft.evaluate(panel, horizon=4, models=["naive"], season=1)
        assert board.folds.summary()["n_left_out"] == 1
        assert "1 too short" in str(board)

    def test_the_verdict_names_the_simple_rule(self, board: Evaluation) -> None:
        assert "nothing to compare" in str(board.verdict())

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"horizon": None}, "cutoff or a horizon"),
            ({"horizon": 6, "models": ["magic"]}, "magic"),
            ({"horizon": "6d"}, "whole number of steps"),
            ({"cutoff": "2025-01-01"}, "no series goes on"),
        ],
    )
    def test_errors(self, panel: ft.Panel, given: dict[str, object], said: str) -> None:
        with pytest.raises(ft.errors.ParameterError, match=said):
            ft.evaluate(panel, **given)  # type: ignore[call-overload]

    def test_neither_log_nor_panel(self) -> None:
        with pytest.raises(ft.errors.DataError, match="read_series"):
            ft.evaluate([1, 2, 3], horizon=1)  # type: ignore[call-overload]

    def test_pictures(self, board: Evaluation) -> None:
        assert ft.plotting.plot_error_by_step(board).to_dict()["title"]["text"] == "Error by step ahead"
        with pytest.raises(ft.errors.ParameterError, match="no model of ours"):
            ft.plotting.plot_forecast(board)
