"""A network: its layers as boxes and arrows, and how its training went."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import altair as alt
import polars as pl

from foretell.core.estimator import Estimator
from foretell.errors import NotFittedError, ParameterError
from foretell.plotting.charts import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, WIDTH, Chart, finish

if TYPE_CHECKING:
    import keras

    from foretell.nn.training import Progress

# Layers that change only how numbers lie in memory: arrows pass through them.
_PLUMBING = {"Flatten", "GetItem", "Reshape", "RepeatVector", "ZeroPadding1D", "ZerosLike", "Dropout", "Flip"}
_COLUMN, _ROW, _WIDE, _HIGH = 186.0, 70.0, 168.0, 42.0  # pixels
_BEND = 0.2  # the column of a passing arrow, as a share of a box's
_COLOURS = {"input": GREEN, "recurrent": BLUE, "weights": ORANGE, "plain": GREY}

Links = list[tuple[str, str]]  # from a layer to one that reads it
Bends = dict[tuple[str, str], list[str]]  # the places between, link by link
Places = dict[str, tuple[float, float]]


class _Box(NamedTuple):
    """A layer."""

    kind: str
    gives: str  # the widths of its output
    role: str


def plot_network(model: Estimator | keras.Model) -> Chart:
    """Draw the network of a forecaster, or any Keras model: a box for each layer, arrows as numbers flow.

    A box names the layer, its kind and the widths of what it gives; ``·`` stands for any number of steps.
    Layers that only rearrange numbers are left out.

    Parameters
    ----------
    model : EventForecaster, SeriesForecaster or keras.Model
        A forecaster has to be fitted.

    Examples
    --------
    >>> import keras
    >>> layers = keras.layers
    >>> network = [keras.Input((3, 1)), layers.LSTM(8, name="memory"), layers.Dense(5, name="bins")]
    >>> chart = plot_network(keras.Sequential(network))
    >>> [(row["name"], row["gives"]) for row in chart.layer[1].data.values][1:]
    [('memory', '8'), ('bins', '5')]
    """
    network, title = _keras_model(model)
    boxes, links = _graph(network)
    rows, lanes = _rows(boxes, links)
    columns = _columns(rows, lanes)
    where = {name: (columns[name] * _COLUMN, row * _ROW) for name, row in rows.items()}
    chart = alt.layer(_arrows(links, lanes, where), _rectangles(boxes, where), *_labels(boxes, where))
    span = [column for name, column in columns.items() if name in boxes]
    sized = chart.properties(
        width=(max(span) - min(span)) * _COLUMN + 1.1 * _WIDE, height=(max(rows.values()) + 1) * _ROW
    )
    return finish(sized, title, [f"{network.count_params():,} weights"])


def plot_training(epochs: Sequence[Progress]) -> Chart:
    """Show the loss after each epoch, of training and of held-out customers.

    Parameters
    ----------
    epochs : sequence of Progress
        What ``fit(…, progress=epochs.append)`` has collected.

    Examples
    --------
    >>> from foretell.nn.training import Progress
    >>> chart = plot_training([Progress(0, 1, 2, 4.1, 4.2), Progress(0, 2, 2, 4.0, 4.15)])
    >>> chart.to_dict()["title"]["text"]
    'Training, epoch by epoch'
    """
    if not epochs:
        raise ParameterError("epochs is empty; collect them by fit(…, progress=epochs.append)")
    panels = []
    for name, field, colour in (("training", "loss", BLUE), ("held out", "validation_loss", VERMILION)):
        rows = [{"epoch": e.epoch, "loss": getattr(e, field), "member": e.member} for e in epochs]
        # Two scales: other customers, with more or fewer visits, have another loss.
        loss = alt.Y("loss:Q", title=f"loss per customer, {name}", scale=alt.Scale(zero=False))
        panels.append(
            alt.Chart(pl.DataFrame(rows))
            .mark_line(strokeWidth=1.8, color=colour)
            .encode(x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")), y=loss, detail="member:N")
            .properties(width=WIDTH // 2 - 45, height=270)
        )
    members = len({epoch.member for epoch in epochs})
    networks = f"{members} network{'s' if members > 1 else ''}"
    subtitle = [f"{networks}; the epoch is kept that is best for held-out customers."]
    return finish(alt.hconcat(*panels), "Training, epoch by epoch", subtitle)


def _keras_model(model: Estimator | keras.Model) -> tuple[keras.Model, str]:
    if not isinstance(model, Estimator):
        return model, f"Network {model.name!r}"
    fitted = getattr(model, "model_", None)
    if fitted is None:
        raise NotFittedError(
            f"this {type(model).__name__} is not fitted yet: its network takes its shape from the data; call "
            "fit first"
        )
    return fitted.network.whole, f"Network of the {type(model).__name__}"


def _graph(network: keras.Model) -> tuple[dict[str, _Box], Links]:
    """Return boxes in the order of the layers, by name, and links between them."""
    parents: dict[str, list[str]] = {}
    boxes: dict[str, _Box] = {}
    functional = getattr(network, "_functional", None) or network  # Sequential keeps one inside
    for layer in functional.operations:
        node = next(n for n in layer._inbound_nodes if n in _nodes(functional))  # noqa: SLF001  # no public way
        parents[layer.name] = list(dict.fromkeys(parent.operation.name for parent in node.parent_nodes))
        kind = type(layer).__name__
        if kind not in _PLUMBING:
            cell = getattr(layer, "cell", None)
            shown = kind.removesuffix("Layer") if cell is None else type(cell).__name__.removesuffix("Cell")
            boxes[layer.name] = _Box(shown, _shape(node.output_tensors[0].shape), _role(layer))

    def origins(name: str) -> list[str]:
        return [name] if name in boxes else [o for parent in parents[name] for o in origins(parent)]

    links = [
        (start, name)
        for name in boxes
        for start in dict.fromkeys(origin for parent in parents[name] for origin in origins(parent))
    ]
    return boxes, links


def _role(layer: keras.Layer) -> str:
    if type(layer).__name__ == "InputLayer":
        return "input"
    if hasattr(layer, "cell") or hasattr(layer, "state_size"):
        return "recurrent"
    return "weights" if layer.weights else "plain"


def _nodes(functional: keras.Model) -> set[object]:
    return {node for nodes in functional._nodes_by_depth.values() for node in nodes}  # noqa: SLF001


def _shape(shape: Sequence[int | None]) -> str:
    return " × ".join("·" if size is None else str(size) for size in shape[1:])


def _rows(boxes: dict[str, _Box], links: Links) -> tuple[dict[str, int], Bends]:
    """Return the row of each box, below all that it reads, and the bends of the links that pass rows.

    A bend is a place of its own in the rows that a link passes, so that no box stands in its way; links from
    one box share it.
    """
    rows: dict[str, int] = {}
    for name in boxes:  # layers come in the order of computation
        rows[name] = 1 + max((rows[a] for a, b in links if b == name), default=-1)
    for name in boxes:  # inputs stand right above their first reader
        readers = [rows[b] for a, b in links if a == name]
        if readers and not any(b == name for _, b in links):
            rows[name] = min(readers) - 1
    lanes: Bends = {}
    for a, b in links:
        lanes[a, b] = [f"{a}>{row}" for row in range(rows[a] + 1, rows[b])]
        rows |= {bend: rows[a] + 1 + k for k, bend in enumerate(lanes[a, b])}
    return rows, lanes


def _columns(rows: dict[str, int], lanes: Bends) -> dict[str, float]:
    """Return the column of each box and bend: near what it reads, row by row, without overlap."""
    above: dict[str, list[str]] = {name: [] for name in rows}
    for (a, b), bends in lanes.items():
        path = [a, *bends, b]
        for start, end in itertools.pairwise(path):
            above[end].append(start)
    columns: dict[str, float] = {}
    for row in range(max(rows.values()) + 1):
        members = [name for name in rows if rows[name] == row]
        wish = {n: sum(columns[p] for p in above[n]) / len(above[n]) if above[n] else 0.0 for n in members}
        members.sort(key=lambda n: wish[n])
        widths = [_BEND if ">" in name else 1.0 for name in members]
        middles = [sum(widths[:k]) + width / 2 for k, width in enumerate(widths)]
        # Shifted as a whole, so that boxes, which count more than bends, come near to where they wish.
        apart = [width * (wish[n] - at) for n, width, at in zip(members, widths, middles, strict=True)]
        columns |= {n: at + sum(apart) / sum(widths) for n, at in zip(members, middles, strict=True)}
    return columns


def _placed(chart: alt.Chart, **fields: str | list[str] | alt.Stroke) -> alt.Chart:
    """Return a chart whose marks stand at its x and y, in pixels; further down is larger."""
    x = alt.X("x:Q", axis=None, scale=alt.Scale(zero=False, nice=False, padding=12))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(zero=False, nice=False, reverse=True))
    return chart.encode(x=x, y=y, **fields)


def _arrows(links: Links, lanes: Bends, where: Places) -> Chart:
    """Return a line for each link, and its head."""
    points, heads = [], []
    for k, (a, b) in enumerate(links):
        (x, y), (x2, y2) = where[a], where[b]
        path = [(x, y + _HIGH / 2)]
        for bend in lanes[a, b]:
            path += [(where[bend][0], where[bend][1] + side * _HIGH / 2) for side in (-1, 1)]
        path.append((x2, y2 - _HIGH / 2 - 3))
        points += [{"link": k, "order": i, "x": px, "y": py} for i, (px, py) in enumerate(path)]
        heads.append({"x": x2, "y": y2 - _HIGH / 2 - 4})
    line = alt.Chart(alt.Data(values=points)).mark_line(color=GREY, strokeWidth=1.2, strokeJoin="round")
    head = alt.Chart(alt.Data(values=heads)).mark_point(
        shape="triangle-down", size=42, filled=True, color=GREY, opacity=1.0
    )
    return alt.layer(_placed(line, detail="link:N", order="order:Q"), _placed(head))


def _rectangles(boxes: dict[str, _Box], where: Places) -> Chart:
    """Return the boxes, their edge in the colour of what they do."""
    values = [
        {
            "name": name,
            **box._asdict(),
            "x": where[name][0] - _WIDE / 2,
            "x2": where[name][0] + _WIDE / 2,
            "y": where[name][1] - _HIGH / 2,
            "y2": where[name][1] + _HIGH / 2,
        }
        for name, box in boxes.items()
    ]
    present = [role for role in _COLOURS if any(box["role"] == role for box in values)]
    colour = alt.Color(
        "role:N",
        scale=alt.Scale(domain=present, range=[_COLOURS[role] for role in present]),
        legend=alt.Legend(title=None, orient="top", symbolType="square", symbolFillColor="white"),
    )
    chart = alt.Chart(alt.Data(values=values)).mark_rect(
        fill="white", fillOpacity=1.0, strokeWidth=1.8, cornerRadius=5
    )
    return _placed(chart, x2="x2:Q", y2="y2:Q", stroke=colour, tooltip=["name:N", "kind:N", "gives:N"])


def _labels(boxes: dict[str, _Box], where: Places) -> list[Chart]:
    """Return the names, and below them kinds and widths."""
    texts = []
    for up, size, colour in ((-8, 12, INK), (9, 11, GREY)):
        values = [
            {
                "x": where[name][0],
                "y": where[name][1] + up,
                "text": name if up < 0 else f"{box.kind}   {box.gives}",
            }
            for name, box in boxes.items()
        ]
        mark = alt.Chart(alt.Data(values=values)).mark_text(fontSize=size, color=colour)
        texts.append(_placed(mark, text="text:N"))
    return texts
