"""What a fitted forecaster leaves to be written: values for JSON, arrays, and tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy.typing as npt
import polars as pl

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

Described: TypeAlias = Mapping[str, Any]
"""Values that JSON can hold, by name: of a file it is known only when they are read what they are."""


@dataclasses.dataclass(frozen=True)
class State:
    """A fitted forecaster, or the data that it was fitted to, as plain values.

    Attributes
    ----------
    described : mapping
        For JSON; numbers may be infinite or NaN.
    arrays : mapping of str to array
        Numbers.
    tables : mapping of str to polars.DataFrame
    data : State or None
        The log or panel that it was fitted to and where its customers stand: what a model can be handed on
        without.
    """

    described: Described
    arrays: Arrays = dataclasses.field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = dataclasses.field(default_factory=dict)
    data: State | None = None
