"""Charts to files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from foretell.errors import ParameterError, StorageError

FORMATS = (".png", ".svg", ".html")


def save(chart: Any, path: str | Path, *, scale: float = 1.5) -> Path:
    """Write a chart to a file; its ending says how.

    Parameters
    ----------
    chart : altair chart
    path : str or Path
        Ends in ``.png``, ``.svg`` or ``.html``. HTML holds all that it needs and opens without a network.
    scale : float
        Pixels of a PNG per pixel of the chart.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        The ending is none of these.
    StorageError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import altair as alt
    >>> chart = alt.Chart(alt.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q")
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save(chart, f"{place}/chart.svg").name
    'chart.svg'
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in FORMATS:
        raise ParameterError(
            f"{target.name!r} does not say which kind of picture it is; expected a name that ends in "
            f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )
    try:
        if ending == ".html":
            chart.save(str(target), format="html", inline=True)
        elif ending == ".svg":
            chart.save(str(target), format="svg")
        else:
            drawn = io.BytesIO()
            chart.save(drawn, format="png", scale_factor=scale)
            target.write_bytes(_packed(drawn.getvalue()))
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _packed(png: bytes) -> bytes:
    """Return a PNG with its image data compressed well: the renderer's are three times as large."""
    signature, place = png[:8], 8
    before: list[bytes] = []
    image: list[bytes] = []
    after: list[bytes] = []
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        chunk = png[place : place + 12 + length]
        if chunk[4:8] == b"IDAT":
            image.append(chunk[8:-4])
        else:
            (after if image else before).append(chunk)
        place += len(chunk)
    data = b"IDAT" + zlib.compress(zlib.decompress(b"".join(image)), 9)
    packed = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"".join([signature, *before, packed, *after])
