"""Charts to files."""

from __future__ import annotations

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
        else:
            chart.save(str(target), format=ending[1:], scale_factor=scale)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    return target
