"""What arguments may be: declared once, checked in one place, told in one form of message."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import numpy as np
import polars as pl

from foretell.errors import ParameterError


class Constraint(Protocol):
    """A rule for one argument."""

    @property
    def expected(self) -> str:
        """What the message says was expected."""

    def allows(self, value: object) -> bool:
        """Return whether the value keeps to the rule."""


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number from ``least`` up to ``most``; True and False are none.

    Examples
    --------
    >>> Whole(1).allows(3), Whole(1).allows(True), Whole(1).allows(0)
    (True, False, False)
    """

    least: int = 1
    most: int | None = None
    of: str = ""

    @property
    def expected(self) -> str:
        """What the message says was expected."""
        of = f" of {self.of}" if self.of else ""
        if self.most is None:
            return f"a whole number{of} of at least {self.least}"
        return f"a whole number{of} from {self.least} to {self.most}"

    def allows(self, value: object) -> bool:
        """Return whether the value is such a number."""
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            return False
        return int(value) >= self.least and (self.most is None or int(value) <= self.most)


@dataclasses.dataclass(frozen=True)
class Number:
    """A finite number between ``low`` and ``high``; brackets say which ends belong to it, as in ``"[)"``."""

    low: float
    high: float = float("inf")
    ends: str = "[)"

    @property
    def expected(self) -> str:
        """What the message says was expected."""
        if self.high == float("inf"):
            word = "of at least" if self.ends[0] == "[" else "greater than"
            return f"a number {word} {self.low:g}"
        left = "from" if self.ends[0] == "[" else "greater than"
        right = "up to" if self.ends[1] == "]" else "and below"
        return f"a number {left} {self.low:g} {right} {self.high:g}"

    def allows(self, value: object) -> bool:
        """Return whether the value is such a number."""
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            return False
        number = float(value)
        above = number >= self.low if self.ends[0] == "[" else number > self.low
        below = number <= self.high if self.ends[1] == "]" else number < self.high
        return bool(np.isfinite(number)) and above and below


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of some values."""

    values: tuple[object, ...]

    @property
    def expected(self) -> str:
        """What the message says was expected."""
        *others, last = [repr(value) for value in self.values] or ["none"]
        return f"{', '.join(others)} or {last}" if others else last

    def allows(self, value: object) -> bool:
        """Return whether the value is among them, and of the same type."""
        value = value.item() if isinstance(value, np.generic) else value
        return any(type(value) is type(known) and value == known for known in self.values)


@dataclasses.dataclass(frozen=True)
class Instance:
    """An object of a class."""

    kind: type

    @property
    def expected(self) -> str:
        """What the message says was expected."""
        return f"a foretell.{self.kind.__name__}(…)"

    def allows(self, value: object) -> bool:
        """Return whether the value is of the class."""
        return isinstance(value, self.kind)


@dataclasses.dataclass(frozen=True)
class Maybe:
    """None, or what another rule allows."""

    rule: Constraint

    @property
    def expected(self) -> str:
        """What the message says was expected."""
        return f"{self.rule.expected}, or None"

    def allows(self, value: object) -> bool:
        """Return whether the value is None, or allowed by the rule."""
        return value is None or self.rule.allows(value)


@dataclasses.dataclass(frozen=True)
class Either:
    """What one of some rules allows."""

    rules: tuple[Constraint, ...]

    @property
    def expected(self) -> str:
        """What the message says was expected."""
        return ", or ".join(rule.expected for rule in self.rules)

    def allows(self, value: object) -> bool:
        """Return whether a rule allows the value."""
        return any(rule.allows(value) for rule in self.rules)


def check(name: str, value: object, rule: Constraint) -> None:
    """Refuse a value that breaks a rule.

    Raises
    ------
    ParameterError
        Names the argument, what came and what was expected.

    Examples
    --------
    >>> check("paths", 0, Whole(1))
    Traceback (most recent call last):
    foretell.errors.ParameterError: paths=0; expected a whole number of at least 1
    """
    if not rule.allows(value):
        raise ParameterError(f"{name}={value!r}; expected {rule.expected}")


def check_whole(name: str, value: object, *, of: str = "") -> int:
    """Return a whole number of at least 1 as Python's; refuse anything else."""
    check(name, value, Whole(of=of))
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_all(values: Mapping[str, object], rules: Mapping[str, Constraint]) -> None:
    """Refuse the first of some values that breaks its rule; values without a rule are free."""
    for name, rule in rules.items():
        check(name, values[name], rule)


def check_fields(config: object, rules: Mapping[str, Constraint]) -> None:
    """Refuse the first field of a frozen configuration that breaks its rule; make numpy's numbers Python's.

    Saved as JSON they are Python's anyhow, and a configuration is the same before and after.
    """
    check_all(vars(config), rules)
    for name in rules:
        value = getattr(config, name)
        if isinstance(value, np.generic):
            object.__setattr__(config, name, value.item())


def as_levels(levels: object) -> tuple[float, ...]:
    """Return the percentages of intervals as a tuple.

    Raises
    ------
    ParameterError
        A single one, or one that is not from 1 to below 100: 0.8 may mean 80 or 0.8 per cent.

    Examples
    --------
    >>> as_levels([80, 95])
    (80, 95)
    """
    given = _as_tuple("levels", levels, "percentages such as [80, 95]")
    for level in given:
        if not Number(1.0, 100.0).allows(level):
            percent = f"{level * 100:g}" if Number(0.0, 1.0, "()").allows(level) else ""
            mend = f"; {level!r} is {percent} per cent: write {percent}" if percent else ""
            raise ParameterError(
                f"levels has {level!r}; expected percentages of at least 1 and below 100, such as 80{mend}"
            )
    return given


def as_quantiles(levels: object, name: str = "levels") -> tuple[float, ...]:
    """Return levels of quantiles, numbers between 0 and 1, as a tuple."""
    given = _as_tuple(name, levels, "numbers between 0 and 1, such as [0.1, 0.9]")
    for level in given:
        if not Number(0.0, 1.0, "()").allows(level):
            raise ParameterError(f"{name} has {level!r}; expected numbers between 0 and 1, such as 0.9")
    return given


def as_ids(ids: object) -> list[object] | None:
    """Return ids as a list, or None for all; a text or a number alone is refused.

    Examples
    --------
    >>> as_ids([7, 9])
    [7, 9]
    """
    if ids is None:
        return None
    if isinstance(ids, (str, bytes)) or not isinstance(ids, (Collection, pl.Series, np.ndarray)):
        raise ParameterError(f"ids={ids!r}; expected a list of ids: ids=[{ids!r}]")
    given = list(ids)
    if not given or any(key is None for key in given):
        raise ParameterError(
            f"ids={given!r}; expected a list of at least one id and no None, such as ids=[42]"
        )
    return given


def _as_tuple(name: str, values: object, expected: str) -> tuple[float, ...]:
    """Return values as a tuple; whether they are numbers is not looked at."""
    if isinstance(values, (str, bytes)) or not isinstance(values, (Collection, pl.Series, np.ndarray)):
        mend = f"; write {name}=[{values!r}]" if isinstance(values, numbers.Real) else ""
        raise ParameterError(f"{name}={values!r}; expected {expected}{mend}")
    return tuple(values)


def did_you_mean(name: str, available: Iterable[str]) -> str:
    """Return what a message says of the name that is most like ``name``, or whose last part is, if any is.

    Examples
    --------
    >>> did_you_mean("unit", ["network.units", "horizon"])
    "; did you mean 'network.units'?"
    """
    whole = {known.strip().lower(): known for known in available}
    parts = {lower.rpartition(".")[2]: known for lower, known in reversed(list(whole.items()))}
    wanted = name.strip().lower()
    for names, word in ((whole, wanted), (parts, wanted.rpartition(".")[2])):
        for match in difflib.get_close_matches(word, names, n=1):
            return f"; did you mean {names[match]!r}?"
    return ""
