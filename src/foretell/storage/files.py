"""The files of a model directory: which are a model's own, how a new version takes the place of an old one.

A directory is a model's if its manifest, ``model.json``, says so. A new version is written beside the old one
under names of its own, and one atomic replacement of the manifest switches to it: whatever moment a process
is killed at, the old model or the new one is there. Which files come and go is listed before the first of
them is moved: what a killed process left goes with the next save.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from foretell.core.contracts import Described
from foretell.errors import StorageError

MANIFEST = "model.json"
SIGNATURE = "foretell-model"
# The first format that says of each file how long it is and what its bytes add up to.
CHECKED_FORMAT = 3
_NAME = re.compile(r"[a-z][a-z0-9_-]*\.(npz|parquet|json|weights\.h5)")
_VERSION = re.compile(r"[0-9a-f]{8}\.")
# The files of the first format, which lists none.
_UNLISTED = re.compile(
    r"arrays\.npz|(trained_)?ids\.parquet|groups\.parquet|stores\.parquet|architecture\.json|member\d+\.weights\.h5"
)
_ASIDE = ".foretell-"
_JOURNAL = f"{_ASIDE}files"
_MOST_JSON, _MOST_FILES, _DEEPEST = 256 * 2**20, 10_000, 100


class File(NamedTuple):
    """A file as the manifest lists it; the first formats say its name alone."""

    name: str
    size: int | None = None
    sha256: str | None = None


class Contents:
    """The files of one version of a model: ``contents / "arrays.npz"`` is where it lies.

    Parameters
    ----------
    place : Path
    files : mapping of str to File
        From what a file is called to the name under which this version keeps it.
    """

    def __init__(self, place: Path, files: Mapping[str, File]) -> None:
        self.place, self.files = place, dict(files)

    def __truediv__(self, name: str) -> Path:
        return self.place / self.files[name].name

    def __contains__(self, name: str) -> bool:
        return name in self.files

    @property
    def kept(self) -> set[str]:
        """The names under which the files lie."""
        return {file.name for file in self.files.values()}

    def check(self) -> None:
        """Compare every file with its length and its sum.

        Raises
        ------
        StorageError
            One is another than was saved.
        """
        for name, file in self.files.items():
            path = self / name
            if file.size is None:
                continue
            if path.stat().st_size != file.size or _sum(path) != file.sha256:
                raise StorageError(
                    f"{path} is not as it was saved, or not whole; the model is damaged: save it again"
                )


def read_manifest(place: Path) -> Described:
    """Return what the manifest of a directory says.

    Raises
    ------
    StorageError
        There is none, it is no manifest of a model, or it was changed.
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
    if (
        not isinstance(described, dict)
        or type(described.get("format")) is not int
        or _depth(described) > _DEEPEST
    ):
        raise StorageError(f"{path} does not describe a model; it is damaged: save the model again")
    if described.get("kind") not in ("events", "series"):
        raise StorageError(
            f"{path} tells kind={described.get('kind')!r}; expected 'events' or 'series': it is damaged, or "
            "not a foretell model"
        )
    if described["format"] == CHECKED_FORMAT and described.get("sha256") != _sum_of_manifest(described):
        raise StorageError(f"{path} is not as it was saved; the model is damaged: save it again")
    return described


def _depth(value: object) -> int:
    """Return how deep lists and objects are nested."""
    depth, layer = 0, [value]
    while layer := [part for part in layer if isinstance(part, (dict, list))]:
        depth += 1
        layer = [inner for part in layer for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def contents_of(place: Path, described: Described) -> Contents:
    """Return the files that a manifest lists; each lies in the directory itself.

    The first format lists none: its files are known by their names.
    """
    if "files" not in described:
        names = [entry.name for entry in place.iterdir() if _UNLISTED.fullmatch(entry.name)]
        return Contents(place, {name: File(name) for name in names})
    listed = described["files"]
    with contextlib.suppress(TypeError, AttributeError):
        if len(listed) <= _MOST_FILES:
            files = {
                name: File(kept) if isinstance(kept, str) else File(**kept) for name, kept in listed.items()
            }
            if all(_is_own(file.name, name) for name, file in files.items()):
                return Contents(place, files)
    raise StorageError(f"{place / MANIFEST} lists files that are no model's; it is damaged: save it again")


def _is_own(kept: object, name: str | None = None) -> bool:
    """Return whether a file may be a model's, and be called so."""
    if not isinstance(kept, str) or kept == MANIFEST:
        return False
    plain = _VERSION.sub("", kept, count=1)
    return bool(_NAME.fullmatch(plain)) and name in (None, plain)


def _own_files(place: Path) -> set[str]:
    """Return the files there that the manifest lists, and those that a killed save has listed."""
    listed = set(_journal(place))
    if (place / MANIFEST).exists():
        listed |= contents_of(place, read_manifest(place)).kept
    return listed & {entry.name for entry in place.iterdir()}


def _journal(place: Path) -> list[str]:
    """Return the files that a save has listed which did not come to its end."""
    path = place / _JOURNAL
    if not path.exists():
        return []
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(_is_own(name) for name in names):
        raise StorageError(f"{path} does not list a model's files; it is damaged: remove it")
    return names


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
    refused = f"{target} exists and is not a foretell model; choose another directory"
    if not target.is_dir():
        raise StorageError(refused)
    if (target / MANIFEST).exists():
        try:
            described = read_manifest(target)
        except StorageError as error:
            raise StorageError(f"{refused} ({error})") from error
        if described.get("signature") != SIGNATURE and "version" not in described:
            raise StorageError(f"{refused}, or remove it")
    own = {MANIFEST} | _own_files(target)
    names = sorted(entry.name for entry in target.iterdir())
    foreign = [name for name in names if name not in own and not name.startswith(_ASIDE)]
    if foreign:
        raise StorageError(f"{refused}, or move what is not the model's, such as {foreign[0]!r}, away")


def write_version(target: Path, write: Callable[[Path], Described]) -> None:
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
    with locked(target), _aside(target, _ASIDE) as aside:
        names = _write_all(aside, write, f"{secrets.token_hex(4)}.")
        _write_json(aside / _JOURNAL, sorted({*names.values(), *_own_files(target)}))
        (aside / _JOURNAL).replace(target / _JOURNAL)
        try:
            for name, kept in names.items():
                (aside / name).replace(target / kept)
            _sync(target)
            (aside / MANIFEST).replace(target / MANIFEST)  # the switch
        except OSError:
            _clean(target)
            raise
        _clean(target)


def _clean(target: Path) -> None:
    """Remove what was listed and is not the present version's."""
    kept = set()
    if (target / MANIFEST).exists():
        kept = contents_of(target, read_manifest(target)).kept
    for name in {*_journal(target)} - kept:
        (target / name).unlink(missing_ok=True)
    (target / _JOURNAL).unlink(missing_ok=True)


def _write_all(place: Path, write: Callable[[Path], Described], version: str) -> dict[str, str]:
    """Write files and manifest, for the user alone; return under which name each file is to be kept."""
    described = write(place)
    files = {}
    for entry in sorted(place.iterdir()):
        entry.chmod(0o600)
        _sync(entry)
        files[entry.name] = File(f"{version}{entry.name}", entry.stat().st_size, _sum(entry))
    content = {"signature": SIGNATURE, "format": CHECKED_FORMAT} | dict(described)
    content["files"] = {name: file._asdict() for name, file in files.items()}
    _write_json(place / MANIFEST, content | {"sha256": _sum_of_manifest(content)})
    return {name: file.name for name, file in files.items()}


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sum_of_manifest(described: Described) -> str:
    rest = {name: value for name, value in described.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _write_json(path: Path, content: object) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
    path.chmod(0o600)
    _sync(path)


def _sync(path: Path) -> None:
    """Have what was written brought to the disk; not every system can for directories."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _aside(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a private directory that goes again, and remove those of processes that are no more."""
    for left in parent.iterdir():
        process = left.name.removeprefix(prefix).split("-")[0]
        if left.name.startswith(prefix) and process.isdigit() and not _runs(int(process)):
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
def locked(place: Path) -> Iterator[None]:
    """Let one process at a time work on what is in a directory, where the system can lock."""
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
