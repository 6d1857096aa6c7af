"""Cure mixture of one Lomax and K log-logistic gap distributions, in closed form.

The survival function of a gap τ is

    S(τ) = π + (1 − π) · Σ_k w_k S_k(τ)
    S_0  = (1 + τ / scale)^−shape                    Lomax: the gamma-exponential predictive
    S_k  = 1 / (1 + e^z),  z = (log τ − μ_k) / σ_k   log-logistic, k = 1 … K: rhythms

Everything about the components is elementary, inverses included, so that programs are small and quick to
compile. Functions are pure and work on any leading shape; components lie on the last axis, the Lomax ones
first. What is asked of each customer once works on numpy arrays as well, where nothing has to be compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foretell.nn.arrays import Array, logsumexp, namespace, repeat, sigmoid, softplus
from foretell.nn.backend import jnp

TINY = 1e-30  # keeps logarithms finite in float32


class GapMixture(NamedTuple):
    """Parameters of the mixture.

    Attributes
    ----------
    logit_cure : array, shape (...)
        log odds of π, the probability that no further event comes.
    log_weight : array, shape (..., J + K)
        Log weights, normalised; the first J belong to the Lomax components.
    log_shape, log_scale : array, shape (..., J)
        Of the Lomax components. A single model has J = 1, an ensemble of M models J = M.
    mu, log_sigma : array, shape (..., K)
        Of the log-logistic components: log median in clock units, and spread.
    """

    logit_cure: Array
    log_weight: Array
    log_shape: Array
    log_scale: Array
    mu: Array
    log_sigma: Array

    @property
    def log_cure(self) -> Array:
        """Log π."""
        return -softplus(-self.logit_cure)

    @property
    def log_return(self) -> Array:
        """log(1 − π)."""
        return -softplus(self.logit_cure)


def packed_width(n_rhythms: int, n_lomax: int = 1) -> int:
    """Return the length of a packed mixture."""
    return 1 + 3 * (n_lomax + n_rhythms)


def pack(mixture: GapMixture) -> Array:
    """Return the parameters as one array, on the last axis (the output of a network)."""
    head = mixture.logit_cure[..., None]
    return namespace(head).concatenate([head, *mixture[1:]], axis=-1)


def unpack(packed: Array, n_lomax: int = 1) -> GapMixture:
    """Return the mixture of a packed array: 1 + 3 J + 3 K values on the last axis."""
    n_rhythms = packed.shape[-1] // 3 - n_lomax
    sizes = [1, n_lomax + n_rhythms, n_lomax, n_lomax, n_rhythms]
    parts = namespace(packed).split(packed, np.cumsum(sizes), axis=-1)
    return GapMixture(parts[0][..., 0], *parts[1:])


def _z(mixture: GapMixture, gap: Array) -> Array:
    xp = namespace(gap)
    return (xp.log(xp.maximum(gap, TINY))[..., None] - mixture.mu) * xp.exp(-mixture.log_sigma)


def component_log_survival(mixture: GapMixture, gap: Array) -> Array:
    """Return log S_k(gap) of each component, shape (..., J + K)."""
    xp = namespace(gap)
    lomax = -xp.exp(mixture.log_shape) * xp.log1p(gap[..., None] * xp.exp(-mixture.log_scale))
    return xp.concatenate([lomax, -softplus(_z(mixture, gap))], axis=-1)


def returning_survival(mixture: GapMixture, gap: Array) -> Array:
    """Return Σ_k w_k S_k(gap): the survival given that the customer returns at all."""
    return namespace(gap).exp(mixture.log_weight + component_log_survival(mixture, gap)).sum(axis=-1)


def survival(mixture: GapMixture, gap: Array) -> Array:
    """Return S(gap), the probability that no event comes within the gap."""
    xp = namespace(gap)
    return xp.exp(mixture.log_cure) + xp.exp(mixture.log_return) * returning_survival(mixture, gap)


def log_interval_probability(mixture: GapMixture, lower: Array, upper: Array, still_open: Array) -> Array:
    """Return the log-likelihood of a gap known to the clock unit, or of one that is still open.

    It is log(S(lower) − S(upper)), and log S(lower) where ``still_open``. The difference of two survivals is
    written as a product, so that float32 suffices.
    """
    open_ = still_open[..., None]
    shape, scale = jnp.exp(mixture.log_shape), jnp.exp(-mixture.log_scale)
    log_low = -shape * jnp.log1p(lower[..., None] * scale)
    log_high = -shape * jnp.log1p(upper[..., None] * scale)
    lomax = jnp.exp(log_low) * jnp.where(open_, 1.0, -jnp.expm1(log_high - log_low))
    low, high = _z(mixture, lower), _z(mixture, upper)
    within = sigmoid(high) * -jnp.expm1(low - high)
    rhythm = sigmoid(-low) * jnp.where(open_, 1.0, within)
    mass = jnp.sum(jnp.exp(mixture.log_weight) * jnp.concatenate([lomax, rhythm], axis=-1), axis=-1)
    gone = jnp.where(still_open, jnp.exp(mixture.log_cure), 0.0)
    # A gap that float32 takes for a point has probability 0: a floor, for 1 / TINY in a gradient overflows.
    return jnp.log(jnp.maximum(jnp.exp(mixture.log_return) * mass + gone, TINY))


def log_density(mixture: GapMixture, gap: Array) -> Array:
    """Return log of the density of a gap, (1 − π) Σ_k w_k f_k(gap): the continuous likelihood."""
    lomax = (
        mixture.log_shape
        - mixture.log_scale
        - (jnp.exp(mixture.log_shape) + 1.0) * jnp.log1p(gap[..., None] * jnp.exp(-mixture.log_scale))
    )
    log_gap = jnp.log(jnp.maximum(gap, TINY))[..., None]
    z = _z(mixture, gap)
    rhythm = -softplus(z) - softplus(-z) - mixture.log_sigma - log_gap
    terms = mixture.log_weight + jnp.concatenate([lomax, rhythm], axis=-1)
    return mixture.log_return + logsumexp(terms, axis=-1)


def posterior_log_weight(mixture: GapMixture, elapsed: Array) -> tuple[Array, Array]:
    """Return what a silence of ``elapsed`` tells: the log odds of being cured, and the log weights.

    By Bayes: π / S(e), and w_k S_k(e) / Σ_j w_j S_j(e).
    """
    log_mass = mixture.log_weight + component_log_survival(mixture, elapsed)
    log_silent = logsumexp(log_mass, axis=-1)
    return mixture.logit_cure - log_silent, log_mass - log_silent[..., None]


def draw_component(log_mass: Array, uniform: Array) -> tuple[Array, Array]:
    """Return a component drawn by its mass from a uniform number, and a further uniform number.

    The second one, in [0, 1), is how far into the component's share of [0, 1) the first one lies. Shapes
    (..., J + K) and (...).
    """
    xp = namespace(log_mass)
    mass = xp.exp(log_mass - log_mass.max(axis=-1, keepdims=True))
    ends = mass.cumsum(axis=-1)
    reached = uniform[..., None] * ends[..., -1:]
    drawn = xp.minimum((reached > ends).sum(axis=-1), log_mass.shape[-1] - 1)
    share, end = (xp.take_along_axis(part, drawn[..., None], axis=-1) for part in (mass, ends))
    left = ((end - reached) / xp.maximum(share, TINY))[..., 0]
    return drawn, xp.clip(left, 0.0, 1.0 - 2.0**-24)


def truncated_inverse(mixture: GapMixture, component: Array, elapsed: Array, uniform: Array) -> Array:
    """Return the gap beyond ``elapsed`` of one component each, by its closed-form inverse.

    ``uniform`` in (0, 1] is S_k(gap) / S_k(elapsed); ``component`` the index k, shape (...).
    """
    xp = namespace(elapsed)
    n_lomax, n_rhythms = mixture.log_shape.shape[-1], mixture.mu.shape[-1]

    def pick(values: Array, index: Array) -> Array:
        return xp.take_along_axis(values, index[..., None], axis=-1)[..., 0]

    at = xp.clip(component, 0, n_lomax - 1)
    shape, scale = xp.exp(pick(mixture.log_shape, at)), xp.exp(pick(mixture.log_scale, at))
    # (scale + e) · u^(−1/shape) − scale, written so that short gaps keep their digits
    lomax = elapsed + (scale + elapsed) * xp.expm1(xp.minimum(-xp.log(uniform) / shape, 60.0))
    if n_rhythms == 0:
        return lomax
    at = xp.clip(component - n_lomax, 0, n_rhythms - 1)
    mu, sigma = pick(mixture.mu, at), xp.exp(pick(mixture.log_sigma, at))
    # log S at the gap; z is the log odds of F there.
    silent = xp.log(uniform) - softplus((xp.log(xp.maximum(elapsed, TINY)) - mu) / sigma)
    z = xp.log(-xp.expm1(xp.minimum(silent, -1e-37))) - silent
    rhythm = xp.maximum(xp.exp(xp.minimum(mu + sigma * z, 60.0)), elapsed)
    return xp.where(component < n_lomax, lomax, rhythm)


def quantile(mixture: GapMixture, elapsed: Array, level: Array, steps: int = 36) -> Array:
    """Return the gap at which the returning customer's distribution, given the silence, reaches ``level``.

    Bisection on log(1 + gap): the mixture has no closed inverse.
    """
    xp = namespace(elapsed)
    logit_cure, log_weight = posterior_log_weight(mixture, elapsed)
    del logit_cure  # given a return, the cured do not count
    base = component_log_survival(mixture, elapsed)

    def beyond(gap: Array) -> Array:
        ratio = component_log_survival(mixture, gap) - base
        return xp.exp(log_weight + ratio).sum(axis=-1)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        later = beyond(xp.expm1(middle)) > 1.0 - level
        return xp.where(later, middle, low), xp.where(later, high, middle)

    low = xp.log1p(elapsed)
    bounds = repeat(steps, halve, (low, xp.full_like(low, 25.0)), xp)
    return xp.maximum(xp.expm1(0.5 * (bounds[0] + bounds[1])), elapsed)


def combine(members: GapMixture) -> GapMixture:
    """Return the equal mixture of an ensemble: members on the first axis become components.

    The average of M survival functions of this family is in the family again, with M times the components
    and the mean cure probability; weights carry each member's own chance of a return.
    """
    xp = namespace(members.logit_cure)
    log_n = np.log(members.logit_cure.shape[0])
    log_cure = logsumexp(members.log_cure, axis=0) - log_n
    log_return = logsumexp(members.log_return, axis=0) - log_n
    joint = members.log_weight + (members.log_return - log_n - log_return)[..., None]
    n_lomax = members.log_shape.shape[-1]

    def spread(values: Array) -> Array:  # (M, ..., J) -> (..., M * J)
        moved = xp.moveaxis(values, 0, -2)
        return moved.reshape((*moved.shape[:-2], -1))

    return GapMixture(
        log_cure - log_return,
        xp.concatenate([spread(joint[..., :n_lomax]), spread(joint[..., n_lomax:])], axis=-1),
        spread(members.log_shape),
        spread(members.log_scale),
        spread(members.mu),
        spread(members.log_sigma),
    )
