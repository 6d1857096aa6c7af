"""Published figures of the buy-till-you-die models on CDNOW, and those of an independent implementation."""

from pathlib import Path

import numpy as np
import pytest

import foretell as ft
from foretell.baselines import BGNBD, ParetoNBD
from foretell.baselines.statistic import Summary, summarise
from foretell.datasets import load_complete_journey

GROCERY = Path(__file__).parents[3] / "shared" / "data" / "grocery_elog.csv"


@pytest.fixture(scope="module")
def sample(cdnow_sample_log):
    return cdnow_sample_log.until("1997-09-30")


@pytest.fixture(scope="module")
def sample_in_weeks(sample):
    x, t_x, T = summarise(sample)
    return Summary(x, t_x / 7, T / 7)


@pytest.fixture(scope="module")
def board(cdnow_log):
    board = ft.evaluate(cdnow_log, "1997-09-30", "273d", ["bg/nbd", "pareto/nbd"])
    return {name: board.figures(name) for name in board.names}


# Fader, Hardie, Lee (2005), and Fader, Hardie (2005), "Implementing the BG/NBD model in Excel".
def test_bgnbd_on_the_cdnow_sample_is_as_published(sample_in_weeks):
    model = BGNBD().fit_summary(*sample_in_weeks)
    np.testing.assert_allclose(model.params_, (0.243, 4.414, 0.793, 2.426), atol=0.001)
    assert model.log_likelihood_ == pytest.approx(-9582.4, abs=0.05)


# Fader, Hardie (2005), "A note on implementing the Pareto/NBD model in MATLAB".
def test_pareto_nbd_on_the_cdnow_sample_is_as_published(sample_in_weeks):
    model = ParetoNBD().fit_summary(*sample_in_weeks)
    np.testing.assert_allclose(model.params_, (0.553, 10.578, 0.606, 11.669), atol=0.001)
    assert model.log_likelihood_ == pytest.approx(-9595.0, abs=0.05)


# Fader, Hardie, Lee (2005): E[Y(39) | x = 2, t_x = 30.43, T = 38.86].
def test_bgnbd_expects_of_a_known_customer_what_is_published(sample_in_weeks):
    model = BGNBD().fit_summary(*sample_in_weeks)
    assert float(model.expected_events(2, 30.43, 38.86, 39)) == pytest.approx(1.226, abs=0.001)


@pytest.mark.parametrize("model_class", [BGNBD, ParetoNBD])
def test_fit_does_not_depend_on_the_unit_of_time(model_class, sample, sample_in_weeks):
    in_days, in_weeks = model_class().fit(sample), model_class().fit_summary(*sample_in_weeks)
    np.testing.assert_allclose(in_days.params_.in_units_of(7), in_weeks.params_, rtol=1e-4)


@pytest.mark.parametrize(
    ("model", "rmse", "bias_pct"), [("BG/NBD", 1.733, -14.3), ("Pareto/NBD", 1.726, -12.9)]
)
def test_figures_on_the_full_cdnow_log(board, model, rmse, bias_pct):
    assert board[model]["rmse"] == pytest.approx(rmse, rel=0.01)
    assert board[model]["bias_pct"] == pytest.approx(bias_pct, abs=0.3)


# Figures of an independent implementation.
@pytest.mark.skipif(not GROCERY.exists(), reason="the grocery log is not on this machine")
def test_figures_on_the_grocery_log():
    log = ft.read_events(GROCERY, id="customer_id", time="date", start="2006-01-01", as_of="2007-12-30")
    board = ft.evaluate(log, "2006-12-31", "364d", ["bg/nbd", "pareto/nbd"])
    assert {name: round(board.figures(name)["rmse"], 3) for name in board.names} == {
        "BG/NBD": 3.150,
        "Pareto/NBD": 3.194,
    }


def test_figures_on_the_complete_journey_log():
    log = ft.read_events(
        load_complete_journey(), id="household_id", time="timestamp", start="2017-01-01", as_of="2017-12-30"
    )
    board = ft.evaluate(log, "2017-09-30", "91d", ["bg/nbd", "pareto/nbd"])
    assert board.train.n_customers == 2_446
    rmse = dict(board.table().select("model", "rmse").rows())
    assert rmse == pytest.approx({"BG/NBD": 6.666, "Pareto/NBD": 6.658}, abs=0.003)
