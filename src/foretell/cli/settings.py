"""Forecasters from the options of the command line: ``--model``, ``--config``, ``--set`` and the rest."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from foretell.cli.options import TrainOptions
from foretell.cli.questions import Question
from foretell.errors import ParameterError

if TYPE_CHECKING:
    from foretell.cli.questions import Model
    from foretell.evaluation.search_space import Between

Value: TypeAlias = bool | int | float | str | None

_WAYS = ("network", "auto", "prior")  # in which ours answers
_OURS = {"foretell", *_WAYS}
_OPTIONS = {
    "ensemble": "ensemble",
    "seed": "seed",
    "epochs": "training.epochs",
    "head": "head",
    "seasonal": "head.seasonal",
}


def build(question: Question, learn: TrainOptions, name: str = "foretell") -> Model:
    """Return the forecaster that the options describe: ours, or a statistic or rule by its name."""
    name = _known_model(question, name)
    model: Model = question.task.build("foretell" if name in _OURS else name)
    return configured(model.set_params(model=name) if name in _WAYS else model, learn)


def compared(question: Question, names: Sequence[str] | None, learn: TrainOptions) -> list[Model | str]:
    """Return the models of a comparison: ours with the options of the command line, others by name."""
    known = [_known_model(question, name) for name in names or question.task.defaults]
    given = [
        name for name in (*_OPTIONS, "config", "assignments") if getattr(learn, name, None) not in (None, [])
    ]
    if given and _OURS.isdisjoint(known):
        option = "set" if given[0] == "assignments" else given[0]
        raise ParameterError(
            f"--{option} is a setting of foretell, which is not among the models: leave it out, or add "
            "--model foretell"
        )
    return [build(question, learn, name) if name in _OURS else name for name in known]


def _known_model(question: Question, name: str) -> str:
    """Return a model's name in small letters; refuse one that answers no such question."""
    models, name = question.task.models, name.lower()
    if name not in {*_OURS, *models}:
        spelled = [known for known in models if not {"/", " "} & set(known)]
        known = list(dict.fromkeys([*_WAYS, *spelled]))
        raise ParameterError(f"--model {name}: there is no such model{_hint(name, known)}")
    return name


def configured(model: Model, learn: TrainOptions) -> Model:
    """Return a forecaster with the settings of the configuration file, the options and ``--set``, in order.

    Raises
    ------
    ParameterError
        A setting is unknown, or outside of what is allowed.
    """
    from foretell.evaluation.search_space import setting_names, with_settings  # noqa: PLC0415  # the engine

    config: Path | None = getattr(learn, "config", None)
    settings = {} if config is None else _flat(_read_toml(config))
    spelled = {name: f"--config {config}: {name}" for name in settings}
    for option, name in _OPTIONS.items():
        value = getattr(learn, option, None)
        if value is not None:
            settings[name], spelled[name] = value, f"--{option}"
    for text in getattr(learn, "assignments", None) or ():
        name, value = read_assignment(text)
        settings[name], spelled[name] = value, f"--set {name}"
    known = setting_names(model)
    for name, written in spelled.items():
        if name not in known:
            raise ParameterError(f"{written}: {model.name} has no such setting{_hint(name, known)}")
    try:
        return with_settings(model, settings)
    except ParameterError as error:
        raise ParameterError(_named(str(error), spelled)) from error


def read_assignment(text: str) -> tuple[str, Value | tuple[Value, ...]]:
    """Read a setting as the command line writes it.

    Examples
    --------
    >>> read_assignment("network.units=64"), read_assignment("network.units=64,32")
    (('network.units', 64), ('network.units', (64, 32)))
    """
    name, written = _parted(text, "--set", "a name and a value, such as network.units=64")
    values = tuple(_read_value(part) for part in written.split(","))
    return name, values if len(values) > 1 else values[0]


def read_searched(text: str) -> tuple[str, list[Value] | Between]:
    """Read a setting to search as the command line writes it: its name, and values or a range.

    Examples
    --------
    >>> read_searched("network.units=16,32,64")
    ('network.units', [16, 32, 64])
    >>> read_searched("training.learning_rate=1e-4..1e-2:log")
    ('training.learning_rate', Between(low=0.0001, high=0.01, log=True))
    """
    from foretell.evaluation.search_space import Between  # noqa: PLC0415

    expected = (
        "a name and values, such as network.units=16,32, or a range, such as "
        "training.learning_rate=1e-4..1e-2:log"
    )
    name, written = _parted(text, "--space", expected)
    first, dots, last = written.partition("..")
    if not dots:
        return name, [_read_value(value) for value in written.split(",")]
    last, colon, scale = last.partition(":")
    low, high = _read_value(first), _read_value(last)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and (not colon or scale == "log"):
        return name, Between(low, high, log=bool(colon))
    raise ParameterError(f"--space {text!r}; expected two numbers, such as {name}=8..64 or {name}=8..64:log")


def _parted(text: str, option: str, expected: str) -> tuple[str, str]:
    """Return what stands on the two sides of the equals sign."""
    name, _, value = text.partition("=")
    if not name or not value:
        raise ParameterError(f"{option} {text!r}; expected {expected}")
    return name, value


def _read_value(text: str) -> Value:
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


def _hint(name: str, known: Sequence[str]) -> str:
    from foretell.core.constraints import OneOf, did_you_mean  # noqa: PLC0415  # brings numpy

    return f"{did_you_mean(name, known)}; expected {OneOf(tuple(known)).expected}"


def _named(message: str, spelled: Mapping[str, str]) -> str:
    """Return a message about a setting with the name that the user wrote."""
    for name, written in spelled.items():
        field = name.rpartition(".")[2]
        message = re.sub(rf"(?<![\w.]){field}=(?=\S)", f"{written} = ", message)
    return message


def _read_toml(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(
            f"--config {path}: {error.strerror}; expected a TOML file of settings"
        ) from error
    except ValueError as error:
        raise ParameterError(f"--config {path}: not TOML, {error}") from error


def _flat(tables: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested tables by dotted names."""
    flat: dict[str, object] = {}
    for name, value in tables.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = tuple(value) if isinstance(value, list) else value
    return flat
