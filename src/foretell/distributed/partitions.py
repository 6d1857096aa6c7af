"""Visits in partitions: all of a customer's in one, by a hash of the id, in a directory of Parquet files."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypedDict, Unpack

import numpy as np
import polars as pl

from foretell.core import IntArray
from foretell.core.constraints import Whole, check, plain
from foretell.core.paths import as_path, writing
from foretell.core.ragged import id_codes
from foretell.core.time import Clock, Unit
from foretell.data.amounts import read_amounts
from foretell.data.events import assemble
from foretell.data.log import EventLog, Merge, RefundRule, RepeatRule
from foretell.data.rows import ID, TIME, EventColumns, EventOptions, Rows, Strays, encode, ids_of_type
from foretell.data.sinks import beside
from foretell.data.sources import read_slices
from foretell.data.times import TimeReader
from foretell.errors import EmptyLogError, ParameterError, StorageError

_MANIFEST: Final = "partitions.json"
_PARTITION, _FINGERPRINT = "partition", "fingerprint"
# Read by partition: a group of rows that holds no customer of it is skipped.
_ROWS_OF_A_GROUP: Final = 65_536


_EARLIEST, _LATEST = -(2**62), 2**62


class Reading(TypedDict, total=False):
    """How rows are read; see `foretell.read_events`."""

    id: str
    time: str
    marks: Sequence[str] | str
    group: str | None
    query: str | None
    table: str | None
    unit: Unit
    merge: Merge | Literal["auto"] | None
    refunds: RefundRule
    duplicates: RepeatRule
    time_format: str | None
    time_zone: str | None
    start: object
    as_of: object
    exclude: Collection[object] | None
    strays: Strays
    encoding: str | None
    sheet: str | None
    chunk_rows: int


def partition_of(ids: pl.Series, count: int) -> IntArray:
    """Return the partition of each id among so many.

    Examples
    --------
    >>> partition_of(pl.Series([7, 8, 9]), 4).tolist() == partition_of(pl.Series(["7", "8", "9"]), 4).tolist()
    True
    """
    return (id_codes(ids) % np.uint32(count)).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Partitions:
    """Visits that `partition` wrote.

    Attributes
    ----------
    place : Path
        The directory.
    count : int
        Partitions.
    options : dict
        How the visits are read: ``marks``, ``group``, ``unit``, ``merge``, ``refunds``, ``duplicates``,
        ``exclude``, ``strays``, ``start``.
    batches : tuple of (int, int, int)
        Of each source that was added: its files, the last tick that it tells of, and its rows from before
        and after the time that it tells of, which are left out.
    """

    place: Path
    count: int
    options: dict[str, object]
    batches: tuple[tuple[int, int, int], ...]

    @classmethod
    def open(cls, place: str | Path) -> Partitions:
        """Return the partitions in a directory."""
        place = as_path(place, "place")
        try:
            told = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
            batches = tuple((int(a), int(b), int(c)) for a, b, c in told["batches"])
            return cls(place, int(told["partitions"]), dict(told["options"]), batches)
        except FileNotFoundError as error:
            raise StorageError(
                f"no partitions in {place}: expected a directory that partition wrote"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{place / _MANIFEST} cannot be read; partition the visits again") from error

    @property
    def as_of(self) -> int:
        """Last observed tick."""
        return self.batches[-1][1]

    def log(
        self, numbers: int | Collection[int] | None = None, *, after: int | None = None
    ) -> EventLog | None:
        """Return the visits of some partitions, by default of all; None where there are none.

        What a model learns all partitions have in common: a few of them are a fair sample to fit it to.

        Parameters
        ----------
        numbers : int or collection of int, optional
        after : int, optional
            Only what came after this tick, the as-of date of an earlier batch.
        """
        wanted = range(self.count) if numbers is None else [numbers] if isinstance(numbers, int) else numbers
        files = [
            self.place / _file(batch, number)
            for batch, (n_files, as_of, _) in enumerate(self.batches)
            for number in range(n_files)
            if after is None or as_of > after
        ]
        # Batches of sources with no columns but those that were read have no fingerprints.
        scans = [pl.scan_parquet(file).filter(pl.col(_PARTITION).is_in(list(wanted))) for file in files]
        rows = pl.concat(scans, how="diagonal").drop(_PARTITION).collect()
        if rows.is_empty():
            return None
        names = self.options["marks"]
        assert isinstance(names, list)  # noqa: S101  # as it was written
        columns = EventColumns("id", "time", tuple(names), "group" if self.options["group"] else None)
        clock = self._clock
        ids = rows[ID].unique()
        options = EventOptions(
            unit=clock.unit,
            merge=self.options["merge"],  # type: ignore[arg-type]  # checked when it was written
            # What was written by the first versions was read as it is.
            refunds=self.options.get("refunds", "keep"),  # type: ignore[arg-type]
            duplicates=self.options.get("duplicates", "keep"),  # type: ignore[arg-type]
            exclude=self.options.get("exclude"),  # type: ignore[arg-type]
            strays=self.options.get("strays", "keep"),  # type: ignore[arg-type]
            start=_moment(clock, int(str(self.options["start"])) if after is None else after + 1),
            as_of=_moment(clock, self.as_of),
            ids=ids if len(ids) == 1 else None,  # of one customer on purpose
        )
        try:
            prints = (lambda: rows[_FINGERPRINT]) if _FINGERPRINT in rows.columns else None
            origin = f"the partitions in {self.place}"
            return assemble(Rows(rows, origin, fingerprints=prints), columns, options)
        except EmptyLogError:
            return None

    def add(self, source: object, **reading: Unpack[Reading]) -> Partitions:
        """Add what came after the as-of date; what lies before it is left out.

        Parameters
        ----------
        source, **reading
            As in `partition`; unit, merging, rules and the number of partitions stay as they are.
        """
        reading = {**reading, "unit": self._clock.unit}
        reading["start"] = _moment(self._clock, self.as_of + 1)
        added = _write(source, self.place, self.count, len(self.batches), reading)
        options = _shared(reading)
        if options["marks"] != self.options["marks"] or options["group"] != self.options["group"]:
            raise ParameterError(
                f"marks={options['marks']!r}, with a group: {options['group']}; expected those of the visits "
                f"that are there: {self.options['marks']!r}, {self.options['group']}"
            )
        whole = dataclasses.replace(self, batches=(*self.batches, (added.files, added.as_of, added.outside)))
        whole.save()
        return whole

    @property
    def _clock(self) -> Clock:
        return Clock(self.options["unit"])  # type: ignore[arg-type]  # checked when it was written

    def save(self) -> None:
        """Write the list of what is there."""
        content = {"partitions": self.count, "options": self.options, "batches": self.batches}
        with beside(self.place / _MANIFEST) as file:
            file.write(json.dumps(content, indent=1).encode())


def partition(
    source: object, place: str | Path, *, partitions: int = 64, **reading: Unpack[Reading]
) -> Partitions:
    """Write visits by partition: in slices, so that memory does not grow with their number.

    Parameters
    ----------
    source : path, pattern, list of paths, frame, SQLAlchemy URL or Engine
        As `foretell.read_events` takes it. Parquet and databases are read in slices, all else at once.
    place : str or Path
        A new directory, which all workers can reach.
    partitions : int
        Some 20,000 to 100,000 customers in each are a good size: one is what is in memory of a worker, and
        what is done again where one is lost.
    **reading
        ``id``, ``time``, ``marks``, ``group``, ``query``, ``table``, ``unit``, ``merge``, ``refunds``,
        ``duplicates``, ``time_format``, ``time_zone``, ``start``, ``as_of``, ``exclude``, ``strays``,
        ``encoding``, ``sheet``, ``chunk_rows`` of `foretell.read_events`. Numbers in text are read by what a
        slice says of them, strays are told by what a partition holds.

    Examples
    --------
    >>> import tempfile
    >>> import foretell as ft
    >>> from foretell import distributed
    >>> visits = ft.datasets.load_cdnow(sample=True)
    >>> place = tempfile.mkdtemp() + "/visits"
    >>> parts = distributed.partition(visits, place, partitions=4, id="customer_id", time="date")
    >>> sample = parts.log([0])
    >>> sum(parts.log(k).n_customers for k in range(4)), sample.date(sample.as_of)
    (2357, np.datetime64('1998-06-30'))
    """
    check("partitions", partitions, Whole(1, 1_000_000))
    target = as_path(place, "place")
    with writing(target):
        if (target / _MANIFEST).exists():
            raise ParameterError(
                f"{target} holds partitions already; add later visits with Partitions.open(…).add(…), or "
                "name another directory"
            )
        target.mkdir(parents=True, exist_ok=True)
    written = _write(source, target, partitions, 0, reading)
    options = _shared(reading) | {"start": written.start}
    made = Partitions(target, int(partitions), options, ((written.files, written.as_of, written.outside),))
    made.save()
    return made


@dataclasses.dataclass
class _Batch:
    """What was written of a source: its files, first and last observed tick, rows outside of them."""

    files: int
    start: int
    as_of: int
    outside: int


def _write(source: object, place: Path, count: int, batch: int, reading: Reading) -> _Batch:
    columns, options, where = _asked(reading)
    begin, end, files, outside = options.begin, options.end, 0, 0
    first, last = [], []
    for rows in read_slices(source, columns, options, **where):
        if rows.frame.is_empty():
            continue
        frame = _placed(rows, columns, options, count)
        moments = frame[TIME].cast(pl.Int64)
        inside = moments.is_between(begin or _EARLIEST, (end or _LATEST) - 1).fill_null(value=True)
        outside += len(inside) - int(inside.sum())
        frame = frame.filter(inside)
        counted = frame
        if options.exclude is not None:
            counted = frame.filter(
                ~pl.col(ID).is_in(
                    ids_of_type(options.exclude, frame[ID].dtype, columns.id, strict=False).implode()
                )
            )
        first.append(counted[TIME].min())
        last.append(counted[TIME].max())
        with beside(place / _file(batch, files)) as file:
            frame.write_parquet(file, row_group_size=_ROWS_OF_A_GROUP)
        files += 1
    seen = [_microseconds(when) for when in (*first, *last) if isinstance(when, dt.datetime)]
    if not seen and (begin is None or end is None):
        raise EmptyLogError("there are no visits with a time, and start= and as_of= are not both given")
    start = min(seen) if begin is None else begin
    as_of = max(seen) if end is None else end - 1
    first_tick, last_tick = (int(options.clock.last_step(moment)) for moment in (start, as_of))
    return _Batch(files, first_tick, last_tick, outside)


def _placed(rows: Rows, columns: EventColumns, options: EventOptions, count: int) -> pl.DataFrame:
    """Return rows with times of the wall clock, in order of their partition."""
    times = TimeReader(columns.time, options.time_format, options.time_zone).read(rows.frame[TIME])
    ids, codes = encode(rows.frame[ID], untyped=rows.untyped)
    ids = ids.cast(pl.Int64) if ids.dtype.is_integer() else ids
    places = pl.Series(partition_of(ids, count)).gather(codes)
    texts = [role for role in columns.value_roles() if rows.frame[role].dtype == pl.String]
    frame = rows.frame.with_columns(
        ids.gather(codes).alias(ID),
        times.cast(pl.Datetime("us")).alias(TIME),
        places.alias(_PARTITION),
        *(_numbers(rows, role) for role in texts),
    )
    if rows.fingerprints is not None:
        frame = frame.with_columns(rows.fingerprints().alias(_FINGERPRINT))
    return frame.sort(_PARTITION, maintain_order=True)


def _numbers(rows: Rows, role: str) -> pl.Series:
    return read_amounts(rows.frame[role], decimal_comma=rows.decimal_comma).values.alias(role)


def _asked(reading: Reading) -> tuple[EventColumns, EventOptions, dict[str, str | None]]:
    """Return columns, options and the place in a database, of the arguments of the reader."""
    given = {**reading}
    unknown = sorted(set(given) - set(Reading.__annotations__))
    if unknown:
        raise ParameterError(
            f"there is no argument {unknown[0]!r}; expected those of foretell.read_events: "
            f"{', '.join(Reading.__annotations__)}"
        )
    marks = reading.get("marks", ())
    columns = EventColumns(
        reading.get("id", "unique_id"),
        reading.get("time", "ds"),
        (marks,) if isinstance(marks, str) else tuple(marks),
        reading.get("group"),
    )
    rules = ("unit", "merge", "refunds", "duplicates", "exclude", "strays")
    names = (*rules, "time_format", "time_zone", "start", "as_of", "encoding", "sheet", "chunk_rows")
    options = EventOptions(**{name: given[name] for name in names if name in given})  # type: ignore[arg-type]
    return columns, options, {"query": reading.get("query"), "table": reading.get("table")}


def _shared(reading: Reading) -> dict[str, object]:
    """Return what is kept of the arguments of the reader."""
    columns, options, _ = _asked(reading)
    return {
        "marks": list(columns.marks),
        "group": columns.group is not None,
        "unit": options.unit,
        "merge": options.merge_rule,
        "refunds": options.refunds,
        "duplicates": options.duplicates,
        "exclude": None if options.exclude is None else [plain(key) for key in options.exclude],
        "strays": options.strays,
    }


def _file(batch: int, number: int) -> str:
    return f"visits-{batch:04d}-{number:05d}.parquet"


def _moment(clock: Clock, tick: int) -> object:
    """Return a tick as the readers take it: a date, or the beginning of an hour."""
    return clock.time_of(np.array([tick]))[0]


def _microseconds(when: dt.datetime) -> int:
    return int((when - dt.datetime(1970, 1, 1)) / dt.timedelta(microseconds=1))  # noqa: DTZ001  # of the wall clock


def numbered(count: int) -> Iterator[tuple[int, str]]:
    """Yield each partition and its name in files and tables.

    Examples
    --------
    >>> list(numbered(2))
    [(0, '00000-of-00002'), (1, '00001-of-00002')]
    """
    return ((number, f"{number:05d}-of-{count:05d}") for number in range(count))
