"""Times in whatever a column writes them become the local wall clock, or are refused clearly."""

# ruff: noqa: DTZ001  # a wall clock without a zone is what comes out
import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.data.times import TimeReader
from foretell.errors import ColumnError, DataError, ParameterError

WHEN = dt.datetime(1997, 9, 30, 14, 5, 6)
DAY = dt.datetime(1997, 9, 30)


def read(values, time_format=None, time_zone=None):
    return TimeReader("when", time_format, time_zone).read(pl.Series(values)).to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1997-09-30", DAY),
        ("1997/09/30", DAY),
        ("19970930", DAY),
        ("30.09.1997", DAY),
        ("30.09.97", DAY),
        ("30/09/1997", DAY),
        ("09/30/1997", DAY),
        ("9/30/97", DAY),
        ("30-09-1997", DAY),
        ("30 Sep 1997", DAY),
        ("30-Sep-1997", DAY),
        ("Sep 30, 1997", DAY),
        ("September 30, 1997", DAY),
        ("1997-09-30 14:05:06", WHEN),
        ("1997-09-30T14:05:06", WHEN),
        ("1997-09-30T14:05:06.000", WHEN),
        ("1997-09-30T14:05:06Z", WHEN),
        ("1997-09-30 14:05:06+02:00", WHEN),
        ("1997-09-30 14:05:06 -0500", WHEN),
        ("1997-09-30 14:05", WHEN.replace(second=0)),
        ("30.09.1997 14:05:06", WHEN),
        ("09/30/1997 2:05:06 PM", WHEN),
        ("  1997-09-30 ", DAY),
        ("Tue, 30 Sep 1997 14:05:06 GMT", WHEN),
        ("875628306", WHEN),
        ("875628306000", WHEN),
        ("19970930140506", WHEN),
    ],
)
def test_common_ways_to_write_a_time_are_read_as_written(text, expected):
    assert read([text, text]) == [expected, expected]


def test_a_column_of_nan_is_empty():
    with pytest.raises(ColumnError, match="is empty in all 2 rows"):
        read([float("nan")] * 2)


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (10**3, "ms"), (10**6, "us"), (10**9, "ns")])
def test_numbers_since_1970_are_recognised_by_their_size(factor, unit):
    seconds = int(WHEN.replace(tzinfo=dt.UTC).timestamp())
    assert read([seconds * factor]) == [WHEN]
    assert read([seconds * factor], time_format=unit) == [WHEN]


def test_fractions_of_seconds_in_floats_are_kept():
    assert read([875628306.5, None]) == [WHEN.replace(microsecond=500_000), None]


def test_small_numbers_are_times_only_if_the_user_says_so():
    with pytest.raises(ColumnError, match="time_format="):
        read([1, 2, 3])
    assert read([0, 90], time_format="s") == [dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, 0, 1, 30)]


def test_numbers_of_another_size_than_most_are_unreadable():
    assert read([875628306, 875628306, 0, -1]) == [WHEN, WHEN, None, None]


def test_formats_may_differ_from_row_to_row():
    assert read(["1997-09-30", "1997-09-30 14:05:06", "30.09.1997"]) == [DAY, WHEN, DAY]


def test_days_and_months_in_an_order_that_nothing_decides_are_refused():
    with pytest.raises(DataError, match="may write days or months first"):
        read(["01/02/1997", "03/04/1997"])
    assert read(["01/02/1997"], time_format="%m/%d/%Y") == [dt.datetime(1997, 1, 2)]


def test_one_row_decides_the_order_of_days_and_months():
    assert read(["01/02/1997", "13/02/1997"])[0] == dt.datetime(1997, 2, 1)
    assert read(["01/02/1997", "02/13/1997"])[0] == dt.datetime(1997, 1, 2)


def test_days_first_and_months_first_in_one_column_are_refused():
    with pytest.raises(DataError, match=r"days first .* and months first"):
        read(["13/02/1997", "02/13/1997"])


def test_a_format_that_the_user_gives_is_the_only_one():
    assert read(["30.09.1997", "1997-09-30"], time_format="%d.%m.%Y") == [DAY, None]


def test_a_given_format_keeps_the_clock_of_its_offset():
    assert read(["30.09.1997 14:05:06 +0200"], time_format="%d.%m.%Y %H:%M:%S %z") == [WHEN]


@pytest.mark.parametrize("wrong", ["%Q", "ms"])
def test_a_format_that_cannot_be_one_is_refused(wrong):
    with pytest.raises((ParameterError, ColumnError), match="time_format"):
        read(["30.09.1997"], time_format=wrong)


def test_text_that_is_no_time_is_refused_with_examples_and_a_mend():
    with pytest.raises(ColumnError, match=r"none of the 2 values .* 'foo', 'bar'; .*time_format="):
        read(["foo", "bar"])


def test_single_unreadable_rows_become_null():
    assert read(["1997-09-30", "1997-02-30", "soon", None, "1997-09-30"]) == [DAY, None, None, None, DAY]


@pytest.mark.parametrize("sentinel", [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1899, 12, 30)])
def test_sentinel_dates_are_unreadable(sentinel):
    assert read([DAY.date(), sentinel]) == [DAY, None]


@pytest.mark.parametrize("values", [[True, False], [[1], [2]], [dt.timedelta(1), dt.timedelta(2)]])
def test_columns_of_other_types_are_refused(values):
    with pytest.raises(ColumnError, match="is of type"):
        read(values)


def test_a_column_without_a_value_is_refused():
    with pytest.raises(ColumnError, match="empty"):
        read([None, None])


def test_offsets_of_one_kind_leave_the_clock_as_written():
    assert read(["1997-09-30 23:30:00+02:00"] * 2) == [dt.datetime(1997, 9, 30, 23, 30)] * 2


def test_mixed_offsets_are_refused_unless_a_zone_is_given():
    mixed = ["1997-09-30T23:30:00+02:00", "1997-09-30 23:30:00", "1997-09-30T23:30:00Z"]
    with pytest.raises(DataError, match=r"mixes time zones: .*time_zone="):
        read(mixed)
    berlin = read(mixed, time_zone="Europe/Berlin")
    assert berlin == [*[dt.datetime(1997, 9, 30, 23, 30)] * 2, dt.datetime(1997, 10, 1, 1, 30)]


def test_a_late_row_with_another_offset_is_noticed():
    with pytest.raises(DataError, match="mixes time zones"):
        read(["1997-09-30 10:00:00"] * 5_000 + ["1997-09-30 10:00:00+02:00"])


def test_aware_times_and_numbers_are_converted_to_the_zone():
    utc = dt.datetime(1997, 9, 30, 23, 30, tzinfo=dt.UTC)
    local = dt.datetime(1997, 10, 1, 1, 30)
    assert read([utc], time_zone="Europe/Berlin") == [local]
    assert read([int(utc.timestamp())], time_zone="Europe/Berlin") == [local]
    assert read([utc]) == [utc.replace(tzinfo=None)]


def test_naive_times_are_taken_to_be_in_the_zone():
    assert read([WHEN], time_zone="Asia/Tokyo") == [WHEN]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)).map(
            lambda t: t.replace(microsecond=0)
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d %b %Y %H:%M:%S"]),
)
def test_what_is_written_in_an_unambiguous_format_is_read_back(times, written):
    assert read([time.strftime(written) for time in times]) == times
