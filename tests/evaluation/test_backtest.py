"""The rolling-origin backtest: no fold sees the future or another fold; tables, policies, scores."""

import json

import numpy as np
import polars as pl
import pytest
from tests.data.panels import small_forecaster

import foretell as ft
from foretell.core.contracts import Outlook
from foretell.core.time import period_edges
from foretell.errors import DataError, ParameterError
from foretell.evaluation import Evaluation
from foretell.evaluation.folds import EventFolds, last_steps
from foretell.stats.metrics import censored_crps

CUTS = ["2023-04-30", "2023-06-30"]
RULES = ["repeat rate", "mean gap"]
H, LONG = 6, {"n": 8, "length": 126}


class Counter:
    """Remembers every fit in a list, as careless models do."""

    name = "counter"

    def __init__(self):
        self.fits, self.asked = [], []

    def fit(self, log):
        self.fits.append((log.n_customers, log.as_of))
        return self

    def outlook(self, log, horizon, *, period, window):
        self.asked.append(log.as_of)
        n = log.n_customers
        return Outlook(np.full(n, float(len(self.fits))), np.zeros(len(period_edges(horizon, period))))


class Mean:
    """Forecasts the mean of what it was fitted to."""

    name = "mean"

    def fit(self, panel):
        self.mean, self.rows = np.nanmean(panel.values), panel.n_rows
        return self

    def forecast(self, panel, h, quantiles):
        return np.full((panel.n_series, h, len(panel.targets), len(quantiles)), self.mean)


def waves(n=4, length=72, seed=3):
    rng = np.random.default_rng(seed)
    steps = np.arange(length)
    return {
        f"s{i}": 10 + 3 * np.sin(2 * np.pi * steps / 6 + i) + rng.normal(0, 0.3, length) for i in range(n)
    }


def said(result, fold=0):
    """Return what was forecast, without the truth."""
    truth = {"y", "returned", "next_event", "crps", "pit_lo", "pit_hi", "count_pit", "count_crps"}
    return result.fold(fold).drop(truth, strict=False)


@pytest.fixture(scope="module")
def visits(small, small_log):
    models = [small.forecaster(ensemble=1), "mbg/nbd"]
    return ft.backtest(small_log, models, horizon="60d", cutoffs=CUTS)


@pytest.fixture(scope="module")
def steps():
    panel = ft.Panel.from_arrays(waves(**LONG))
    return ft.backtest(
        panel, [small_forecaster(), "drift"], horizon=H, cutoffs=2, config=ft.BacktestConfig(season=12)
    )


class TestFolds:
    def test_cut_offs_step_back_from_a_horizon_before_the_end(self, small_log):
        result = ft.backtest(small_log, RULES, horizon="60d", cutoffs=3, config=ft.BacktestConfig(step="30d"))
        days = [small_log.last_tick(one) for one in result.cutoffs]
        assert days == [small_log.as_of - 120, small_log.as_of - 90, small_log.as_of - 60]

    def test_months_are_counted_from_each_cut_off(self, small_log):
        folds = EventFolds(small_log, "1mo", ["2023-01-31", "2023-03-31", "2023-05-31"])
        lengths = [folds.held_back(k).end - folds.held_back(k).cutoff for k in range(3)]
        assert lengths == [28, 30, 30]

    @pytest.mark.parametrize(
        ("as_of", "origin"), [("2023-03-31", "2023-02-28"), ("2023-03-15", "2023-02-15")]
    )
    def test_the_last_of_some_cut_offs_lies_a_month_before_the_end(self, small_log, as_of, origin):
        folds = EventFolds(small_log.until(as_of), "1mo", 2)
        assert str(folds.label(1)) == origin

    def test_the_table_has_a_row_for_each_cut_off_model_and_customer_known_by_then(self, small_log):
        result = ft.backtest(small_log, RULES, horizon="60d", cutoffs=CUTS)
        table = result.rows()
        for cut in CUTS:
            past = small_log.until(cut)
            rows = table.filter(pl.col("cutoff") == pl.lit(cut).str.to_date(), pl.col("model") == "mean gap")
            assert rows["unique_id"].to_list() == past.ids.to_list()
        assert table["y"].sum() > 0

    def test_one_fold_is_the_leaderboard(self, small_log):
        board = ft.evaluate(small_log, CUTS[1], "60d", RULES)
        result = ft.backtest(small_log, RULES, horizon="60d", cutoffs=CUTS[1:])
        assert isinstance(board, Evaluation)
        times = ["fit_s", "predict_s"]
        assert result.table().drop(times).equals(board.table().drop(times))
        assert result.rows().equals(board.rows())

    def test_the_truth_of_series_is_what_came_and_null_where_nothing_was_observed(self):
        series = waves()
        series["s1"][70] = np.nan
        panel = ft.Panel.from_arrays(series)
        table = ft.backtest(panel, ["naive"], horizon=3, cutoffs=2, config=ft.BacktestConfig(season=6)).rows()
        assert len(table) == 2 * 4 * 3
        for row in table.iter_rows(named=True):
            truth = series[row["unique_id"]][row["ds"]]
            assert (row["y"] is None) if np.isnan(truth) else row["y"] == truth

    def test_a_series_that_is_missing_at_the_cut_off_is_forecast_for_the_same_steps(self):
        steps = np.arange(20.0)
        late = steps.copy()
        late[15:17] = np.nan
        panel = ft.Panel.from_arrays({"a": steps, "late": late})
        table = ft.backtest(panel, ["drift"], horizon=3, cutoffs=1, config=ft.BacktestConfig(season=1)).fold(
            0
        )
        assert table["ds"].to_list() == [17, 18, 19] * 2
        np.testing.assert_allclose(table["forecast"], table["y"])

    def test_rows_can_be_kept_as_files(self, small_log, tmp_path):
        result = ft.backtest(small_log, RULES, horizon="60d", cutoffs=CUTS, out=tmp_path / "folds")
        files = sorted(path.name for path in (tmp_path / "folds").iterdir())
        assert files == ["fold_0000.parquet", "fold_0001.parquet"]
        with pytest.raises(ParameterError, match="not an empty directory"):
            ft.backtest(small_log, RULES, horizon="60d", cutoffs=CUTS, out=tmp_path / "folds")
        assert len(result.fold(1)) > 0

    def test_temporary_files_go_with_the_result(self, small_log):
        result = ft.backtest(small_log, ["mean gap"], horizon="60d", cutoffs=1)
        place = result.directory
        assert place.exists()
        del result
        assert not place.exists()

    def test_json_has_figures_by_cut_off_and_a_verdict(self, small_log):
        content = json.loads(ft.backtest(small_log, RULES, horizon="60d", cutoffs=CUTS).to_json())
        assert len(content["rows"]) == 2
        assert len(content["by_cutoff"]) == 4
        assert content["cutoffs"] == CUTS
        assert "nothing to compare" in content["verdict"]


class TestPolicies:
    @pytest.mark.parametrize(
        ("refit", "fitted"),
        [("always", [0, 1, 2, 3]), ("never", [0] * 4), (2, [0, 0, 2, 2]), ("warm", [0, 1, 2, 3])],
    )
    def test_models_are_refitted_as_asked(self, refit, fitted):
        panel = ft.Panel.from_arrays(waves())
        result = ft.backtest(
            panel, [Mean()], horizon=3, cutoffs=4, config=ft.BacktestConfig(season=6, refit=refit)
        )
        means = [np.mean(panel.up_to(result.folds.origins[k]).values) for k in fitted]
        assert [result.fold(k)["forecast"][0] for k in range(4)] == pytest.approx(means)
        assert result.seconds["refitted"].sum() == len(set(fitted))

    def test_a_sliding_period_is_as_long_as_the_first(self):
        panel = ft.Panel.from_arrays(waves(length=60))
        config = ft.BacktestConfig(step=10, season=6, training="sliding")
        result = ft.backtest(panel, [Mean()], horizon=3, cutoffs=3, config=config)
        window = result.folds.origins[0] + 1
        for k, origin in enumerate(result.folds.origins):
            values = panel.values.reshape(4, 60)[:, origin + 1 - window : origin + 1]
            assert result.fold(k)["forecast"][0] == pytest.approx(values.mean())

    def test_the_last_steps_of_a_panel(self):
        panel = ft.Panel.from_arrays({"a": [1, 2, 3, 4], "gone": [5, 6]})
        assert last_steps(panel, 2).values.ravel().tolist() == [3, 4, 6]

    def test_sliding_over_visits_learns_from_recent_customers_and_forecasts_all(self, small_log):
        options = {"horizon": "60d", "cutoffs": ["2023-01-31", "2023-08-31"]}
        sliding = ft.backtest(small_log, [Counter()], **options, config=ft.BacktestConfig(training="sliding"))
        whole = ft.backtest(small_log, [Counter()], **options)
        assert said(sliding, 1).equals(said(whole, 1))
        seen = sliding.folds.training(1, sliding=True)
        assert (seen.first > small_log.last_tick("2023-01-31") - 366).all()
        assert seen.n_customers < sliding.folds.training(1, sliding=False).n_customers


class TestNoLeakage:
    def test_nothing_that_a_careless_model_keeps_reaches_the_next_fold(self, small_log):
        given = Counter()
        result = ft.backtest(small_log, [given], horizon="60d", cutoffs=CUTS)
        assert all((result.fold(k)["forecast"] == 1.0).all() for k in range(2))
        assert given.fits == given.asked == []

    def test_a_fold_of_visits_does_not_depend_on_the_folds_before_it(self, small, small_log, visits):
        alone = ft.backtest(small_log, [small.forecaster(ensemble=1)], horizon="60d", cutoffs=CUTS[1:])
        assert said(alone).equals(said(visits, 1).filter(pl.col("model") == "foretell"))

    def test_a_fold_of_series_does_not_depend_on_the_folds_before_it(self, steps):
        panel, origin = ft.Panel.from_arrays(waves(**LONG)), steps.folds.origins[1]
        alone = ft.backtest(
            panel,
            [small_forecaster(), "drift"],
            horizon=H,
            cutoffs=[origin],
            config=ft.BacktestConfig(season=12),
        )
        assert said(alone).equals(said(steps, 1))

    def test_a_model_that_was_fitted_before_starts_anew(self, steps):
        panel, origin = ft.Panel.from_arrays(waves(**LONG)), steps.folds.origins[0]
        other = ft.Panel.from_arrays(waves(**LONG, seed=9)).up_to(origin)
        seen_others = small_forecaster().fit(other)
        result = ft.backtest(
            panel, [seen_others, "drift"], horizon=H, cutoffs=[origin], config=ft.BacktestConfig(season=12)
        )
        assert said(result).equals(said(steps, 0))
        assert seen_others.panel_ is other


class TestWarmStart:
    def test_of_visits_goes_on_from_the_last_weights(self, small, small_log):
        model = small.forecaster(ensemble=1)
        result = ft.backtest(
            small_log, [model], horizon="60d", cutoffs=CUTS, config=ft.BacktestConfig(refit="warm")
        )
        by_hand = [small_log.until(cut) for cut in CUTS]
        first = small.forecaster(ensemble=1).fit(by_hand[0])
        second = small.forecaster(ensemble=1).fit(by_hand[1], warm_start=first)
        outlook = second.outlook(by_hand[1], 60, period=7, window=30)
        np.testing.assert_array_equal(result.fold(1)["forecast"], outlook.expected)
        shifts = [np.abs(a - b).max() for a, b in zip(first.model_.members[0], second.model_.members[0])]  # noqa: B905
        assert 0 < max(shifts) < 0.5

    def test_of_series_goes_on_from_the_last_weights(self):
        panel = ft.Panel.from_arrays(waves(**LONG))
        first = small_forecaster().fit(panel.up_to(119))
        kept = [weight.copy() for weight in first.model_.members[0]]
        second = small_forecaster().fit(panel, warm_start=first)
        assert second.panel_ is panel
        assert second.model_.calibration is first.model_.calibration
        for before, now in zip(kept, first.model_.members[0], strict=True):
            np.testing.assert_array_equal(before, now)
        assert any(not np.array_equal(a, b) for a, b in zip(kept, second.model_.members[0], strict=True))
        with pytest.raises(ParameterError, match="warm_start differs in horizon"):
            small_forecaster(horizon=2).fit(panel, warm_start=first)


class TestScores:
    def test_the_censored_crps_against_the_integral_written_out(self):
        rng = np.random.default_rng(0)
        times = np.array([0.0, 1, 3, 7, 20])
        chances = np.sort(rng.random((6, 5)), axis=1)
        chances[:, 0] = 0.0
        waited = np.array([1.0, 2.0, 5.0, 20.0, 21.0, 7.0])
        fine = (np.arange(200_000) + 0.5) * 20 / 200_000
        for row, when, result in zip(chances, waited, censored_crps(times, chances, waited), strict=True):
            error = (np.interp(fine, times, row) - (fine >= when)) ** 2
            assert result == pytest.approx(error.mean() * 20, rel=1e-3)

    def test_the_truth_has_the_best_crps(self, small_log):
        result = ft.backtest(small_log, ["mbg/nbd", "pareto/nbd"], horizon="60d", cutoffs=CUTS)
        assert result.table()["crps"].is_between(0, 60).all(ignore_nulls=False)
        table = result.rows()
        assert (table["pit_lo"] <= table["pit_hi"]).all()
        assert table["pit_hi"].is_null().equals(table["next_event"].is_null())

    def test_the_distribution_of_counts_is_judged(self, small_log):
        known, unknown = Geometric(), ft.EventForecaster(model="prior")
        result = ft.backtest(small_log, [known, "mbg/nbd", unknown], horizon="60d", cutoffs=CUTS[:1])
        y = result.rows().filter(pl.col("model") == "geometric")["y"].to_numpy()
        k = np.arange(400)
        crps = ((1 - 0.5 ** (k + 1) - (k >= y[:, None])) ** 2).sum(axis=1).mean()
        assert result.figures("geometric")["crps_counts"] == pytest.approx(crps, rel=1e-6)
        assert result.figures("MBG/NBD")["pit_ks"] is None
        assert result.figures(unknown.name)["pit_ks"] < result.figures("geometric")["pit_ks"]

    def test_the_verdict_is_over_all_folds(self):
        panel = ft.Panel.from_arrays(waves(12))
        result = ft.backtest(
            panel, ["seasonal naive", "naive"], horizon=3, cutoffs=3, config=ft.BacktestConfig(season=6)
        )
        assert result.losses()["naive"].shape == (12,)
        assert result.losses()["naive"].mean() > result.losses()["seasonal naive"].mean()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cutoffs": 0}, "cutoffs=0"),
        ({"cutoffs": 99}, "would fit"),
        ({"cutoffs": []}, "cutoffs is empty"),
        ({"cutoffs": [60, 50]}, "sort them"),
        ({"cutoffs": [71]}, "leaves less than the horizon"),
        ({"horizon": "3d"}, "whole number of steps"),
        ({"models": ["magic"]}, "magic"),
    ],
)
def test_wrong_use_is_told(given, said):
    panel = ft.Panel.from_arrays(waves())
    with pytest.raises(ParameterError, match=said):
        ft.backtest(panel, **{"models": ["naive"], "horizon": 3} | given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"refit": "sometimes"}, "refit='sometimes'"),
        ({"refit": 0}, "refit=0"),
        ({"training": "all"}, "training='all'"),
        ({"seeds": 0}, "seeds=0"),
    ],
)
def test_unknown_policies_are_refused(given, said):
    with pytest.raises(ParameterError, match=said):
        ft.BacktestConfig(**given)


class Silent(Counter):
    """Knows when, but not how many."""

    name = "silent"

    def outlook(self, log, horizon, *, period, window):
        return Outlook(p_return=np.full(log.n_customers, 0.5))


class Geometric(Silent):
    """Everybody comes k times with a chance of 2^-(k + 1)."""

    name = "geometric"

    def outlook(self, log, horizon, *, period, window):
        def at_least(k):
            return 0.5 ** np.broadcast_to(k, (len(k), log.n_customers))

        return Outlook(p_return=np.full(log.n_customers, 0.5), at_least=at_least)


def test_a_model_without_counts_has_null_figures_in_a_backtest(small_log):
    result = ft.backtest(small_log, [Silent(), "mean gap"], horizon="60d", cutoffs=CUTS)
    figures = result.figures("silent")
    missing = {name for name, value in figures.items() if value is None}
    assert missing == {
        "rmse",
        "mae",
        "bias_pct",
        "weekly_mape_pct",
        "correlation",
        "auc_active",
        "coverage_80",
    } | {"crps", "pit_ks", "crps_counts"}
    assert figures["brier_30d"] == pytest.approx(0.25)
    assert result.table()["model"][-1] == "silent"


def test_neither_log_nor_panel():
    with pytest.raises(DataError, match="read_series"):
        ft.backtest([1, 2, 3], horizon=3)
