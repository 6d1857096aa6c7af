"""One list of checks that runs over every forecaster, ours and the statistics, fresh and reloaded."""

import copy
import pickle

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.contract.cases import CASES, CUTOFF, EVENTS, answers, fitted, make, numbers, training_data

import foretell as ft

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}, {case[1]}")

# Rules of thumb that know a date at most.
NO_INTERVALS = {("events", name) for name in ("mean gap", "median gap", "repeat rate")}


def seen(model):
    return {name: id(value) for name, value in vars(model).items()}


@every_case
class TestEveryForecaster:
    def test_says_which_question_it_answers_and_whether_it_is_ours(self, case):
        model = fitted(case)
        assert model.kind == case[0] == training_data(case[0]).kind
        assert model.is_ours is isinstance(model, (ft.EventForecaster, ft.SeriesForecaster))
        assert isinstance(model.name, str)
        assert isinstance(model.starts_warm, bool)

    def test_fit_returns_the_forecaster_changes_no_parameter_and_repeats_itself(self, case):
        model = make(case)
        before = model.get_params()
        assert model.fit(training_data(case[0])) is model
        assert model.get_params() == before
        assert_frame_equal(answers(model), answers(fitted(case)), check_exact=True)

    def test_is_asked_before_it_is_fitted_with_a_clear_error(self, case):
        with pytest.raises(ft.errors.NotFittedError, match="not fitted"):
            answers(make(case))

    def test_queries_change_nothing(self, case):
        model = fitted(case)
        before = seen(model)
        answers(model)
        assert seen(model) == before

    def test_the_same_question_has_the_same_answer(self, case):
        model = fitted(case)
        assert_frame_equal(answers(model), answers(model))

    def test_a_copy_and_a_pickle_say_the_same(self, case):
        model = fitted(case)
        expected = answers(model)
        assert_frame_equal(answers(copy.deepcopy(model)), expected)
        assert_frame_equal(answers(pickle.loads(pickle.dumps(model))), expected)

    def test_a_reloaded_one_says_the_same_and_is_itself_copied_and_saved(self, case, tmp_path):
        model = fitted(case)
        expected = answers(model)
        again = ft.load(model.save(tmp_path / "model"))
        assert type(again) is type(model)
        assert_frame_equal(answers(again), expected, rel_tol=1e-6)
        assert_frame_equal(answers(pickle.loads(pickle.dumps(again))), expected, rel_tol=1e-6)
        assert_frame_equal(answers(ft.load(again.save(tmp_path / "again"))), expected, rel_tol=1e-6)

    def test_one_that_is_handed_on_without_data_is_given_them_again(self, case, tmp_path):
        model = fitted(case)
        place = model.save(tmp_path / "model", data=False)
        with pytest.raises(ft.errors.NotFittedError):
            answers(ft.load(place))
        given = ft.load(place, data=training_data(case[0]))
        assert_frame_equal(answers(given), answers(model), rel_tol=1e-6)

    def test_every_customer_and_series_gets_finite_answers_or_nulls(self, case):
        table = answers(fitted(case))
        assert set(table["unique_id"]) == set(training_data(case[0]).ids)
        assert all(np.isfinite(column.drop_nulls().to_numpy()).all() for column in numbers(table))

    def test_intervals_hold_their_middle(self, case):
        model = fitted(case)
        middle = "next_event" if case[0] == "events" else model.name
        rows = answers(model).select(low=f"{middle}-lo-80", middle=middle, high=f"{middle}-hi-80")
        rows = rows.drop_nulls()
        assert rows.is_empty() == (case in NO_INTERVALS)
        assert (rows["low"] <= rows["middle"]).all()
        assert (rows["middle"] <= rows["high"]).all()

    def test_unknown_parameters_are_refused(self, case):
        with pytest.raises(ft.errors.ParameterError, match="no parameter 'nonsense'"):
            make(case).set_params(nonsense=1)


@pytest.mark.parametrize("name", EVENTS)
def test_new_visits_move_every_forecaster_of_events(name, small_log, small):
    model = copy.copy(fitted(("events", name)))
    frame = small.events().filter(pl.col("ds") > pl.lit(CUTOFF).str.to_date())
    model.update(small.read(frame, start="2023-07-01"))
    table = answers(model)
    assert table.height == small_log.n_customers
    assert str(table["as_of"][0]) == "2023-12-31"
