"""Models by name, so that the leaderboard can be asked for "bg/nbd" without knowing where it lives."""

from __future__ import annotations

import importlib
from typing import cast

from foretell.core.outlook import EventModel
from foretell.errors import ParameterError

# Name → "module:class". Text, resolved when asked for: models import the evaluation, never the reverse.
_HOMES = {
    "foretell": "foretell.events.forecaster:EventForecaster",
    "pareto/nbd": "foretell.baselines:ParetoNBD",
    "bg/nbd": "foretell.baselines:BGNBD",
    "mbg/nbd": "foretell.baselines:MBGNBD",
    "repeat rate": "foretell.baselines:RepeatRate",
    "mean gap": "foretell.baselines:MeanGap",
    "median gap": "foretell.baselines:MedianGap",
}


def model_names() -> list[str]:
    """Return the names that `build_model` knows.

    Examples
    --------
    >>> model_names()
    ['foretell', 'pareto/nbd', 'bg/nbd', 'mbg/nbd', 'repeat rate', 'mean gap', 'median gap']
    """
    return list(_HOMES)


def build_model(name: str) -> EventModel:
    """Return a new model with its default settings.

    Parameters
    ----------
    name : str
        One of `model_names`, in any case.

    Examples
    --------
    >>> build_model("BG/NBD")
    BGNBD()
    """
    try:
        home = _HOMES[name.lower()]
    except KeyError:
        raise ParameterError(
            f"there is no model {name!r}; expected one of {', '.join(map(repr, _HOMES))}, "
            "or an object with fit and outlook"
        ) from None
    module, attribute = home.split(":")
    return cast("EventModel", getattr(importlib.import_module(module), attribute)())
