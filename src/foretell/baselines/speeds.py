"""How fast the clock of each customer runs, by what is known of them."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np

from foretell.core import FloatArray
from foretell.core.contracts import Described
from foretell.data.design import Design
from foretell.data.log import EventLog
from foretell.errors import DataError

PRECISION = 1.0  # of a coefficient, whose prior is normal about 0


@dataclasses.dataclass(frozen=True)
class Speeds:
    """Factors exp(γ · z) on the speed of customers' time, z being what is known of them.

    Attributes
    ----------
    design : Design
    coefficients : array, shape (n_columns,)
    """

    design: Design
    coefficients: FloatArray

    def of(self, log: EventLog) -> FloatArray:
        """Return the factor of each customer of a log; 1 of whom nothing is known."""
        if log.static is None:
            return np.ones(log.n_customers)
        factors: FloatArray = np.exp(self.design.matrix(log.static) @ self.coefficients)
        return factors

    def describe(self) -> dict[str, object]:
        """Return what JSON keeps of it."""
        return self.design.describe() | {"speed": self.coefficients.tolist()}

    @classmethod
    def from_description(cls, described: Described) -> Self:
        """Return the factors that `describe` described; refuse numbers that do not fit each other."""
        design = Design.from_description(described)
        coefficients = np.array(described["speed"], dtype=np.float64)
        if coefficients.shape != (design.width,) or not (np.abs(coefficients) < 100).all():
            raise DataError("what is known of customers has factors of another shape than this version reads")
        return cls(design, coefficients)
