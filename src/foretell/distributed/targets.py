"""Where answers go, partition by partition, and which partitions are there already."""

from __future__ import annotations

import dataclasses
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from foretell.core.paths import as_path
from foretell.data.sinks import alike, beside, sink, write_tables
from foretell.errors import ParameterError, StorageError

if TYPE_CHECKING:
    import sqlalchemy as sa

Done = dict[str, int]
"""Rows of each partition that is there, by the partition's name."""


@dataclasses.dataclass(frozen=True)
class Target(ABC):
    """Answers of one as-of date.

    A partition is written whole or not at all, under a name, or by a key, that holds the partition and the
    date: written again it takes its own place.

    Attributes
    ----------
    date : str
        The as-of date.
    """

    date: str

    @abstractmethod
    def write(self, name: str, tables: Iterable[pl.DataFrame]) -> int:
        """Write the answers of a partition; return how many rows they have."""

    @abstractmethod
    def note(self, asked: str, done: Mapping[str, int | None]) -> None:
        """Keep which partitions are there (None: not yet), and what was asked."""

    @abstractmethod
    def noted(self, asked: str, names: Sequence[str]) -> Done:
        """Return which of some partitions are there with an answer to what is asked."""

    @abstractmethod
    def clear(self, names: Sequence[str]) -> None:
        """Remove what an earlier run left that went by other partitions."""

    def begin(self, asked: str, names: Sequence[str]) -> Done:
        """Return what an earlier run did that did not come to its end; after a whole one all is done anew."""
        done = self.noted(asked, names)
        if 0 < len(done) < len(names):
            return done
        self.clear(names)
        self.note(asked, dict.fromkeys(names))
        return {}


@dataclasses.dataclass(frozen=True)
class Folder(Target):
    """A directory with a Parquet file for each partition and date."""

    place: Path

    def write(self, name: str, tables: Iterable[pl.DataFrame]) -> int:
        """Write beside the file, then put it in its place."""
        path = self._path(name)
        for left in self.place.glob(f".{path.name}.*"):  # by a worker that was killed
            left.unlink(missing_ok=True)
        return sink(path).write(alike(tables)).rows

    def note(self, asked: str, done: Mapping[str, int | None]) -> None:
        """Replace the list of what is there."""
        self.place.mkdir(parents=True, exist_ok=True)
        there = self._read(asked) | dict(done)
        with beside(self._list) as file:
            file.write(json.dumps({"asked": asked, "done": there}, indent=1).encode())

    def noted(self, asked: str, names: Sequence[str]) -> Done:
        """Return what is on the list, and in the directory."""
        done = self._read(asked)
        rows = {name: count for name in names if (count := done.get(name)) is not None}
        return {name: count for name, count in rows.items() if not count or self._path(name).is_file()}

    def clear(self, names: Sequence[str]) -> None:
        """Remove the files of other partitions of the date, and the list."""
        kept = {self._path(name) for name in names}
        for path in self.place.glob(f"scores-{self.date}-*.parquet"):
            if path not in kept:
                path.unlink()
        self._list.unlink(missing_ok=True)

    @property
    def _list(self) -> Path:
        return self.place / f"scores-{self.date}.json"

    def _path(self, name: str) -> Path:
        return self.place / f"scores-{self.date}-{name}.parquet"

    def _read(self, asked: str) -> dict[str, int | None]:
        try:
            told = json.loads(self._list.read_text(encoding="utf-8"))
            return dict(told["done"]) if told["asked"] == asked else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self._list} cannot be read: remove it to score all anew") from error


@dataclasses.dataclass(frozen=True)
class Table(Target):
    """A table of a database, and beside it one of the same name and ``_partitions``."""

    url: str | sa.URL
    table: str

    def write(self, name: str, tables: Iterable[pl.DataFrame]) -> int:
        """Replace the rows of the partition's customers and this date."""
        del name
        return write_tables(tables, self.url, self.table, part=True).rows

    def note(self, asked: str, done: Mapping[str, int | None]) -> None:
        """Replace the rows of these partitions and this date."""
        columns = {
            "as_of": [self.date] * len(done),
            "unique_id": list(done),
            "rows": pl.Series(list(done.values()), dtype=pl.Int64),
            "asked": [asked] * len(done),
        }
        write_tables(pl.DataFrame(columns), self.url, self._list, part=True)

    def noted(self, asked: str, names: Sequence[str]) -> Done:
        """Return what the table beside it lists."""
        import sqlalchemy as sa  # noqa: PLC0415  # files do without

        from foretell.data.database import opened, schema_and_name  # noqa: PLC0415

        schema, table = schema_and_name(self._list)
        name, rows = sa.column("unique_id", sa.Text()), sa.column("rows", sa.BigInteger())
        date, question = sa.column("as_of", sa.Text()), sa.column("asked", sa.Text())
        with opened(self.url) as database, database.connected(make=True) as connection:
            if not sa.inspect(connection).has_table(table, schema):
                return {}
            chosen = sa.select(name, rows).select_from(sa.table(table, schema=schema))
            listed = connection.execute(chosen.where(date == self.date, question == asked, rows.is_not(None)))
            done = {row[0]: row[1] for row in listed}
        return {name: done[name] for name in names if name in done}

    def clear(self, names: Sequence[str]) -> None:
        """Nothing is left: rows are replaced by customer, whatever their partition was."""

    @property
    def _list(self) -> str:
        return f"{self.table}_partitions"


def target(out: str | os.PathLike[str] | sa.URL, table: str | None, date: str) -> Target:
    """Return the directory or the table for the answers of a date."""
    if table is not None:
        return Table(date, os.fspath(out) if isinstance(out, os.PathLike) else out, table)
    if not isinstance(out, (str, os.PathLike)) or "://" in str(out):
        raise ParameterError("a database needs table=, the name of the table to write to; none is given")
    place = as_path(out, "out")
    if place.exists() and not place.is_dir():
        raise ParameterError(f"{place} is a file; expected a directory: each partition is a file of its own")
    return Folder(date, place)
