"""The statistics of events fit, answer, are updated and kept as `EventForecaster` is."""

import copy
import pickle

import numpy as np
import polars as pl
import pytest
from tests.written import as_written

import foretell as ft
from foretell.baselines import EVENT_BASELINES, MBGNBD, BGNBDParams, ParetoNBD, ParetoNBDParams
from foretell.baselines.bgnbd import BGNBD
from foretell.datasets import load_cdnow
from foretell.errors import DataError, NotFittedError, ParameterError

MODELS = list(dict.fromkeys(EVENT_BASELINES.values()))
BUY_TILL_YOU_DIE = [BGNBD, MBGNBD, ParetoNBD]
# Columns that a model cannot know; its class says why.
NULL = {
    "repeat rate": {"p_active", "next_event", "interval", "p_return", "overdue"},
    "mean gap": {"p_active", "interval", "p_return", "overdue"},
    "median gap": {"p_active", "interval", "p_return", "overdue"},
}
CUT = "1997-09-30"

every_model = pytest.mark.parametrize("model_class", MODELS, ids=lambda model: model.shell_name)


@pytest.fixture(scope="module")
def whole():
    log = ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")
    return log.take(np.arange(0, log.n_customers, 6))


@pytest.fixture(scope="module")
def log(whole):
    return whole.until(CUT)


@pytest.fixture(scope="module")
def fitted(log):
    return {model: model().fit(log) for model in MODELS}


def family(column):
    if "-lo-" in column or "-hi-" in column:
        return "interval"
    return next((name for name in ("p_return", "expected_events") if column.startswith(name)), column)


@every_model
def test_the_table_has_the_columns_and_types_of_ours(model_class, small_model):
    ours = small_model.predict(horizons=["7d", 90], levels=[80])
    table = model_class().fit(small_model.log_).predict(horizons=["7d", 90], levels=[80])
    assert table.schema == ours.schema


@every_model
def test_only_what_a_model_cannot_know_is_null(model_class, fitted):
    table = fitted[model_class].predict()
    null = {family(name) for name in table.columns if table[name].is_null().all()}
    assert null == NULL.get(model_class.name, set())
    some = {family(name) for name in table.columns if table[name].is_null().any()}
    assert some == null


@every_model
def test_the_answers_of_one_customer_agree_with_each_other(model_class, fitted, log):
    table = fitted[model_class].predict(horizons=[1, 30, 400, 30_000], levels=[50, 95])
    for word in ("p_return", "expected_events"):
        columns = table.select(f"{word}_{t}t" for t in (1, 30, 400, 30_000)).to_numpy()
        if table[f"{word}_1t"].is_null().all():
            continue
        assert (columns >= 0).all()
        assert (np.diff(columns, axis=1) >= -1e-12).all()
        if word == "p_return":
            assert (columns <= table["p_active"].to_numpy()[:, None] + 1e-9).all()
    if table["next_event"].is_null().all():
        return
    assert (table["next_event"] > table["as_of"]).all()
    if not table["next_event-lo-50"].is_null().all():
        for low, high in [("-lo-95", "-lo-50"), ("-lo-50", ""), ("", "-hi-50"), ("-hi-50", "-hi-95")]:
            assert (table[f"next_event{low}"] <= table[f"next_event{high}"]).all()


@every_model
def test_fit_stops_at_the_as_of_date(model_class, whole, fitted):
    assert model_class().fit(whole, as_of=CUT).predict().equals(fitted[model_class].predict())


@every_model
def test_a_fit_without_sense_is_refused(model_class, log):
    with pytest.raises(ParameterError, match="lies after the end of the log"):
        model_class().fit(log, as_of="1999-01-01")
    with pytest.raises(DataError, match="fit takes an EventLog"):
        model_class().fit(log.to_polars())
    with pytest.raises(ParameterError, match="warm_start"):
        model_class().fit(log, warm_start=model_class())
    with pytest.raises(NotFittedError, match="call fit"):
        model_class().predict()


@every_model
def test_wrong_questions_are_refused_before_they_are_answered(model_class, fitted):
    model = fitted[model_class]
    for wrong in ({"levels": [120]}, {"horizons": ["7 parsecs"]}, {"ids": []}, {"ids": "12"}):
        with pytest.raises(ParameterError):
            model.predict(**wrong)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        model.quantiles([50])


@every_model
def test_queries_leave_the_model_as_it_is(model_class, fitted, whole, log):
    model = fitted[model_class]
    before = pickle.dumps(model)
    model.predict(ids=[int(log.ids[3]), -5])
    model.quantiles([0.5])
    model.outlook(whole, 30, period=7, window=30)
    model.state()
    model.return_chances(whole, [1, 7])
    assert pickle.dumps(model) == before


@every_model
def test_a_model_that_forecasts_no_probabilities_has_no_chances(model_class, fitted, whole):
    chances = fitted[model_class].return_chances(whole, [1, 7])
    assert (chances is not None) == (model_class in BUY_TILL_YOU_DIE)


@every_model
def test_some_customers_are_answered_as_among_all(model_class, fitted):
    model = fitted[model_class]
    table = model.predict()
    asked = table["unique_id"].to_list()[5:1:-2]
    chosen = model.predict(ids=asked)
    assert chosen.equals(
        pl.DataFrame({"unique_id": asked}).join(table, on="unique_id", maintain_order="left")
    )


@every_model
def test_an_unknown_customer_is_answered_as_if_first_seen_on_the_as_of_date(model_class, fitted, log):
    row = fitted[model_class].predict(ids=[-5]).row(0, named=True)
    assert (row["n_events"], row["last_event"], row["overdue"]) == (0, None, None)
    grown, _ = log.extended(arrival(log, -5, log.as_of + 1))
    new = copy.deepcopy(fitted[model_class])
    new.log_ = grown
    seen = new.predict(ids=[-5]).row(0, named=True)
    for name in row:
        if name.startswith(("p_", "expected")):
            assert row[name] == pytest.approx(seen[name]) if row[name] is not None else seen[name] is None


def arrival(log, who, tick):
    day = str(log.date(tick))
    return ft.read_events(
        pl.DataFrame({"who": [who], "day": [day]}), id="who", time="day", start=day, as_of=day, ids=[who]
    )


@every_model
def test_an_update_is_what_reading_everything_would_have_given(model_class, whole, log):
    model = model_class().fit(log)
    params = getattr(model, "params_", None)
    frame = whole.to_polars().filter(pl.col("ds") > pl.lit(CUT).str.to_date())
    later = ft.read_events(frame, start="1997-10-01", as_of="1998-06-30")
    assert model.update(later) is model
    assert getattr(model, "params_", None) == params
    again = copy.deepcopy(model)
    again.log_ = whole
    assert model.predict().equals(again.predict())


@every_model
@pytest.mark.parametrize("ids", ["numbers", "text"])
def test_a_model_comes_back_from_its_state(model_class, ids, log):
    frame = log.to_polars()
    if ids == "text":
        frame = frame.with_columns(pl.format("no {}", "unique_id").alias("unique_id"))
    model = model_class().fit(ft.read_events(frame, as_of=CUT))
    back = model_class.from_state(as_written(model.state()))
    assert back.predict().equals(model.predict())
    assert back.get_params() == model.get_params()
    learned = [
        {k: v for k, v in vars(each).items() if k not in {"log_", "_read_as"}} for each in (model, back)
    ]
    assert learned[0] == learned[1]


@every_model
def test_a_saved_model_answers_as_before_and_an_update_goes_on_from_it(model_class, fitted, log, tmp_path):
    model = fitted[model_class]
    model.save(tmp_path / "model")
    back = ft.load(tmp_path / "model")
    assert type(back) is model_class
    assert back.predict().equals(model.predict())
    assert back.update(arrival(log, -5, log.as_of + 1)).predict(ids=[-5])["n_events"].to_list() == [1]


@every_model
def test_pickles_and_copies_answer_alike(model_class, fitted):
    model = fitted[model_class]
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.predict().equals(model.predict())


@every_model
def test_what_comes_after_the_cut_off_changes_nothing(model_class, whole, fitted):
    rows = whole.to_polars().filter(pl.col("ds") <= pl.lit(CUT).str.to_date())
    late = rows.head(40).with_columns(pl.lit("1998-02-02").str.to_date().alias("ds"))
    other = ft.read_events(pl.concat([rows, late]), as_of="1998-06-30")
    assert model_class().fit(other, as_of=CUT).predict().equals(fitted[model_class].predict())


@every_model
def test_a_log_that_says_next_to_nothing_is_answered(model_class):
    log = ft.read_events(pl.DataFrame({"unique_id": [1], "ds": ["2024-01-01"]}), ids=[1])
    table = model_class().fit(log).predict()
    assert len(table) == 1
    assert not any(table[name].is_nan().any() for name in table.columns if table[name].dtype == pl.Float64)


@every_model
def test_a_name_of_the_shell_has_no_character_that_needs_quotes(model_class):
    assert model_class.shell_name.replace("-", "").isalnum()
    assert EVENT_BASELINES[model_class.shell_name] is EVENT_BASELINES[model_class.name.lower()] is model_class
    assert (model_class.kind, model_class.is_ours, model_class.starts_warm) == ("events", False, False)


def test_a_gap_rule_names_the_day_on_which_the_next_event_is_due():
    days = ["2024-01-01", "2024-01-11", "2024-01-21"]
    log = ft.read_events(pl.DataFrame({"unique_id": ["a"] * 3, "ds": days}), as_of="2024-01-23", ids=["a"])
    model = EVENT_BASELINES["mean-gap"]().fit(log)
    assert str(model.predict()["next_event"][0]) == "2024-01-31"
    quantiles = model.quantiles([0.5, 0.9]).row(0, named=True)
    assert (str(quantiles["q0.5"]), quantiles["q0.9"]) == ("2024-01-31", None)


def test_nobody_is_due_where_nobody_ever_came_twice():
    log = ft.read_events(pl.DataFrame({"unique_id": [1, 2], "ds": ["2024-01-01", "2024-01-05"]}))
    model = EVENT_BASELINES["median gap"]().fit(log)
    for each in (model, type(model).from_state(as_written(model.state()))):
        table = each.predict()
        assert table["next_event"].is_null().all()
        assert (table["expected_events_90d"] == 0).all()


@pytest.mark.parametrize(
    ("model_class", "params"),
    [
        (BGNBD, BGNBDParams(0.6, 30.0, 0.8, 2.5)),
        (MBGNBD, BGNBDParams(0.6, 30.0, 0.8, 2.5)),
        (ParetoNBD, ParetoNBDParams(0.8, 30.0, 0.7, 60.0)),
    ],
)
def test_the_next_events_of_simulated_customers_fall_below_their_quantiles_as_often_as_said(
    model_class, params
):
    """A customer of known history is drawn from the posterior; its first event is held against the table."""
    days = ["2024-01-01", "2024-01-15", "2024-03-01"]
    log = ft.read_events(pl.DataFrame({"unique_id": ["a"] * 3, "ds": days}), as_of="2024-05-01", ids=["a"])
    model = model_class().fit(log)
    model.params_ = params
    row = model.predict(horizons=["30d"], levels=[80]).row(0, named=True)
    rng, n = np.random.default_rng(0), 400_000
    recency, age = float(log.last[0] - log.first[0]), float(log.as_of - log.first[0])

    def waits_from(moment):
        rate = rng.gamma(params[0] + 2, 1 / (params[1] + moment), n)
        waits = rng.exponential(1 / rate)
        if model_class is not ParetoNBD:
            return waits
        life = rng.exponential(1 / rng.gamma(params[2], 1 / (params[3] + moment), n))
        return np.where(waits <= life, waits, np.inf)

    waits, gaps = waits_from(age), waits_from(recency)
    active = float(model.p_active(2, recency, age))
    returns = waits[np.isfinite(waits)]
    assert row["p_active"] == pytest.approx(active * len(returns) / n, abs=0.003)
    assert row["p_return_30d"] == pytest.approx(active * (waits <= 30).mean(), abs=0.003)
    assert row["overdue"] == pytest.approx((gaps[np.isfinite(gaps)] <= age - recency).mean(), abs=0.003)
    low, median, high = np.quantile(returns, [0.1, 0.5, 0.9])
    for column, ticks in [("next_event", median), ("next_event-lo-80", low), ("next_event-hi-80", high)]:
        ahead = (row[column] - row["as_of"]).days
        assert ahead == pytest.approx(ticks, rel=0.02, abs=1.5)  # edges go to whole days


@pytest.mark.parametrize("model_class", BUY_TILL_YOU_DIE)
@pytest.mark.parametrize(
    "rows",
    [
        ([1, 2, 0], [np.nan, 20, 0], [40, 60, 30]),
        ([1, np.nan, 0], [10, 20, 0], [40, 60, 30]),
        ([1, 2, 0], [10, 20, 0], [40, np.inf, 30]),
        ([], [], []),
        ([1], [2], [3], [-1]),
        ([1], [2], [3], [0]),
    ],
)
def test_summaries_with_missing_values_or_without_rows_are_refused(model_class, rows):
    with pytest.raises(DataError, match="expected"):
        model_class().fit_summary(*rows)
