"""What a search may change: settings by name, their values, and forecasters with other settings."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from foretell.core.constraints import Flag, Number, check_fields
from foretell.core.estimator import Estimator
from foretell.errors import ParameterError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Configured = TypeVar("Configured", bound=Estimator)

# What trainings may differ in and still run one compiled program; see `foretell.nn.optimizer`.
_INPUTS = {"seed", "training.learning_rate", "training.weight_decay", "training.epochs", "training.patience"}


@dataclasses.dataclass(frozen=True)
class Between:
    """A range of numbers to search: whole ones if both ends are.

    Parameters
    ----------
    low, high : int or float
        Both inclusive.
    log : bool
        Search by orders of magnitude: for learning rates, widths.

    Examples
    --------
    >>> Between(8, 128, log=True)
    Between(low=8, high=128, log=True)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"low": Number(-math.inf), "high": Number(-math.inf), "log": Flag()})
        if not self.low < self.high or (self.log and self.low <= 0):
            least = "0 < low < high" if self.log else "low < high"
            raise ParameterError(f"Between({self.low!r}, {self.high!r}, log={self.log}); expected {least}")


Space = Mapping[str, Sequence[object] | Between]
Settings = dict[str, object]


class SearchSpace:
    """The settings that are searched, checked against the forecaster that has them.

    Parameters
    ----------
    space : mapping of str to sequence or Between
        ``"network.units": [16, 32]``: arguments of the forecaster by name, settings of its configurations
        after a dot.
    model : forecaster
    """

    def __init__(self, space: Space, model: Estimator) -> None:
        if not isinstance(space, Mapping) or not space:
            raise ParameterError(
                f"space={space!r}; expected a dict of settings, such as {{'network.units': [16, 32]}}"
            )
        known = setting_names(model)
        for name, values in space.items():
            if name not in known:
                raise ParameterError(
                    f"{type(model).__name__} has no setting {name!r}; it has {', '.join(known)}"
                )
            if not isinstance(values, Between) and (
                isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not values
            ):
                raise ParameterError(
                    f"space[{name!r}]={values!r}; expected a list of values, or foretell.Between(low, high)"
                )
        self.values = {
            name: values if isinstance(values, Between) else list(values) for name, values in space.items()
        }
        # Values are kept by what storage can hold: plain ones themselves, others by their text.
        self._labels = {
            name: {_label(value): value for value in values}
            for name, values in space.items()
            if not isinstance(values, Between)
        }

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the settings as Optuna's distributions."""
        from optuna import distributions as optuna  # noqa: PLC0415  # slow to import

        by_name: dict[str, BaseDistribution] = {}
        for name, values in self.values.items():
            if not isinstance(values, Between):
                by_name[name] = optuna.CategoricalDistribution(list(self._labels[name]))
            elif isinstance(values.low, int) and isinstance(values.high, int):
                by_name[name] = optuna.IntDistribution(values.low, values.high, log=values.log)
            else:
                by_name[name] = optuna.FloatDistribution(values.low, values.high, log=values.log)
        return by_name

    def combinations(self) -> list[Settings]:
        """Return all combinations of values, as they are kept in storage."""
        endless = [name for name in self.values if name not in self._labels]
        if endless:
            raise ParameterError(
                f"a grid needs lists of values; {', '.join(map(repr, endless))} is a range: name its values, "
                "or search with method='tpe'"
            )
        return [
            dict(zip(self._labels, values, strict=True))
            for values in itertools.product(*self._labels.values())
        ]

    def settings(self, stored: Mapping[str, object]) -> Settings:
        """Return the values that storage holds by their text."""
        return {
            name: self._labels[name][value] if name in self._labels else value
            for name, value in stored.items()
        }


def _label(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def setting_names(model: Estimator) -> list[str]:
    """Return the names of all settings of a forecaster.

    Examples
    --------
    >>> import foretell as ft
    >>> "window.lookback" in setting_names(ft.SeriesForecaster())
    True
    """
    configurations = model.configurations()
    whole = {*configurations, "horizon"} - {"head"}  # a head goes by its name alone, too
    names = [name for name in model.get_params() if name not in whole]
    for part, configuration in configurations.items():
        if dataclasses.is_dataclass(configuration):
            names += [f"{part}.{field.name}" for field in dataclasses.fields(configuration)]
    return names


def with_settings(model: Configured, settings: Mapping[str, object]) -> Configured:
    """Return a new forecaster with other settings.

    Examples
    --------
    >>> import foretell as ft
    >>> with_settings(ft.EventForecaster(), {"network.units": 8, "ensemble": 1}).network.units
    8
    """
    other = type(model)(**model.get_params(deep=False))
    other.set_params(**{name.replace(".", "__"): value for name, value in settings.items()})
    return other


def shape_of(settings: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """Return the settings on which compiled programs depend: trials that agree in these share them.

    Examples
    --------
    >>> settings = {"network.units": 8, "training.learning_rate": 1e-3, "network.dropout": 0.1}
    >>> shape_of(settings) == shape_of(settings | {"training.learning_rate": 1e-2, "network.dropout": 0.3})
    True
    """
    shapes = {name: _label(value) for name, value in settings.items() if name not in _INPUTS}
    if "network.dropout" in shapes:
        shapes["network.dropout"] = shapes["network.dropout"] not in {0, None}
    return tuple(sorted(shapes.items()))
