"""What estimators share: parameters by name, as scikit-learn's ``clone`` and search expect them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from foretell.core.constraints import Constraint, check_all
from foretell.core.notebook import card
from foretell.errors import NotFittedError, ParameterError


class Estimator:
    """Base of the forecasters: no logic in ``__init__``, one attribute per argument."""

    # What each argument may be; arguments without a rule are free, or checked by the class itself.
    _constraints: ClassVar[Mapping[str, Constraint]] = {}
    # The configurations among the arguments, by the class that stands for an argument that is not set.
    _configurations: ClassVar[Mapping[str, type]] = {}

    def _check_parameters(self) -> None:
        """Refuse arguments that break their rules."""
        check_all(vars(self), self._constraints)

    @classmethod
    def _parameter_names(cls) -> list[str]:
        if cls.__init__ is object.__init__:
            return []
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002, ARG002  # scikit-learn's
        """Return the arguments by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set arguments by name; unknown ones are refused.

        ``training__epochs=3`` sets a field of a configuration: the configuration is replaced, not changed.
        """
        fields: dict[str, dict[str, object]] = {}
        for given, value in params.items():
            name, _, field = given.partition("__")
            if name not in self._parameter_names():
                raise ParameterError(
                    f"{type(self).__name__} has no parameter {name!r}; "
                    f"it has {', '.join(self._parameter_names())}"
                )
            if field:
                fields.setdefault(name, {})[field] = value
            else:
                setattr(self, name, value)
        for name, values in fields.items():
            setattr(self, name, self._replaced(name, values))
        return self

    def configurations(self) -> dict[str, object]:
        """Return the configurations by argument: objects also where none is set, or only its name."""
        given = {name: (getattr(self, name), kind) for name, kind in self._configurations.items()}
        return {
            name: kind() if value is None else kind(value) if isinstance(value, str) else value
            for name, (value, kind) in given.items()
        }

    def _replaced(self, name: str, values: Mapping[str, object]) -> object:
        """Return the configuration ``name`` with other values of some fields."""
        configuration = self.configurations().get(name)
        if not dataclasses.is_dataclass(configuration) or isinstance(configuration, type):
            raise ParameterError(f"{name}={configuration!r} has no fields to set, such as {min(values)!r}")
        known = [field.name for field in dataclasses.fields(configuration) if field.init]
        for field in values:
            if field not in known:
                raise ParameterError(
                    f"{name}={configuration!r} has no field {field!r}; it has {', '.join(known)}"
                )
        return dataclasses.replace(configuration, **values)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether the estimator is fitted: learned state ends in ``_``."""
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def __sklearn_tags__(self) -> object:
        """Tell scikit-learn what goes in: no array, but a log or a panel, which holds the target, too."""
        from sklearn.utils import InputTags, Tags, TargetTags  # noqa: PLC0415  # only scikit-learn asks

        inputs = InputTags(two_d_array=False, allow_nan=True)
        return Tags(None, TargetTags(required=False), None, None, None, input_tags=inputs)

    def _repr_html_(self) -> str:
        """Show in a notebook which arguments were set, and what was learned."""
        return card(self._public_name(), self._facts())

    def _facts(self) -> dict[str, object]:
        """Return what a notebook shows of it: arguments other than the defaults, what was learned."""
        arguments = inspect.signature(type(self).__init__).parameters
        given = self.get_params().items()
        facts = {name: _in_short(value) for name, value in given if value != arguments[name].default}
        return facts if self.__sklearn_is_fitted__() else facts | {"fitted to": "nothing yet"}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{self._public_name()}({shown})"

    @classmethod
    def _public_name(cls) -> str:
        """Return the name under which users know the class."""
        return cls.__name__

    def _check_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(log) first, or load one"
            )


def _in_short(value: object) -> object:
    """Return a configuration as text, without fields at their defaults; other values as they are."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value) if field.init]
    changed = [f"{field.name}={given!r}" for field, given in fields if given != field.default]
    return f"{type(value).__name__}({', '.join(changed)})"
