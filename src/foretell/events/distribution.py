"""What is known of each customer's next gap: the mixture's, a grid's, or a point's distribution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.nn import mixture as mix
from foretell.nn.arrays import in_single, namespace, namespace_for, softplus
from foretell.nn.backend import Array, jax, jitted, jnp
from foretell.nn.mixture import GapMixture

# A chance below it says nothing about what would follow; single precision can still tell it from none.
_LEAST = 1e-6


class NextGap(ABC):
    """Distribution of the gap since the last event, one row per customer; gaps are readings of the clock.

    What a head cannot know is None, for all customers, or NaN, for some.
    """

    @abstractmethod
    def quantiles(self, elapsed: FloatArray, levels: FloatArray) -> FloatArray:
        """Return quantiles of the gap given the silence so far and a return, shape (n_levels, n).

        Levels of shape (n_levels, n) are each customer's own.
        """

    @abstractmethod
    def within(self, elapsed: FloatArray, gap: FloatArray) -> FloatArray:
        """Return the chance that the gap ends by ``gap``, given the silence so far and a return."""

    @abstractmethod
    def rows(self, chosen: slice) -> NextGap:
        """Return some customers' distributions."""

    def survival(self, gap: FloatArray) -> FloatArray | None:
        """Return the chance that no event comes within the gap."""
        del gap
        return None

    def p_return(self, elapsed: FloatArray, gap: FloatArray) -> FloatArray | None:
        """Return the chance that the gap ends by ``gap`` given the silence, 1 − S(gap) / S(elapsed)."""
        later, now = self.survival(gap), self.survival(elapsed)
        if later is None or now is None:
            return None
        chance: FloatArray = namespace(now).clip(1.0 - later / now, 0.0, 1.0)
        return chance

    def p_active(self, elapsed: FloatArray) -> FloatArray | None:
        """Return the chance of any further event."""
        del elapsed
        return None

    def overdue(self, elapsed: FloatArray) -> FloatArray | None:
        """Return how far the silence reaches into the distribution given a return."""
        del elapsed
        return None


class MixtureGap(NextGap):
    """The cure mixture, one row per customer, in double precision: it knows everything."""

    def __init__(self, mixture: GapMixture) -> None:
        self.mixture = mixture

    def rows(self, chosen: slice) -> MixtureGap:
        """Return some customers' distributions."""
        return MixtureGap(GapMixture(*(part[chosen] for part in self.mixture)))

    def quantiles(self, elapsed: FloatArray, levels: FloatArray) -> FloatArray:
        """Return quantiles, by bisection."""
        xp = namespace_for(len(elapsed))
        single = GapMixture(*(in_single(part, xp) for part in self.mixture))
        silence, wanted = in_single(elapsed, xp), in_single(levels, xp)
        if xp is np:
            quantiles: Any = np.stack([mix.quantile(single, silence, level) for level in wanted])
        else:
            quantiles = _mixture_quantiles(single, silence, wanted)
        return np.asarray(quantiles, dtype=np.float64)

    def within(self, elapsed: FloatArray, gap: FloatArray) -> FloatArray:
        """Return the chance of a return by ``gap`` over that of any."""
        chance: FloatArray = self.p_return(elapsed, gap) / np.maximum(self.p_active(elapsed), _LEAST)
        return chance

    def survival(self, gap: FloatArray) -> FloatArray:
        """Return S(gap)."""
        survival: FloatArray = mix.survival(self.mixture, gap)
        return survival

    def p_return(self, elapsed: FloatArray, gap: FloatArray) -> FloatArray:
        """Return 1 − S(gap) / S(elapsed)."""
        chance: FloatArray = 1.0 - self.survival(gap) / self.survival(elapsed)
        limited: FloatArray = namespace(elapsed).clip(chance, 0.0, 1.0)
        return limited

    def p_active(self, elapsed: FloatArray) -> FloatArray:
        """Return 1 − π / S(elapsed)."""
        logit_cure, _ = mix.posterior_log_weight(self.mixture, elapsed)
        chance: FloatArray = namespace(logit_cure).exp(-softplus(logit_cure))
        return chance

    def overdue(self, elapsed: FloatArray) -> FloatArray:
        """Return 1 − S(elapsed) given a return."""
        late = 1.0 - mix.returning_survival(self.mixture, elapsed)
        reached: FloatArray = namespace(elapsed).clip(late, 0.0, 1.0)
        return reached


@jitted()
def _mixture_quantiles(mixture: GapMixture, elapsed: Array, levels: Array) -> Array:
    quantiles: Array = jax.lax.map(lambda level: mix.quantile(mixture, elapsed, level), levels)
    return quantiles


class GridGap(NextGap):
    """Probabilities of the classes of a grid, spread evenly within each, and of no event on the grid.

    A customer who returns is one who does so on the grid, which reaches to the longest gap ever seen.

    Parameters
    ----------
    knots : array, shape (n_classes + 1,)
        Edges of the classes, from 0.
    mass : array, shape (n, n_classes + 1)
        Of the classes; the last one is that of no event on the grid.

    Examples
    --------
    >>> gap = GridGap(np.array([0.0, 10, 30]), np.array([[0.5, 0.25, 0.25]]))
    >>> gap.survival(np.array([20.0]))
    array([0.375])
    >>> gap.quantiles(np.array([0.0]), np.array([0.5]))
    array([[7.5]])
    """

    def __init__(self, knots: FloatArray, mass: FloatArray) -> None:
        self.knots, self.mass = knots, mass
        self._xp = namespace(mass)
        tail = self._xp.cumsum(mass[:, ::-1], axis=1)[:, ::-1]
        self._at_knots: FloatArray = tail / tail[:, :1]

    def rows(self, chosen: slice) -> GridGap:
        """Return some customers' distributions."""
        return GridGap(self.knots, self.mass[chosen])

    @property
    def _never(self) -> FloatArray:
        return self._at_knots[:, -1]

    def survival(self, gap: FloatArray) -> FloatArray:
        """Return S(gap), linear between the knots."""
        low, high, above, below = self._around((self.knots <= gap[:, None]).sum(axis=1) - 1)
        share = self._xp.clip((gap - low) / (high - low), 0.0, 1.0)
        survival: FloatArray = (1.0 - share) * above + share * below
        return survival

    def _around(self, place: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the knots before and after some places, and S at them."""
        xp, knots = self._xp, self._xp.asarray(self.knots)
        place = xp.clip(place, 0, len(knots) - 2)
        at = [xp.take_along_axis(self._at_knots, place[:, None] + k, axis=1)[:, 0] for k in (0, 1)]
        return knots[place], knots[place + 1], at[0], at[1]

    def quantiles(self, elapsed: FloatArray, levels: FloatArray) -> FloatArray:
        """Return quantiles; NaN for a silence longer than any gap ever seen."""
        xp, now = self._xp, self.survival(elapsed)
        out = []
        for level in levels:
            target = self._never + (now - self._never) * (1.0 - level)
            low, high, above, below = self._around((self._at_knots > target[:, None]).sum(axis=1) - 1)
            share = xp.clip((above - target) / xp.maximum(above - below, mix.TINY), 0.0, 1.0)
            gap = low + share * (high - low)
            out.append(xp.where(now - self._never > _LEAST, xp.maximum(gap, elapsed), np.nan))
        quantiles: FloatArray = xp.stack(out)
        return quantiles

    def within(self, elapsed: FloatArray, gap: FloatArray) -> FloatArray:
        """Return the chance of a return by ``gap`` over that of one on the grid."""
        now = self.survival(elapsed)
        known = now - self._never > _LEAST
        chance = (now - self.survival(gap)) / np.where(known, now - self._never, 1.0)
        return np.where(known, np.clip(chance, 0.0, 1.0), np.nan)

    def overdue(self, elapsed: FloatArray) -> FloatArray:
        """Return 1 − S(elapsed) given a return on the grid."""
        returns = self._xp.maximum(1.0 - self._never, _LEAST)
        reached: FloatArray = self._xp.clip((1.0 - self.survival(elapsed)) / returns, 0.0, 1.0)
        return reached


def _interpolated(places: FloatArray, knots: FloatArray, values: FloatArray) -> FloatArray:
    """Return what `numpy.interp` does, of JAX's arrays, too."""
    if namespace(places) is np:
        return np.interp(places, knots, values)
    x, y = jnp.asarray(knots), jnp.asarray(values)
    low = jnp.clip((x <= places[:, None]).sum(axis=1) - 1, 0, len(knots) - 2)
    share = jnp.clip((places - x[low]) / jnp.maximum(x[low + 1] - x[low], mix.TINY), 0.0, 1.0)
    return y[low] + share * (y[low + 1] - y[low])  # type: ignore[return-value]  # as its inputs are


class PointGap(NextGap):
    """A point forecast, with the errors that it made for customers who were held out.

    Parameters
    ----------
    location : array, shape (n,)
        Forecast on the head's scale.
    residuals : array, shape (n_residuals,)
        Ascending quantiles of the errors on that scale, at evenly spaced levels from 0 to 1.
    scaled, plain : callable
        From gaps to the scale, and back.
    """

    def __init__(
        self,
        location: FloatArray,
        residuals: FloatArray,
        scaled: Callable[[FloatArray], FloatArray],
        plain: Callable[[FloatArray], FloatArray],
    ) -> None:
        self.location, self.residuals, self.scaled, self.plain = location, residuals, scaled, plain
        self._xp = namespace(location)
        self._levels = np.linspace(0.0, 1.0, len(residuals))

    def rows(self, chosen: slice) -> PointGap:
        """Return some customers' distributions."""
        return PointGap(self.location[chosen], self.residuals, self.scaled, self.plain)

    def _reached(self, gap: FloatArray) -> FloatArray:
        level = _interpolated(self.scaled(gap) - self.location, self.residuals, self._levels)
        reached: FloatArray = self._xp.where(gap > 0.0, level, 0.0)
        return reached

    def quantiles(self, elapsed: FloatArray, levels: FloatArray) -> FloatArray:
        """Return the forecast plus quantiles of its errors; NaN where the silence is longer than all."""
        xp, done = self._xp, self._reached(elapsed)
        out = []
        for level in levels:
            error = _interpolated(done + (1.0 - done) * level, self._levels, self.residuals)
            gap = xp.maximum(self.plain(self.location + error), elapsed)
            out.append(xp.where(done < 1.0 - _LEAST, gap, np.nan))
        quantiles: FloatArray = xp.stack(out)
        return quantiles

    def within(self, elapsed: FloatArray, gap: FloatArray) -> FloatArray:
        """Return the chance that the gap ends by ``gap`` given the silence."""
        done = self._reached(elapsed)
        left = np.where(done < 1.0 - _LEAST, 1.0 - done, np.nan)
        return np.clip((self._reached(gap) - done) / left, 0.0, 1.0)
