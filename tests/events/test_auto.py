"""The forecaster that chooses: never much worse than its best member, honest about small data."""

import copy
import dataclasses
import json

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data.holdout import hold_out
from foretell.errors import ParameterError, SmallDataWarning
from foretell.evaluation.tasks import EVENTS
from foretell.events.simulation import Expected


def simulated(n=300, seed=8):
    """Return the visits of customers who buy at gamma rates and drop out after a visit with a beta chance."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(n):
        day, rate, leave = rng.integers(0, 120), rng.gamma(0.8, 1 / 12), rng.beta(1.0, 4.0)
        while day < 400:
            rows.append((customer, int(day)))
            if rng.random() < leave:
                break
            day += 1 + rng.exponential(1 / rate)
    frame = pl.DataFrame(rows, schema=["unique_id", "day"], orient="row")
    frame = frame.select("unique_id", ds=pl.date(2023, 1, 1) + pl.duration(days="day"))
    return ft.read_events(frame, as_of="2024-02-04")


@pytest.fixture(scope="module")
def log():
    return simulated()


@pytest.fixture(scope="module")
def few():
    return simulated(60)


@pytest.fixture(scope="module")
def held(log):
    return hold_out(log, log.as_of - 100, 100, 7)


@pytest.fixture(scope="module")
def auto(small, held):
    return small.forecaster(ensemble=1, model="auto").fit(held.train)


def rmse(truth, found):
    return float(np.sqrt(np.mean((truth - found) ** 2)))


class TestChoice:
    def test_at_earlier_origins_the_blend_errs_no_more_than_the_prior(self, auto):
        losses = dict(auto.auto_.losses)
        assert losses["prior"] == pytest.approx(1.0)
        assert losses.pop("blend") <= 1.0 + 1e-12
        assert set(losses) == {"prior", "pareto/nbd", "bg/nbd", "mbg/nbd", "repeat rate", "mean gap",
                               "median gap"}  # fmt: skip

    def test_prior_and_network_have_equal_shares_and_at_least_half(self, auto):
        for weights in (auto.auto_.counts, auto.auto_.chances):
            assert weights["prior"] == weights["network"]
            assert weights["prior"] + weights["network"] >= 0.5

    def test_weights_are_convex(self, auto):
        for weights in (auto.auto_.counts, auto.auto_.chances):
            assert sum(weights.values()) == pytest.approx(1.0)
            assert min(weights.values()) > 0

    def test_on_the_held_out_part_it_is_not_worse_than_the_true_model(self, auto, held):
        true = EVENTS.build("mbg/nbd").fit(held.train)
        found = [one.outlook(held.train, 100, period=7, window=30).expected for one in (auto, true)]
        assert rmse(held.count, found[0]) <= 1.02 * rmse(held.count, found[1])

    def test_all_answers_agree(self, auto, held):
        table = auto.predict(horizons=["30d", "100d"])
        outlook = auto.outlook(held.train, 100, period=7, window=30)
        np.testing.assert_allclose(table["expected_events_100d"], outlook.expected, rtol=1e-6)
        np.testing.assert_allclose(table["p_return_30d"], outlook.p_return)
        np.testing.assert_allclose(table["p_active"], outlook.p_active)
        np.testing.assert_allclose(table["p_return_30d"], auto.return_chances(held.train, [30])[:, 0])
        assert outlook.cohort.sum() == pytest.approx(outlook.expected.sum(), rel=1e-3)
        assert (table["p_return_30d"] <= table["p_return_100d"]).all()
        assert (table["p_return_100d"] <= table["p_active"] + 1e-9).all()

    def test_dates_and_chances_come_from_one_distribution(self, auto):
        rows = [0, 17, 101]
        ids = auto.log_.ids.gather(rows).to_list()
        table = auto.predict(horizons=["36500d"], levels=[80], ids=ids)
        median = auto.quantiles([0.5], ids)["q0.5"]
        days = (median - table["as_of"]).dt.total_days()
        for k, row in enumerate(rows):
            until = auto.return_chances(auto.log_, [int(days[k]) - 1, int(days[k])])[row]
            half = 0.5 * table["p_return_36500d"][k]
            assert until[0] - 0.02 <= half <= until[1] + 0.02
        assert (table["next_event"] == median).all()

    def test_chances_of_numbers_agree_with_the_expected_number(self, auto, held):
        k = np.arange(1, 400)[:, None]
        outlook = auto.outlook(held.train, 100, period=100, window=100)
        chances = outlook.at_least(k)
        np.testing.assert_allclose(chances[0], outlook.p_return)
        # Where fewer are expected than one for sure who returns, it is one.
        expected = np.maximum(outlook.expected, outlook.p_return)
        np.testing.assert_allclose(chances.sum(axis=0), expected, rtol=0.1)  # few in the tail

    def test_the_summary_says_who_answers(self, auto):
        assert "counts: " in auto.summary()
        assert "network " in auto.summary()

    def test_chosen_customers_and_new_ones_are_answered_in_the_asked_order(self, auto):
        whole = auto.predict(horizons=["30d"])
        some = auto.predict(horizons=["30d"], ids=[7, 100_000, 3])
        assert some["unique_id"].to_list() == [7, 100_000, 3]
        for row, one in ((0, 7), (2, 3)):
            expected = whole.row(by_predicate=pl.col("unique_id") == one, named=True)
            for name in ("p_active", "p_return_30d"):
                assert some[name][row] == pytest.approx(expected[name])
        assert some["n_events"][1] == 0
        assert 0 < some["p_return_30d"][1] < 1

    def test_it_is_saved_and_loaded(self, auto, tmp_path):
        again = ft.load(auto.save(tmp_path / "model"))
        assert again.model == "auto"
        assert again.auto_.counts == auto.auto_.counts
        assert again.predict(horizons=["30d"]).equals(auto.predict(horizons=["30d"]))


class TestSmallData:
    def test_it_says_so_and_falls_back_on_the_statistics(self, small, few, tmp_path):
        with pytest.warns(SmallDataWarning, match="60 customers are too few"):
            model = small.forecaster(model="auto").fit(few)
        assert model.auto_.too_little_data
        assert "network" not in model.auto_.counts
        assert model.auto_.counts["prior"] >= 0.5
        assert "fewer than 200 customers" in model.summary()
        table = model.predict(horizons=["30d"])
        assert table.null_count().sum_horizontal().item() == 0
        chances = [
            share * model.auto_.statistics[name].return_chances(few, [30])[:, 0]
            for name, share in model.auto_.chances.items()
        ]
        np.testing.assert_allclose(table["p_return_30d"], sum(chances))
        again = ft.load(model.save(tmp_path / "model"))
        assert again.predict(horizons=["30d"]).equals(table)


def test_an_unknown_model_is_refused(small, small_log):
    with pytest.raises(ParameterError, match="model='best'; expected 'network', 'auto' or 'prior'"):
        small.forecaster(model="best").fit(small_log)


def test_the_choice_is_plain_json(auto):
    assert json.loads(json.dumps(auto.auto_.describe()))["too_little_data"] is False


def test_closed_days_are_closed_for_the_statistics_in_the_blend(auto, held):
    train = held.train
    clock = dataclasses.replace(auto.auto_.statistics["prior"].shop_.clock, week=(1.0,) * 6 + (0.0,))
    prior = copy.copy(auto.auto_.statistics["prior"])
    prior.shop_ = dataclasses.replace(prior.shop_, clock=clock)
    statistics = {"prior": prior, "bg/nbd": ft.baselines.BGNBD().fit(train)}
    choice = dataclasses.replace(
        auto.auto_, counts={"bg/nbd": 1.0}, chances={"bg/nbd": 1.0}, statistics=statistics
    )
    days = np.arange(1, 15)
    chances = choice.p_return(np.zeros((train.n_customers, 14)), train, days)
    none = Expected(np.zeros((train.n_customers, 14)), np.zeros(14))
    expected = choice.expected(none, train, days, days)
    came, closed = np.diff(chances.sum(axis=0), prepend=0.0), (train.as_of + days) % 7 == 6
    for visits in (came, expected.cohort, np.diff(expected.counts.sum(axis=0), prepend=0.0)):
        assert np.abs(visits[closed]).max() < 1e-9 < visits[~closed].min()
