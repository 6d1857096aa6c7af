"""Whom to write to: the ranking, and the reasons in words."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.errors import DataError, ParameterError

AS_OF = "2024-06-30"


def visits(customer, days, group="north", amount=10.0):
    """Rows of one customer, whose visits lie so many days before the as-of date."""
    moments = [dt.date.fromisoformat(AS_OF) - dt.timedelta(day) for day in days]
    return pl.DataFrame({"unique_id": customer, "ds": moments, "group": group, "amount": amount})


@pytest.fixture(scope="module")
def model():
    rows = [
        visits("late", range(40, 130, 7)),
        visits("on time", range(3, 94, 7)),
        visits("lost", range(400, 491, 7)),
        visits("late and rich", range(40, 130, 7), group="south", amount=90.0),
        visits("once", [60]),
        *(visits(f"other {k}", range(k, 300, 20 + k)) for k in range(40)),
    ]
    log = ft.read_events(pl.concat(rows), marks=["amount"], group="group", as_of=AS_OF)
    return ft.baselines.ParetoNBD().fit(log)


def test_those_come_first_whom_a_contact_may_win(model):
    table = model.shortlist(top=None, value="visits")
    places = {name: k for k, name in enumerate(table["unique_id"])}
    assert places["late"] < places["on time"]
    assert places["late"] < places.get("lost", math.inf)
    assert table["visits_to_win"].is_sorted(descending=True)
    assert (table["visits_to_win"] > 0).all()


def test_money_moves_the_ranking(model):
    by_value = model.shortlist(top=None)
    assert by_value["unique_id"][0] == "late and rich"
    product = by_value["visits_to_win"] * by_value["value_per_visit"]
    np.testing.assert_allclose(by_value["value_to_win"], product)
    late = by_value.filter(unique_id="late").row(0, named=True)
    rich = by_value.filter(unique_id="late and rich").row(0, named=True)
    assert late["visits_to_win"] == pytest.approx(rich["visits_to_win"])


def test_the_visits_to_win_are_those_of_the_usual_rhythm_less_those_to_come(model):
    """By hand, of one customer: 13 visits in 84 days, 40 days ago."""
    log = model.log_
    row = model.shortlist(top=None, value="visits").filter(unique_id="late").row(0, named=True)
    answers = model.predict(horizons=["30d", "360d"], ids=["late"]).row(0, named=True)
    back = log.counts > 1
    shop = np.median((log.last - log.first)[back] / (log.counts[back] - 1))
    usual = (84 + shop) / 13
    won = answers["p_return_360d"] * 30 / usual - answers["expected_events_30d"]
    assert row["visits_to_win"] == pytest.approx(answers["overdue"] * won)
    assert row["usual_gap_days"] == pytest.approx(usual)


def test_conditions_limit_and_least_chance_hold(model):
    assert model.shortlist(where=["group=south"])["unique_id"].to_list() == ["late and rich"]
    assert model.shortlist(top=3).height == 3
    likely = model.shortlist(top=None, min_chance=0.5)
    assert (likely["p_return_360d"] >= 0.5).all()
    assert likely.height < model.shortlist(top=None).height
    assert model.shortlist(where=["n_events>1000"]).height == 0


def test_reasons_are_sentences_in_either_language(model):
    row = model.shortlist(where=["unique_id=late"]).row(0, named=True)
    share = f"{100 * row['overdue']:.0f}"
    assert row["reason"].startswith("13 visits, usually every 9.3 days")
    assert f"silent for 40 days, later than {share} % of the returns to expect." in row["reason"]
    once = model.shortlist(where=["unique_id=once"])["reason"]
    assert once.str.starts_with("One visit, 60 days ago").all()
    assert "来过 13 次" in model.shortlist(where=["unique_id=late"], language="zh")["reason"][0]


def test_a_model_without_counts_ranks_by_chances(small_log):
    hazard = ft.EventForecaster(
        model="network", head="hazard", ensemble=1, training=ft.TrainConfig(epochs=1)
    ).fit(small_log)
    table = hazard.shortlist(top=5)
    assert table["expected_events_30d"].null_count() == table.height == 5


def test_what_cannot_be_ranked_says_why(model, small_log):
    with pytest.raises(ParameterError, match="no chances of a return"):
        ft.baselines.MeanGap().fit(small_log).shortlist()
    with pytest.raises(ParameterError, match="value='money'; expected 'amount' or 'visits'"):
        model.shortlist(value="money")
    with pytest.raises(ParameterError, match="language='fr'"):
        model.shortlist(language="fr")
    with pytest.raises(ParameterError, match="min_chance=2"):
        model.shortlist(min_chance=2)
    once = pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-01-02"]})
    with pytest.raises(DataError, match="nobody in the log has come twice"):
        ft.EventForecaster(model="prior").fit(ft.read_events(once, as_of="2024-02-01")).shortlist()
