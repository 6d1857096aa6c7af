"""How far the members of an ensemble differ: what another seed might have said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from foretell.data.log import EventLog
from foretell.events.answers import activity, next_event_moments, p_return, standing
from foretell.events.states import GapModel, States


def disagreement(
    model: GapModel, log: EventLog, states: States, horizons: Sequence[tuple[str, int]]
) -> pl.DataFrame:
    """Return standard deviations over the members, one row per customer.

    Returns
    -------
    polars.DataFrame
        ``p_active-sd``, ``next_event-sd`` (of the median, in ticks), ``p_return_30d-sd`` …; 0 of one member.
        What the head cannot say is left out.
    """
    said: dict[str, list[np.ndarray]] = {}
    packed = np.asarray(states.packed)
    for member in range(len(packed)):
        at = standing(model, log, states._replace(packed=packed[member : member + 1]))
        told = {"p_active": activity(at)[0], "next_event": next_event_moments(at, [0.5])[0]}
        told |= {f"p_return_{name}": p_return(at, ticks) for name, ticks in horizons}
        for name, values in told.items():
            if values is not None:
                said.setdefault(name, []).append(values)
    return pl.DataFrame({f"{name}-sd": np.std(parts, axis=0) for name, parts in said.items()})
