"""The gap model: its anchor is (M)BG/NBD, and its loss is what a slow loop over customers adds up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.oracles import LogLogistic

from foretell.baselines import BGNBD, MBGNBD
from foretell.events.clock import OperationalClock
from foretell.events.heads.base import gap_data
from foretell.events.heads.mixture import Anchor, GapNetwork, anchored, fit_anchor, log_likelihood
from foretell.events.history import FeatureScale, histories, standardised
from foretell.events.states import log_features
from foretell.nn.samplers import bucketed, cut_runs, filled
from foretell.nn.settings import NetworkConfig

FLAT = OperationalClock.flat("day")


@pytest.fixture(scope="module")
def history(sample):
    return histories(sample, FLAT.table(sample.start, sample.as_of))


@pytest.fixture(scope="module")
def repeats(sample):
    return sample.n_events - sample.n_customers


def parameters(anchor):
    """Return r, α in weeks, a, b."""
    r, alpha, a, b = (float(np.exp(part)) for part in anchor[:4])
    return r, alpha / 7, a, b


# Fader, Hardie, Lee (2005).
def test_without_network_and_rhythms_it_reproduces_the_published_bgnbd_of_cdnow(history, repeats):
    anchor, in_days = fit_anchor(history, 0, "bg", "continuous")
    np.testing.assert_allclose(parameters(anchor), (0.243, 4.414, 0.793, 2.426), rtol=0.01)
    # A density per day is a seventh of one per week.
    assert in_days + repeats * np.log(7) == pytest.approx(-9582.4, abs=0.1)


def test_without_network_and_rhythms_it_is_mbgnbd(history, sample):
    """Along MBG/NBD's flat ridge on CDNOW, 6 % of a parameter are worth 0.02 of log-likelihood."""
    anchor, log_likelihood = fit_anchor(history, 0, "mbg", "continuous")
    exact = MBGNBD().fit(sample)
    assert log_likelihood == pytest.approx(exact.log_likelihood_, abs=0.05)
    np.testing.assert_allclose(parameters(anchor), exact.params_.in_units_of(7), rtol=0.07)


@pytest.mark.parametrize(("model", "drop_out"), [(BGNBD, "bg"), (MBGNBD, "mbg")])
def test_event_by_event_the_likelihood_adds_up_to_the_closed_form_of_whole_histories(
    history, sample, model, drop_out
):
    exact = model().fit(sample)
    nothing = np.zeros(0, dtype=np.float32)
    logs = np.log(np.array(exact.params_), dtype=np.float32)
    anchor = Anchor(*logs, np.zeros(1, dtype=np.float32), *[nothing] * 3)
    data = gap_data(history, np.zeros((sample.n_events, 1)))
    state = data.state
    terms = jax.jit(
        lambda: log_likelihood(anchored(anchor, state[:, 0], state[:, 1], None, drop_out), data, "continuous")
    )()
    assert np.asarray(terms, dtype=float).sum() == pytest.approx(exact.log_likelihood_, abs=0.01)


def test_gaps_in_whole_days_lower_the_scale_of_the_published_estimates(history, repeats):
    """A gap of g days is one between g - 1 and g, so the same log shows rates that are a little faster.

    Measured on CDNOW against the published fit of a density: r -5 %, α -11 %, a +1 %, b -1 %, and a
    log-likelihood 40 higher, since a density at the end of the day says less than the whole day.
    """
    anchor, in_days = fit_anchor(history, 0, "bg", "interval")
    np.testing.assert_allclose(
        parameters(anchor) / np.array([0.243, 4.414, 0.793, 2.426]), [0.95, 0.89, 1.01, 0.99], atol=0.02
    )
    assert in_days + repeats * np.log(7) == pytest.approx(-9582.4 + 40.5, abs=1.0)


def test_rhythms_can_only_improve_the_anchor(history):
    plain, rhythmic = (fit_anchor(history, components)[1] for components in (0, 1))
    assert rhythmic > plain


@pytest.mark.parametrize("drop_out", ["mbg", "bg"])
def test_the_chance_that_an_event_was_the_last_is_the_textbooks(drop_out):
    anchor = Anchor(*[jnp.asarray(v) for v in (0.1, 2.0, np.log(0.8), np.log(2.4), [0.0], [], [], [])])
    x = np.arange(5.0)
    m = anchored(anchor, jnp.asarray(x), jnp.full(5, 30.0), None, drop_out)
    chance = 0.8 / (3.2 + x) if drop_out == "mbg" else np.where(x > 0, 0.8 / (3.2 + x - 1), 0.0)
    np.testing.assert_allclose(1 / (1 + np.exp(-np.asarray(m.logit_cure))), chance, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(np.exp(m.log_shape[:, 0]), np.exp(0.1) + x, rtol=1e-6)
    np.testing.assert_allclose(np.exp(m.log_scale[:, 0]), np.exp(2.0) + 30.0, rtol=1e-6)


def test_corrections_stay_within_bounds_however_loud_the_network_is():
    anchor = Anchor(*[jnp.asarray(v) for v in (0.1, 2.0, 0.3, 0.9, [0.0, 0.0], [1.0], [0.0], [0.0])])
    count, age = jnp.ones(2), jnp.full(2, 30.0)
    loud = jnp.stack([jnp.full(7, 1e6), jnp.full(7, -1e6)])
    exact, moved = anchored(anchor, count, age), anchored(anchor, count, age, loud)
    for name in ("logit_cure", "log_shape", "log_scale", "mu", "log_sigma"):
        shift = np.asarray(getattr(moved, name) - getattr(exact, name)).reshape(2)
        np.testing.assert_allclose(shift, [3.0, -3.0], rtol=1e-5)


class Case:
    """A small log, a network with weights anywhere, and the loss of both in slow steps."""

    MAX_STEPS = 4

    def __init__(self, log, drop_out="mbg"):
        self.log = log.take(range(12))
        self.history = histories(self.log, FLAT.table(self.log.start, self.log.as_of))
        raw = log_features(self.history, self.log)
        scale = FeatureScale.fit(np.asarray(raw, dtype=float))
        self.features = standardised(scale.arrays(), raw)
        self.network = GapNetwork(
            NetworkConfig(layers=1, units=3, dense=4, components=1), raw.shape[-1], drop_out
        )
        anchor = Anchor(np.array(-0.2), np.array(3.0), np.array(-0.3), np.array(1.6), np.array([0.9, 0.1]),
                        np.array([2.5]), np.array([-0.6]), np.array([0.4]))  # fmt: skip
        self.loss = jax.jit(self.network.loss, static_argnums=3)
        self.step = jax.jit(self.network.step)
        self.initial = self.network.initial(anchor)
        rng = np.random.default_rng(5)
        self.anywhere = [jnp.asarray(w + 0.3 * rng.normal(size=w.shape), jnp.float32) for w in self.initial]

    def compiled(self, weights, extra=0):
        sizes = (2, 4)
        runs = bucketed(*cut_runs(self.log.offsets, np.arange(12), self.MAX_STEPS), sizes)
        buckets = filled(runs, [len(starts) + extra for starts, _ in runs])
        return float(self.loss(weights, gap_data(self.history, self.features), buckets, sizes))

    def slow(self, weights):
        """Add up run by run and event by event, the network stepping through each run from a blank memory."""
        total = 0.0
        for first, length in zip(*cut_runs(self.log.offsets, np.arange(12), self.MAX_STEPS), strict=True):
            memory = [jnp.zeros((1, width)) for width in self.network.network.memory_widths]
            for row in range(first, first + length):
                state = jnp.array([[self.history.count[row], self.history.age[row]]], jnp.float32)
                packed, memory = self.step(weights, self.features[row][None], state, memory)
                total += self.log_likelihood(np.asarray(packed[0], dtype=float), row)
        return -total

    def log_likelihood(self, packed, row):
        logit_cure, *log_weights, log_shape, log_scale, mu, log_sigma = packed
        parts = [
            stats.lomax(np.exp(log_shape), scale=np.exp(log_scale)),
            LogLogistic(mu, log_sigma),
        ]
        cure = 1 / (1 + np.exp(-logit_cure))

        def survival(gap):
            return cure + (1 - cure) * sum(
                np.exp(w) * p.sf(gap) for w, p in zip(log_weights, parts, strict=True)
            )

        low, high = self.history.lower[row], self.history.upper[row]
        return np.log(survival(low) if self.history.last[row] else survival(low) - survival(high))


@pytest.fixture(scope="module")
def case(small_log):
    return Case(small_log)


@pytest.mark.parametrize("weights", ["initial", "anywhere"])
def test_the_compiled_loss_is_what_a_slow_loop_over_customers_adds_up(case, weights):
    chosen = getattr(case, weights)
    assert case.compiled(chosen) == pytest.approx(case.slow(chosen), rel=1e-4)


def test_empty_runs_that_fill_up_a_bucket_cost_nothing(case):
    assert case.compiled(case.anywhere, extra=5) == pytest.approx(case.compiled(case.anywhere), rel=1e-6)


def test_before_training_the_loss_is_the_anchors(case):
    """The network starts silent: the loss is that of the closed form, each customer on its own."""
    anchor = Anchor(*[np.asarray(w, dtype=float) for w in case.initial[-8:]])
    total = 0.0
    for row in range(case.log.n_events):
        count, age = case.history.count[row], case.history.age[row]
        a, b = np.exp(anchor.log_a), np.exp(anchor.log_b)
        weights = anchor.weights - np.log(np.exp(anchor.weights).sum())
        shape, scale = np.exp(anchor.log_r) + count, np.exp(anchor.log_alpha) + age
        median = anchor.mu[0] + anchor.pace[0] * np.log(scale / shape)
        packed = [
            np.log(a / (b + count)),
            *weights,
            np.log(shape),
            np.log(scale),
            median,
            anchor.log_sigma[0],
        ]
        total += case.log_likelihood(packed, row)
    assert case.compiled(case.initial) == pytest.approx(-total, rel=1e-4)
