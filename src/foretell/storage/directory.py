"""Model directories: a state as JSON, plain arrays and Parquet, and back; it knows no class of models."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from foretell._version import __version__
from foretell.core.contracts import Arrays, Described, Kind, State
from foretell.core.paths import as_path, writing
from foretell.errors import BackendError, MissingDependencyError, ParameterError, StorageError
from foretell.storage.files import (
    CHECKED_FORMAT,
    Contents,
    check_place,
    contents_of,
    read_manifest,
    write_version,
)

ARRAYS = "arrays.npz"
# Of a log or panel the files have names that begin so.
_DATA = "data-"
_VERSIONS: Final = 20  # that may come, one after the other, while one is read
# JSON has no infinite numbers: they are objects with this one key.
_NUMBER = "$number"
_MOST_MEMBERS = 100_000
# Tables are written plain: a value takes a bit at the least. The first formats packed theirs.
_VALUES_A_BYTE, _PACKED_VALUES_A_BYTE = 8, 10_000


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a model directory holds.

    Attributes
    ----------
    forecaster : str
        Under which name the model's class is known, see `foretell.storage.forecaster`.
    state : State
    contents : Contents
        Its files, those among them that were exported beside the state.
    """

    forecaster: str
    state: State
    contents: Contents


def write(
    state: State,
    path: str | Path,
    *,
    kind: Kind,
    forecaster: str,
    export: Callable[[Path], None] | None = None,
) -> Path:
    """Write a state to a directory; an older model of the same place is replaced.

    Parameters
    ----------
    state : State
    path : str or Path
        The directory. One that exists and holds no model is refused.
    kind : {"events", "series"}
        The question that the model answers.
    forecaster : str
        The name under which its class is known.
    export : callable, optional
        Writes further files to a directory, which are kept beside the state and not read with it.

    Raises
    ------
    StorageError
        The place cannot be written, or holds something else.
    """
    target = as_path(path)

    def write_all(place: Path) -> Described:
        head = {"version": __version__, "kind": kind, "forecaster": forecaster}
        described = head | {"state": _write_state(state, place, "")}
        described["data"] = None if state.data is None else _write_state(state.data, place, _DATA)
        if export is not None:
            export(place)
        return described

    with writing(target, "the model"):
        check_place(target)
        write_version(target, write_all)
    return target


def _write_state(state: State, place: Path, prefix: str) -> object:
    """Write arrays and tables; return what is described as JSON can hold it."""
    if state.arrays:
        np.savez(place / f"{prefix}{ARRAYS}", allow_pickle=False, **cast("dict[str, Any]", state.arrays))
    for name, table in state.tables.items():
        # Column by column: a forked process has no threads of polars that would do it side by side. Only the
        # whole table knows the names of enumerations.
        named = any(isinstance(kind, pl.Enum) for kind in table.dtypes)
        columns = table.to_arrow() if named else pa.table({one.name: one.to_arrow() for one in table})
        pq.write_table(columns, place / f"{prefix}{name}.parquet", use_dictionary=False, compression="none")
    return _plain(state.described)


def read(path: str | Path) -> Stored:
    """Read a model directory.

    Parameters
    ----------
    path : str or Path
        A directory written by ``save``.

    Raises
    ------
    StorageError
        No model is there, it is damaged, or a newer foretell wrote it.
    """
    source = as_path(path)
    described = read_manifest(source)
    if described["format"] > CHECKED_FORMAT:
        raise StorageError(
            f"{source} was written by foretell {described.get('version')}, in a newer format than this "
            f"version, {__version__}, knows; upgrade foretell"
        )
    with damage(source):
        for _ in range(_VERSIONS):
            try:
                return _read(described, contents_of(source, described))
            except (FileNotFoundError, StorageError):
                # Another process may have saved a newer version meanwhile.
                newer = read_manifest(source)
                if newer == described:
                    raise
                described = newer
        raise StorageError(f"{source} is saved to without a pause; load it when that is over")


def _read(described: Described, contents: Contents) -> Stored:
    contents.check()
    if described["format"] < CHECKED_FORMAT:
        return Stored(
            _first_name(described), _read_state(described, contents, _PACKED_VALUES_A_BYTE), contents
        )
    data = described["data"]
    state = _read_state(
        _restored(described["state"]), contents, _VALUES_A_BYTE, lambda name: not name.startswith(_DATA)
    )
    if data is not None:
        part = _read_state(_restored(data), contents, _VALUES_A_BYTE, lambda name: name.startswith(_DATA))
        state = dataclasses.replace(state, data=part)
    return Stored(str(described["forecaster"]), state, contents)


def _first_name(described: Described) -> str:
    """Return the name of the class of a model whose format had none."""
    if "model" in described:
        return str(described["model"])
    return "stores-network" if "stores" in described else f"{described['kind']}-network"


def _read_state(
    described: Described,
    contents: Contents,
    values_a_byte: int,
    wanted: Callable[[str], bool] = lambda name: True,  # noqa: ARG005
) -> State:
    arrays: Arrays = {}
    tables = {}
    for name in filter(wanted, contents.files):
        stem, _, kind = name.removeprefix(_DATA).rpartition(".")
        if kind == "npz":
            arrays |= read_arrays(contents / name)
        elif kind == "parquet":
            tables[stem] = read_table(contents / name, values_a_byte)
    return State(described, arrays, tables)


@contextlib.contextmanager
def damage(source: Path, what: str = "the model", mend: str = "save it again") -> Iterator[None]:
    """Say in one way that files are damaged, wherever it shows; polars' panics are no Exception."""
    try:
        yield
    except (StorageError, MissingDependencyError, BackendError):
        raise
    except ParameterError as error:
        raise StorageError(f"{what} in {source} cannot be built, or is damaged: {error}") from error
    except (Exception, pl.exceptions.PanicException) as error:
        raise StorageError(f"{what} in {source} is damaged ({error}); {mend}") from error


def _plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: str(value)}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _restored(value: Any) -> Any:
    """Undo `_plain`; tuples stay lists."""
    if isinstance(value, list):
        return [_restored(part) for part in value]
    if not isinstance(value, dict):
        return value
    return (
        float(value[_NUMBER]) if _NUMBER in value else {name: _restored(part) for name, part in value.items()}
    )


def read_table(path: Path, values_a_byte: int) -> pl.DataFrame:
    """Return a table, which is first checked to say of itself no more than its bytes can hold."""
    with pq.ParquetFile(path) as file:
        about = file.metadata
        groups = [about.row_group(k) for k in range(about.num_row_groups)]
        values = sum(group.column(k).num_values for group in groups for k in range(about.num_columns))
        if max(values, about.num_rows) > path.stat().st_size * values_a_byte:
            raise StorageError(
                f"{path} says that it holds {about.num_rows:,} rows, {values:,} values, which its bytes do "
                "not; the model is damaged: save it again"
            )
        if values_a_byte == _PACKED_VALUES_A_BYTE:
            # Without sums: over some damaged pages polars ends the process, pyarrow raises.
            return cast("pl.DataFrame", pl.from_arrow(file.read()))
    return pl.read_parquet(path)  # pyarrow takes four times the room for lists


def read_arrays(path: Path) -> Arrays:
    """Return the arrays of a file, each checked against the bytes that are there before it is read.

    Raises
    ------
    StorageError
        A member is encrypted, packed, holds objects, or says a shape that its bytes do not fill.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise StorageError(f"{path} holds {len(members):,} arrays; expected at most {_MOST_MEMBERS:,}")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise StorageError(f"{path}: its arrays overlap; the model is damaged: save it again")
        for member in members:
            _check_member(archive, member, path)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    packed = member.compress_type != zipfile.ZIP_STORED
    if packed or member.flag_bits & 1 or not member.filename.endswith(".npy"):
        raise StorageError(
            f"{path}: {member.filename!r} is encrypted, or packed in another way; the model is damaged"
        )
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in reader:
            raise StorageError(
                f"{path}: {member.filename!r} is of an unknown version; the model is damaged: save it again"
            )
        shape, _, dtype = reader[version](file)
        n_bytes = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or file.tell() + n_bytes != member.file_size:
            raise StorageError(
                f"{path}: {member.filename!r} says shape {shape} of {dtype}, which its "
                f"{member.file_size:,} bytes do not hold; the model is damaged: save it again"
            )
