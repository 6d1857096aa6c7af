"""The head ``gap``: a regression of the next gap, whose absolute error makes it the median."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, TypeVar

import numpy as np

from foretell.core import FloatArray
from foretell.events.distribution import PointGap
from foretell.events.heads.base import GapData, HistoryNetwork
from foretell.events.history import Histories, running_mean
from foretell.nn.arrays import namespace
from foretell.nn.backend import Array, Layer, Weights, jitted, jnp
from foretell.nn.samplers import Bucket
from foretell.nn.settings import NetworkConfig
from foretell.prep.scalers import MinMaxScaler, StandardScaler

Numbers = TypeVar("Numbers", FloatArray, Array)

_N_RESIDUALS = 201


PARTS: Final = ("middle", "log_k", "shift")
"""The head's weights."""


def shrunken(state: Numbers, middle: Numbers, log_k: Numbers, shift: Numbers) -> Numbers:
    """Return the customer's mean so far, drawn to the population's: (x · mean + k · m) / (x + k) + shift."""
    count, mean = state[..., 0], state[..., 1]
    k = namespace(state).exp(log_k)
    location: Numbers = (count * mean + k * middle) / (count + k) + shift
    return location


class PointNetwork(HistoryNetwork):
    """The network of the head ``gap``; location and width are those of the gaps, or of their logarithm."""

    kind = "gap"
    packed_width = 1

    def __init__(
        self, config: NetworkConfig, n_features: int, scale: str, location: float, width: float, seed: int = 0
    ) -> None:
        self.scale, self.location, self.width = scale, location, width
        shapes: list[tuple[str, tuple[int, ...]]] = [(name, ()) for name in PARTS]
        super().__init__(config, n_features, 1, shapes, censored=False, seed=seed)

    def layer(self) -> Layer:
        """Return the head as a layer of Keras."""
        from foretell.events.heads.layers import PointHead  # noqa: PLC0415  # small requests do without Keras

        head: Layer = PointHead(name="anchor")
        return head

    def says(self, raw: Array, state: Array, weights: Sequence[Array]) -> Array:
        """Return the forecast."""
        return raw + shrunken(state, *weights)[..., None]

    def settings_by_name(self) -> dict[str, Hashable]:
        """Return the scale."""
        return {"scale": self.scale, "location": self.location, "width": self.width}

    def scaled(self, gap: Numbers) -> Numbers:
        """Return gaps on the head's scale."""
        if self.scale == "log":
            gap = namespace(gap).log1p(gap)
        return (gap - self.location) / self.width

    def plain(self, value: FloatArray) -> FloatArray:
        """Return gaps from the head's scale; none is negative."""
        xp = namespace(value)
        gap = value * self.width + self.location
        plain: FloatArray = xp.maximum(xp.expm1(xp.minimum(gap, 60.0)) if self.scale == "log" else gap, 0.0)
        return plain

    def state(self, history: Histories) -> FloatArray:
        """Return count, and mean of the gaps so far on the head's scale."""
        return np.stack([history.count, running_mean(self.scaled(history.gap), history.count)], axis=-1)

    def _truth(self, lower: Numbers, upper: Numbers) -> Numbers:
        return self.scaled(0.5 * (lower + upper))

    def start(self, history: Histories) -> list[FloatArray]:
        """Return what the population's customers do, by least absolute errors."""
        import scipy.optimize  # noqa: PLC0415  # a fit needs it, a forecast does not

        closed = ~history.last
        state, truth = self.state(history)[closed], self._truth(history.lower, history.upper)[closed]

        def error(values: FloatArray) -> float:
            middle, log_k, shift = values
            return float(np.abs(truth - shrunken(state, middle, np.clip(log_k, -6.0, 6.0), shift)).mean())

        middle, log_k, shift = scipy.optimize.minimize(
            error, [float(np.median(truth)), 0.5, 0.0], method="Nelder-Mead", options={"maxiter": 400}
        ).x
        return [np.array(middle), np.clip(log_k, -6.0, 6.0), np.array(shift)]

    def terms(self, packed: Array, rows: GapData) -> Array:
        """Return minus the absolute error: a Laplace log-likelihood, up to a constant."""
        return -jnp.abs(packed[..., 0] - self._truth(rows.lower, rows.upper))

    def errors(
        self, weights: Weights, data: GapData, runs: Sequence[Bucket], lengths: tuple[int, ...]
    ) -> FloatArray:
        """Return truth minus forecast of the closed gaps of some runs, on the head's scale."""
        packed, rows, counted = jitted(3)(self.over_runs)(weights, data, runs, lengths)
        errors = self._truth(rows.lower, rows.upper) - packed[..., 0]
        closed: FloatArray = np.asarray(errors, dtype=np.float64)[np.asarray(counted)]
        return closed

    def next_gap(self, packed: FloatArray, residuals: FloatArray) -> PointGap:
        """Return the mean of the members' forecasts, with the errors they made."""
        return PointGap(packed[..., 0].mean(axis=0), residuals, self.scaled, self.plain)


def error_quantiles(errors: FloatArray) -> FloatArray:
    """Return quantiles of errors at evenly spaced levels, none equal to the one before."""
    quantiles: FloatArray = np.quantile(errors, np.linspace(0.0, 1.0, _N_RESIDUALS))
    return quantiles + 1e-9 * np.arange(_N_RESIDUALS)


def gap_scale(scale: str, history: Histories) -> tuple[float, float]:
    """Return location and width of a scale, learned on closed gaps."""
    gaps = history.upper[~history.last]
    scaler = MinMaxScaler() if scale == "minmax" else StandardScaler()
    scaler.fit(np.log1p(gaps) if scale == "log" else gaps)
    return float(scaler.location_.item()), float(scaler.scale_.item())
