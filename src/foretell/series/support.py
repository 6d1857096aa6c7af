"""The support of the data: the values there can be, noticed in the training period, kept in all quantiles."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from foretell.core import FloatArray
from foretell.data.panel import Panel
from foretell.errors import DataError

# What the values of a target are → the least and the greatest that there can be.
SUPPORTS: Final = {
    "real": (-np.inf, np.inf),
    "nonnegative": (0.0, np.inf),
    "counts": (0.0, np.inf),
    "shares": (0.0, 1.0),
}
_MEANT: Final = {
    "real": "any numbers",
    "nonnegative": "never below 0",
    "counts": "whole numbers, never below 0",
    "shares": "between 0 and 1",
}
# Of the values of intermittent demand more than this share are 0.
_MOSTLY_ZERO: Final = 0.5


@dataclasses.dataclass(frozen=True)
class Support:
    """Which values each target can have.

    Attributes
    ----------
    kinds : tuple of str
        Of each target: ``"real"``, ``"nonnegative"``, ``"counts"`` or ``"shares"``.
    intermittent : tuple of bool
        Whether most of its values were 0, so that a median says little.
    """

    kinds: tuple[str, ...]
    intermittent: tuple[bool, ...]

    @classmethod
    def anything(cls, n_targets: int) -> Support:
        """Return the support of numbers of which nothing is known."""
        return cls(("real",) * n_targets, (False,) * n_targets)

    @classmethod
    def of(cls, panel: Panel, asked: str = "auto") -> Support:
        """Return what a panel's values are; with ``asked``, what they are said to be, or a `DataError`."""
        kinds, intermittent = [], []
        for k, name in enumerate(panel.targets):
            values = panel.values[:, k]
            values = values[~np.isnan(values)]
            kind = _kind(values) if asked == "auto" else asked
            low, high = SUPPORTS[kind]
            outside = values[(values < low) | (values > high)]
            if len(outside):
                raise DataError(
                    f"support={asked!r} means {_MEANT[kind]}, and {name!r} holds {outside[0]:g}; expected "
                    "'auto', or another one that holds of all values"
                )
            kinds.append(kind)
            zeros = float((values == 0).mean()) if len(values) else 0.0
            intermittent.append(kind in {"counts", "nonnegative"} and _MOSTLY_ZERO < zeros < 1.0)
        return cls(tuple(kinds), tuple(intermittent))

    @property
    def limits(self) -> tuple[FloatArray, FloatArray]:
        """The least and the greatest value, shape (n_targets, 1)."""
        low, high = np.array([SUPPORTS[kind] for kind in self.kinds]).T[..., None]
        return low, high

    @property
    def whole(self) -> FloatArray:
        """1 for the targets that are whole numbers, else 0, shape (n_targets, 1)."""
        return np.array([[float(kind == "counts")] for kind in self.kinds])

    def within(self, quantiles: FloatArray) -> FloatArray:
        """Return quantiles within the limits, shape (…, n_targets, n_quantiles)."""
        return np.clip(quantiles, *self.limits)

    def keep(self, quantiles: FloatArray) -> FloatArray:
        """Return quantiles that are values of the support: within its limits, whole where the data are."""
        within = self.within(quantiles)
        return np.where(self.whole > 0, np.rint(within), within)

    def __str__(self) -> str:
        return ", ".join(_MEANT[kind] for kind in self.kinds)


def _kind(values: FloatArray) -> str:
    """Return the narrowest support that all values have; of none nothing is known."""
    if not len(values) or values.min() < 0:
        return "real"
    if (values == np.rint(values)).all():
        return "counts"
    return "shares" if values.max() <= 1 else "nonnegative"
