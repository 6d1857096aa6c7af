"""The way into a command: its options from the classes of `options`, its question, its exit code.

Exit codes: 0, 1 (it failed: the data, a directory, the system), 2 (a wrong call).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, get_type_hints

import typer

from foretell.cli import terminal
from foretell.cli.options import Belongs
from foretell.cli.questions import QUESTIONS, Question, kind_of_directory
from foretell.errors import ForetellError, ForetellWarning, ParameterError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from foretell.core.contracts import Kind

# Arguments of the library under another name than the options.
_ALIASES = {
    "horizons": "horizon",
    "h": "horizon",
    "levels": "level",
    "marks": "mark",
    "models": "model",
    "cutoffs": "cutoff",
    "n_folds": "folds",
    "ids": "id",
}
_QUOTES = "'\""
_WHOSE = {
    "events": "logs of visits",
    "series": "regular series",
    "steps": "visits that are counted by step, with --every",
}


def kind_of_source(given: Mapping[str, object]) -> Kind:
    """Return the question that is asked of rows: with ``--target`` or ``--every`` that of regular series."""
    return "series" if given.get("target") or given.get("every") else "events"


def kind_of_model(given: Mapping[str, object]) -> Kind | None:
    """Return the question that a model answers, by its description alone; None where there is no model."""
    return kind_of_directory(Path(str(given["model"])))


def command(
    app: typer.Typer, ask: Callable[[Mapping[str, object]], Kind | None] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command.

    Parameters
    ----------
    app : typer.Typer
    ask : callable, optional
        Says from the options which question is asked. Options that belong to the other one are refused, and
        the function's first argument is what the commands do with the question, see `questions`.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        arguments = list(inspect.signature(function).parameters.values())[ask is not None :]
        classes = {p.name: hints[p.name] for p in arguments if dataclasses.is_dataclass(hints[p.name])}
        options: dict[str, inspect.Parameter] = {}
        for argument in arguments:
            single = argument.replace(annotation=hints[argument.name], kind=argument.KEYWORD_ONLY)
            grouped = _fields(classes[argument.name]) if argument.name in classes else [single]
            options |= {option.name: option for option in grouped}

        @functools.wraps(function)
        def call(ctx: typer.Context, **given: object) -> None:
            with _failures(ctx), _warnings(ctx):
                first = [] if ask is None else [_question(ctx, ask(given), options)]
                for name, kind in classes.items():
                    given[name] = kind(
                        **{field.name: given.pop(field.name) for field in dataclasses.fields(kind)}
                    )
                function(*first, **given)

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        call.__signature__ = inspect.Signature([context, *options.values()])  # type: ignore[attr-defined]
        call.__annotations__ = {"ctx": typer.Context} | {p.name: p.annotation for p in options.values()}
        app.command()(call)
        return function

    return register


def _fields(kind: type[DataclassInstance]) -> list[inspect.Parameter]:
    """Return the options of a class, as parameters of a command."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(kind)
    ]


def _question(ctx: typer.Context, kind: Kind | None, options: Mapping[str, inspect.Parameter]) -> Question:
    """Return what the commands do with a question, once no option of the other one was given."""
    if kind is not None:
        kinds = {kind, "steps"} if ctx.params.get("every") else {kind}
        for name, parameter in options.items():
            marks = getattr(parameter.annotation, "__metadata__", ())
            whose = [mark.kind for mark in marks if isinstance(mark, Belongs)]
            source = ctx.get_parameter_source(name)
            given = source is not None and source.name == "COMMANDLINE"
            if given and whose and kinds.isdisjoint(whose):
                series = ", or name a column to forecast with --target" if "target" in options else ""
                raise ParameterError(
                    f"{_spellings(ctx)[name]} belongs to {_WHOSE[whose[0]]}, and these are {_WHOSE[kind]}: "
                    f"leave it out{series if kind == 'events' else ''}"
                )
    return QUESTIONS[kind or "events"]


@contextlib.contextmanager
def _failures(ctx: typer.Context) -> Iterator[None]:
    """Say in one line what foretell raises on purpose, and end with the exit code for it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ForetellError, OSError) as error:
        spelled = _spellings(ctx)
        about = [
            spelled[name]
            for name, value in ctx.params.items()
            if name in spelled and isinstance(value, str) and str(error).startswith(f"{value!r} ")
        ]
        terminal.say(" ".join(["foretell:", *about[:1], in_options(str(error), spelled)]))
        raise typer.Exit(2 if isinstance(error, ParameterError) else 1) from error


@contextlib.contextmanager
def _warnings(ctx: typer.Context) -> Iterator[None]:
    """Say in one line what foretell warns of."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def say(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, ForetellWarning):
                terminal.say(f"note: {in_options(str(message), _spellings(ctx))}")
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = say
        yield


def _spellings(ctx: typer.Context) -> dict[str, str]:
    """Return the options of the running command by the arguments of the library that they stand for."""
    spelled = {str(p.name): p.opts[0] for p in ctx.command.params if p.opts[0].startswith("--")}
    return spelled | {name: spelled[other] for name, other in _ALIASES.items() if other in spelled}


def in_options(message: str, spelled: Mapping[str, str]) -> str:
    """Return a message that speaks of options instead of Python's arguments.

    Examples
    --------
    >>> in_options("as_of='1997'; expected a date", {"as_of": "--as-of"})
    "--as-of '1997'; expected a date"
    >>> in_options("levels has 120; name marks=['amount', 'items']", {"levels": "--level", "marks": "--mark"})
    '--level 120; name --mark amount --mark items'
    >>> in_options("name them by id=, marks=", {"id": "--id", "marks": "--mark"})
    'name them by --id, --mark'
    """
    names = "|".join(sorted(map(re.escape, spelled), key=len, reverse=True))

    def option(match: re.Match[str]) -> str:
        name, items = spelled[match[1]], match[2]
        if items is None:
            value = message[match.end() : match.end() + 1]
            return name if value in {"", " ", ",", ".", ";", ":"} else f"{name} "
        return " ".join(f"{name} {item.strip().strip(_QUOTES)}" for item in items.split(","))

    message = re.sub(r"\blevels has ", "levels=", message)
    return re.sub(rf"(?<![\w.\-])({names})=(?:\[([^\]]+)\])?", option, message) if names else message
