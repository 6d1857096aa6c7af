"""What if some were contacted: what is expected with it and without, and how far to trust it."""

import numpy as np
import polars as pl
import pytest
from benchmarks.contacts import DAYS, START, mailed

import foretell as ft
from foretell.contacts import contact_effects, read_contacts, what_if


@pytest.fixture(scope="module")
def drawn():
    return mailed(np.random.default_rng(6), "a random half", 1.5, n=800)


@pytest.fixture(scope="module")
def sent(drawn):
    return read_contacts(drawn.mailings)


@pytest.fixture(scope="module")
def model(drawn):
    log = ft.read_events(drawn.visits, start=str(START), as_of=str(START + DAYS - 1))
    return ft.EventForecaster(model="prior").fit(log)


@pytest.fixture(scope="module")
def friday(model):
    return str(model.log_.date(model.log_.as_of + 3))


def test_the_difference_is_the_effect_on_the_visits_of_the_days_after(model, sent, friday):
    ids = [5, 3]
    answer = what_if(model, sent, friday, ids, horizon="21d", within="7d")
    effect = contact_effects(model.log_, sent, "7d").row(0, named=True)
    expected = model.predict([3, 10, 21], ids=ids)
    inside = expected["expected_events_10t"] - expected["expected_events_3t"]
    np.testing.assert_allclose(answer.table["visits"], expected["expected_events_21t"])
    np.testing.assert_allclose(answer.table["difference"], (effect["times"] - 1) * inside)
    np.testing.assert_allclose(answer.table["difference-hi-80"], (effect["times-hi-80"] - 1) * inside)
    np.testing.assert_allclose(answer.table["contacted"], answer.table["visits"] + answer.table["difference"])
    assert answer.table["unique_id"].to_list() == ids


def test_days_that_an_earlier_contact_has_are_not_counted_twice(model):
    as_of = model.log_.as_of
    days = [str(model.log_.date(as_of - back)) for back in (40, 80, 2)]
    sent = read_contacts(pl.DataFrame({"unique_id": [1, 2, 1], "ds": days}))
    asked = {"horizon": "14d", "within": "7d"}
    first, second = what_if(model, sent, str(model.log_.date(as_of)), [1, 2], **asked).table.rows(named=True)
    shares = model.predict([5, 7], ids=[1, 2])
    ratio = [row["difference"] / (row["contacted"] - row["visits"]) for row in (first, second)]
    assert ratio == [pytest.approx(1.0), pytest.approx(1.0)]
    late = 1 - shares["expected_events_5t"][0] / shares["expected_events_7t"][0]
    times = contact_effects(model.log_, sent, "7d")["times"][0] - 1
    assert first["difference"] == pytest.approx(times * late * shares["expected_events_7t"][0])
    assert second["difference"] == pytest.approx(times * shares["expected_events_7t"][1])


def test_it_is_cut_at_the_horizon_and_a_stranger_is_a_new_customer(model, sent, friday):
    answer = what_if(model, sent, friday, [10**6], horizon="5d")
    expected = model.predict([3, 5], ids=[10**6])
    inside = (expected["expected_events_5t"] - expected["expected_events_3t"])[0]
    assert answer.table["difference"][0] == pytest.approx((answer.effect["times"][0] - 1) * inside)


def test_printed_it_says_what_was_found_and_that_it_is_an_association(model, sent, friday):
    said = str(what_if(model, sent, friday))
    assert "In the 7 days after a contact (contact) customers came 1." in said
    assert f"If 800 customers are contacted on {friday}, expect" in said
    assert "This is an association, not an effect" in said
    assert "contacted for what they do" not in said
    chosen = mailed(np.random.default_rng(6), "the silent", 1.0, n=800)
    log = ft.read_events(chosen.visits, start=str(START), as_of=str(START + DAYS - 1))
    other = ft.EventForecaster(model="prior").fit(log)
    assert "contacted for what they do" in str(what_if(other, read_contacts(chosen.mailings), friday, [1]))


def test_statistics_answer_too(model, sent, friday):
    fitted = ft.baselines.BGNBD().fit(model.log_)
    assert what_if(fitted, sent, friday).table["difference"].sum() > 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"on": "2030-01-01"}, "within the horizon of '14d'"),
        ({"on": "2020-01-01"}, "expected a day from"),
        ({"kind": "post"}, "kind='post'; expected"),
        ({"within": "12h"}, "'12h'"),
        ({"within": "1y"}, "expected 1 to 90 whole days"),
        ({"contacts": "mailings.csv"}, "read_contacts"),
    ],
)
def test_wrong_questions_are_refused_with_the_mend(model, sent, friday, change, says):
    with pytest.raises(ft.errors.ParameterError, match=says):
        what_if(model, **({"contacts": sent, "on": friday} | change))


def test_of_several_kinds_one_is_named(model, drawn, friday):
    kinds = drawn.mailings.with_columns(
        kind=pl.when(pl.col("unique_id") % 2 == 0).then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    sent = read_contacts(kinds, kind="kind")
    table = contact_effects(model.log_, sent)
    assert table["kind"].to_list() == ["a", "b"]
    assert what_if(model, sent, friday, kind="b").effect["kind"].to_list() == ["b"]
    with pytest.raises(ft.errors.ParameterError, match="kind=None; expected"):
        what_if(model, sent, friday)
