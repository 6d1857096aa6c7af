"""How good forecasts of spend are: figures by hand, and an accuracy gate."""

import numpy as np
import pytest

import foretell as ft
from foretell.errors import ParameterError
from foretell.evaluation.spend import evaluate_spend, figures, gini, pit_distance
from foretell.spend.amounts import Rates
from foretell.spend.compound import Spend


@pytest.fixture(scope="module")
def log():
    rows = ft.datasets.load_cdnow(sample=True)
    return ft.read_events(rows, id="customer_id", time="date", marks=["amount"], as_of="1998-06-30")


def test_figures_are_those_by_hand():
    actual, forecast = np.array([0.0, 10.0, 30.0, 0.0]), np.array([1.0, 8.0, 20.0, 3.0])
    found = figures(forecast, actual)
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 4 + 100 + 9) / 4))
    assert found["mae"] == pytest.approx(4.0)
    assert found["bias"] == pytest.approx(-0.2)
    assert found["gini"] == pytest.approx(1.0)
    assert found["top_decile"] == pytest.approx(0.75)
    assert figures(-forecast, actual)["gini"] < 0
    assert gini(np.ones(7)) == pytest.approx(0.0)


def test_the_pit_of_the_true_distribution_is_uniform_and_of_a_wrong_one_is_not():
    rng, n = np.random.default_rng(0), 4000
    rates = Rates(2.0, np.full(n, 6.0), np.full(n, 50.0), paid=1.0, dispersion=0.1)
    spend = Spend.of(np.full(n, 1.5), np.full(n, 0.7), rates)
    visits = (rng.random(n) < 0.7) * (1 + rng.negative_binomial(10, 10 / (10 + 1.5 / 0.7 - 1), n))
    actual = np.where(visits > 0, rng.gamma(np.maximum(2.0 * visits, 1e-9)) / rng.gamma(6.0, 1 / 50, n), 0.0)
    assert pit_distance(spend, actual) < 0.025
    assert pit_distance(spend, 2 * actual) > 0.1


def test_the_prior_is_as_good_as_what_a_retailer_uses_and_calibrated(log):
    table = evaluate_spend(
        log, "1997-09-30", "39w", [ft.EventForecaster(model="prior"), ft.baselines.ParetoNBD()]
    )
    by_name = {row["model"]: row for row in table.to_dicts()}
    ours, classical = by_name["foretell, prior"], by_name["Pareto/NBD × Gamma-Gamma"]
    assert ours["rmse"] < 1.0 * classical["rmse"]
    assert ours["pit_ks"] < 0.05
    assert classical["pit_ks"] is None


def test_a_period_that_is_not_there_is_refused(log):
    with pytest.raises(ParameterError, match="the log ends 1998-06-30"):
        evaluate_spend(log, "1998-06-01", "90d", [ft.baselines.ParetoNBD()])
    with pytest.raises(ParameterError, match="at least one forecaster"):
        evaluate_spend(log, "1997-09-30", "90d", [])
