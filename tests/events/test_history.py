"""Histories on the clock, and the features of one event, against loops over the events of each customer."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.data.log import EventLog
from foretell.data.report import ReadReport
from foretell.events.clock import OperationalClock
from foretell.events.history import (
    FeatureScale,
    Steps,
    histories,
    least_deviations,
    standardised,
    step_features,
)

CLOCK = OperationalClock("day", (0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 1.0), (1.0,) * 30 + (1.5,) * 23)


def make_log(customers, *, merge="day", silence=5):
    """Return a log of customers given by their days; each event's mark is its day's last digit."""
    times = np.array([day for days in customers for day in sorted(days)], dtype=np.int64)
    return EventLog(
        ids=pl.Series(range(len(customers))),
        offsets=np.cumsum([0, *(len(days) for days in customers)]).astype(np.int64),
        times=times,
        marks=(times % 10)[:, None].astype(float),
        mark_names=("much",),
        groups=None,
        group_names=None,
        unit="day",
        merge=merge,
        start=int(times.min()),
        as_of=int(times.max()) + silence,
        report=ReadReport(len(times), len(times)),
    )


def measured(log, clock=CLOCK):
    return histories(log, clock.table(log.start, log.as_of))


days = st.integers(19_000, 19_800)
merged_customers = st.lists(st.sets(days, min_size=1, max_size=9), min_size=1, max_size=6)
unmerged_customers = st.lists(st.lists(days, min_size=1, max_size=9), min_size=1, max_size=6)


def runs(log):
    return [slice(a, b) for a, b in zip(log.offsets[:-1], log.offsets[1:], strict=True)]


@given(merged_customers, st.integers(0, 30))
def test_gaps_counts_and_ages_agree_with_a_loop_over_events(customers, silence):
    log = make_log(customers, silence=silence)
    table, h = CLOCK.table(log.start, log.as_of), measured(log)
    for run in runs(log):
        read = [float(table.at(tick)) for tick in log.times[run]]  # at the end of the event's day
        for k, at in enumerate(range(run.start, run.stop)):
            age = read[k] - read[0]
            assert h.count[at] == k
            assert h.age[at] == pytest.approx(age)
            assert h.gap[at] == pytest.approx(read[k] - read[k - 1] if k else 0.0)
            assert h.mean_gap[at] == pytest.approx(age / k if k else 0.0)
            assert h.last[at] == (at == run.stop - 1)
            marks = np.log1p(log.marks[run.start : at + 1, 0])
            assert h.marks[at, 0] == pytest.approx(marks[-1])
            assert h.mean_marks[at, 0] == pytest.approx(marks.mean(), abs=1e-9)


@given(merged_customers, st.integers(0, 30))
def test_every_day_that_the_next_event_may_fall_on_has_an_interval_and_they_tile(customers, silence):
    log = make_log(customers, silence=silence)
    table, h = CLOCK.table(log.start, log.as_of), measured(log)
    for run in runs(log):
        for at in range(run.start, run.stop - 1):
            gap = int(log.times[at + 1] - log.times[at])
            # The interval of gap g begins where that of gap g − 1 ends, and that of gap 1 at 0.
            origin = table.at(log.times[at])
            assert h.lower[at] == pytest.approx(table.at(log.times[at] + gap - 1) - origin, abs=1e-9)
            assert h.upper[at] == pytest.approx(table.at(log.times[at] + gap) - origin, abs=1e-9)
            assert (h.lower[at] == 0.0) == (gap == 1)
            assert h.upper[at] - h.lower[at] >= min(CLOCK.cycle) * min(CLOCK.year) - 1e-9
        # Silence: every day after the last event up to the as-of day is known to be empty.
        last = run.stop - 1
        silent = CLOCK.speed(np.arange(log.times[last] + 1, log.as_of + 1)).sum()
        assert h.lower[last] == h.upper[last] == pytest.approx(silent, abs=1e-9)


@given(unmerged_customers, st.integers(0, 30))
def test_without_merging_a_second_event_on_the_same_day_has_an_interval_of_its_own(customers, silence):
    log = make_log(customers, merge=None, silence=silence)
    h = measured(log)
    for run in runs(log):
        for at in range(run.start, run.stop - 1):
            speeds = CLOCK.speed(np.arange(log.times[at], log.times[at + 1] + 1))
            # From the beginning of the event's day: gap 0 is (0, that day's speed].
            assert h.lower[at] == pytest.approx(speeds[:-1].sum(), abs=1e-9)
            assert h.upper[at] == pytest.approx(speeds.sum(), abs=1e-9)
        last = run.stop - 1
        silent = CLOCK.speed(np.arange(log.times[last], log.as_of + 1)).sum()
        assert h.lower[last] == pytest.approx(silent, abs=1e-9)


def test_on_a_flat_clock_gaps_are_days():
    h = measured(make_log([[19_000, 19_003, 19_010]], silence=4), OperationalClock.flat("day"))
    assert h.gap.tolist() == [0, 3, 7]
    assert h.mean_gap.tolist() == [0, 3, 5]
    assert h.lower.tolist() == [2, 6, 4]
    assert h.upper.tolist() == [3, 7, 4]


def features_of(h, unit="day", at=slice(None)):
    parts = [h.gap, h.mean_gap, h.count, h.age]
    single = [jnp.asarray(part[at], jnp.float32) for part in parts]
    marks = [jnp.asarray(part[at], jnp.float32) for part in (h.marks, h.mean_marks)]
    return np.asarray(step_features(Steps(*single, jnp.asarray(h.ticks[at], jnp.int32), *marks), unit))


def test_features_are_what_the_design_says():
    h = measured(make_log([[19_723, 19_730, 19_736]]), OperationalClock.flat("day"))  # from 2024-01-01 on
    # The third event: a Sunday, 6 days after the second, 13 after the first.
    expected = [np.log(7), np.log(7.5), np.log(6.5 / 7), np.log(3), np.log(14), 0, *[0] * 6,
                np.log(7), np.log([4, 1, 7]).mean()]  # fmt: skip
    np.testing.assert_allclose(features_of(h)[2], expected, rtol=1e-5, atol=1e-6)
    # The first: a Monday, nothing before it.
    np.testing.assert_allclose(
        features_of(h)[0], [0, 0, 0, 0, 0, 1, 1, *[0] * 5, *[np.log(4)] * 2], rtol=1e-5
    )


def test_on_an_hourly_clock_features_tell_the_hour_of_the_day_too():
    h = measured(make_log([[19_723, 19_724]]), OperationalClock.flat("day"))
    hourly = dataclasses.replace(h, ticks=np.array([19_723 * 24, 19_723 * 24 + 6]))
    row = features_of(hourly, "hour")[1]
    assert len(row) == 16 + 2
    assert row[6:12].tolist() == [1, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(row[12:16], [1, 0, 0, -1], atol=1e-6)


def test_scaling_standardises_and_brings_what_is_out_of_range_to_the_edge():
    values = np.random.default_rng(0).normal(5.0, 3.0, (200, 2))
    values[:, 1] = 7.0  # a feature that never varies says nothing
    scale = FeatureScale.fit(values).arrays()
    scaled = np.asarray(standardised(scale, jnp.asarray(values, jnp.float32)))
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), [1.0, 0.0], atol=1e-5)
    beyond = np.asarray(standardised(scale, jnp.asarray([[1e6, 8.0], [-1e6, 6.0]], jnp.float32)))
    np.testing.assert_allclose(beyond[:, 0], [scaled[:, 0].max(), scaled[:, 0].min()], rtol=1e-6)
    np.testing.assert_allclose(beyond[:, 1], 0.0, atol=1e-6)


def test_reading_a_log_gives_the_histories_of_its_rows():
    frame = pl.DataFrame({"unique_id": [2, 1, 2, 1, 1], "ds": ["2024-01-09", "2024-01-01", "2024-01-02",
                                                               "2024-01-04", "2024-01-04"]})  # fmt: skip
    h = measured(ft.read_events(frame, as_of="2024-01-10"), OperationalClock.flat("day"))
    assert h.count.tolist() == [0, 1, 0, 1]
    assert h.gap.tolist() == [0, 3, 0, 7]
    assert h.upper.tolist() == [3, 6, 7, 1]


def test_missing_marks_are_the_mean_of_training_to_the_network():
    log = make_log([[19_001, 19_002, 19_003], [19_004, 19_005]])
    h = measured(dataclasses.replace(log, marks=np.array([[1.0], [np.nan], [3.0], [np.nan], [np.nan]])))
    np.testing.assert_allclose(h.mean_marks.ravel(), [np.log(2), np.log(2), np.log(8) / 2, np.nan, np.nan])
    raw = features_of(h)
    scale = FeatureScale.fit(raw)
    scaled = np.asarray(standardised(scale.arrays(), raw))[:, -2:]
    assert scale.mean[-2] == pytest.approx(np.log(8) / 2)
    assert np.isfinite(scaled).all()
    assert (scaled[np.isnan(raw[:, -2:])] == 0).all()


def test_a_tilt_that_is_next_to_nothing_is_not_blown_up():
    least = least_deviations(12 + 2 * 3 + 5, 1, "day")
    assert np.flatnonzero(least > 0.1).tolist() == [13, 14, 16, 17]
    features = np.random.default_rng(0).normal(size=(50, len(least))) * np.where(least > 0.1, 0.01, 1.0)
    scale = FeatureScale.fit(features, least)
    np.testing.assert_allclose(scale.deviation[[13, 14, 16, 17]], 0.3)
    np.testing.assert_allclose(scale.deviation[0], features[:, 0].std())
