"""What every forecaster and both questions agree on: the rows, the verbs, the figures.

Models share rows and verbs, not mathematics: one table for what was forecast and what came, on which figures
are declared once, and which evaluation, referee, report, pictures and command line read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import polars as pl

Kind = Literal["events", "series"]
Arrays = dict[str, npt.NDArray[np.generic]]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of merit, declared once.

    Attributes
    ----------
    name : str
        The column's, such as ``"rmse"``.
    expression : polars.Expr
        An aggregation of evaluation rows.
    better : {"lower", "higher", "nearer"}
        Which way is better; ``"nearer"`` to ``ideal``.
    label : str
        In words, for people who read a report.
    ideal : float
        The value of a perfect forecast.
    """

    name: str
    expression: pl.Expr
    better: Literal["lower", "higher", "nearer"] = "lower"
    label: str = ""
    ideal: float = 0.0


class Forecaster(Protocol):
    """What every model of either question can do, ours and the statistics and rules alike.

    Attributes
    ----------
    name : str
        In tables.
    kind : {"events", "series"}
        The question that it answers; `foretell.evaluation.tasks` holds what goes with it.
    is_ours : bool
        Whether it is a network of ours, which the referee holds against the rest.
    starts_warm : bool
        Whether ``fit`` takes ``warm_start``.
    """

    kind: ClassVar[Kind]
    is_ours: ClassVar[bool]
    starts_warm: ClassVar[bool]

    @property
    def name(self) -> str:
        """The model's name in tables."""

    def fit(self, data: Any, *, warm_start: Any = None, progress: Callable[..., None] | None = None) -> Self:
        """Learn from a log or a panel; return the forecaster."""

    def predict(self, *args: Any, **options: Any) -> pl.DataFrame:
        """Return the answers as a table; never changes the forecaster."""

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what `from_state` needs: values for JSON, and plain arrays."""

    @classmethod
    def from_state(cls, described: Mapping[str, Any], arrays: Arrays) -> Self:
        """Return the fitted forecaster that `state` described."""


class Task(Protocol):
    """One of the two questions: how its data are cut, what came, and by which figures models are judged."""

    kind: Kind
    entity: str
    figures: Mapping[str, Figure]
    rank: str
    defaults: tuple[str, ...]

    def build(self, name: str, **settings: Any) -> Forecaster:
        """Return a new forecaster by its name."""

    def folds(self, data: Any, *, horizon: Any, cutoffs: Sequence[Any] | None, **options: Any) -> Any:
        """Return how data are cut, shown to models, asked and scored."""
