"""What charts share: colours that the colour-blind can tell apart, quiet axes, and how they are saved."""

from __future__ import annotations

import datetime as dt
import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.paths import as_path, writing
from foretell.data.log import EventLog
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster

Chart: TypeAlias = alt.TopLevelMixin  # any chart of altair's

# Okabe and Ito's palette, without its yellow, which is too light for lines.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
INK, GREY, PALE = "#222222", "#777777", "#DDDDDD"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)
WIDTH = 690  # with the axis and its labels about 800 pixels, the width of a README
FEW_WEEKS = 8  # in which months say too little
SIDE = 430  # of a square chart
FORMATS = (".png", ".svg", ".html")


def finish(chart: Chart, title: str, subtitle: Sequence[str] = ()) -> Chart:
    """Give a chart its title and the common look."""
    heading = alt.TitleParams(
        title,
        subtitle=list(subtitle),
        anchor="start",
        frame="group",
        fontSize=17,
        subtitleFontSize=13,
        subtitleColor="#555555",
        subtitlePadding=5,
        offset=14,
        color=INK,
    )
    return (
        chart.properties(title=heading, padding={"left": 8, "right": 8, "top": 8, "bottom": 8})
        .configure(font="Helvetica Neue, Helvetica, Arial, DejaVu Sans, sans-serif", background="white")
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titleColor="#555555",
            labelColor="#555555",
            gridColor="#EEEEEE",
            domainColor="#AAAAAA",
            tickColor="#AAAAAA",
            titlePadding=8,
        )
        .configure_legend(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
    )


def months_axis(form: str, *, monthly: bool) -> alt.Axis:
    """Return an axis of time whose labels name months, each once; of a few weeks ticks are closer."""
    ticks = alt.TickCount("month") if monthly else alt.Undefined
    return alt.Axis(grid=False, format=form, tickCount=ticks, labelOverlap="greedy", labelSeparation=8)


def colours(names: Sequence[str]) -> alt.Scale:
    """Return a scale that gives each name a colour of the palette."""
    return alt.Scale(domain=list(names), range=cycled(PALETTE, len(names)))


def cycled(values: Sequence[str], count: int) -> list[str]:
    """Return so many values, from the start again where there are too few.

    Examples
    --------
    >>> cycled(["circle", "square"], 3)
    ['circle', 'square', 'circle']
    """
    return [values[k % len(values)] for k in range(count)]


def equal_axes(
    fields: tuple[str, str],
    titles: tuple[str, str],
    ends: tuple[float, float],
    *,
    kind: Literal["linear", "sqrt", "log"] = "linear",
    axis: alt.Axis | None = None,
) -> tuple[alt.X, alt.Y, alt.Chart]:
    """Return two axes with one scale, and the dashed diagonal on which both fields are equal."""
    look = {"scale": alt.Scale(type=kind, domain=list(ends), nice=False)}
    look |= {} if axis is None else {"axis": axis}
    x = alt.X(f"{fields[0]}:Q", title=titles[0], **look)
    y = alt.Y(f"{fields[1]}:Q", title=titles[1], **look)
    diagonal = alt.Chart(pl.DataFrame({field: list(ends) for field in fields}))
    return x, y, diagonal.mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y)


def ours_first(evaluation: Evaluation) -> list[str]:
    """Return the names of the models, the best first, but our best before all."""
    return sorted(evaluation.table()["model"], key=lambda name: name not in evaluation.ours)


def needs_forecaster(model: object) -> None:
    """Refuse what is no forecaster of ours, such as a statistic."""
    from foretell.events.forecaster import EventForecaster  # noqa: PLC0415  # not for charts of series

    if not isinstance(model, EventForecaster):
        raise ParameterError(
            f"{type(model).__name__} has no such picture; expected an EventForecaster: foretell fit without "
            "--model, or compare both by foretell evaluate --pictures"
        )


def needs_mixture(model: EventForecaster) -> None:
    """Refuse a forecaster whose head does not know who is still active."""
    needs_forecaster(model)
    if model.model_.network.kind != "mixture":
        raise ParameterError(
            f"the head {model.model_.network.kind!r} does not know who is still active; expected a "
            "forecaster with head='mixture'"
        )


def spelled(tick: int, log: EventLog) -> str:
    """Return a tick's date as people write it: ``3 Oct 1997``, on an hourly clock with the hour."""
    moment = log.date(int(tick)).astype("datetime64[s]").item()
    day = f"{moment.day} {moment:%b %Y}"
    return day if log.unit == "day" else f"{day}, {moment:%H}:00"


def moments(ticks: npt.ArrayLike, log: EventLog, *, middle: bool = False) -> list[dt.datetime]:
    """Return ticks as moments for a time axis: where each begins, or its middle."""
    half = dt.timedelta(hours=12 if log.unit == "day" else 0, minutes=0 if log.unit == "day" else 30)
    starts: list[dt.datetime] = log.dates(np.atleast_1d(ticks)).astype("datetime64[us]").tolist()
    return [start + half for start in starts] if middle else starts


def percent(share: float) -> str:
    """Return a probability in per cent, never rounded up to certainty or down to impossibility.

    Examples
    --------
    >>> percent(0.423), percent(0.9999), percent(0.0001)
    ('42%', '> 99%', '< 1%')
    """
    if 0.0 < share < 0.01:
        return "< 1%"
    if 0.99 < share < 1.0:
        return "> 99%"
    return f"{share:.0%}"


def apart(values: Sequence[float], least: float) -> list[float]:
    """Return values moved as little as needed to lie at least so far apart, so that labels do not overlap.

    Examples
    --------
    >>> apart([1.0, 1.2, 5.0], 1.0)
    [0.6, 1.6, 5.0]
    """
    order = np.argsort(values, kind="stable")
    # Each cluster of touching labels keeps its centre: [sum of centres, count].
    clusters: list[list[float]] = []
    for value in np.asarray(values, dtype=np.float64)[order]:
        clusters.append([float(value), 1.0])
        while len(clusters) > 1:
            (low, n_low), (high, n_high) = clusters[-2:]
            if high / n_high - low / n_low >= least * (n_low + n_high) / 2:
                break
            clusters[-2:] = [[low + high, n_low + n_high]]
    placed = [
        total / count + least * (k - (count - 1) / 2) for total, count in clusters for k in range(int(count))
    ]
    out = [0.0] * len(placed)
    for position, value in zip(order, placed, strict=True):
        out[int(position)] = round(value, 9)
    return out


def save(chart: Chart, path: str | Path, *, scale: float = 1.5) -> Path:
    """Write a chart to a file; its ending says how.

    Parameters
    ----------
    chart : altair chart
    path : str or Path
        Ends in ``.png``, ``.svg`` or ``.html``. HTML holds all that it needs and opens without a network.
    scale : float
        Pixels of a PNG per pixel of the chart.

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
    target = as_path(path)
    ending = target.suffix.lower()
    if ending not in FORMATS:
        raise ParameterError(
            f"{target.name!r} does not say which kind of picture it is; expected a name that ends in "
            f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )
    with writing(target):
        if ending == ".html":
            chart.save(str(target), format="html", inline=True)
        elif ending == ".svg":
            chart.save(str(target), format="svg")
        else:
            drawn = io.BytesIO()
            chart.save(drawn, format="png", scale_factor=scale)
            target.write_bytes(_packed(drawn.getvalue()))
    return target


def _packed(png: bytes) -> bytes:
    """Return a picture of the renderer, of a third of its size and less: its colours as a palette.

    The 256 most frequent colours stay as they are; what the edges of lines add takes the nearest. A picture
    that shines through is compressed better alone.
    """
    header, data, others, position = png[16:29], b"", b"", 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        kind, content = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        data += content if kind == b"IDAT" else b""
        others += _chunk(kind, content) if kind == b"pHYs" else b""
        position += 12 + length
    width, height, *how = struct.unpack(">IIBBBBB", header)
    data = zlib.decompress(data)
    rows = np.frombuffer(data, dtype=np.uint8).reshape(height, -1)
    if (
        how == [8, 6, 0, 0, 0] and (rows[:, 0] == 1).all()
    ):  # every byte is added to that of its left neighbour
        pixels = np.cumsum(rows[:, 1:].reshape(height, width, 4), axis=1, dtype=np.uint8)
        if (pixels[..., 3] == 255).all():
            palette, places = _palette(pixels[..., :3].reshape(-1, 3))
            header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
            others += _chunk(b"PLTE", palette.tobytes())
            data = np.pad(places.reshape(height, width), ((0, 0), (1, 0))).tobytes()
    image = _chunk(b"IDAT", zlib.compress(data, 9))
    return b"".join([png[:8], _chunk(b"IHDR", header), others, image, _chunk(b"IEND", b"")])


def _palette(colours: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the 256 most frequent colours, shape (n_colours, 3), and the nearest of them to each pixel."""
    codes = colours.astype(np.int64) @ np.array([65536, 256, 1])
    known, place, count = np.unique(codes, return_inverse=True, return_counts=True)
    every = np.stack([known >> 16, known >> 8 & 255, known & 255], axis=1)
    kept = every[np.argsort(-count, kind="stable")[:256]]
    nearest = ((every[:, None] - kept[None]) ** 2).sum(axis=2).argmin(axis=1)
    return kept.astype(np.uint8), nearest.astype(np.uint8)[place]


def _chunk(kind: bytes, content: bytes) -> bytes:
    tagged = kind + content
    return struct.pack(">I", len(content)) + tagged + struct.pack(">I", zlib.crc32(tagged))
