"""One list of checks that runs over every forecaster, ours and the statistics, fresh and reloaded."""

import copy
import pickle

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import foretell as ft
from foretell import baselines

CUTOFF = "2023-06-30"
QUICK = ft.TrainConfig(epochs=1, batch_size=16, max_steps=2, validation_fraction=0.0)
HEADS = ("mixture", "bins", "gap", "hazard")


def visits(head="mixture", **params):
    network = ft.NetworkConfig(units=4, dense=4, components=1)
    return ft.EventForecaster(ensemble=1, network=network, training=QUICK, head=head, paths=4, **params)


def values(method="direct", **params):
    network = ft.NetworkConfig(units=4, dense=4)
    training = ft.TrainConfig(epochs=1, max_steps=2)
    return ft.SeriesForecaster(
        3, method=method, network=network, training=training, ensemble=1, refit=False, **params
    )


EVENTS = {f"head {head}": lambda head=head: visits(head) for head in HEADS} | {
    "Pareto/NBD": baselines.ParetoNBD,
    "BG/NBD": baselines.BGNBD,
    "MBG/NBD": baselines.MBGNBD,
    "mean gap": baselines.MeanGap,
    "median gap": baselines.MedianGap,
    "repeat rate": baselines.RepeatRate,
}
SERIES = {method: lambda method=method: values(method) for method in ("direct", "recursive", "seq2seq")} | {
    "auto": lambda: values(model="auto"),
    "naive": baselines.Naive,
    "seasonal naive": lambda: baselines.SeasonalNaive(7),
    "drift": baselines.Drift,
}
CASES = [("events", name) for name in EVENTS] + [("series", name) for name in SERIES]
FITTED: dict = {}


def panel(end=60, seed=0):
    steps = np.arange(60)
    rng = np.random.default_rng(seed)
    rows = {
        name: 10 + k + 3 * np.sin(2 * np.pi * steps / 7 + k) + rng.normal(0, 0.5, 60)
        for k, name in enumerate("abcdef")
    }
    whole = ft.Panel.from_arrays(rows, freq="1d", start="2024-01-01")
    return whole if end == 60 else whole.up_to(int(whole.starts.min()) + end - 1)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def case(request, small_log):
    """A forecaster's maker, its training data, and the forecaster fitted to them."""
    kind, name = request.param
    make = (EVENTS if kind == "events" else SERIES)[name]
    data = small_log.until(CUTOFF) if kind == "events" else panel(50)
    if request.param not in FITTED:
        FITTED[request.param] = make().fit(data)
    return kind, make, data, FITTED[request.param]


def answers(kind, model, **options):
    if kind == "events":
        return model.predict(horizons=["7d", "30d"], levels=[80], **options)
    return model.predict(horizon=3, levels=[80], **options)


def seen(model):
    return {name: id(value) for name, value in vars(model).items()}


class TestEveryForecaster:
    def test_says_which_question_it_answers_and_whether_it_is_ours(self, case):
        kind, _, data, model = case
        assert model.kind == kind == data.kind
        assert model.is_ours is isinstance(model, (ft.EventForecaster, ft.SeriesForecaster))
        assert isinstance(model.name, str)
        assert isinstance(model.starts_warm, bool)

    def test_fit_returns_the_forecaster_and_changes_no_parameter(self, case):
        _, make, data, _ = case
        if "auto" in repr(make()):
            pytest.skip("its parts are fitted elsewhere in this list")
        model = make()
        before = model.get_params()
        assert model.fit(data) is model
        assert model.get_params() == before

    def test_is_asked_before_it_is_fitted_with_a_clear_error(self, case):
        kind, make, _, _ = case
        with pytest.raises(ft.errors.NotFittedError, match="not fitted"):
            answers(kind, make())

    def test_queries_change_nothing(self, case):
        kind, _, _, model = case
        before = seen(model)
        answers(kind, model)
        assert seen(model) == before

    def test_the_same_question_has_the_same_answer(self, case):
        kind, _, _, model = case
        assert_frame_equal(answers(kind, model), answers(kind, model))

    def test_a_copy_and_a_pickle_say_the_same(self, case):
        kind, _, _, model = case
        expected = answers(kind, model)
        assert_frame_equal(answers(kind, copy.deepcopy(model)), expected)
        assert_frame_equal(answers(kind, pickle.loads(pickle.dumps(model))), expected)

    def test_a_reloaded_one_says_the_same(self, case, tmp_path):
        kind, _, _, model = case
        model.save(tmp_path / "model")
        assert_frame_equal(answers(kind, ft.load(tmp_path / "model")), answers(kind, model), rel_tol=1e-6)

    def test_every_customer_and_series_gets_finite_answers_or_nulls(self, case):
        kind, _, data, model = case
        table = answers(kind, model)
        assert set(table["unique_id"]) == set(data.ids)
        numbers = table.select(pl.selectors.float())
        assert all(np.isfinite(column.drop_nulls().to_numpy()).all() for column in numbers)

    def test_intervals_hold_their_middle(self, case):
        kind, _, _, model = case
        table = answers(kind, model)
        middle = "next_event" if kind == "events" else model.name
        rows = table.select(low=f"{middle}-lo-80", middle=middle, high=f"{middle}-hi-80").drop_nulls()
        assert (rows["low"] <= rows["middle"]).all()
        assert (rows["middle"] <= rows["high"]).all()

    def test_unknown_parameters_are_refused(self, case):
        _, make, _, _ = case
        with pytest.raises(ft.errors.ParameterError, match="no parameter 'nonsense'"):
            make().set_params(nonsense=1)


@pytest.mark.parametrize("name", EVENTS)
def test_events_after_the_cut_off_change_no_answer(name, small_log):
    """The log is cut in the middle of what is there: the later part must not matter."""
    expected = FITTED.get(("events", name)) or EVENTS[name]().fit(small_log.until(CUTOFF))
    model = EVENTS[name]().fit(small_log, as_of=CUTOFF)
    assert_frame_equal(answers("events", model), answers("events", expected))


@pytest.mark.parametrize("name", EVENTS)
def test_new_visits_move_every_forecaster_of_events(name, small_log, small):
    model = EVENTS[name]().fit(small_log.until(CUTOFF))
    frame = small.events().filter(pl.col("ds") > pl.date(2023, 6, 30))
    model.update(small.read(frame, start="2023-07-01"))
    table = answers("events", model)
    assert table.height == small_log.n_customers
    assert str(table["as_of"][0]) == "2023-12-31"
