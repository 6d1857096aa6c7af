"""Answers for customers in partitions, and their states moved forward, partition by partition."""

from __future__ import annotations

import collections
import copy
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import polars as pl

from foretell.core import BoolArray
from foretell.core.constraints import as_levels
from foretell.core.contracts import State
from foretell.data.log import EventLog
from foretell.data.tables import CUSTOMERS, named_horizons
from foretell.distributed.cluster import Cluster
from foretell.distributed.partitions import Partitions, numbered, partition_of
from foretell.distributed.targets import Target, target
from foretell.errors import ParameterError
from foretell.forecasters import load
from foretell.storage.files import MANIFEST

if TYPE_CHECKING:
    import sqlalchemy as sa


class Forecaster(Protocol):
    """A forecaster of visits: ours, or a statistic."""

    log_: EventLog

    def attach(self, data: EventLog) -> Self:
        """Take a log to answer about."""

    def update(self, new_events: EventLog) -> object:
        """Move every customer forward by new events."""

    def predict_blocks(
        self, horizons: Sequence[str | int], levels: Sequence[float]
    ) -> Iterator[pl.DataFrame]:
        """Answer in tables, one after the other."""

    def state(self) -> State:
        """Return what was learned."""

    def save(self, path: str | Path) -> Path:
        """Write it to a directory."""


Model = TypeVar("Model")
_STATES: Final = "states"


@dataclasses.dataclass(frozen=True)
class Scored:
    """What was done.

    Attributes
    ----------
    rows : int
        Customers, those of partitions that were done before among them.
    partitions, before : int
        All partitions; those of them that an earlier run had done.
    left_out : dict of str to int
        Of the visits that were read: reason → rows left out or changed for it.
    """

    rows: int
    partitions: int
    before: int = 0
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        before = f", {self.before:,} of them before" if self.before else ""
        return f"{self.rows:,} customers in {self.partitions:,} partitions{before}"


def predict(
    model: Forecaster,
    out: str | os.PathLike[str] | sa.URL,
    table: str | None = None,
    *,
    visits: Partitions | int | None = None,
    horizons: Sequence[str | int] = ("7d", "30d", "90d"),
    levels: Sequence[float] = (50, 80, 95),
    cluster: Cluster | None = None,
) -> Scored:
    """Answer for every customer, partition by partition, as ``model.predict`` answers.

    A run that was cut short goes on where it stopped; a whole one that is called for again replaces its rows.

    Parameters
    ----------
    model : EventForecaster, or a statistic
        Fitted to all customers or to some.
    out : path, or SQLAlchemy URL with ``table``
        A directory, which gets a file ``scores-2024-06-30-00003-of-00064.parquet`` for each partition; or a
        database, where the rows of the same customers and as-of date are replaced.
    table : str, optional
    visits : Partitions or int, optional
        Whose answers: of the customers of these visits; or of the model's own, in so many partitions.
    horizons, levels
        As `EventForecaster.predict` takes them.
    cluster : Cluster, optional

    Raises
    ------
    MissingDependencyError
        Ray is not installed.
    WorkerError
        Workers are lost again and again.
    """
    _check(model)
    as_levels(levels)
    cluster = cluster or Cluster()
    if isinstance(visits, Partitions):
        without, count, log = bare(model), visits.count, None
        as_of = str(np.datetime64(visits.as_of, "D" if visits.options["unit"] == "day" else "h"))
    else:
        without, log = None, model.log_
        named_horizons(log, horizons)
        count, as_of = visits or -(-log.n_customers // CUSTOMERS), str(log.date(log.as_of))
    names = dict(numbered(count))
    where = target(out, table, as_of)
    question = {"horizons": list(horizons), "levels": list(levels)}
    asked = _digest([question, fingerprint(model)])
    done = where.begin(asked, list(names.values()))
    todo = [number for number, name in names.items() if name not in done]

    def parts() -> Iterator[tuple[int, str, Forecaster | Partitions]]:
        places = None if log is None else partition_of(log.ids, count)
        for number in todo:
            if places is None:
                assert isinstance(visits, Partitions)  # noqa: S101  # as looked at above
                yield number, names[number], visits
            elif (places == number).any():
                yield number, names[number], _part(model, places == number)
            else:
                where.note(asked, {names[number]: 0})

    left_out: collections.Counter[str] = collections.Counter()
    rows, before = sum(done.values()), len(done)
    finished = before
    for name, height, counts in cluster.run(_score, parts(), (without, where, question)):
        where.note(asked, {name: height})
        rows, finished = rows + height, finished + 1
        left_out.update(counts)
        if cluster.progress is not None:
            cluster.progress(finished, count)
    return Scored(rows, count, before, dict(left_out))


def update(model: Forecaster, visits: Partitions, *, cluster: Cluster | None = None) -> Scored:
    """Keep where every customer stands, beside the visits, up to their as-of date.

    `predict` then starts from there. After `Partitions.add` only the new visits are read; who did not come
    stays silent. States of another model are made anew.

    Parameters
    ----------
    model : EventForecaster, or a statistic
    visits : Partitions
    cluster : Cluster, optional
    """
    _check(model)
    cluster = cluster or Cluster()
    rows, left_out = 0, collections.Counter[str]()
    parts = ((number, visits) for number in range(visits.count))
    for finished, (height, counts) in enumerate(cluster.run(_keep, parts, bare(model)), 1):
        rows += height
        left_out.update(counts)
        if cluster.progress is not None:
            cluster.progress(finished, visits.count)
    return Scored(rows, visits.count, 0, dict(left_out))


Counts: TypeAlias = Mapping[str, int]


def _score(
    shared: tuple[Forecaster | None, Target, Mapping[str, Any]],
    number: int,
    name: str,
    part: Forecaster | Partitions,
) -> tuple[str, int, Counts]:
    """Write the answers of a partition; run by a worker."""
    without, where, question = shared
    counts: Counts = {}
    model: Forecaster | None
    if isinstance(part, Partitions):
        assert without is not None  # noqa: S101  # goes with partitions
        model, counts = _standing(without, part, number)
    else:
        model = part
    return name, 0 if model is None else where.write(name, model.predict_blocks(**question)), counts


def _keep(without: Forecaster, number: int, visits: Partitions) -> tuple[int, Counts]:
    """Save where the customers of a partition stand; run by a worker."""
    model, counts = _standing(without, visits, number)
    if model is not None:
        model.save(_place(visits, number))
    return 0 if model is None else model.log_.n_customers, counts


def _place(visits: Partitions, number: int) -> Path:
    return visits.place / _STATES / f"{number:05d}"


def _saved(without: Forecaster, visits: Partitions, number: int) -> Forecaster | None:
    """Return the model of a partition that was kept, if it is the same."""
    place = _place(visits, number)
    if not (place / MANIFEST).exists():
        return None
    kept: Forecaster = load(place)
    return kept if fingerprint(kept) == fingerprint(without) else None


def _standing(without: Forecaster, visits: Partitions, number: int) -> tuple[Forecaster | None, Counts]:
    """Return the model with the customers of a partition, and what was left out of the visits just read."""
    kept = _saved(without, visits, number)
    if kept is not None and kept.log_.as_of >= visits.as_of:
        return kept, {}
    log = visits.log(number, after=None if kept is None else kept.log_.as_of)
    if kept is not None:
        kept.update(kept.log_.quiet_until(visits.as_of) if log is None else log)
    elif log is not None:
        kept = copy.copy(without).attach(log)
    return kept, {} if log is None else log.report.left_out | log.report.adjusted


def _check(model: Forecaster) -> None:
    if getattr(model, "kind", None) != "events":
        raise ParameterError(
            f"the model is of type {type(model).__name__}; expected a forecaster of visits: regular series "
            "are forecast on one machine, by predict_blocks"
        )


def bare(model: Model) -> Model:
    """Return the model without its log."""
    without = copy.copy(model)
    log = vars(model).get("log_")
    if isinstance(log, EventLog):
        vars(without)["_read_as"] = log.read_as
    for name in ("log_", "states_"):
        vars(without).pop(name, None)
    return without


def _part(model: Forecaster, chosen: BoolArray) -> Forecaster:
    """Return the model with some of its customers."""
    part = copy.copy(model)
    part.log_ = model.log_.take(chosen)
    if "states_" in vars(part):
        vars(part)["states_"] = vars(model)["states_"].select(np.flatnonzero(chosen))
    return part


def fingerprint(model: Forecaster) -> str:
    """Return what tells a fitted model from others, whatever its log is."""
    state = bare(model).state()
    arrays = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in state.arrays.items()}
    return _digest([type(model).__name__, state.described, arrays])


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
