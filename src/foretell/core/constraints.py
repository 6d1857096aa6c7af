"""What arguments may be: declared once, checked in one place, with one form of message."""

from __future__ import annotations

import difflib
import math
import numbers
import operator
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
import polars as pl

from foretell.errors import ParameterError


class Constraint:
    """A rule for one argument: which values it allows, and what the message says was expected."""

    def __init__(self, expected: str, allows: Callable[[object], bool]) -> None:
        self.expected, self.allows = expected, allows


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number; True, False and timedeltas are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


_LARGEST = 2**63 - 1


class Whole(Constraint):
    """A whole number from ``least`` up to ``most``, or what 64 bits hold; True and False are none.

    Examples
    --------
    >>> Whole(1).allows(3), Whole(1).allows(True), Whole(1).allows(0)
    (True, False, False)
    """

    def __init__(self, least: int = 1, most: int | None = None, *, of: str = "") -> None:
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        super().__init__(
            f"a whole number{f' of {of}' if of else ''} {limits}",
            lambda value: is_whole(value) and least <= value <= (_LARGEST if most is None else most),
        )


class Steps(Whole):
    """How far to forecast, in steps: no answer of more than a million fits anywhere."""

    def __init__(self, of: str = "steps") -> None:
        super().__init__(1, 1_000_000, of=of)


class Seed(Whole):
    """A seed: same seed, same answers."""

    def __init__(self) -> None:
        super().__init__(0, _LARGEST)


class Number(Constraint):
    """A finite number between ``low`` and ``high``; brackets say which ends belong to it, as in ``"[)"``."""

    def __init__(self, low: float, high: float = math.inf, ends: str = "[)") -> None:
        above, below = (
            {"[": operator.ge, "(": operator.gt}[ends[0]],
            {"]": operator.le, ")": operator.lt}[ends[1]],
        )
        if high == math.inf:
            expected = f"a number {'of at least' if ends[0] == '[' else 'greater than'} {low:g}"
        else:
            left = "from" if ends[0] == "[" else "greater than"
            expected = f"a number {left} {low:g} {'up to' if ends[1] == ']' else 'and below'} {high:g}"

        def allows(value: object) -> bool:
            no_number = (bool, np.bool_, np.timedelta64)
            if isinstance(value, no_number) or not isinstance(value, numbers.Real):
                return False
            number = float(value)
            return math.isfinite(number) and above(number, low) and below(number, high)

        super().__init__(expected, allows)


class OneOf(Constraint):
    """One of some values, and of the same type."""

    def __init__(self, values: Collection[object]) -> None:
        *others, last = [repr(value) for value in values] or ["none"]
        super().__init__(
            f"{', '.join(others)} or {last}" if others else last,
            lambda value: any(
                type(plain(value)) is type(known) and plain(value) == known for known in values
            ),
        )


class Flag(Constraint):
    """True or False."""

    def __init__(self) -> None:
        super().__init__("True or False", lambda value: isinstance(value, (bool, np.bool_)))


class Text(Constraint):
    """Text that is not empty."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected, lambda value: isinstance(value, str) and value != "")


class Instance(Constraint):
    """An object of a class."""

    def __init__(self, kind: type) -> None:
        super().__init__(f"a foretell.{kind.__name__}(…)", lambda value: isinstance(value, kind))


class Either(Constraint):
    """What one of some rules allows."""

    def __init__(self, *rules: Constraint) -> None:
        super().__init__(
            ", or ".join(rule.expected for rule in rules),
            lambda value: any(rule.allows(value) for rule in rules),
        )


class Maybe(Either):
    """None, or what another rule allows."""

    def __init__(self, rule: Constraint) -> None:
        super().__init__(rule, OneOf([None]))


def plain(value: object) -> object:
    """Return numpy's scalars as Python's; anything else as it is."""
    times = (np.datetime64, np.timedelta64)  # one that is not a time would be None
    return value.item() if isinstance(value, np.generic) and not isinstance(value, times) else value


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
        object.__setattr__(config, name, plain(getattr(config, name)))


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
    if not given:
        raise ParameterError(f"{name} is empty; expected numbers between 0 and 1, such as [0.1, 0.9]")
    for level in given:
        if not Number(0.0, 1.0, "()").allows(level):
            raise ParameterError(f"{name} has {level!r}; expected numbers between 0 and 1, such as 0.9")
    return given


def as_ids(ids: object, name: str = "ids") -> list[object] | None:
    """Return ids as a list, or None for all; a text or a number alone is refused.

    Examples
    --------
    >>> as_ids([7, 9])
    [7, 9]
    """
    if ids is None:
        return None
    if not is_list(ids):
        raise ParameterError(f"{name}={ids!r}; expected a list of ids: {name}=[{ids!r}]")
    given = list(ids)
    if not given or not all(isinstance(key, Hashable) and key is not None for key in given):
        raise ParameterError(
            f"{name}={given!r}; expected a list of at least one id and no None, such as {name}=[42]"
        )
    return given


def as_names(names: object, name: str) -> tuple[str, ...]:
    """Return names, such as those of columns, as a tuple; a single one is a tuple of one.

    Examples
    --------
    >>> as_names("amount", "marks"), as_names(["amount", "items"], "marks")
    (('amount',), ('amount', 'items'))
    """
    given = (names,) if isinstance(names, str) else names
    if not is_list(given) or not all(isinstance(one, str) for one in given):
        raise ParameterError(f"{name}={names!r}; expected a name, or a list of names, such as ['amount']")
    return tuple(given)


def is_list(values: object) -> TypeGuard[Collection[Any]]:
    """Tell whether values are several: a list, a tuple, a set, an array, a Series; a text is one."""
    if isinstance(values, np.ndarray):
        return values.ndim == 1
    alone = isinstance(values, (str, bytes, memoryview, Mapping, pl.DataFrame))
    return isinstance(values, (Collection, pl.Series)) and not alone


def _as_tuple(name: str, values: object, expected: str) -> tuple[float, ...]:
    """Return values as a tuple; whether they are numbers is not looked at."""
    if not is_list(values):
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
