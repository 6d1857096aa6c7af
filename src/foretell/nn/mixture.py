"""Cure mixture of one Lomax and K lognormal gap distributions, in closed form.

The survival function of a gap τ is

    S(τ) = π + (1 − π) · Σ_k w_k S_k(τ)
    S_0  = (1 + τ / scale)^−shape                    Lomax: the gamma-exponential predictive
    S_k  = Φ(−(log τ − μ_k) / σ_k),  k = 1 … K       lognormal: rhythms

Functions are pure and work on any leading shape; components lie on the last axis, the Lomax ones first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri

Array = Any  # a jax array: its stubs say nothing of shapes

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
        Of the lognormal components, in log clock units.
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
        return jax.nn.log_sigmoid(self.logit_cure)

    @property
    def log_return(self) -> Array:
        """log(1 − π)."""
        return jax.nn.log_sigmoid(-self.logit_cure)


def packed_width(n_lognormal: int, n_lomax: int = 1) -> int:
    """Return the length of a packed mixture."""
    return 1 + 3 * (n_lomax + n_lognormal)


def pack(mixture: GapMixture) -> Array:
    """Return the parameters as one array, on the last axis (the output of a network)."""
    head = mixture.logit_cure[..., None]
    return jnp.concatenate([head, *mixture[1:]], axis=-1)


def unpack(packed: Array, n_lomax: int = 1) -> GapMixture:
    """Return the mixture of a packed array: 1 + 3 J + 3 K values on the last axis."""
    n_lognormal = packed.shape[-1] // 3 - n_lomax
    sizes = [1, n_lomax + n_lognormal, n_lomax, n_lomax, n_lognormal]
    cuts = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    parts = jnp.split(packed, cuts, axis=-1)
    return GapMixture(parts[0][..., 0], *parts[1:])


def _z(mixture: GapMixture, gap: Array) -> Array:
    return (jnp.log(jnp.maximum(gap, TINY))[..., None] - mixture.mu) * jnp.exp(-mixture.log_sigma)


def component_log_survival(mixture: GapMixture, gap: Array) -> Array:
    """Return log S_k(gap) of each component, shape (..., J + K)."""
    lomax = -jnp.exp(mixture.log_shape) * jnp.log1p(gap[..., None] * jnp.exp(-mixture.log_scale))
    return jnp.concatenate([lomax, log_ndtr(-_z(mixture, gap))], axis=-1)


def component_survival(mixture: GapMixture, gap: Array) -> Array:
    """Return S_k(gap) of each component, shape (..., J + K)."""
    lomax = jnp.exp(-jnp.exp(mixture.log_shape) * jnp.log1p(gap[..., None] * jnp.exp(-mixture.log_scale)))
    return jnp.concatenate([lomax, ndtr(-_z(mixture, gap))], axis=-1)


def returning_survival(mixture: GapMixture, gap: Array) -> Array:
    """Return Σ_k w_k S_k(gap): the survival given that the customer returns at all."""
    return jnp.sum(jnp.exp(mixture.log_weight) * component_survival(mixture, gap), axis=-1)


def survival(mixture: GapMixture, gap: Array) -> Array:
    """Return S(gap), the probability that no event comes within the gap."""
    cure = jax.nn.sigmoid(mixture.logit_cure)
    return cure + (1.0 - cure) * returning_survival(mixture, gap)


def log_interval_probability(mixture: GapMixture, lower: Array, upper: Array) -> Array:
    """Return log(S(lower) − S(upper)): the likelihood of a gap known to the clock unit.

    The differences are taken on the side where both survivals are small, so that float32 suffices.
    """
    shape, scale = jnp.exp(mixture.log_shape), jnp.exp(-mixture.log_scale)
    log_low = -shape * jnp.log1p(lower[..., None] * scale)
    log_high = -shape * jnp.log1p(upper[..., None] * scale)
    lomax = jnp.exp(log_low) * -jnp.expm1(log_high - log_low)
    z_low, z_high = _z(mixture, lower), _z(mixture, upper)
    flip = z_low > 0
    rhythm = ndtr(jnp.where(flip, -z_low, z_high)) - ndtr(jnp.where(flip, -z_high, z_low))
    mass = jnp.exp(mixture.log_weight) * jnp.concatenate([lomax, rhythm], axis=-1)
    return mixture.log_return + jnp.log(jnp.sum(mass, axis=-1) + TINY)


def log_density(mixture: GapMixture, gap: Array) -> Array:
    """Return log of the density of a gap, (1 − π) Σ_k w_k f_k(gap): the continuous likelihood."""
    lomax = (
        mixture.log_shape
        - mixture.log_scale
        - (jnp.exp(mixture.log_shape) + 1.0) * jnp.log1p(gap[..., None] * jnp.exp(-mixture.log_scale))
    )
    log_gap = jnp.log(jnp.maximum(gap, TINY))[..., None]
    z = _z(mixture, gap)
    rhythm = -0.5 * z**2 - mixture.log_sigma - log_gap - 0.5 * jnp.log(2.0 * jnp.pi)
    terms = mixture.log_weight + jnp.concatenate([lomax, rhythm], axis=-1)
    return mixture.log_return + jax.nn.logsumexp(terms, axis=-1)


def posterior_log_weight(mixture: GapMixture, elapsed: Array) -> tuple[Array, Array]:
    """Return what a silence of ``elapsed`` tells: the log odds of being cured, and the log weights.

    By Bayes: π / S(e), and w_k S_k(e) / Σ_j w_j S_j(e).
    """
    log_mass = mixture.log_weight + component_log_survival(mixture, elapsed)
    log_silent = jax.nn.logsumexp(log_mass, axis=-1)
    return mixture.logit_cure - log_silent, log_mass - log_silent[..., None]


def truncated_inverse(mixture: GapMixture, component: Array, elapsed: Array, uniform: Array) -> Array:
    """Return the gap beyond ``elapsed`` of one component each, by its closed-form inverse.

    ``uniform`` in (0, 1] is S_k(gap) / S_k(elapsed); ``component`` the index k, shape (...).
    """
    n_lomax = mixture.log_shape.shape[-1]
    n_lognormal = mixture.mu.shape[-1]

    def pick(values: Array, index: Array) -> Array:
        return jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0]

    at = jnp.clip(component, 0, n_lomax - 1)
    shape, scale = jnp.exp(pick(mixture.log_shape, at)), jnp.exp(pick(mixture.log_scale, at))
    # (scale + e) · u^(−1/shape) − scale, written so that short gaps keep their digits
    lomax = elapsed + (scale + elapsed) * jnp.expm1(jnp.minimum(-jnp.log(uniform) / shape, 60.0))
    if n_lognormal == 0:
        return lomax
    at = jnp.clip(component - n_lomax, 0, n_lognormal - 1)
    mu, sigma = pick(mixture.mu, at), jnp.exp(pick(mixture.log_sigma, at))
    tail = ndtr(-(jnp.log(jnp.maximum(elapsed, TINY)) - mu) / sigma)
    z = -ndtri(jnp.clip(uniform * tail, 1e-37, 1.0 - 1e-7))
    rhythm = jnp.maximum(jnp.exp(jnp.minimum(mu + sigma * z, 60.0)), elapsed)
    return jnp.where(component < n_lomax, lomax, rhythm)


def quantile(mixture: GapMixture, elapsed: Array, level: Array, steps: int = 50) -> Array:
    """Return the gap at which the returning customer's distribution, given the silence, reaches ``level``.

    Bisection on log(1 + gap): the mixture has no closed inverse.
    """
    logit_cure, log_weight = posterior_log_weight(mixture, elapsed)
    del logit_cure  # given a return, the cured do not count
    base = component_log_survival(mixture, elapsed)

    def beyond(gap: Array) -> Array:
        ratio = component_log_survival(mixture, gap) - base
        return jnp.sum(jnp.exp(log_weight + ratio), axis=-1)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        later = beyond(jnp.expm1(middle)) > 1.0 - level
        return jnp.where(later, middle, low), jnp.where(later, high, middle)

    low = jnp.log1p(elapsed)
    bounds = jax.lax.fori_loop(0, steps, halve, (low, jnp.full_like(low, 25.0)))
    return jnp.maximum(jnp.expm1(0.5 * (bounds[0] + bounds[1])), elapsed)


def combine(members: GapMixture) -> GapMixture:
    """Return the equal mixture of an ensemble: members on the first axis become components.

    The average of M survival functions of this family is in the family again, with M times the components
    and the mean cure probability; weights carry each member's own chance of a return.
    """
    n_members = members.logit_cure.shape[0]
    log_cure = jax.nn.logsumexp(members.log_cure, axis=0) - jnp.log(n_members)
    log_return = jax.nn.logsumexp(members.log_return, axis=0) - jnp.log(n_members)
    joint = members.log_weight + members.log_return[..., None] - jnp.log(n_members)
    joint = joint - log_return[None, ..., None]
    n_lomax = members.log_shape.shape[-1]

    def spread(values: Array) -> Array:  # (M, ..., J) -> (..., M * J)
        moved = jnp.moveaxis(values, 0, -2)
        return moved.reshape((*moved.shape[:-2], -1))

    return GapMixture(
        log_cure - log_return,
        jnp.concatenate([spread(joint[..., :n_lomax]), spread(joint[..., n_lomax:])], axis=-1),
        spread(members.log_shape),
        spread(members.log_scale),
        spread(members.mu),
        spread(members.log_sigma),
    )
