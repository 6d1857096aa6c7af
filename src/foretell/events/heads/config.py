"""What the network says of the next gap, by name."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from foretell.errors import ParameterError
from foretell.prep.bins import Bins

KINDS = ("mixture", "bins", "gap", "hazard")
SCALES = ("log", "standard", "minmax")


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """What a network of events says of the next gap.

    Parameters
    ----------
    kind : {"mixture", "bins", "gap", "hazard"}
        A distribution with a chance of no return; probabilities of classes of gaps; the gap itself; the
        chance to come in each step of a fine grid if not come before.
    bins : int or sequence of float
        Of ``bins``: so many classes with about equally many gaps in each, or own edges in ticks, such as
        ``(0, 7, 14, 28, inf)``. The last class is open, whatever its upper edge.
    scale : {"log", "standard", "minmax"}
        Of ``gap``: on which scale errors count. ``"log"`` is log(1 + gap), standardised.
    censored : bool
        Learn from the open gap since each customer's last event, too. False learns from closed gaps alone,
        as the tutorial does; the model then takes everyone to come again. A ``gap`` can do no other.

    Examples
    --------
    >>> HeadConfig("bins", bins=[0, 7, 14, 28, float("inf")]).bins
    (0.0, 7.0, 14.0, 28.0, inf)
    """

    kind: str = "mixture"
    bins: int | tuple[float, ...] = 5
    scale: str = "log"
    censored: bool = True

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("scale", SCALES)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"{name}={getattr(self, name)!r}; expected one of {', '.join(map(repr, known))}"
                )
        if isinstance(self.bins, bool) or (isinstance(self.bins, int) and self.bins < 2):
            raise ParameterError(f"bins={self.bins!r}; expected at least 2, or edges such as (0, 7, 28, inf)")
        if not isinstance(self.bins, int):
            edges = Bins(self.bins).edges
            if edges[0] > 1.0 or len(edges) < 3:
                raise ParameterError(
                    f"bins={self.bins!r}; expected edges from 0, with at least one between the first and the "
                    "last, such as (0, 7, 28, inf)"
                )
            object.__setattr__(self, "bins", tuple(float(edge) for edge in edges))
        if not isinstance(self.censored, (bool, np.bool_)):
            raise ParameterError(f"censored={self.censored!r}; expected True or False")


def as_head(head: Any) -> HeadConfig:
    """Return the configuration of a head that may be given by its name."""
    if isinstance(head, HeadConfig):
        return head
    if head not in KINDS:
        raise ParameterError(
            f"head={head!r}; expected one of {', '.join(map(repr, KINDS))}, or a foretell.HeadConfig(…)"
        )
    return HeadConfig(head)
