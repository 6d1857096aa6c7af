"""What a source is, and which reader takes it."""

from __future__ import annotations

import os
import re
from typing import Any, Final

from foretell.data.frames import is_frame, read_frame
from foretell.data.options import ReadOptions
from foretell.data.rows import Columns, Rows
from foretell.data.sources import read_files
from foretell.errors import ParameterError

_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://")


def read_rows(
    source: Any, columns: Columns, options: ReadOptions, *, query: str | None = None, table: str | None = None
) -> Rows:
    """Read the asked-for columns of a file, a frame or a database, whichever the source is."""
    if _is_database(source):
        # Most logs are files: their readers need not wait for SQLAlchemy.
        from foretell.data.database import read_database  # noqa: PLC0415

        return read_database(source, columns, options, query=query, table=table)
    if query is not None or table is not None:
        raise ParameterError("query= and table= are for databases; a file or a frame is read whole")
    if is_frame(source):
        return read_frame(source, columns)
    if isinstance(source, (str, os.PathLike)) or (isinstance(source, (list, tuple)) and source):
        return read_files(source, columns)
    raise ParameterError(
        f"the source is of type {type(source).__name__}; expected a path, a pattern, a list of paths, "
        "a frame of pandas, polars or pyarrow, or a SQLAlchemy URL or Engine"
    )


def _is_database(source: object) -> bool:
    """Tell whether ``source`` is a URL, or an Engine, without importing SQLAlchemy."""
    if isinstance(source, str):
        return _URL.match(source) is not None
    return type(source).__module__.startswith("sqlalchemy.")
