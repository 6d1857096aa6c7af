"""The service's own folder: files that were sent, models that were fitted.

Names that come with requests are checked against a pattern before they are part of a path; nothing else of a
request ever is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
import os
import re
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Final

from foretell.data.files import kind_of
from foretell.data.sinks import beside
from foretell.errors import ForetellError, ParameterError, SourceError, StorageError
from foretell.storage.files import MANIFEST, read_manifest

NAME: Final = r"[a-z0-9][a-z0-9_-]{0,63}"  # of a model
KEY: Final = r"[0-9a-f]{32}"  # of a file or a job
MOST_SOURCES: Final = 50

_ENDING: Final = re.compile(r"(\.[A-Za-z]{1,8}){1,2}$")
_BLOCK: Final = 2**20
# Kinds of files that are archives themselves, which unpack to more than they have.
_ARCHIVES: Final = (".zip", ".xlsx", ".xlsm", ".xlsb", ".ods")


class NotThereError(SourceError):
    """Nothing of that name is in the store."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Rows to read: a file that was sent, or a table of a database.

    Attributes
    ----------
    key : str
    label : str
        How people call it.
    rows : str
        Where they are, as the readers take it.
    table, query : str or None
        Of a database.
    """

    key: str
    label: str
    rows: str
    table: str | None = None
    query: str | None = None

    @property
    def how(self) -> dict[str, str]:
        """What the readers are told of it besides."""
        named = {"table": self.table, "query": self.query}
        return {name: value for name, value in named.items() if value is not None}

    def said(self, message: str) -> str:
        """Return a message that calls the rows as people do."""
        return message.replace(self.rows, self.label)


class Store:
    """A folder with a service's files, models and jobs.

    Parameters
    ----------
    place : Path
        It is made where it is not there.
    """

    def __init__(self, place: Path) -> None:
        self.place = place.absolute()
        try:
            for folder in (self.place, self.sources, self.models, self.results, self.figures):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot keep anything in {place}: {error.strerror}") from error

    @property
    def sources(self) -> Path:
        """Where files are that were sent."""
        return self.place / "sources"

    @property
    def models(self) -> Path:
        """Where models are that were fitted."""
        return self.place / "models"

    @property
    def results(self) -> Path:
        """Where jobs leave what they found out."""
        return self.place / "results"

    @property
    def figures(self) -> Path:
        """Where workers leave what they have counted."""
        return self.place / "figures"

    @property
    def database(self) -> Path:
        """The table of jobs."""
        return self.place / "jobs.sqlite"

    def clean(self) -> None:
        """Remove what a killed service left half made; nobody may be at work here."""
        for folder in self.sources.iterdir():
            if not (folder / "about.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
        for file in self.figures.iterdir():
            file.unlink(missing_ok=True)

    def model_names(self) -> list[str]:
        """Return the models that are whole."""
        return sorted(path.parent.name for path in self.models.glob(f"*/{MANIFEST}"))

    def model_place(self, name: str) -> Path:
        """Return where a model of a name is, or will be."""
        if not re.fullmatch(NAME, name):
            raise ParameterError(
                f"a model cannot be called {name!r}; expected small letters, digits, - and _, at most 64, "
                "such as 'shop-2024'"
            )
        return self.models / name

    def drop_model(self, name: str) -> None:
        """Remove a model."""
        place = self.model_place(name)
        if not (place / MANIFEST).exists():
            raise NotThereError(f"there is no model {name!r} in the store")
        # Without its manifest it is no model any more, whenever this is interrupted.
        (place / MANIFEST).unlink()
        shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def receive(self, label: str, unpacked: int) -> Iterator[tuple[IO[bytes], str]]:
        """Give a file to write what is sent, and its key; once it is whole and checked it is a source.

        Parameters
        ----------
        label : str
            What the sender calls it; its ending says what it holds.
        unpacked : int
            Bytes to which it may unpack.
        """
        ending = _ENDING.search(label)
        kind = None if ending is None else kind_of(Path(f"rows{ending[0]}"))
        if ending is None or kind is None:
            raise SourceError(
                f"the ending of {label!r} says nothing about what it holds; expected a name such as "
                "visits.csv, visits.csv.gz, visits.parquet or visits.xlsx"
            )
        key = secrets.token_hex(16)
        place = self.sources / key
        place.mkdir(mode=0o700)
        packed = ending[0].lower().endswith(".gz")
        name = f"rows{ending[0] if packed else Path(f'rows{ending[0]}').suffix}".lower()
        try:
            with (place / name).open("xb") as file:
                yield file, key
                file.flush()
                os.fsync(file.fileno())
            _check_unpacked(place / name, label, unpacked)
            self._describe(key, {"label": label, "file": name})
        except BaseException as error:
            shutil.rmtree(place, ignore_errors=True)
            if isinstance(error, OSError) and not isinstance(error, ForetellError):
                raise StorageError(f"{label} cannot be kept: {error.strerror or error}") from error
            raise

    def remember_database(self, url: str, label: str, table: str | None, query: str | None) -> Source:
        """Keep where a database is; only the owner of the folder can read it."""
        key = secrets.token_hex(16)
        (self.sources / key).mkdir(mode=0o700)
        self._describe(key, {"label": label, "url": url, "table": table, "query": query})
        return self.source(key)

    def source(self, key: str) -> Source:
        """Return a source by its key."""
        place = self.sources / key
        if not re.fullmatch(KEY, key) or not (place / "about.json").exists():
            raise NotThereError(f"there is no file or table {key!r}; send it again")
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
        if "url" in about:
            return Source(key, about["label"], about["url"], about["table"], about["query"])
        return Source(key, about["label"], str(place / about["file"]))

    def drop_source(self, key: str) -> None:
        """Remove a source."""
        self.source(key)
        (self.sources / key / "about.json").unlink(missing_ok=True)
        shutil.rmtree(self.sources / key, ignore_errors=True)

    def keep_result(self, key: str, result: object) -> None:
        """Keep what a job found out."""
        with beside(self.results / f"{key}.json") as file:
            file.write(json.dumps(result, ensure_ascii=False, default=str).encode())

    def drop_results(self, keys: Collection[str]) -> None:
        """Remove what jobs found out."""
        for key in keys:
            (self.results / f"{key}.json").unlink(missing_ok=True)

    def result(self, key: str) -> object:
        """Return what a job found out, None where it found nothing."""
        path = self.results / f"{key}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def make_room(self, needed: Collection[str]) -> None:
        """Remove the oldest sources where too many are kept, but for those that are needed."""
        kept = [path for path in self.sources.iterdir() if (path / "about.json").exists()]
        kept.sort(key=lambda path: path.stat().st_mtime)
        for path in kept[: max(len(kept) + 1 - MOST_SOURCES, 0)]:
            if path.name not in needed:
                self.drop_source(path.name)

    def _describe(self, key: str, about: dict[str, str | None]) -> None:
        with beside(self.sources / key / "about.json") as file:
            file.write(json.dumps(about, ensure_ascii=False).encode())


def _check_unpacked(path: Path, label: str, most: int) -> None:
    """Refuse a file that unpacks to more than is allowed, before any reader does it."""
    too_large = SourceError(f"{label} unpacks to more than {most:,} bytes; split it, or send it as Parquet")
    try:
        if path.suffix in _ARCHIVES:
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > most:
                    raise too_large
        elif path.suffix == ".gz":
            size = 0
            with gzip.open(path) as file:
                while block := file.read(_BLOCK):
                    size += len(block)
                    if size > most:
                        raise too_large
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{label} cannot be unpacked: {error}; check that it is whole") from error


def places_of(models: tuple[Path, ...]) -> dict[str, Path]:
    """Return the models that a service is started with, by their names.

    Raises
    ------
    StorageError
        There is no model in a directory.
    ParameterError
        A name cannot be part of an address, or two are the same.
    """
    places: dict[str, Path] = {}
    for place in models:
        read_manifest(place)
        name = place.resolve().name.lower()
        if not re.fullmatch(NAME, name):
            raise ParameterError(
                f"{place} would be served as {name!r}, which cannot be part of an address; expected a "
                "directory of small letters, digits, - and _"
            )
        if name in places:
            raise ParameterError(f"{places[name]} and {place} would both be served as {name!r}; rename one")
        places[name] = place.absolute()
    return places
