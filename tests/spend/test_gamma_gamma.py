"""The Gamma-Gamma model: published figures, and its equations by numerical integration."""

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

import foretell as ft
from foretell.errors import DataError, EmptyLogError, NotFittedError
from foretell.spend.gamma_gamma import log_likelihood, worth_of


# Fader, Hardie (2013), "The Gamma-Gamma Model of Monetary Value": 946 customers of the CDNOW sample.
def test_the_cdnow_sample_gives_what_is_published():
    rows = ft.datasets.load_cdnow(sample=True)
    log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"], duplicates="keep")
    model = ft.baselines.GammaGamma().fit(log, as_of="1997-09-30")
    np.testing.assert_allclose(model.params_, (6.25, 3.74, 15.44), atol=0.005)
    assert model.correlation_ == pytest.approx(0.11, abs=0.005)
    assert (model.predict()["n_amounts"] > 0).sum() == 946


def test_the_likelihood_is_the_integral_over_the_rates():
    p, q, gamma, x, m = 2.0, 3.0, 5.0, 3, 4.0

    def joint(rate):
        # The mean of x gamma(p, ν) amounts is gamma(p x, ν x).
        return stats.gamma.pdf(m, p * x, scale=1 / (rate * x)) * stats.gamma.pdf(rate, q, scale=1 / gamma)

    mass = integrate.quad(joint, 0, np.inf)[0]
    ours = log_likelihood(np.array([p, q, gamma]), np.array([float(x)]), np.array([m]))
    assert np.exp(ours[0]) == pytest.approx(mass, rel=1e-6)


def test_the_mean_to_expect_lies_between_that_of_all_and_the_customers_own():
    model = ft.baselines.GammaGamma()
    model.params_ = ft.baselines.GammaGammaParams(6.25, 3.74, 15.44)
    everyone = 6.25 * 15.44 / 2.74
    assert model.expected(0, np.nan) == pytest.approx(everyone)
    ten = model.expected([1, 10, 1000], [100.0, 100.0, 100.0])
    assert everyone < ten[0] < ten[1] < ten[2] < 100
    assert ten[2] == pytest.approx(100, rel=1e-2)


def test_what_it_cannot_fit_says_why():
    once = pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-01-02"], "amount": [1.0, 2.0]})
    with pytest.raises(EmptyLogError, match="no customer has come back and paid"):
        ft.baselines.GammaGamma().fit(ft.read_events(once, marks=["amount"]))
    with pytest.raises(DataError, match="no mark 'amount', it has none"):
        ft.baselines.GammaGamma().fit(ft.read_events(once))
    with pytest.raises(NotFittedError):
        ft.baselines.GammaGamma().predict()


@pytest.mark.parametrize(
    ("marks", "worth"),
    [((), None), (("items", "price"), "price"), (("items",), "items"), (("price", "amount"), "amount")],
)
def test_the_mark_that_says_what_visits_are_worth_is_found_by_its_name(marks, worth):
    frame = pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-01-05"]})
    paid = frame.with_columns(**{mark: pl.lit(1.5) for mark in marks})
    assert worth_of(ft.read_events(paid, marks=list(marks))) == worth
    free = frame.with_columns(**{mark: pl.lit(0.0) for mark in marks})
    assert worth_of(ft.read_events(free, marks=list(marks))) is None
