"""Heads that give probabilities of classes of gaps: ``bins``, a softmax, and ``hazard``, on a finer grid.

Both say how probable each class of a grid is, and how probable it is that the gap outlasts the grid. Within
a class of ``bins`` the probability is spread as among all customers, over the steps of the finer grid; within
a step evenly, so that S falls linearly. A gap known to the day is then worth its part of its class, whose
logarithm is the cross-entropy of the class up to a constant; an open gap is worth S.
Where open gaps are left out, a closed one counts given that it ended before the as-of date.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Sequence
from typing import Self

import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.events.distribution import GridGap
from foretell.events.heads.base import GapData, HistoryNetwork, Settings
from foretell.events.history import Histories, running_mean
from foretell.nn import arrays
from foretell.nn.arrays import log_sigmoid, log_softmax, namespace, product, softplus
from foretell.nn.backend import Array, Layer, jax, jnp
from foretell.nn.mixture import TINY
from foretell.nn.settings import NetworkConfig
from foretell.prep.bins import Bins

# Of the fine grid: equally likely steps, and some more towards the longest gap.
_QUANTILES, _SPACED = 36, 4


def log_chances(raw: arrays.Array, base: arrays.Array, *, hazard: bool) -> arrays.Array:
    """Return log probabilities of the classes and the tail: corrections of the population's log odds.

    The odds are those of a class *given that it is reached*, or those of a softmax.
    """
    return from_hazards(raw + base) if hazard else log_softmax(raw + base)


def from_hazards(logits: arrays.Array) -> arrays.Array:
    """Return log probabilities of K classes and the tail, from log odds of the hazards of the classes."""
    xp = namespace(logits)
    reached = xp.cumsum(-softplus(logits), axis=-1)
    before = xp.concatenate([xp.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1)
    return xp.concatenate([before + log_sigmoid(logits), reached[..., -1:]], axis=-1)


def class_shares(knots: Array, lower: Array, upper: Array, still_open: Array) -> Array:
    """Return which part of each class, and of the tail, a gap may still be in: shape (..., n_classes + 1).

    A closed gap lies between lower and upper, an open one beyond lower. The tail counts as a whole for
    what reaches beyond the last knot.
    """
    low, high = knots[:-1], knots[1:]
    end = jnp.where(still_open, float(np.finfo(np.float32).max), upper)[..., None]
    overlap = jnp.clip(jnp.minimum(end, high) - jnp.maximum(lower[..., None], low), 0.0)
    return jnp.concatenate([overlap / (high - low), (end > knots[-1]).astype(overlap.dtype)], axis=-1)


def population(knots: FloatArray, history: Histories, *, censored: bool) -> FloatArray:
    """Return the hazards of the classes among all customers: Kaplan-Meier on the grid, slightly smoothed."""
    used = np.ones(len(history.last), dtype=bool) if censored else ~history.last
    lower, upper, last = history.lower[used], history.upper[used], history.last[used]
    reached = np.clip((np.where(last, lower, upper)[:, None] - knots[:-1]) / np.diff(knots), 0.0, 1.0)
    ended = np.clip(np.searchsorted(knots, upper[~last]) - 1, 0, len(knots) - 2)
    ends = np.bincount(ended, minlength=len(knots) - 1)
    # Of a class in which its gap ends, a customer has been at risk for the whole.
    whole = np.ceil(reached[~last]).sum(axis=0) + reached[last].sum(axis=0)
    hazards: FloatArray = (ends + 0.5) / (np.maximum(whole, ends) + 1.0)
    return hazards


@dataclasses.dataclass(frozen=True)
class Grid:
    """Classes of gaps, and the finer steps over which the probability of each is spread.

    Parameters
    ----------
    edges : sequence of float
        Edges of the classes as gaps in ticks, see `Bins`; the last one may be infinite.
    knots : sequence of float
        The same as readings of the clock, the last one finite.
    fine, within : sequence of float
        Knots of finer steps, each in one class, and the part of its class that each step holds; by default
        every class is one step.
    """

    edges: Sequence[float]
    knots: Sequence[float]
    fine: Sequence[float] = ()
    within: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not len(self.fine):
            object.__setattr__(self, "fine", self.knots)
            object.__setattr__(self, "within", (1.0,) * (len(self.knots) - 1))
        for name, values in vars(self).items():
            object.__setattr__(self, name, tuple(float(value) for value in values))


class GridNetwork(HistoryNetwork):
    """The network of the heads ``bins`` and ``hazard``."""

    def __init__(
        self,
        config: NetworkConfig,
        n_features: int,
        grid: Grid,
        *,
        hazard: bool = False,
        censored: bool = True,
        seed: int = 0,
    ) -> None:
        self.grid, self.hazard = grid, hazard
        self.kind, self.packed_width = "hazard" if hazard else "bins", len(grid.knots)
        n = self.n_classes = len(grid.knots) - 1
        shapes = [("base", (n + (not hazard),))]
        super().__init__(config, n_features, n + (not hazard), shapes, censored=censored, seed=seed)

    def layer(self) -> Layer:
        """Return the head as a layer of Keras."""
        from foretell.events.heads.layers import GridHead  # noqa: PLC0415  # small requests do without Keras

        head: Layer = GridHead(self.n_classes, self.hazard, name="anchor")
        return head

    def says(self, raw: Array, state: Array, weights: Sequence[Array]) -> Array:
        """Return the log probabilities."""
        del state
        chances: Array = log_chances(raw, *weights, hazard=self.hazard)
        return chances

    @classmethod
    def from_settings(cls, config: NetworkConfig, n_features: int, settings: Settings, seed: int = 0) -> Self:
        """Build a network from what `settings_by_name` returns."""
        others = dict(settings)
        names = [field.name for field in dataclasses.fields(Grid)]
        grid = Grid(**{name: others.pop(name) for name in names if name in others})
        return cls(config, n_features, grid, **others, seed=seed)

    def settings_by_name(self) -> dict[str, Hashable]:
        """Return the grid, and what it learns from."""
        return {**vars(self.grid), "hazard": self.hazard, "censored": self.censored}

    @functools.cached_property
    def _spread(self) -> FloatArray:
        """What each class, and the tail, gives each step: shape (n_classes + 1, n_steps + 1)."""
        knots, fine, within = self.grid.knots, self.grid.fine, self.grid.within
        spread = np.zeros((len(knots), len(fine)))
        spread[class_of(fine[:-1], knots), np.arange(len(within))] = within
        spread[-1, -1] = 1.0
        return spread

    def state(self, history: Histories) -> FloatArray:
        """Return count and mean log gap, which this head does not need: it starts at the population."""
        return np.stack([history.count, running_mean(np.log1p(history.gap), history.count)], axis=-1)

    def start(self, history: Histories) -> list[FloatArray]:
        """Return the population's log odds."""
        hazards = population(np.array(self.grid.knots), history, censored=self.censored)
        logits = np.log(hazards) - np.log1p(-hazards)
        return [logits if self.hazard else from_hazards(logits)]

    def terms(self, packed: Array, rows: GapData) -> Array:
        """Return the log-likelihood of each event's next gap."""
        knots, spread = jnp.asarray(self.grid.fine, packed.dtype), jnp.asarray(self._spread.T, packed.dtype)

        def chance(lower: Array, upper: Array, still_open: Array) -> Array:
            return jax.nn.logsumexp(
                packed, b=class_shares(knots, lower, upper, still_open) @ spread + TINY, axis=-1
            )

        terms = chance(rows.lower, rows.upper, rows.last)
        if self.censored:
            return terms
        # Long gaps that began late are missing among the closed ones: each counts given that it was seen.
        return terms - chance(jnp.zeros_like(rows.upper), rows.remaining, jnp.zeros_like(rows.last))

    def next_gap(self, packed: FloatArray, residuals: FloatArray) -> GridGap:
        """Return the mean of the members' probabilities."""
        del residuals
        return GridGap(
            np.array(self.grid.fine), product(namespace(packed).exp(packed).mean(axis=0), self._spread)
        )


def bins_grid(bins: Bins, history: Histories, min_gap: int) -> tuple[FloatArray, FloatArray]:
    """Return edges of the classes and their knots: gap g has the reading (g − 1, g] on a clock of days."""
    inner = np.ceil(bins.edges[1:-1]) - min_gap
    inner = inner[np.diff(inner, prepend=0.0) > 0.0]
    longest = max(float(history.upper[~history.last].max()), 1.5 * float(inner[-1] if len(inner) else 1.0))
    return bins.edges, np.concatenate([[0.0], inner, [longest]])


def class_of(knots: Sequence[float] | FloatArray, edges: Sequence[float] | FloatArray) -> IntArray:
    """Return the class in which the step that begins at each knot lies."""
    return np.asarray(np.searchsorted(edges, knots, side="right") - 1, dtype=np.int64)


def fine_steps(knots: FloatArray, history: Histories, *, censored: bool) -> tuple[FloatArray, FloatArray]:
    """Return knots of finer steps, and which part of its class each holds among all customers."""
    steps = hazard_grid(history, 0)[1]
    fine = np.union1d(knots, steps[(steps > knots[0]) & (steps < knots[-1])])
    hazards = population(fine, history, censored=censored)
    chances = hazards * np.cumprod(np.concatenate([[1.0], 1.0 - hazards[:-1]]))
    place = class_of(fine[:-1], knots)
    return fine, chances / np.bincount(place, weights=chances)[place]


def hazard_grid(history: Histories, min_gap: int) -> tuple[FloatArray, FloatArray]:
    """Return edges and knots of a fine grid that holds about equally many gaps in each step."""
    gaps = np.ceil(history.upper[~history.last])
    common = np.ceil(np.quantile(gaps, np.arange(1, _QUANTILES) / _QUANTILES))
    late = np.ceil(np.geomspace(max(common[-1], 1.0), gaps.max() + 1.0, _SPACED + 1))
    knots = np.unique(np.concatenate([[0.0], common, late]))
    return knots + min_gap, knots
