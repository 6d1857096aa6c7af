"""The gap mixture against scipy in double precision, and what must hold of any survival function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, special, stats
from tests.oracles import LogLogistic

from foretell.nn import mixture as mix
from foretell.nn.mixture import GapMixture

GAPS = 8
few = settings(max_examples=40)

# One shape throughout, so that each function is compiled once.
survival = jax.jit(mix.survival)
returning = jax.jit(mix.returning_survival)
log_interval = jax.jit(mix.log_interval_probability)
log_density = jax.jit(mix.log_density)
posterior = jax.jit(mix.posterior_log_weight)
quantile = jax.jit(mix.quantile)
truncated = jax.jit(mix.truncated_inverse)
combine = jax.jit(mix.combine)


def numbers(shape, low, high):
    return arrays(np.float32, shape, elements=st.floats(low, high, width=32))


@st.composite
def mixtures(draw, shape=(), rhythms=2):
    logits = draw(numbers((*shape, 1 + rhythms), -3, 3))
    return GapMixture(
        logit_cure=draw(numbers(shape, -4, 4)),
        log_weight=logits - special.logsumexp(logits, axis=-1, keepdims=True),
        log_shape=draw(numbers((*shape, 1), -1, 2.5)),
        log_scale=draw(numbers((*shape, 1), 0, 6)),
        mu=draw(numbers((*shape, rhythms), 0, 6)),
        log_sigma=draw(numbers((*shape, rhythms), -2, 0.75)),
    )


gaps = numbers((GAPS,), 0, 3000)
elapsed_times = numbers((GAPS,), 0, 1000)
levels = numbers((GAPS,), 0.03125, 0.96875)


def distributions(m):
    """Return the components as scipy's distributions."""
    double = [np.asarray(part, dtype=float) for part in m]
    rhythms = zip(double[4], double[5], strict=True)
    return [
        stats.lomax(np.exp(double[2][0]), scale=np.exp(double[3][0])),
        *(LogLogistic(mu, log_sigma) for mu, log_sigma in rhythms),
    ]


def cure(m):
    return special.expit(float(m.logit_cure))


def weights(m):
    return np.exp(np.asarray(m.log_weight, dtype=float))


def slow_returning(m, gap):
    return sum(w * part.sf(gap) for w, part in zip(weights(m), distributions(m), strict=True))


def slow_survival(m, gap):
    return cure(m) + (1 - cure(m)) * slow_returning(m, np.asarray(gap, dtype=float))


@few
@given(mixtures(), gaps)
def test_survival_agrees_with_scipy(m, gap):
    np.testing.assert_allclose(survival(m, gap), slow_survival(m, gap), rtol=2e-5, atol=2e-6)


@few
@given(mixtures(), gaps)
def test_survival_falls_from_one_to_the_cure_probability(m, gap):
    ascending = np.sort(np.append(gap[:-2], [0.0, 1e36]).astype(np.float32))
    values = np.asarray(survival(m, ascending), dtype=float)
    assert values[0] == pytest.approx(1.0, abs=1e-6)
    assert np.all(np.diff(values) <= 1e-6)
    assert values[-1] == pytest.approx(cure(m), abs=1e-5)


@few
@given(mixtures(), gaps, numbers((GAPS,), 0.5, 100))
def test_log_interval_probability_is_the_log_difference_of_survivals(m, lower, length):
    upper = lower + length
    parts = zip(weights(m), distributions(m), strict=True)
    low, high = lower.astype(float), upper.astype(float)
    # On the side where both are small, as double precision needs it, too.
    mass = sum(
        w * np.where(p.cdf(low) < 0.5, p.cdf(high) - p.cdf(low), p.sf(low) - p.sf(high)) for w, p in parts
    )
    mass *= 1 - cure(m)
    assume(np.all(mass > 1e-20))
    closed = np.zeros(GAPS, dtype=bool)
    np.testing.assert_allclose(log_interval(m, lower, upper, closed), np.log(mass), atol=5e-3)


@few
@given(mixtures(), elapsed_times)
def test_the_likelihood_of_an_open_gap_is_its_survival(m, elapsed):
    still_open = np.ones(GAPS, dtype=bool)
    found = log_interval(m, elapsed, elapsed, still_open)
    np.testing.assert_allclose(found, np.log(slow_survival(m, elapsed)), atol=2e-4)


def test_intervals_that_tile_the_time_axis_have_probabilities_that_sum_to_the_chance_of_a_return():
    m = GapMixture(*[jnp.asarray(p) for p in (0.4, [-0.7, -1.4, -1.36], [0.2], [3.0], [1.9, 3.4], [-1.5, 0])])
    edges = jnp.concatenate([jnp.arange(0.0, 5000.0), jnp.array([1e30])])
    mass = np.exp(np.asarray(log_interval(m, edges[:-1], edges[1:], jnp.zeros(5000, bool)), dtype=float))
    assert mass.sum() == pytest.approx((1 - cure(m)) * weights(m).sum(), rel=1e-4)


def test_intervals_far_shorter_than_their_distance_keep_their_digits_in_single_precision():
    # A day after ten years of silence on a heavy tail: the survivals differ in the fifth digit.
    m = GapMixture(jnp.asarray(0.0), jnp.zeros(1), jnp.log(jnp.array([0.3])), jnp.log(jnp.array([50.0])),
                   jnp.zeros(0), jnp.zeros(0))  # fmt: skip
    tail = stats.lomax(0.3, scale=50.0)
    exact = np.log(0.5 * (tail.sf(3650.0) - tail.sf(3651.0)))
    log_mass = log_interval(m, jnp.array([3650.0]), jnp.array([3651.0]), jnp.zeros(1, bool))
    assert float(log_mass[0]) == pytest.approx(exact, abs=5e-3)
    # A thousandth of a tick at the start of a long scale.
    exact = np.log(0.5 * 0.3 / 50.0 * 1e-3)
    assert float(log_interval(m, jnp.zeros(1), jnp.array([1e-3]), jnp.zeros(1, bool))[0]) == pytest.approx(
        exact, abs=1e-4
    )


@few
@given(mixtures(), numbers((GAPS,), 0.0625, 3000))
def test_log_density_agrees_with_scipy(m, gap):
    parts = zip(weights(m), distributions(m), strict=True)
    density = (1 - cure(m)) * sum(w * p.pdf(gap.astype(float)) for w, p in parts)
    assume(np.all(density > 1e-25))
    np.testing.assert_allclose(log_density(m, gap), np.log(density), atol=2e-3)


def test_the_density_integrates_to_the_chance_of_a_return():
    m = GapMixture(*[jnp.asarray(p) for p in (0.4, [-0.7, -0.69], [1.1], [2.0], [1.9], [-1.0])])
    total, _ = integrate.quad(
        lambda u: np.exp(float(log_density(m, jnp.exp(jnp.asarray(u)))) + u), -12, 12, limit=100, epsabs=1e-5
    )
    assert total == pytest.approx((1 - cure(m)) * weights(m).sum(), rel=1e-3)


@few
@given(mixtures(), elapsed_times)
def test_silence_changes_the_odds_of_the_components_by_bayes(m, elapsed):
    logit_cure, log_weight = posterior(m, elapsed)
    silent = np.array([p.logsf(elapsed.astype(float)) for p in distributions(m)]).T + np.log(weights(m))
    assume(np.all(silent > -60))
    total = special.logsumexp(silent, axis=-1)
    np.testing.assert_allclose(log_weight, silent - total[:, None], atol=5e-3)
    np.testing.assert_allclose(logit_cure, float(m.logit_cure) - total, atol=5e-3)


@few
@given(mixtures(), elapsed_times, levels)
def test_quantile_inverts_the_survival_given_a_return_and_the_silence(m, elapsed, level):
    gap = np.asarray(quantile(m, elapsed, level), dtype=float)
    assert np.all(gap >= elapsed)
    left = slow_returning(m, gap) / slow_returning(m, elapsed.astype(float))
    np.testing.assert_allclose(left, 1.0 - level, atol=3e-3)


@few
@given(mixtures(), elapsed_times, st.integers(0, 2), numbers((GAPS,), 0.015625, 0.984375))
def test_truncated_inverse_inverts_the_survival_of_one_component_beyond_the_silence(
    m, elapsed, component, uniform
):
    part = distributions(m)[component]
    assume(np.all(part.logsf(elapsed.astype(float)) > -40))
    shape = (GAPS,)
    spread = GapMixture(*[np.broadcast_to(p, (*shape, *np.shape(p))) for p in m])
    gap = np.asarray(truncated(spread, np.full(shape, component), elapsed, uniform), dtype=float)
    assert np.all(gap >= elapsed)
    ratio = np.exp(part.logsf(gap) - part.logsf(elapsed.astype(float)))
    np.testing.assert_allclose(ratio, uniform, atol=3e-3)


def test_gaps_much_shorter_than_the_scale_keep_their_digits_in_single_precision():
    m = GapMixture(jnp.zeros(3), jnp.zeros((3, 1)), jnp.full((3, 1), jnp.log(2.0)),
                   jnp.full((3, 1), jnp.log(1e6)), jnp.zeros((3, 0)), jnp.zeros((3, 0)))  # fmt: skip
    uniform = jnp.exp(-jnp.array([1e-6, 1e-5, 1e-4]))
    exact = 1e6 * np.expm1(-np.log(np.asarray(uniform, dtype=float)) / 2.0)
    found = truncated(m, jnp.zeros(3, dtype=int), jnp.zeros(3), uniform)
    np.testing.assert_allclose(found, exact, rtol=1e-5)


@few
@given(mixtures(shape=(3,)), gaps)
def test_an_ensembles_survival_is_the_mean_of_its_members(members, gap):
    each = [GapMixture(*[part[m] for part in members]) for m in range(3)]
    joint = combine(members)
    mean = np.mean([slow_survival(m, gap) for m in each], axis=0)
    np.testing.assert_allclose(survival(joint, gap), mean, rtol=2e-5, atol=2e-6)
    assert cure(joint) == pytest.approx(np.mean([cure(m) for m in each]), abs=1e-6)
    assert float(jnp.exp(special.logsumexp(np.asarray(joint.log_weight)))) == pytest.approx(1.0, abs=1e-5)


@few
@given(mixtures(shape=(3,)), elapsed_times, levels)
def test_an_ensembles_quantile_inverts_the_members_mean(members, elapsed, level):
    each = [GapMixture(*[part[m] for part in members]) for m in range(3)]

    def coming(gap):  # the chance of a return beyond the gap
        gap = np.asarray(gap, dtype=float)
        return np.mean([(1 - cure(m)) * slow_returning(m, gap) for m in each], axis=0)

    gap = quantile(combine(members), elapsed, level)
    np.testing.assert_allclose(coming(gap) / coming(elapsed), 1.0 - level, atol=3e-3)


@few
@given(mixtures(shape=(3,)), elapsed_times)
def test_numpys_arrays_give_the_same_answers(members, elapsed):
    double = GapMixture(*[np.asarray(part, dtype=float) for part in members])
    joint = mix.combine(double)
    for was, now in zip(combine(members), joint, strict=True):
        np.testing.assert_allclose(was, now, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        survival(combine(members), elapsed), mix.survival(joint, elapsed.astype(float)), rtol=2e-5, atol=2e-6
    )


def test_components_are_drawn_by_their_mass():
    log_mass = np.log(np.broadcast_to([0.2, 0.5, 0.3], (1000, 3)))
    drawn, further = mix.draw_component(log_mass, (np.arange(1000) + 0.5) / 1000)
    assert np.bincount(drawn).tolist() == [200, 500, 300]
    for component, n in enumerate([200, 500, 300]):  # what is left of the numbers is as uniform as they were
        np.testing.assert_allclose(np.sort(further[drawn == component]), (np.arange(n) + 0.5) / n, atol=1e-9)


@pytest.mark.parametrize(("members", "rhythms"), [(1, 0), (1, 3), (4, 2)])
def test_a_packed_mixture_unpacks_to_itself(members, rhythms):
    sizes = [members * (1 + rhythms), members, members, members * rhythms, members * rhythms]
    rng = np.random.default_rng(0)
    m = GapMixture(rng.normal(size=5), *[rng.normal(size=(5, size)) for size in sizes])
    again = mix.unpack(mix.pack(m), n_lomax=members)
    for was, now in zip(m, again, strict=True):
        np.testing.assert_array_equal(was, now)
