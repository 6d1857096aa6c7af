"""The distribution of the next gap: (M)BG/NBD's predictive, plus rhythms, corrected by a network."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from foretell.core import FloatArray
from foretell.events.distribution import MixtureGap
from foretell.events.heads.base import GapData, HistoryNetwork, count_and_age
from foretell.events.history import Histories, on_device
from foretell.nn import mixture as mix
from foretell.nn.arrays import log_softmax, namespace, to_device
from foretell.nn.backend import Array, Layer, jax, jitted, jnp
from foretell.nn.mixture import GapMixture
from foretell.nn.settings import NetworkConfig

DropOut = Literal["mbg", "bg"]
Likelihood = Literal["interval", "continuous"]

# Beyond these a rhythm would go against the pace, or run ahead of it where customers are unlike any seen.
_PACES = (0.0, 1.5)
# A network may change a rate, a spread or the odds by e^±3, not more. Tighter limits (1, 0.5) lost likelihood
# on held-out customers of two of three real logs and gained none on the third.
_CORRECTION_LIMIT = 3.0


class Anchor(NamedTuple):
    """The shared parameters: of (M)BG/NBD, and of the K rhythms.

    Attributes
    ----------
    log_r, log_alpha : scalar
        Gamma distribution of the purchase rates; alpha in clock units.
    log_a, log_b : scalar
        Beta distribution of the drop-out probabilities.
    weights : array, shape (K + 1,)
        Logits of the components, the exponential one first.
    mu, log_sigma : array, shape (K,)
        Log median gap of each rhythm, where ``pace`` is 0, and its spread.
    pace : array, shape (K,)
        The exponent of the customer's expected gap in each rhythm: 0 is a rhythm that all customers share,
        such as once a week, 1 one that is proportional to the expected gap.
    """

    log_r: Array
    log_alpha: Array
    log_a: Array
    log_b: Array
    weights: Array
    mu: Array
    log_sigma: Array
    pace: Array


def n_corrections(components: int) -> int:
    """Return how many corrections a network gives: δ of shape, scale, cure; μ, σ; weights."""
    return 3 + 2 * components + components + 1


def anchored(
    anchor: Anchor, count: Array, age: Array, delta: Array | None = None, drop_out: DropOut = "mbg"
) -> GapMixture:
    """Return the next gap's distribution after ``count`` repeats, ``age`` after the first event.

    Without corrections and K = 0 it is the predictive of MBG/NBD (Batislam, Denizel & Filiztekin 2007), or of
    BG/NBD (Fader, Hardie & Lee 2005): given x repeats in the age t, the rate is Gamma(r + x, α + t), hence a
    Lomax gap, and the chance of having dropped out at event x is a / (a + b + x); under BG/NBD it is 0 at the
    first event and a / (a + b + x − 1) after it.
    """
    k, xp = anchor.mu.shape[-1], namespace(count)
    if delta is None:
        delta = xp.zeros((*count.shape, n_corrections(k)), dtype=count.dtype)
    delta = _CORRECTION_LIMIT * xp.tanh(delta / _CORRECTION_LIMIT)
    d_shape, d_scale, d_cure = delta[..., 0], delta[..., 1], delta[..., 2]
    d_mu, d_sigma, d_weight = delta[..., 3 : 3 + k], delta[..., 3 + k : 3 + 2 * k], delta[..., 3 + 2 * k :]
    r, alpha = xp.exp(anchor.log_r), xp.exp(anchor.log_alpha)
    if drop_out == "mbg":
        logit_cure = anchor.log_a - xp.log(xp.exp(anchor.log_b) + count)
    else:
        stays = xp.exp(anchor.log_b) + xp.maximum(count - 1.0, 0.0)
        logit_cure = xp.where(count > 0, anchor.log_a - xp.log(stays), -40.0)
    log_shape, log_scale = xp.log(r + count), xp.log(alpha + age)
    pace = (log_scale - log_shape)[..., None]  # log of the customer's expected gap
    return GapMixture(
        logit_cure=logit_cure + d_cure,
        log_weight=log_softmax(anchor.weights + d_weight),
        log_shape=(log_shape + d_shape)[..., None],
        log_scale=(log_scale + d_scale)[..., None],
        mu=anchor.mu + anchor.pace * pace + d_mu,
        log_sigma=anchor.log_sigma + d_sigma,
    )


def anchor_shapes(components: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return names and shapes of the anchor's parameters."""
    k = components
    shapes: list[tuple[int, ...]] = [(), (), (), (), (k + 1,), (k,), (k,), (k,)]
    return list(zip(Anchor._fields, shapes, strict=True))


def log_likelihood(mixture: GapMixture, data: GapData | _Rows, kind: Likelihood = "interval") -> Array:
    """Return the log-likelihood of each event's next gap, open gaps included, shape (...)."""
    if kind == "interval":
        terms: Array = mix.log_interval_probability(mixture, data.lower, data.upper, data.last)
        return terms
    silent = jnp.log(mix.survival(mixture, data.lower) + mix.TINY)
    return jnp.where(data.last, silent, mix.log_density(mixture, data.upper))


class GapNetwork(HistoryNetwork):
    """The network of the head ``mixture``."""

    kind = "mixture"
    paced = False

    def __init__(
        self,
        config: NetworkConfig,
        n_features: int,
        drop_out: DropOut = "mbg",
        seed: int = 0,
        *,
        censored: bool = True,
    ) -> None:
        self.drop_out, self.components = drop_out, config.components
        self.packed_width = mix.packed_width(self.components)
        shapes = anchor_shapes(self.components)
        super().__init__(
            config, n_features, n_corrections(self.components), shapes, censored=censored, seed=seed
        )

    def layer(self) -> Layer:
        """Return the head as a layer of Keras."""
        from foretell.events.heads.layers import MixtureHead  # noqa: PLC0415  # small requests do without it

        head: Layer = MixtureHead(self.components, self.drop_out, name="anchor")
        return head

    def says(self, raw: Array, state: Array, weights: Sequence[Array]) -> Array:
        """Return the packed mixture."""
        anchor = Anchor(*weights)
        packed: Array = mix.pack(anchored(anchor, state[..., 0], state[..., 1], raw, self.drop_out))
        return packed

    def settings_by_name(self) -> dict[str, Hashable]:
        """Return the way in which customers are lost, and what is learned from."""
        return {"drop_out": self.drop_out, "censored": self.censored}

    def state(self, history: Histories) -> FloatArray:
        """Return count and age."""
        return count_and_age(history)

    def start(self, history: Histories) -> Anchor:
        """Return (M)BG/NBD with its rhythms."""
        return fit_anchor(history, self.components, self.drop_out, censored=self.censored)[0]

    def terms(self, packed: Array, rows: GapData) -> Array:
        """Return the log-likelihood of each event's next gap."""
        return log_likelihood(mix.unpack(packed), rows)

    def next_gap(self, packed: FloatArray, residuals: FloatArray) -> MixtureGap:
        """Return the mixture of the members' mixtures."""
        del residuals
        return MixtureGap(mix.combine(mix.unpack(packed)))


def fit_anchor(
    history: Histories,
    components: int,
    drop_out: DropOut = "mbg",
    likelihood: Likelihood = "interval",
    *,
    censored: bool = True,
) -> tuple[Anchor, float]:
    """Fit the shared parameters without a network, by L-BFGS; return their log-likelihood, too."""
    gaps = history.upper[~history.last]
    typical = float(np.median(gaps)) if len(gaps) else float(np.median(history.upper)) + 1.0
    first = np.concatenate(
        [
            [-0.5, np.log(typical + 1.0), -0.5, 0.5],  # log r, α, a, b
            [1.0],
            np.zeros(components),
            # Rhythms start out relative to the expected gap, from twice as fast to somewhat slower.
            np.linspace(-0.7, 0.5, components),
            np.full(components, -0.5),
            np.ones(components),
        ]
    )

    def rebuild(flat: Array) -> Anchor:
        ends = np.cumsum([5 + components, components, components])
        shared, mu, log_sigma, pace = jnp.split(flat, ends)
        return Anchor(shared[0], shared[1], shared[2], shared[3], shared[4:], mu, log_sigma, pace)

    rows = _distinct(history, censored=censored)
    n_rows = float(np.sum(rows.times))

    @jitted()
    def objective(flat: Array, rows: _Rows) -> tuple[Array, Array]:
        def value(flat: Array) -> Array:
            anchor = rebuild(flat)
            terms = log_likelihood(anchored(anchor, rows.repeats, rows.age, None, drop_out), rows, likelihood)
            # A faint pull keeps components that explain nothing from running off to infinity.
            pull = 1e-2 * (jnp.sum(anchor.log_sigma**2) + jnp.sum(anchor.weights**2))
            return (pull * (components > 0) - jnp.sum(rows.times * terms)) / n_rows

        return jax.value_and_grad(value)(flat)

    def numpy_objective(flat: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = objective(jnp.asarray(flat, dtype=jnp.float32), rows)
        return float(value), np.asarray(gradient, dtype=np.float64)

    import scipy.optimize  # noqa: PLC0415  # a fit needs it, a forecast does not

    result = scipy.optimize.minimize(
        numpy_objective,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-12.0, 12.0)] * (len(first) - components) + [_PACES] * components,
        options={"maxiter": 300, "ftol": 1e-9, "gtol": 1e-6},
    )
    return rebuild(jnp.asarray(result.x, jnp.float32)), -float(result.fun) * n_rows


class _Rows(NamedTuple):
    repeats: Array
    age: Array
    lower: Array
    upper: Array
    last: Array
    times: Array


def _distinct(history: Histories, *, censored: bool) -> _Rows:
    """Return the distinct rows of a history with how often each occurs: one-time customers share few."""
    table = np.column_stack([history.count, history.age, history.lower, history.upper, history.last])
    table = table if censored else table[~history.last]
    values, times = np.unique(np.round(table, 6), axis=0, return_counts=True)
    repeats, age, lower, upper = (on_device(values[:, i]) for i in range(4))
    return _Rows(repeats, age, lower, upper, to_device(values[:, 4] > 0), on_device(times))
