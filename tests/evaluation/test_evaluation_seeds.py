"""What another seed would have said: the spread of figures, and the members' disagreement."""

import json

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.core.contracts import Outlook
from foretell.core.estimator import Estimator
from foretell.core.time import period_edges
from foretell.errors import ParameterError
from foretell.evaluation.backtest import other_seeds
from foretell.evaluation.evaluation import spread_table


class Lucky(Estimator):
    """Forecasts a number that its seed draws."""

    name, is_ours = "foretell", True

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, data):
        self.drawn = np.random.default_rng(self.seed).random()
        return self

    def outlook(self, log, horizon, *, period, window):
        n = log.n_customers
        return Outlook(np.full(n, self.drawn), np.zeros(len(period_edges(horizon, period))))

    def forecast(self, panel, h, quantiles):
        return np.full((panel.n_series, h, len(panel.targets), len(quantiles)), self.drawn)


def test_the_spread_over_seeds_of_visits_is_told(small_log):
    board = ft.evaluate(small_log, "2023-06-30", "60d", [Lucky(), "mean gap"], seeds=4)
    spread = board.seed_spread()
    assert spread["model"].unique().to_list() == ["foretell"]
    rmse = spread.filter(figure="rmse").row(0, named=True)
    assert rmse["seeds"] == 4
    assert rmse["lowest"] < rmse["mean"] < rmse["highest"]
    assert "foretell over 4 seeds: rmse" in str(board)
    assert json.loads(board.to_json())["seeds"][0]["figure"] == "rmse"
    assert board.names == ("foretell", "mean gap")
    assert "foretell" in board.to_html()


def test_the_spread_over_seeds_of_series_is_told():
    panel = ft.Panel.from_arrays({f"s{i}": np.random.default_rng(i).random(30) for i in range(12)})
    board = ft.evaluate(panel, horizon=3, models=[Lucky(), "naive"], season=1, seeds=3)
    assert board.seed_spread()["seeds"].unique().to_list() == [3]
    assert "foretell over 3 seeds: mase" in str(board)


def test_the_verdict_ends_with_the_command_that_follows_it(small_log):
    verdict = ft.evaluate(small_log, "2023-06-30", "60d", [Lucky(), "mbg/nbd"]).verdict()
    assert verdict.use == "MBG/NBD"
    assert str(verdict).endswith("use that: foretell fit … --model mbg-nbd")


def test_one_seed_has_no_spread(small_log):
    board = ft.evaluate(small_log, "2023-06-30", "60d", [Lucky()])
    assert len(board.seed_spread()) == 0
    assert "seeds" not in json.loads(board.to_json())


def test_seeds_are_farther_apart_than_the_members_of_an_ensemble():
    seeds = [one.seed for one in other_seeds(ft.EventForecaster(model="network", ensemble=50, seed=3), 3)]
    assert seeds == [1_003, 2_003]
    assert other_seeds(ft.baselines.Naive(), 3) == []
    assert len(spread_table(pl.DataFrame({"model": []}), None)) == 0


def test_wrong_numbers_of_seeds_are_refused(small_log):
    with pytest.raises(ParameterError, match="seeds=0"):
        ft.evaluate(small_log, "2023-06-30", "60d", ["mean gap"], seeds=0)


def test_members_of_visits_disagree_in_columns_of_their_own(small_model):
    plain = small_model.predict(horizons=["30d"])
    table = small_model.predict(horizons=["30d"], disagreement=True)
    assert table.columns == [*plain.columns, "p_active-sd", "next_event-sd", "p_return_30d-sd"]
    assert table.select(plain.columns).equals(plain)
    assert (table["p_return_30d-sd"] > 0).any()
    # Two members: the standard deviation is half of their distance, so both lie within 0 and 1.
    assert (table["p_return_30d-sd"] <= 0.5).all(ignore_nulls=False)
