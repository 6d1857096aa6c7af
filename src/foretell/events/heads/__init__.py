"""What the network says of the next gap, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from foretell.core.constraints import Constraint, OneOf, Whole, check_fields
from foretell.errors import ParameterError
from foretell.prep.bins import Bins

KINDS = ("mixture", "bins", "gap", "hazard")
HORIZON: Final = "horizon"
"""The head that answers of any horizon at once, and knows no next gap; see `foretell.events.horizon`."""
SCALES = ("log", "standard", "minmax")
_RULES: Final[Mapping[str, Constraint]] = {
    "kind": OneOf((*KINDS, HORIZON)),
    "scale": OneOf(SCALES),
    "censored": OneOf((True, False)),
    "drop_out": OneOf(("mbg", "bg")),
    "seasonal": OneOf((True, False)),
    "paths": Whole(1, 1_000_000),
}


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """What a network of events says of the next gap, and what it starts from.

    Parameters
    ----------
    kind : {"mixture", "bins", "gap", "hazard", "horizon"}
        A distribution with a chance of no return; probabilities of classes of gaps; the gap itself; the
        chance to come in each step of a fine grid if not come before; the number of visits in any horizon.
    bins : int or sequence of float
        Of ``bins``: so many classes with about equally many gaps in each, or own edges in ticks, such as
        ``(0, 7, 14, 28, inf)``. The last class is open, whatever its upper edge.
    scale : {"log", "standard", "minmax"}
        Of ``gap``: on which scale errors count. ``"log"`` is log(1 + gap), standardised.
    censored : bool
        Learn from the open gap since each customer's last event, too. False learns from closed gaps alone,
        as the tutorial does; the model then takes everyone to come again. A ``gap`` can do no other.

    drop_out : {"mbg", "bg"}
        Anchor of the mixture: MBG/NBD (customers may be lost after their first event) or BG/NBD.
    seasonal : bool
        Estimate the operational clock from the log; False runs on plain days.
    paths : int
        Of the mixture: simulated paths of a customer who is sure to return, for expected counts; others get
        fewer.

    Examples
    --------
    >>> HeadConfig("bins", bins=[0, 7, 14, 28, float("inf")]).bins
    (0.0, 7.0, 14.0, 28.0, inf)
    """

    kind: str = "mixture"
    bins: int | tuple[float, ...] = 5
    scale: str = "log"
    censored: bool = True
    drop_out: str = "mbg"
    seasonal: bool = True
    paths: int = 48

    def __post_init__(self) -> None:
        check_fields(self, _RULES)
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


def as_head(head: object) -> HeadConfig:
    """Return the configuration of a head that may be given by its name."""
    if isinstance(head, HeadConfig):
        return head
    if not isinstance(head, str) or head not in (*KINDS, HORIZON):
        raise ParameterError(
            f"head={head!r}; expected one of {', '.join(map(repr, (*KINDS, HORIZON)))}, or a "
            "foretell.HeadConfig(…)"
        )
    return HeadConfig(head)
