"""A question never changes the forecaster; a warm start agrees on all that the networks are built from."""

import copy

import numpy as np
import pytest
from polars.testing import assert_frame_equal

import foretell as ft


def test_chances_and_outlooks_of_another_log_leave_the_model_where_it_stands(small_model, small_log):
    before = dict(vars(small_model))
    expected = small_model.predict(horizons=["7d"], levels=[80])
    small_model.return_chances(small_log, [7, 30])
    small_model.outlook(small_log, 30, period=7, window=30)
    assert {name: id(value) for name, value in vars(small_model).items()} == {
        name: id(value) for name, value in before.items()
    }
    assert_frame_equal(small_model.predict(horizons=["7d"], levels=[80]), expected)


@pytest.mark.parametrize("head", ["bins", "gap", "hazard"])
def test_a_warm_start_from_another_head_is_refused(head, small, small_log, small_model):
    cold = small.forecaster(head=head)
    with pytest.raises(ft.errors.ParameterError, match="warm_start differs in head"):
        cold.fit(small_log, as_of=small.cutoff, warm_start=small_model)


@pytest.mark.parametrize("by", ["network", "prior"])
@pytest.mark.parametrize("n", [1, 5, 20, 30])
def test_customers_answer_to_the_last_bit_whoever_stands_beside_them(small_model, by, n):
    log = small_model.log_
    model = small_model if by == "network" else ft.EventForecaster(model="prior").fit(log)
    whole = model.predict(horizons=["30d"])
    rows = np.sort(np.random.default_rng(n).choice(log.n_customers, n, replace=False))
    among_few = copy.deepcopy(model).attach(log.take(rows)).predict(horizons=["30d"])
    assert_frame_equal(among_few, whole[rows], check_exact=True)
