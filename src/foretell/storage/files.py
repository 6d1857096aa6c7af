"""The files of a model directory: which are a model's own, how a new version takes the place of an old one.

A directory is a model's if its manifest, ``model.json``, says so. A new version is written beside the old one
under names of its own, and one atomic replacement of the manifest switches to it: whatever moment a process
is killed at, the old model or the new one is there. What a killed process left goes with the next save.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from foretell.errors import StorageError

MANIFEST, ARRAYS = "model.json", "arrays.npz"
SIGNATURE = "foretell-model"
_OWN = re.compile(
    r"arrays\.npz|(trained_)?ids\.parquet|groups\.parquet|stores\.parquet|architecture\.json|member\d+\.weights\.h5"
)
_VERSION = re.compile(r"[0-9a-f]{8}\.")
_ASIDE = ".foretell-"
_MOST_JSON, _MOST_MEMBERS = 256 * 2**20, 100_000


class Contents:
    """The files of one version of a model: ``contents / "ids.parquet"`` is where it lies.

    Parameters
    ----------
    place : Path
    names : mapping of str to str
        From what a file is called to the name under which this version keeps it; the rest lie under theirs.
    """

    def __init__(self, place: Path, names: Mapping[str, str]) -> None:
        self.place, self.names = place, dict(names)

    def __truediv__(self, name: str) -> Path:
        return self.place / self.names.get(name, name)


def read_manifest(place: Path) -> dict[str, Any]:
    """Return what the manifest of a directory says.

    Raises
    ------
    StorageError
        There is none, or it is no manifest of a model.
    """
    path = place / MANIFEST
    try:
        if path.stat().st_size > _MOST_JSON:
            raise StorageError(f"{path} has more than {_MOST_JSON:,} bytes: it is no model's; save it again")
        described = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StorageError(
            f"no model in {place}: {MANIFEST} is not there; expected a directory that save wrote"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read as JSON; the model is damaged: save it again") from error
    if not isinstance(described, dict) or not isinstance(described.get("format"), int):
        raise StorageError(f"{path} does not describe a model; it is damaged: save the model again")
    if described.get("kind") not in {"events", "series"}:
        raise StorageError(
            f"{path} tells kind={described.get('kind')!r}; expected 'events' or 'series': it is damaged, or "
            "not a foretell model"
        )
    return described


def contents_of(place: Path, described: Mapping[str, Any]) -> Contents:
    """Return the files that a manifest lists; each lies in the directory itself."""
    names = described.get("files", {})
    if not isinstance(names, dict) or not all(
        isinstance(kept, str) and _is_own(kept) and _OWN.fullmatch(name) for name, kept in names.items()
    ):
        raise StorageError(
            f"{place / MANIFEST} lists files that are no model's; it is damaged: save it again"
        )
    return Contents(place, names)


def _is_own(name: str) -> bool:
    return bool(_OWN.fullmatch(_VERSION.sub("", name, count=1)))


def _is_leftover(name: str) -> bool:
    return bool(_VERSION.match(name)) and _is_own(name)


def _own_files(place: Path, described: Mapping[str, Any] | None) -> set[str]:
    """Return the files there that a manifest lists, and those that a killed save left.

    The first format lists none: of its directories the files are known by their names.
    """
    names = {entry.name for entry in place.iterdir()}
    if described is None:
        listed = set()
    elif "files" in described:
        listed = names.intersection(contents_of(place, described).names.values())
    else:
        listed = {name for name in names if _OWN.fullmatch(name)}
    return listed | {name for name in names if _is_leftover(name)}


def check_place(target: Path) -> None:
    """Refuse a place that holds anything but a model of ours, or that is where the process stands.

    Raises
    ------
    StorageError
        Names what is in the way.
    """
    if target.resolve() == Path.cwd().resolve():
        raise StorageError(f"{target} is the working directory; name a directory of the model's own")
    if not target.exists():
        return
    if not target.is_dir():
        raise StorageError(f"{target} exists and is not a foretell model; choose another directory")
    described = None
    if (target / MANIFEST).exists():
        try:
            described = read_manifest(target)
        except StorageError as error:
            raise StorageError(
                f"{target} exists and is not a foretell model; choose another directory ({error})"
            ) from error
        if described.get("signature") != SIGNATURE and "version" not in described:
            raise StorageError(
                f"{target} exists and is not a foretell model; choose another directory, or remove it"
            )
    own = {MANIFEST} | _own_files(target, described)
    names = sorted(entry.name for entry in target.iterdir())
    foreign = [name for name in names if name not in own and not name.startswith(_ASIDE)]
    if foreign:
        raise StorageError(
            f"{target} exists and is not a foretell model; choose another directory, or move what is not the "
            f"model's, such as {foreign[0]!r}, away"
        )


def write_version(target: Path, write: Callable[[Path], dict[str, Any]]) -> None:
    """Write a version of a model, and switch to it.

    Parameters
    ----------
    target : Path
        Checked by `check_place`.
    write : callable
        Writes the files into a private directory and returns what the manifest says.
    """
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with _aside(target.parent, f"{_ASIDE}{target.name}-") as aside:
            _write_all(aside, write, "")
            aside.rename(target)
        return
    with _locked(target), _aside(target, _ASIDE) as aside:
        names = _write_all(aside, write, f"{secrets.token_hex(4)}.")
        old = _own_files(target, read_manifest(target) if (target / MANIFEST).exists() else None)
        try:
            for name, kept in names.items():
                (aside / name).replace(target / kept)
            (aside / MANIFEST).replace(target / MANIFEST)  # the switch
        except OSError:
            for kept in names.values():
                (target / kept).unlink(missing_ok=True)
            raise
        for name in old:
            (target / name).unlink(missing_ok=True)


def _write_all(place: Path, write: Callable[[Path], dict[str, Any]], version: str) -> dict[str, str]:
    """Write files and manifest, for the user alone; return under which name each file is to be kept."""
    described = write(place)
    names = {entry.name: f"{version}{entry.name}" for entry in sorted(place.iterdir())}
    _write_manifest(place / MANIFEST, described, names)
    for entry in place.iterdir():
        entry.chmod(0o600)
    return names


def _write_manifest(path: Path, described: dict[str, Any], names: dict[str, str]) -> None:
    content = {"signature": SIGNATURE} | described | {"files": names}
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False))
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _aside(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a private directory that goes again, and remove those of processes that are no more."""
    for left in parent.glob(f"{prefix}*"):
        process = left.name.removeprefix(prefix).split("-")[0]
        if process.isdigit() and not _runs(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    aside = parent / f"{prefix}{os.getpid()}-{secrets.token_hex(4)}"
    aside.mkdir(mode=0o700)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Let one process at a time replace a model, where the system can lock."""
    try:
        import fcntl  # noqa: PLC0415  # not on every system
    except ImportError:
        yield
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file, each checked against the bytes that are there before it is read.

    Raises
    ------
    StorageError
        A member is encrypted, packed in an unknown way, holds objects, or says a shape that its bytes do not
        fill; a trained weight is not finite.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise StorageError(f"{path} holds {len(members):,} arrays; expected at most {_MOST_MEMBERS:,}")
        for member in members:
            _check_member(archive, member, path)
    with np.load(path, allow_pickle=False) as stored:
        arrays: dict[str, npt.NDArray[Any]] = {name: stored[name] for name in stored.files}
    for name, values in arrays.items():
        if name.startswith("member") and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise StorageError(f"{path} holds weights that are not finite, in {name!r}; fit and save again")
    return arrays


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    packed = member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
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
        if dtype.hasobject or file.tell() + n_bytes != member.file_size:
            raise StorageError(
                f"{path}: {member.filename!r} says shape {shape} of {dtype}, which its "
                f"{member.file_size:,} bytes do not hold; the model is damaged: save it again"
            )
