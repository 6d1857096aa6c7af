"""Rules of thumb against what one would do by hand."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.baselines import MeanGap, MedianGap, RepeatRate
from foretell.errors import NotFittedError

DAY = 86_400


def log_of(customers, as_of):
    rows = [(who, when * DAY) for who, times in customers.items() for when in times]
    frame = pl.DataFrame(rows, schema=["who", "when"], orient="row")
    frame = frame.with_columns(pl.from_epoch("when", time_unit="s"))
    return ft.read_events(
        frame,
        id="who",
        time="when",
        start="1970-01-01",
        as_of=str(np.datetime64(as_of, "D")),
        ids=list(customers),
    )


def look(model, log, horizon=30):
    return model.fit(log).outlook(log, horizon, period=7, window=30)


def test_repeat_rate_goes_on_as_before():
    log = log_of({"a": [0, 10, 20], "b": [15], "c": [40]}, as_of=40)
    outlook = look(RepeatRate(), log)
    np.testing.assert_allclose(outlook.expected, [2 / 40 * 30, 0, 0])
    np.testing.assert_allclose(outlook.cohort, 2 / 40 * np.array([7, 7, 7, 7, 2]))
    assert outlook.p_return is outlook.p_active is outlook.interval is None


@pytest.mark.parametrize(("model", "due"), [(MeanGap(), [10, 22]), (MedianGap(), [8, 18, 28])])
def test_gap_rules_step_on_from_the_last_event(model, due):
    # Gaps 2, 10, 24: mean 12, median 10; the last event was on day 36, two days ago.
    log = log_of({"a": [0, 2, 12, 36]}, as_of=38)
    outlook = model.fit(log).outlook(log, 28, period=1, window=30)
    np.testing.assert_array_equal(np.flatnonzero(outlook.cohort) + 1, due)


def test_gap_rules_fill_the_weeks_in_which_events_fall_due():
    log = log_of({"a": [0, 10, 20]}, as_of=22)  # due on 30, 40, 50: 8, 18 and 28 days from now
    np.testing.assert_allclose(look(MeanGap(), log).cohort, [0, 1, 1, 1, 0])


def test_one_time_customers_get_the_populations_gap():
    log = log_of({"a": [0, 10, 30], "new": [29]}, as_of=30)  # mean gap 15: due on 44, 59
    np.testing.assert_allclose(look(MeanGap(), log).expected, [2, 2])


def test_the_overdue_are_expected_when_their_silence_has_doubled():
    log = log_of({"a": [0, 5, 10], "b": [0, 20]}, as_of=22)  # 12 days of silence: due in 12 and 24 days
    np.testing.assert_allclose(look(MeanGap(), log).expected[0], 2)


def test_nobody_is_expected_where_nobody_ever_came_twice():
    log = log_of({"a": [0], "b": [5]}, as_of=22)
    for model in (MeanGap(), MedianGap(), RepeatRate()):
        np.testing.assert_allclose(look(model, log).expected, [0, 0])


@pytest.mark.parametrize("model", [MeanGap(), MedianGap()])
def test_the_score_of_being_active_falls_with_silence_relative_to_the_gap(model):
    log = log_of({"often": [0, 2, 4], "rare": [0, 20]}, as_of=24)
    often, rare = look(model, log).p_active
    assert often < rare
    np.testing.assert_allclose([often, rare], np.exp([-20 / 2, -4 / 20]))


def test_median_gaps_agree_with_numpy():
    rng = np.random.default_rng(0)
    customers = {
        k: np.sort(rng.choice(300, size=rng.integers(1, 9), replace=False)).tolist() for k in range(40)
    }
    own = MedianGap()._usual_gaps(log_of(customers, as_of=300))
    slow = [np.median(np.diff(times)) if len(times) > 1 else np.nan for times in customers.values()]
    np.testing.assert_allclose(own, slow)


def test_a_gap_rule_has_to_be_fitted():
    log = log_of({"a": [0]}, as_of=3)
    with pytest.raises(NotFittedError, match="call fit"):
        MeanGap().outlook(log, 3, period=7, window=30)
