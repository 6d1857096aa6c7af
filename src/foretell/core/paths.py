"""Places that a user names: what may be a path, and one form of message where it cannot be written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from foretell.errors import ParameterError, StorageError


def as_path(value: object, name: str = "path") -> Path:
    """Return what a user named as a path; ``~`` is the home.

    Raises
    ------
    ParameterError
        It is no text or path, or none that a system knows.

    Examples
    --------
    >>> as_path("model").name
    'model'
    >>> as_path(7, "out")
    Traceback (most recent call last):
    foretell.errors.ParameterError: out=7; expected a path, such as 'model' or pathlib.Path('model')
    """
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:
        raise ParameterError(f"{name}={value!r}; expected a path, such as 'model' or pathlib.Path('model')")
    try:
        if b"\0" in os.fsencode(text):
            raise ParameterError(f"{name}={text!r} holds the character NUL, which no path may hold")
        return Path(text).expanduser()
    except UnicodeEncodeError as error:
        raise ParameterError(f"{name}={text!r} cannot be written as a path: {error.reason}") from error
    except RuntimeError as error:  # ~ of nobody
        raise ParameterError(f"{name}={text!r}: there is no such home; write the whole path") from error


@contextlib.contextmanager
def writing(place: Path, what: str = "") -> Iterator[None]:
    """Raise a StorageError for whatever the system says while ``what`` is written to a place."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        named = f"{what} to {place}" if what else place
        raise StorageError(f"cannot write {named}: {error.strerror or error}") from error
