"""Arguments that mean several values: given alone, in the wrong scale, or as text."""

import numpy as np
import polars as pl
import pytest

from foretell.core.constraints import Maybe, Number, Whole, as_ids, as_levels, as_names, as_quantiles
from foretell.core.time import as_durations
from foretell.errors import ParameterError


@pytest.mark.parametrize(("level", "mend"), [(0.8, "write 80"), (0, "such as 80"), (100, "such as 80")])
def test_a_share_in_place_of_a_percentage_is_refused_with_the_mend(level, mend):
    with pytest.raises(ParameterError, match=mend):
        as_levels([level])


def test_a_level_alone_and_text_are_refused():
    assert as_levels(np.array([80, 95])) == (80, 95)
    for levels in (80, "80", ["80"], [True], None):
        with pytest.raises(ParameterError, match="expected percentages"):
            as_levels(levels)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        as_quantiles([80])


@pytest.mark.parametrize("ids", [7, "a", b"a", [], [None]])
def test_ids_that_are_no_list_are_refused(ids):
    with pytest.raises(ParameterError, match="expected a list"):
        as_ids(ids)


def test_a_duration_alone_is_a_list_of_one():
    assert as_durations("7d") == ("7d",)
    assert as_durations(7) == (7,)
    with pytest.raises(ParameterError, match="expected durations"):
        as_durations(None)


@pytest.mark.parametrize("value", [True, np.bool_(True), 1.0, "1", None, np.timedelta64(1, "D")])
def test_what_is_no_whole_number_is_refused(value):
    assert not Whole(1).allows(value)
    assert Whole(1).allows(np.int32(1))


@pytest.mark.parametrize("names", [None, 7, b"a", {"a": 1}, ["a", 7], np.array("a")])
def test_names_are_one_text_or_a_list_of_them(names):
    assert as_names(pl.Series(["a", "b"]), "marks") == ("a", "b") == as_names(("a", "b"), "marks")
    with pytest.raises(ParameterError, match=r"^marks=.*expected a name, or a list of names"):
        as_names(names, "marks")


def test_whole_numbers_are_those_that_64_bits_hold():
    assert Whole().allows(2**63 - 1)
    assert not Whole().allows(2**63)


@pytest.mark.parametrize("value", [np.datetime64("NaT"), np.timedelta64("NaT")])
def test_a_time_that_is_none_is_not_none(value):
    assert not Maybe(Whole()).allows(value)
    assert not Number(0).allows(value)


@pytest.mark.parametrize("ids", [np.array(7), [[7]], [{}], memoryview(b"x")])
def test_ids_are_a_list_of_what_can_be_an_id(ids):
    with pytest.raises(ParameterError, match=r"^ids="):
        as_ids(ids)
