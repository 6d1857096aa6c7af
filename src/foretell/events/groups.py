"""Forecasts by group (store): each customer's expected events, shared out by where they go."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog

FloatArray = npt.NDArray[np.float64]

_PULLS = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0])


def group_totals(log: EventLog, expected: FloatArray) -> FloatArray:
    """Return the expected events of each group; they add up to all customers' total.

    A customer's next event falls to group g with probability (n_g + κ q_g) / (n + κ): own events in each
    group, drawn towards the log's shares q. κ is chosen by how well it predicts each customer's last group
    from the events before it.

    Parameters
    ----------
    log : EventLog
        With groups.
    expected : array, shape (n_customers, n_horizons)

    Returns
    -------
    array, shape (n_groups, n_horizons)
    """
    assert log.groups is not None and log.group_names is not None  # noqa: S101, PT018  # the caller has checked
    n_groups = len(log.group_names)
    overall = np.bincount(log.groups, minlength=n_groups) / log.n_events
    pull = _best_pull(log, overall)
    counts = log.counts.astype(float)
    by_event = expected / (counts + pull)[:, None]
    totals = np.zeros((n_groups, expected.shape[1]))
    np.add.at(totals, log.groups, by_event[log.owner])
    shared: FloatArray = totals + overall[:, None] * (pull * by_event.sum(axis=0))
    return shared


def _best_pull(log: EventLog, overall: FloatArray) -> float:
    """Return κ with the highest likelihood of the customers' last groups."""
    assert log.groups is not None  # noqa: S101
    last = log.offsets[1:] - 1
    returning = log.counts > 1
    final = log.groups[last]
    same = (log.groups == final[log.owner]).astype(float)
    same[last] = 0.0
    before = np.add.reduceat(same, log.offsets[:-1])[returning]
    n = log.counts[returning] - 1.0
    share = overall[final[returning]]
    if not len(n):
        return float(_PULLS[-1])
    scores = [np.log((before + k * share) / (n + k) + 1e-12).mean() for k in _PULLS]
    return float(_PULLS[int(np.argmax(scores))])
