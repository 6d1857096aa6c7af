"""The forecaster: its answers agree with each other, everyone gets one, and wrong use is named."""

import copy
import datetime as dt

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.errors import DataError, EmptyLogError, NotFittedError, ParameterError

HORIZONS = ["7d", "30d", "90d"]


@pytest.fixture(scope="module")
def answers(fitted):
    return fitted.predict(horizons=HORIZONS)


def days(dates):
    return dates.to_numpy().astype("datetime64[D]").astype(int)


def test_everyone_gets_a_row_with_id_and_dates(answers, sample):
    assert answers["unique_id"].equals(sample.ids.alias("unique_id"))
    assert answers["as_of"].unique().to_list() == [dt.date(1997, 9, 30)]
    assert answers["n_events"].to_list() == sample.counts.tolist()
    assert (
        answers["last_event"].to_numpy().astype("datetime64[D]").astype(int).tolist() == sample.last.tolist()
    )
    assert sum(answers.null_count().row(0)) == 0
    assert (answers["n_events"] == 1).sum() > 1_000


def test_columns_are_what_the_docstring_says(answers):
    assert answers.columns == [
        "unique_id", "as_of", "n_events", "last_event", "p_active", "next_event",
        *(f"next_event-{end}-{level}" for level in (50, 80, 95) for end in ("lo", "hi")),
        *(f"p_return_{h}" for h in HORIZONS), *(f"expected_events_{h}" for h in HORIZONS), "overdue",
    ]  # fmt: skip


def test_probabilities_are_probabilities_and_agree(answers):
    chances = answers.select([f"p_return_{h}" for h in HORIZONS] + ["p_active"]).to_numpy()
    assert chances.min() >= 0.0
    assert chances.max() <= 1.0
    # A return within a week is one within a month; whoever returns is active. (Single precision.)
    assert np.all(np.diff(chances, axis=1) >= -1e-6)
    assert answers["overdue"].is_between(0.0, 1.0).all(ignore_nulls=False)


def test_expected_events_grow_with_the_horizon_and_are_at_least_the_chance_of_one(answers):
    expected = answers.select([f"expected_events_{h}" for h in HORIZONS]).to_numpy()
    chances = answers.select([f"p_return_{h}" for h in HORIZONS]).to_numpy()
    assert np.all(np.diff(expected, axis=1) >= 0)
    assert np.all(expected >= chances - 1e-6)


def test_the_next_event_comes_after_the_as_of_date_and_within_its_intervals(answers):
    ends = ["lo-95", "lo-80", "lo-50", "hi-50", "hi-80", "hi-95"]
    edges = np.stack(
        [answers[f"next_event-{e}"].to_numpy().astype("datetime64[D]").astype(int) for e in ends]
    )
    median = answers["next_event"].to_numpy().astype("datetime64[D]").astype(int)
    as_of = int(np.datetime64("1997-09-30").astype(int))
    assert edges.min() > as_of
    assert median.min() > as_of
    assert np.all(np.diff(edges, axis=0) >= 0)
    assert np.all((edges[2] <= median) & (median <= edges[3]))


def test_whoever_was_just_here_is_less_overdue_than_after_a_long_silence(answers):
    regulars = answers.filter(pl.col("n_events") >= 4)
    fresh = regulars.filter(pl.col("last_event") >= pl.date(1997, 9, 15))
    silent = regulars.filter(pl.col("last_event") < pl.date(1997, 5, 1))
    assert fresh["overdue"].mean() < 0.3
    assert silent["overdue"].mean() > 0.8
    assert fresh["p_active"].mean() > silent["p_active"].mean() + 0.3


def test_quantiles_ascend_and_half_of_them_is_the_median(fitted, answers):
    table = fitted.quantiles([0.1, 0.5, 0.9])
    assert table.columns == ["unique_id", "q0.1", "q0.5", "q0.9"]
    assert (table["q0.1"] <= table["q0.5"]).all(ignore_nulls=False)
    assert (table["q0.5"] <= table["q0.9"]).all(ignore_nulls=False)
    assert table["q0.5"].equals(answers["next_event"].alias("q0.5"))


def test_the_cohort_adds_up_to_the_customers_expectations(fitted, answers):
    cohort = fitted.predict_cohort("90d", "7d")
    assert cohort["ds"].to_list() == [dt.date(1997, 10, 1) + dt.timedelta(7 * k) for k in range(13)]
    assert cohort["foretell"].sum() == pytest.approx(answers["expected_events_90d"].sum(), rel=0.02)
    # The next event's share is exact; the rest is simulated.
    assert cohort["foretell"].min() > 0


def test_training_was_heard_epoch_by_epoch_and_left_the_anchor(small, small_log, small_model):
    heard = []
    again = small.forecaster().fit(small_log, as_of=small.cutoff, progress=heard.append)
    assert sorted((p.member, p.epoch) for p in heard) == [(m, e) for m in (0, 1) for e in (1, 2, 3)]
    assert {p.epochs for p in heard} == {3}
    # Same seed, same weights; and they are not the silent ones it began with.
    for a, b in zip(again.model_.members, small_model.model_.members, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    names = [v.path for v in again.model_.network.network.variables]
    correction = again.model_.members[0][names.index("correction/kernel")]
    assert np.abs(correction).max() > 1e-3
    first, second = again.model_.members
    assert not np.array_equal(first[0], second[0])


# --- whom it knows


@pytest.mark.parametrize("kind", [list, tuple, np.array, pl.Series])
def test_customers_come_in_the_asked_order_whatever_holds_their_ids(fitted, answers, kind):
    table = fitted.predict(horizons=[], ids=kind([21, 4, 18, 4]))
    assert table["unique_id"].to_list() == [21, 4, 18, 4]
    of_all = answers.filter(pl.col("unique_id") == 21)
    assert table["p_active"][0] == pytest.approx(of_all["p_active"][0], rel=1e-5)
    assert table["next_event"][0] == of_all["next_event"][0]
    assert table.row(1) == table.row(3)


def test_an_unknown_customer_gets_the_forecast_of_a_newcomer(small_model):
    ids = small_model.log_.ids.to_list()
    asked = ["nobody", *ids[:0:-1]]
    table, everyone = (small_model.predict(horizons=["14d", "60d"], ids=i) for i in (asked, None))
    assert table["unique_id"].to_list() == asked
    new = table.row(0, named=True)
    assert new["n_events"] == 0
    assert new["last_event"] is None
    assert new["overdue"] is None
    assert 0 < new["p_return_14d"] < new["p_return_60d"] < new["p_active"] < 1
    assert new["expected_events_60d"] >= new["p_return_60d"]
    # A known customer whose first event was on the as-of date has the same chances, but for its own mark.
    same = everyone.filter(pl.col("unique_id") == ids[5])
    known = table.filter(pl.col("unique_id") == ids[5])
    assert known["p_return_60d"][0] == pytest.approx(same["p_return_60d"][0], rel=1e-5)
    assert known["n_events"][0] == same["n_events"][0]


@pytest.mark.parametrize("ids", [["4"], [4.5], [dt.date(1997, 1, 1)]])
def test_ids_of_another_kind_are_refused(fitted, ids):
    with pytest.raises(ParameterError, match=r"ids are Int64 in this log; got \["):
        fitted.predict(horizons=[], ids=ids)


def test_text_ids_are_not_taken_for_numbers(small_model):
    with pytest.raises(ParameterError, match=r"ids are String in this log; got \[7\]"):
        small_model.predict(horizons=[], ids=[7])


# --- groups


def test_groups_add_up_to_the_total_of_all_customers(small_model):
    horizons = ["14d", "60d"]
    by_shop, everyone = small_model.predict_groups(horizons), small_model.predict(horizons)
    assert by_shop["group"].to_list() == ["shop 0", "shop 1", "shop 2"]
    for horizon in horizons:
        name = f"expected_events_{horizon}"
        assert by_shop[name].sum() == pytest.approx(everyone[name].sum(), rel=1e-6)
        assert by_shop[name].min() > 0


def test_a_log_without_groups_cannot_be_asked_for_them(fitted):
    with pytest.raises(DataError, match="read it with read_events"):
        fitted.predict_groups()


# --- new events


def later_rows(small, first, last):
    rows = small.events().filter(
        pl.col("ds").is_between(pl.lit(first).str.to_date(), pl.lit(last).str.to_date())
    )
    return small.read(rows, as_of=last)


def same_standing(one, other):
    assert one.log_.to_polars().equals(other.log_.to_polars())
    for a, b in zip(one.states_.memory, other.states_.memory, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for name in ("packed", "last", "count", "age", "mean_marks"):
        a, b = getattr(one.states_, name), getattr(other.states_, name)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=name)


def test_updating_with_new_events_is_reading_the_whole_log(small, small_model, small_log):
    """New customers join, and the model is not fitted again."""
    updated = copy.copy(small_model).update(later_rows(small, "2023-07-01", "2023-12-31"))
    assert updated.model_ is small_model.model_
    whole = copy.copy(small_model)._keep(small_log)
    same_standing(updated, whole)
    assert updated.log_.n_customers > small_model.log_.n_customers
    table = updated.predict(horizons=[])
    assert table["as_of"][0] == dt.date(2023, 12, 31)
    assert len(table) == small_log.n_customers


def test_updating_in_two_steps_is_updating_in_one(small, small_model):
    once = copy.copy(small_model).update(later_rows(small, "2023-07-01", "2023-12-31"))
    twice = copy.copy(small_model).update(later_rows(small, "2023-07-01", "2023-09-13"))
    twice.update(later_rows(small, "2023-09-14", "2023-12-31"))
    same_standing(twice, once)


def test_an_update_leaves_what_was_said_before_alone(small, small_model):
    before = small_model.predict(horizons=[])
    copy.copy(small_model).update(later_rows(small, "2023-07-01", "2023-12-31"))
    assert small_model.predict(horizons=[]).equals(before)


def test_old_events_are_no_update(small, small_model):
    with pytest.raises(ParameterError, match="on or before the as-of date 2023-06-30"):
        copy.copy(small_model).update(later_rows(small, "2023-06-01", "2023-08-01"))


# --- scikit-learn's conventions


def test_a_second_forecaster_is_built_from_its_parameters():
    network = ft.NetworkConfig(units=4)
    one = ft.EventForecaster(
        model="network", ensemble=2, seed=7, network=network, head=ft.HeadConfig(drop_out="bg")
    )
    params = one.get_params()
    other = ft.EventForecaster(**params)
    assert other.get_params() == params
    assert other.network is network
    assert not hasattr(other, "model_")
    assert repr(other) == repr(one)


def test_parameters_are_set_by_name_and_unknown_ones_refused():
    model = ft.EventForecaster()
    assert model.set_params(seed=3, head__paths=9) is model
    assert (model.seed, model.head) == (3, ft.HeadConfig(paths=9))
    with pytest.raises(ParameterError, match=r"no parameter 'epochs'; it has ensemble, seed"):
        model.set_params(epochs=3)


# --- wrong use


@pytest.mark.parametrize(
    ("params", "message"),
    [({"ensemble": 0}, "ensemble=0; expected a whole number"), ({"ensemble": True}, "ensemble=True")],
)  # fmt: skip
def test_parameters_outside_of_what_is_allowed_are_refused_before_training(params, message, sample):
    with pytest.raises(ParameterError, match=message):
        ft.EventForecaster(**params).fit(sample)


def test_a_frame_is_no_log_and_the_error_says_how_to_read_one():
    with pytest.raises(DataError, match=r"got DataFrame; read one with foretell\.read_events"):
        ft.EventForecaster().fit(pl.DataFrame({"unique_id": [1], "ds": ["2024-01-01"]}))


@pytest.mark.parametrize("ask", ["predict", "simulate", "predict_cohort", "predict_groups"])
def test_without_a_fit_there_are_no_answers(ask):
    with pytest.raises(NotFittedError, match=r"not fitted yet; call fit\(log\) first"):
        getattr(ft.EventForecaster(), ask)()


def test_nothing_is_known_after_the_end_of_the_log(sample):
    with pytest.raises(ParameterError, match="lies after the end of the log, 1997-09-30"):
        ft.EventForecaster().fit(sample, as_of="1997-10-01")


def test_a_log_to_which_nobody_returned_is_refused():
    log = ft.read_events(pl.DataFrame({"unique_id": [1, 2], "ds": ["2024-01-01", "2024-01-05"]}))
    with pytest.raises(EmptyLogError, match="none of the 2 customers came back by 2024-01-05"):
        ft.EventForecaster(model="network").fit(log)


@pytest.mark.parametrize("level", [0, 100, -5])
def test_levels_are_percentages(small_model, level):
    with pytest.raises(ParameterError, match=f"levels has {level}; expected percentages"):
        small_model.predict(levels=[80, level])


@pytest.mark.parametrize("level", [0.0, 1.0, 80])
def test_quantiles_are_asked_for_between_zero_and_one(small_model, level):
    with pytest.raises(ParameterError, match=f"levels has {level}; expected numbers between 0 and 1"):
        small_model.quantiles([level])


@pytest.mark.parametrize("horizon", ["soon", "0d", -3, "36h", 2.5])
def test_horizons_are_whole_ticks(small_model, horizon):
    with pytest.raises(ParameterError, match=rf"{horizon!r}( is|; expected) "):
        small_model.predict(horizons=[horizon])


# --- hours, and several events at once


@pytest.fixture(scope="module")
def hourly_model(small):
    """Hours that are not merged: some customers come twice in the same hour."""
    frame = small.events().filter(pl.col("ds") < pl.date(2023, 3, 1))
    hour = pl.col("ds").cast(pl.Datetime("us")) + pl.duration(hours=10 + pl.int_range(pl.len()) % 9)
    frame = pl.concat([frame, frame.filter(pl.int_range(pl.len()) % 5 == 0)]).select(
        "unique_id", ds=hour, amount="amount", shop="shop"
    )
    frame = pl.concat([frame, frame.filter(pl.int_range(pl.len()) % 7 == 0)])
    log = small.read(frame, unit="hour", merge=None, duplicates="keep", as_of="2023-02-28")
    assert (np.diff(log.times)[np.diff(log.owner) == 0] == 0).sum() > 10
    return small.forecaster(ensemble=1, network=ft.NetworkConfig("gru", units=3, dense=0, components=0)).fit(
        log
    )


def test_hours_with_several_events_at_once_have_answers_too(hourly_model):
    table = hourly_model.predict(horizons=[])
    assert str(table["as_of"][0]) == "2023-02-28 23:00:00"
    assert table["next_event"].dtype == pl.Datetime("us")
    assert (table["next_event"] > table["as_of"]).all(ignore_nulls=False)
    assert (table["next_event-lo-80"] < table["next_event-hi-80"]).any()
    assert table["p_active"].is_between(0.0, 1.0).all(ignore_nulls=False)
    assert sum(table.null_count().row(0)) == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"network": {"units": 4}}, "expected a foretell.NetworkConfig"),
        ({"training": {"epochs": 4}}, "expected a foretell.TrainConfig"),
        ({"seed": -1}, "seed=-1; expected a whole number from 0"),
        ({"seed": None}, "seed=None; expected a whole number"),
    ],
)
def test_settings_of_the_wrong_kind_are_named(small_log, settings, expected):
    with pytest.raises(ParameterError, match=expected):
        ft.EventForecaster(**settings).fit(small_log)


@pytest.mark.parametrize("ids", ["c001", [], [None]])
def test_ids_have_to_be_a_list_of_ids(small_model, ids):
    with pytest.raises(ParameterError, match="expected a list of"):
        small_model.predict(ids=ids)


def test_marks_that_are_missing_leave_everyone_with_a_forecast_that_is_saved(small, tmp_path):
    events = small.events().with_columns(
        amount=pl.when(pl.int_range(pl.len()) % 3 > 0, pl.col("unique_id") != "c000").then("amount")
    )
    model = small.forecaster().fit(small.read(events), as_of=small.cutoff)
    table = model.predict(horizons=["30d"])
    assert table.select("p_active", "p_return_30d", "expected_events_30d").to_numpy().min() >= 0
    model.save(tmp_path / "model")
    assert ft.load(tmp_path / "model").predict(horizons=["30d"]).equals(table)
