"""What customers will spend, what they are worth, and totals of money."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.errors import DataError, ParameterError
from foretell.events.totals import predict_totals
from foretell.spend.forecasts import frequency_and_amount, rates_of


@pytest.fixture(scope="module")
def model(small_log):
    rng = np.random.default_rng(3)
    frame = small_log.to_polars().drop("amount", strict=False)
    frame = frame.with_columns(amount=pl.Series(rng.gamma(2.0, 10.0, len(frame))))
    group = pl.Series("group", rng.choice(["north", "south"], len(frame)))
    log = ft.read_events(frame.with_columns(group), marks=["amount"], group="group")
    return ft.baselines.ParetoNBD().fit(log)


def test_spend_is_visits_times_what_one_is_worth(model):
    table, visits = model.predict_spend(["30d", "90d"]), model.predict(["30d", "90d"])
    for name in ("30d", "90d"):
        product = table["spend_per_visit"] * visits[f"expected_events_{name}"]
        np.testing.assert_allclose(table[f"expected_spend_{name}"], product, rtol=1e-9)
        low, high = (table[f"expected_spend_{name}-{side}-80"] for side in ("lo", "hi"))
        assert (low <= high).all()
        assert (table[f"p_spend_{name}"] <= visits[f"p_return_{name}"] + 1e-9).all()


def test_some_customers_get_the_answers_of_all_and_new_ones_those_of_nobody_known(model):
    ids = model.log_.ids[[5, 2]].to_list()
    some = model.predict_spend(["30d"], ids=ids)
    every = model.predict_spend(["30d"])
    assert some.equals(every.filter(pl.col("unique_id").is_in(ids)).sort("unique_id", descending=True))
    new = model.predict_spend(["30d"], ids=["nobody"])
    assert new["spend_per_visit"][0] == pytest.approx(rates_of(model.log_, "amount").per_visit[-1])


def test_value_is_spend_discounted_month_by_month(model):
    free = model.predict_value("360d", discount=0.0)
    spend = model.predict_spend([360])
    np.testing.assert_allclose(free["value"], spend["expected_spend_360t"], rtol=1e-9)
    dear = model.predict_value("360d", discount=0.5)
    assert (dear["value"] < free["value"]).all()
    assert (dear["value"] > free["value"] / 1.5).all()


def test_totals_of_money_add_up(model):
    months = predict_totals(model, 90, "month", mark="amount")
    whole = predict_totals(model, 90, mark="amount")
    groups = predict_totals(model, 90, "group", mark="amount")
    every = model.predict_spend([90])["expected_spend_90t"].sum()
    assert months["spend"].sum() == pytest.approx(every)
    assert whole["spend"][0] == pytest.approx(every)
    assert groups["spend"].sum() == pytest.approx(every)
    for table in (months, whole, groups):
        assert (table["spend-lo-80"] < table["spend"]).all()
        assert (table["spend"] < table["spend-hi-80"]).all()


def test_whether_frequency_and_amount_go_together_is_measured(model):
    correlation, p = frequency_and_amount(model.log_, "amount")
    assert abs(correlation) < 0.3
    assert p > 0.01
    frame = model.log_.to_polars()
    rich = frame.with_columns(amount=pl.len().over("unique_id").cast(pl.Float64))
    correlation, p = frequency_and_amount(ft.read_events(rich, marks=["amount"]), "amount")
    assert correlation > 0.4
    assert p < 1e-3


def test_what_cannot_be_answered_says_why(model, small_log):
    with pytest.raises(DataError, match="no mark 'price', it has amount"):
        model.predict_spend(mark="price")
    with pytest.raises(ParameterError, match="no chances of a return"):
        ft.baselines.MeanGap().fit(model.log_).predict_spend()
    with pytest.raises(ParameterError, match="discount=-1"):
        model.predict_value(discount=-1)
