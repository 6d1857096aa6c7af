"""The commands that look into models: tune, explain, anomalies, and the page of a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from foretell.cli import terminal
from foretell.cli.options import Model
from foretell.errors import ParameterError

_Out = Annotated[
    Path | None, typer.Option(help="File that ends in .csv, .parquet or .json; by default CSV on stdout.")
]


def explain(
    model: Model,
    id: Annotated[str, typer.Option("--id", help="Customer or series.")],  # noqa: A002  # the option's name
    horizon: Annotated[str, typer.Option(help="Of visits: a return within it.")] = "30d",
    target: Annotated[str | None, typer.Option(help="Of series with several targets.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw it, to a file that ends in .png, .svg or .html.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Table and words as JSON.")] = False,
) -> None:
    """Say what a forecast of one customer or series comes from, in words and numbers."""
    terminal.check_file(picture, (".png", ".svg", ".html"), "picture")
    fitted = _load(model)
    from foretell.explanations.verbs import explain as told  # noqa: PLC0415

    with terminal.busy("explaining"):
        found = told(fitted, _typed(fitted, id), horizon=horizon, target=target)
    if as_json:
        content = {"id": found.id, "quantity": found.quantity, "words": found.words}
        content["parts"] = found.table().to_dicts()
        terminal.tell(json.dumps(content, indent=2, ensure_ascii=False, default=str))
    else:
        terminal.tell(str(found))
        terminal.show_table(found.table(), title=found.quantity)
    if picture is not None:
        from foretell import plotting  # noqa: PLC0415

        terminal.say(f"{plotting.save(plotting.plot_explanation(found), picture)} written")


def anomalies(
    model: Model,
    level: Annotated[float, typer.Option(help="Per cent of the gaps or of the interval.")] = 99,
    out: _Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, instead of CSV.")] = False,
) -> None:
    """List customers who are silent beyond their gaps, or values of series outside of their interval."""
    terminal.check_file(out, terminal.TABLE_FORMATS, "table")
    fitted = _load(model)
    from foretell.explanations.verbs import anomalies as found  # noqa: PLC0415

    with terminal.busy("looking"):
        table = found(fitted, level=level)
    terminal.write_table(table, out, as_json=as_json)


def tune(
    data: Any,
    model: Any,
    knobs: list[str],
    out: Path,
    search: dict[str, Any],
    *,
    horizon: str | None,
    objective: str | None,
    storage: Path | None,
) -> None:
    """Search settings, show the trials, and write the best model."""
    from foretell.evaluation.tuning import SearchConfig  # noqa: PLC0415
    from foretell.evaluation.tuning import tune as found  # noqa: PLC0415

    space = dict(read_knob(text) for text in knobs)
    steps: Any = int(horizon) if horizon is not None and horizon.isdigit() else horizon
    with terminal.search_progress() as progress:
        result = found(
            data,
            space,
            model=model,
            horizon=steps,
            objective=objective,
            search=SearchConfig(**search, storage=storage),
            progress=progress,
        )
    terminal.show_table(result.table(), title="Trials, the best first")
    terminal.tell(str(result))
    result.model.save(out)
    terminal.say(f"the best model, fitted to all data, written to {out}")


def read_knob(text: str) -> tuple[str, Any]:
    """Read a knob as the command line writes it: its name, and values or a range.

    Examples
    --------
    >>> read_knob("network.units=16,32,64")
    ('network.units', [16, 32, 64])
    >>> read_knob("training.learning_rate=1e-4..1e-2:log")
    ('training.learning_rate', Between(low=0.0001, high=0.01, log=True))
    """
    from foretell.evaluation.search_space import Between  # noqa: PLC0415

    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise ParameterError(
            f"--knob {text!r}; expected a name and values, such as network.units=16,32, or a range, such as "
            "training.learning_rate=1e-4..1e-2:log"
        )
    low, dots, high = values.partition("..")
    if not dots:
        return name, [_value(value) for value in values.split(",")]
    high, colon, scale = high.partition(":")
    ends = [_value(low), _value(high)]
    if not all(isinstance(end, (int, float)) for end in ends) or (colon and scale != "log"):
        raise ParameterError(
            f"--knob {text!r}; expected two numbers, such as {name}=8..64 or {name}=8..64:log"
        )
    return name, Between(ends[0], ends[1], log=bool(colon))


def _value(text: str) -> Any:
    """Return a number, true, false, none, or the text itself."""
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def write_page(board: Any, place: Path) -> None:
    """Write the page of a comparison."""
    from foretell.report.page import write_report  # noqa: PLC0415

    with terminal.busy("writing the report"):
        write_report(board, place)
    terminal.say(f"{place} written")


def _load(place: Path) -> Any:
    from foretell.storage.directory import load  # noqa: PLC0415

    with terminal.busy("loading the model"):
        return load(place)


def _typed(model: Any, text: str) -> Any:
    """Return an id from the command line in the model's own type."""
    ids = model.log_.ids if hasattr(model, "log_") else model.panel_.ids
    if not ids.dtype.is_integer():
        return text
    try:
        return int(text)
    except ValueError as error:
        raise ParameterError(f"--id {text}: the ids of this model are whole numbers") from error
