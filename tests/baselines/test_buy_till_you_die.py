"""The buy-till-you-die models against slow integration, simulation, and each other."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

import foretell as ft
from foretell.baselines import BGNBD, MBGNBD, BGNBDParams, ParetoNBD, ParetoNBDParams
from foretell.baselines.bgnbd import expected_before_drop_out
from foretell.baselines.pareto_nbd import power_integral
from foretell.baselines.statistic import Summary
from foretell.datasets import load_cdnow
from foretell.errors import NotFittedError, ParameterError

MODELS = [BGNBD, MBGNBD, ParetoNBD]
PARAMS = {
    BGNBD: BGNBDParams(0.25, 33.5, 0.72, 2.16),
    MBGNBD: BGNBDParams(0.64, 51.2, 0.81, 1.23),
    ParetoNBD: ParetoNBDParams(0.55, 74.0, 0.61, 81.7),
}
HISTORIES = [
    (0, 0, 0),
    (0, 0, 273),
    (1, 3, 273),
    (1, 270, 273),
    (7, 250, 250),
    (40, 100, 270),
    (400, 365, 370),
]


@pytest.fixture(scope="module")
def sample():
    log = ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")
    return log.until("1997-09-30")


def fitted(model_class, params=None):
    model = model_class()
    model.params_ = params or PARAMS[model_class]
    return model


def quad(function, low, high, **options):
    return integrate.quad(function, low, high, epsabs=1e-13, epsrel=1e-10, limit=400, **options)[0]


def joint_active_and_not(model_class, params, x, t_x, T):
    """Integrate P(history, active) and P(history, dropped out) over the population, up to one factor."""
    if model_class is ParetoNBD:
        r, alpha, s, beta = params
        active = (alpha + T) ** -(r + x) * (1 + T / beta) ** -s
        gone = quad(lambda u: (alpha + u) ** -(r + x) * s / beta * (1 + u / beta) ** -(s + 1), t_x, T)
        return active, gone
    r, alpha, a, b = params
    chances = x + (model_class is MBGNBD)
    density = stats.beta(a, b).pdf
    active = quad(lambda p: density(p) * (1 - p) ** chances, 0, 1) * (alpha + T) ** -(r + x)
    if chances == 0:
        return active, 0.0
    gone = quad(lambda p: density(p) * p * (1 - p) ** (chances - 1), 0, 1) * (alpha + t_x) ** -(r + x)
    return active, gone


def rate_if_active(model_class, params, x, T, u, *, first):
    """Return the expected rate of (first) events at u of a customer who is active at 0."""
    if model_class is ParetoNBD:
        r, alpha, s, beta = params
        power = r + x + 1 if first else 1
        rate = (r + x) / (alpha + T) * (1 + u / (alpha + T)) ** (-power if first else 0)
        return rate * (1 + u / (beta + T)) ** -s
    r, alpha, a, b = params
    if first:
        return (r + x) / (alpha + T) * (1 + u / (alpha + T)) ** -(r + x + 1)
    b += x + (model_class is MBGNBD)

    def given_p(p):
        """Return λ e^{−λ p u} averaged over λ."""
        return (r + x) / (alpha + T) * (1 + p * u / (alpha + T)) ** -(r + x + 1)

    return quad(given_p, 0, 1, weight="alg", wvar=(a - 1, b - 1)) / special.beta(a, b)  # over its posterior


@pytest.mark.parametrize("history", HISTORIES[:-1])
@pytest.mark.parametrize("model_class", MODELS)
def test_p_active_agrees_with_slow_integration(model_class, history):
    active, gone = joint_active_and_not(model_class, PARAMS[model_class], *history)
    assert float(fitted(model_class).p_active(*history)) == pytest.approx(active / (active + gone), rel=1e-7)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("model_class", MODELS)
def test_conditional_expectation_agrees_with_slow_integration(model_class, history):
    model, (x, _, T) = fitted(model_class), history
    slow = quad(lambda u: rate_if_active(model_class, model.params_, x, T, u, first=False), 0, 273)
    expected = float(model.expected_events(*history, 273))
    assert expected == pytest.approx(float(model.p_active(*history)) * slow, rel=1e-6)


@pytest.mark.parametrize("window", [1, 30, 2000])
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("model_class", MODELS)
def test_p_return_agrees_with_slow_integration(model_class, history, window):
    model, (x, _, T) = fitted(model_class), history
    slow = quad(lambda u: rate_if_active(model_class, model.params_, x, T, u, first=True), 0, window)
    p_return = float(model.p_return(*history, window))
    assert p_return == pytest.approx(float(model.p_active(*history)) * slow, rel=1e-6)


@pytest.mark.parametrize("model_class", MODELS)
def test_the_next_event_falls_below_its_quantiles_as_often_as_they_say(model_class):
    model = fitted(model_class)
    x, T = np.array([0.0, 0.0, 2.0, 50.0]), np.array([0.0, 300.0, 200.0, 300.0])
    levels = np.array([0.1, 0.5, 0.9])
    when = model._next_event_quantiles(x, T, 273.0, levels)
    share = model._return_if_active(x, T, when) / model._return_if_active(x, T, 273.0)
    np.testing.assert_allclose(share, np.repeat(levels[:, None], 4, axis=1), atol=1e-6)


@pytest.mark.parametrize("model_class", MODELS)
def test_the_gradient_of_the_likelihood_is_its_slope(model_class):
    rows = Summary(*(np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True)))
    model, params = model_class(), np.array(PARAMS[model_class])
    gradient = model._log_likelihood(params, rows)[1]
    for k in range(4):
        step = np.eye(4)[k] * params[k] * 1e-5
        rise = model._log_likelihood(params + step, rows)[0] - model._log_likelihood(params - step, rows)[0]
        np.testing.assert_allclose(gradient[k], rise / (2 * step[k]), rtol=1e-5, atol=1e-7)


@given(
    r=st.floats(0.05, 20), a=st.floats(0.05, 60), b=st.floats(0.05, 60),
    x=st.integers(0, 500), age=st.floats(0, 3), t=st.floats(0.001, 30),
)  # fmt: skip
def test_expected_events_grow_with_time_and_stay_below_those_without_drop_out(r, a, b, x, age, t):
    horizons = np.array([t, 2 * t])
    shape, rate, kept = r + np.full(2, x), np.full(2, 0.3 + age), b + np.full(2, x)
    expected = expected_before_drop_out(shape, rate, a, kept, horizons)
    assert 0 <= expected[0] <= expected[1] * (1 + 1e-9)
    assert np.all(expected <= shape / rate * horizons * (1 + 1e-6))


@pytest.mark.parametrize(
    ("a", "b"), [(0.999999, 2.0), (1.0, 2.0), (1.000001, 2.0), (19.9, 40), (20.1, 40), (200, 900)]
)
@pytest.mark.parametrize("x", [0, 5, 300])
def test_expected_events_are_right_at_the_edges_of_the_parameters(a, b, x):
    r, rate, t = 0.7, 1.3, 2.0
    posterior = stats.beta(a, b + x)
    slow = quad(
        lambda p: posterior.pdf(p) * -np.expm1(-(r + x) * np.log1p(p * t / rate)) / p,
        0,
        1,
        points=[posterior.mean()],
    )
    fast = expected_before_drop_out(np.array([r + x]), np.array([rate]), a, np.array([b + x]), np.array([t]))
    np.testing.assert_allclose(fast, slow, rtol=1e-7)


# Published as a difference of two hypergeometric functions (Fader & Hardie 2005, A0); for moderate counts
# the difference is exact enough to check the quadrature against.
@pytest.mark.parametrize(("a", "b"), [(74.0, 81.7), (81.7, 74.0), (10.0, 10.0), (0.01, 500.0), (500.0, 0.01)])
@pytest.mark.parametrize(("x", "lower", "upper"), [(0, 0.0, 273.0), (1, 30.0, 273.0), (20, 200.0, 273.0)])
def test_power_integral_is_the_hypergeometric_difference(a, b, x, lower, upper):
    r, s = 0.55, 0.61

    def term(u):
        near, far, argument = (a, b, r + x) if a < b else (b, a, s + 1)
        series = special.hyp2f1(r + s + x, argument, r + s + x + 1, (far - near) / (far + u))
        return series / (far + u) ** (r + s + x)

    expected = (term(lower) - term(upper)) / (r + s + x)
    fast = power_integral(np.array([r + x]), s + 1, a, b, np.array([lower]), np.array([upper]))
    np.testing.assert_allclose(np.exp(fast.log_value), expected, rtol=1e-6)


@pytest.mark.parametrize("count", [5, 500, 50_000])
def test_power_integral_resolves_busy_customers(count):
    a, b, lower, upper = 3.0, 40.0, 100.0, 130.0
    slow = quad(
        lambda u: np.exp(-count * np.log1p(u / (a + lower))) * ((b + lower + u) / (b + lower)) ** -1.6,
        0, upper - lower, points=[1e-3, 1e-2, 0.1, 1, 10],
    )  # fmt: skip
    fast = power_integral(np.array([float(count)]), 1.6, a, b, np.array([lower]), np.array([upper]))
    log_slow = np.log(slow) - count * np.log(a + lower) - 1.6 * np.log(b + lower)
    np.testing.assert_allclose(fast.log_value, log_slow, rtol=1e-9)


@pytest.mark.parametrize("model_class", MODELS)
def test_everything_stays_finite_for_customers_with_thousands_of_events(model_class):
    model = fitted(model_class)
    x, t_x, T = np.array([5_000.0, 100_000.0]), np.array([200.0, 360.0]), np.array([365.0, 365.0])
    figures = [
        model._log_likelihood(np.array(model.params_), Summary(x, t_x, T))[0],
        model.p_active(x, t_x, T),
        model.expected_events(x, t_x, T, 273),
        model.p_return(x, t_x, T, 30),
    ]
    assert all(np.all(np.isfinite(figure)) for figure in figures)
    assert np.all(model.p_active(x, t_x, T) < 1e-6)


def simulate(model_class, params, n, rng):
    """Draw histories from the model's own story, event by event."""
    T = rng.uniform(200, 400, n)
    rate = rng.gamma(params[0], 1 / params[1], n)
    x, t_x, now = np.zeros(n), np.zeros(n), np.zeros(n)
    if model_class is ParetoNBD:
        life, p = rng.exponential(1 / rng.gamma(params[2], 1 / params[3], n)), np.zeros(n)
    else:
        life, p = np.full(n, np.inf), rng.beta(params[2], params[3], n)
    alive = np.ones(n, dtype=bool)
    if model_class is MBGNBD:
        alive &= rng.random(n) >= p
    while alive.any():
        now = np.where(alive, now + rng.exponential(1 / rate), now)
        alive &= (now <= T) & (now <= life)
        x, t_x = x + alive, np.where(alive, now, t_x)
        alive &= rng.random(n) >= p
    return Summary(x, t_x, T)


@pytest.mark.parametrize("model_class", MODELS)
def test_parameters_are_recovered_from_simulated_customers(model_class):
    params = {BGNBD: (0.6, 30.0, 0.8, 2.5), MBGNBD: (0.6, 30.0, 0.8, 2.5), ParetoNBD: (0.8, 30.0, 0.7, 60.0)}
    truth = np.array(params[model_class])
    histories = simulate(model_class, truth, 40_000, np.random.default_rng(1))
    model = model_class().fit_summary(*histories)
    np.testing.assert_allclose(model.params_, truth, rtol=0.12)
    at_truth = model._log_likelihood(truth, histories)[0].sum()
    assert at_truth <= model.log_likelihood_ <= at_truth + 12


@pytest.mark.parametrize("model_class", MODELS)
def test_the_cohort_is_the_sum_of_its_customers(model_class, sample):
    model = model_class().fit(sample)
    outlook = model.outlook(sample, 100, period=7, window=30)
    assert outlook.cohort.shape == (15,)
    assert outlook.cohort.sum() == pytest.approx(outlook.expected.sum())
    alone = model.outlook(sample.take([17]), 100, period=7, window=30)
    for mine, all_of_them in [
        (alone.expected, outlook.expected), (alone.p_return, outlook.p_return),
        (alone.p_active, outlook.p_active), (alone.interval, outlook.interval),
    ]:  # fmt: skip
        np.testing.assert_allclose(mine[0], all_of_them[17], rtol=1e-9)
    assert np.all((outlook.interval[:, 0] > sample.as_of) & (outlook.interval[:, 1] <= sample.as_of + 100))


@pytest.mark.parametrize("model_class", MODELS)
def test_customers_count_as_often_as_they_are_given(model_class):
    rows = [(0, 0, 39), (0, 0, 30), (1, 5, 35), (3, 20, 38), (8, 38, 39)]
    counts = [3, 2, 2, 1, 1]
    repeated = list(itertools.chain.from_iterable([row] * n for row, n in zip(rows, counts, strict=True)))
    one_by_one = model_class().fit_summary(*zip(*repeated, strict=True))
    counted = model_class().fit_summary(*zip(*rows, strict=True), counts)
    assert counted.log_likelihood_ == pytest.approx(one_by_one.log_likelihood_, abs=1e-5)


@pytest.mark.parametrize("model_class", MODELS)
@pytest.mark.parametrize(
    "rows", [[(0, 0, 100)] * 5, [(0, 0, 0)], [(9, 90, 90)] * 5], ids=["one-time", "new", "regular"]
)
def test_logs_that_hardly_say_anything_still_get_a_forecast(model_class, rows):
    model = model_class().fit_summary(*zip(*rows, strict=True))
    assert np.isfinite(model.log_likelihood_)
    assert 0 <= float(model.expected_events(*rows[0], 30)) < np.inf


@pytest.mark.parametrize("model_class", MODELS)
def test_impossible_histories_are_refused(model_class):
    with pytest.raises(ParameterError, match="recency <= age, and 1 rows differ"):
        model_class().fit_summary([1, 2], [10, 3], [5, 5])


@pytest.mark.parametrize("model_class", MODELS)
def test_asking_before_the_fit_is_an_error_that_says_so(model_class):
    with pytest.raises(NotFittedError, match="call fit"):
        model_class().expected_events(1, 2, 3, 4)
