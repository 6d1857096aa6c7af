"""What a visit is worth to come: sums that forget, and parameters that are found again."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.errors import EmptyLogError
from foretell.spend.amounts import AmountModel, discounted
from foretell.spend.gamma_gamma import mark_of


def shop(rng, n=1500, visits=8, shape=3.0, q=5.0, gamma=60.0):
    """Customers whose amounts are gamma(3, ν), with ν gamma(5, 60): a visit is worth 45."""
    rate = rng.gamma(q, 1 / gamma, n)
    count = rng.integers(1, visits + 1, n)
    owner = np.repeat(np.arange(n), count)
    days = rng.integers(0, 200, len(owner))
    amounts = rng.gamma(shape, 1 / rate[owner])
    frame = pl.DataFrame({"unique_id": owner, "day": days, "amount": amounts}).unique(["unique_id", "day"])
    frame = frame.select("unique_id", "amount", ds=pl.date(2024, 1, 1) + pl.duration(days="day"))
    return ft.read_events(frame, marks=["amount"])


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    memory=st.sampled_from([0.5, 3.0, np.inf]),
)
def test_sums_forget_by_the_number_of_events_since_then(lengths, memory):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.arange(1.0, offsets[-1] + 1)[:, None]
    ours = discounted(values, offsets, memory)
    for begin, end in itertools.pairwise(offsets):
        for at in range(begin, end):
            weights = np.exp(-(at - np.arange(begin, at + 1)) / memory)
            assert ours[at, 0] == pytest.approx(weights @ values[begin : at + 1, 0])


def test_the_parameters_of_a_simulated_shop_are_found_again():
    log = shop(np.random.default_rng(0))
    model = AmountModel.of(log, "amount")
    rates = model.rates(log, "amount")
    assert model.shape == pytest.approx(3.0, rel=0.15)
    assert rates.per_visit.mean() == pytest.approx(45.0, rel=0.05)
    # Who spent more is expected to spend more, but not by as much.
    means = np.bincount(log.owner, mark_of(log, "amount")) / log.counts
    slope = np.polyfit(means, rates.per_visit, 1)[0]
    assert 0.2 < slope < 1.0


def test_free_visits_are_apart():
    log = shop(np.random.default_rng(1), n=300)
    frame = log.to_polars()
    free = frame.with_columns(amount=pl.when(pl.int_range(pl.len()) % 2 == 0).then(0.0).otherwise("amount"))
    rates = AmountModel.of(ft.read_events(free, marks=["amount"]), "amount").rates(log, "amount")
    assert rates.paid == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(rates.per_visit, rates.mean * rates.paid)


def test_little_and_nothing_to_learn_from():
    once = pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-01-02"], "amount": [10.0, 30.0]})
    log = ft.read_events(once, marks=["amount"])
    per_visit = AmountModel.of(log, "amount").rates(log, "amount").per_visit
    assert per_visit[0] < per_visit[1]
    assert per_visit.mean() == pytest.approx(20.0, rel=0.1)
    nothing = ft.read_events(once.with_columns(amount=pl.lit(0.0)), marks=["amount"])
    with pytest.raises(EmptyLogError, match="no visit has an amount above 0"):
        AmountModel.of(nothing, "amount")


def test_amounts_that_are_missing_are_neither_free_nor_known():
    log = shop(np.random.default_rng(2), n=300)
    frame = log.to_polars()
    some = pl.when(pl.int_range(pl.len()) % 5 > 0).then("amount")
    holes = ft.read_events(frame.with_columns(amount=some), marks=["amount"])
    model = AmountModel.of(holes, "amount")
    assert model.paid == 1.0
    assert np.isfinite(model.rates(holes, "amount").per_visit).all()
