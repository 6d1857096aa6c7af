"""Forecasters from the options of the command line: ``--model``, ``--config``, ``--set`` and the rest."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretell.cli.options import TrainOptions
from foretell.core.constraints import OneOf, did_you_mean
from foretell.errors import ParameterError

_OPTIONS = {
    "ensemble": "ensemble",
    "seed": "seed",
    "epochs": "training.epochs",
    "head": "head",
    "seasonal": "seasonal",
}


def configured(model: Any, learn: TrainOptions) -> Any:
    """Return a forecaster with the settings of the configuration file, the options and ``--set``, in order.

    Raises
    ------
    ParameterError
        A setting is unknown, or outside of what is allowed.
    """
    from foretell.evaluation.search_space import with_settings  # noqa: PLC0415  # brings the engine

    config: Path | None = getattr(learn, "config", None)
    settings: dict[str, Any] = {} if config is None else _flat(_read_toml(config))
    spelled = {name: f"--config {config}: {name}" for name in settings}
    for option, name in _OPTIONS.items():
        value = getattr(learn, option, None)
        if value is not None:
            settings[name], spelled[name] = value, f"--{option}"
    for text in getattr(learn, "assignments", None) or ():
        name, value = read_assignment(text)
        settings[name], spelled[name] = value, f"--set {name}"
    _check_known(model, spelled)
    try:
        return with_settings(model, settings)
    except ParameterError as error:
        raise ParameterError(_named(str(error), spelled)) from error


def read_assignment(text: str) -> tuple[str, Any]:
    """Read a setting as the command line writes it.

    Examples
    --------
    >>> read_assignment("network.units=64"), read_assignment("network.units=64,32")
    (('network.units', 64), ('network.units', (64, 32)))
    """
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ParameterError(f"--set {text!r}; expected a name and a value, such as network.units=64")
    values = tuple(read_value(part) for part in value.split(","))
    return name, values if len(values) > 1 else values[0]


def read_value(text: str) -> Any:
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
        return name, [read_value(value) for value in values.split(",")]
    high, colon, scale = high.partition(":")
    ends = [read_value(low), read_value(high)]
    if not all(isinstance(end, (int, float)) for end in ends) or (colon and scale != "log"):
        raise ParameterError(
            f"--knob {text!r}; expected two numbers, such as {name}=8..64 or {name}=8..64:log"
        )
    return name, Between(ends[0], ends[1], log=bool(colon))


def _check_known(model: Any, spelled: Mapping[str, str]) -> None:
    from foretell.evaluation.search_space import setting_names  # noqa: PLC0415

    known = setting_names(model)
    for name, written in spelled.items():
        if name not in known:
            raise ParameterError(
                f"{written}: {model.name} has no such setting{did_you_mean(name, known)}; "
                f"expected {OneOf(tuple(known)).expected}"
            )


def _named(message: str, spelled: Mapping[str, str]) -> str:
    """Return a message about a setting with the name that the user wrote."""
    for name, written in spelled.items():
        field = name.rpartition(".")[2]
        message = re.sub(rf"(?<![\w.]){field}=(?=\S)", f"{written} = ", message)
    return message


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(
            f"--config {path}: {error.strerror}; expected a TOML file of settings"
        ) from error
    except ValueError as error:
        raise ParameterError(f"--config {path}: not TOML, {error}") from error


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in tables.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = tuple(value) if isinstance(value, list) else value
    return flat
