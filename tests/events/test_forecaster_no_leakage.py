"""Nothing after the as-of date changes anything that is said at it: no event, mark, shop or customer."""

import numpy as np
import polars as pl
import pytest

CUTOFF = pl.date(2023, 6, 30)
LATER = pl.col("ds") > CUTOFF
BEFORE = ~LATER


def removed(frame):
    return frame.filter(BEFORE)


def moved(frame):
    days_before = pl.duration(days=pl.int_range(pl.len()) % 150)
    later = frame.filter(LATER).with_columns(ds=pl.date(2023, 12, 20) - days_before)
    return pl.concat([frame.filter(BEFORE), later])


def added(frame):
    days = pl.DataFrame({"day": range(180)})
    regulars = frame.select("unique_id").unique(maintain_order=True).head(20).join(days, how="cross")
    day = pl.date(2023, 7, 1) + pl.duration(days="day")
    new = regulars.select("unique_id", ds=day, amount=pl.lit(9e5), shop=pl.lit("shop 2"))
    return pl.concat([frame, new])


def revalued(frame):
    return frame.with_columns(
        amount=pl.when(LATER).then(1e6).otherwise("amount"),
        shop=pl.when(LATER).then(pl.lit("shop 0")).otherwise("shop"),
    )


def joined_by_new_customers(frame):
    new = [(name, d, 5.0, "shop 1") for name in ("a first", "c064b", "z last") for d in range(0, 150, 3)]
    table = pl.DataFrame(new, schema=["unique_id", "day", "amount", "shop"], orient="row")
    return pl.concat([frame, table.select(
        "unique_id", ds=pl.date(2023, 7, 2) + pl.duration(days="day"), amount="amount", shop="shop"
    )])  # fmt: skip


CHANGES = [removed, moved, added, revalued, joined_by_new_customers]


def everything(frame):
    for change in (moved, added, revalued, joined_by_new_customers):
        frame = change(frame)
    return frame


def seen(log):
    past = log.until("2023-06-30")
    return past.ids.to_list(), past.offsets, past.times, past.marks, past.groups, past.start, past.as_of


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_seen_of_a_log_at_a_date_does_not_depend_on_what_comes_after(change, small, small_log):
    changed = small.read(change(small.events()))
    assert not np.array_equal(changed.marks, small_log.marks)
    for was, now in zip(seen(small_log), seen(changed), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.fixture(scope="module")
def other(small):
    """A model fitted to a log of which everything after the as-of date is different."""
    return small.forecaster().fit(small.read(everything(small.events())), as_of=small.cutoff)


def test_weights_and_scalers_and_clock_are_the_same_to_the_last_bit(small_model, other):
    mine, theirs = small_model.model_, other.model_
    for pair in zip(mine.members, theirs.members, strict=True):
        for a, b in zip(*pair, strict=True):
            np.testing.assert_array_equal(a, b)
    assert mine.clock == theirs.clock
    assert mine.clock.speed(np.arange(7)).min() < 0.5  # it has been learned
    for name in ("mean", "deviation", "low", "high"):
        np.testing.assert_array_equal(getattr(mine.scale, name), getattr(theirs.scale, name))
    np.testing.assert_array_equal(mine.new_marks, theirs.new_marks)
    for a, b in zip(small_model.states_[1:], other.states_[1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_forecasts_are_the_same_to_the_last_bit(small_model, other, small, small_log):
    table = small_model.predict(horizons=["14d", "60d"])
    assert other.predict(horizons=["14d", "60d"]).equals(table)
    # Cutting the log by hand is the same as naming the date.
    cut = small.forecaster().fit(small_log.until(small.cutoff))
    assert cut.predict(horizons=["14d", "60d"]).equals(table)


def test_a_single_amount_before_the_date_does_change_weights_and_forecasts(small_model, small):
    """So the changes above would have been seen."""
    frame = small.events().with_row_index()
    row = frame.filter(BEFORE)["index"][-1]
    frame = frame.with_columns(amount=pl.when(pl.col("index") == row).then(1e3).otherwise("amount"))
    changed = small.forecaster().fit(small.read(frame.drop("index")), as_of=small.cutoff)
    assert not np.array_equal(small_model.model_.members[0][0], changed.model_.members[0][0])
    was, now = (model.predict(horizons=[])["p_active"] for model in (small_model, changed))
    assert not was.equals(now)


def test_shops_that_open_later_are_not_in_the_forecast(small, small_log):
    opened = small.events().with_columns(shop=pl.when(LATER).then(pl.lit("shop 9")).otherwise("shop"))
    log = small.read(opened)
    assert log.until(small.cutoff).group_names.to_list() == ["shop 0", "shop 1", "shop 2"]
