"""What every source delivers: the asked-for columns under fixed names, and how messages call them."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl

from foretell.core.constraints import closest
from foretell.errors import ColumnError, ParameterError

ID, TIME, GROUP = "id", "time", "group"


class Columns(abc.ABC):
    """The columns that were asked for, by their names in the source."""

    id: str | None
    time: str
    # The arguments that name columns, for messages.
    arguments: ClassVar[str] = "id=, time="

    @abc.abstractmethod
    def by_role(self) -> dict[str, str]:
        """Return the fixed name → the name in the source."""

    @abc.abstractmethod
    def value_roles(self) -> list[str]:
        """Return the fixed names of what may hold numbers."""

    def names(self) -> list[str]:
        """Return the names in the source, each once."""
        return list(dict.fromkeys(self.by_role().values()))

    def expressions(self) -> list[pl.Expr]:
        """Return what selects the columns from a frame, under their fixed names."""
        return [pl.col(name).alias(role) for role, name in self.by_role().items()]

    def check(self, available: Sequence[str], origin: str) -> None:
        """Raise where a column is not in the source, and suggest the closest name."""
        missing = [name for name in self.names() if name not in available]
        if not missing:
            return
        hints = [f"did you mean {match!r}?" for name in missing for match in closest(name, available)]
        raise ColumnError(
            f"{origin} has no column {' and no column '.join(map(repr, missing))}; "
            f"its columns are {listed(available)}. " + " ".join(hints or [f"Name them by {self.arguments}."])
        )


@dataclasses.dataclass(frozen=True)
class EventColumns(Columns):
    """The columns of a log of events."""

    arguments: ClassVar[str] = "id=, time=, marks="

    id: str
    time: str
    marks: tuple[str, ...] = ()
    group: str | None = None

    def __post_init__(self) -> None:
        check_names(self.by_role())
        check_once("marks", self.marks)
        if self.id == self.time:
            raise ParameterError(f"id and time are both {self.id!r}; expected two different columns")

    def by_role(self) -> dict[str, str]:
        """Return the fixed name → the name in the source."""
        roles = {ID: self.id, TIME: self.time}
        roles |= dict(zip(self.value_roles(), self.marks, strict=True))
        return roles | ({} if self.group is None else {GROUP: self.group})

    def value_roles(self) -> list[str]:
        """Return the fixed names of the marks."""
        return [f"mark {k}" for k in range(len(self.marks))]


@dataclasses.dataclass(frozen=True)
class SeriesColumns(Columns):
    """The columns of regular series."""

    arguments: ClassVar[str] = "id=, time=, target="

    id: str | None
    time: str
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.targets:
            raise ParameterError("target is empty; name at least one column")
        check_names(self.by_role())
        kinds = {"target": self.targets, "past": self.past, "future": self.future, "static": self.static}
        for argument, names in kinds.items():
            check_once(argument, names)
        use = {self.time: "time"} | ({} if self.id is None else {self.id: "id"})
        if self.id == self.time:
            raise ParameterError(f"id and time are both {self.id!r}; expected two different columns")
        for argument, names in kinds.items():
            for name in names:
                # A series' own name may well be something to learn from.
                if use.get(name, argument) != argument and (use[name], argument) != ("id", "static"):
                    raise ParameterError(f"{name!r} is named by {use[name]}= and by {argument}=; choose one")
                use[name] = argument
        strange = [name for name in self.categorical if use.get(name) not in {"past", "future", "static"}]
        if strange:
            raise ParameterError(
                f"categorical names {strange[0]!r}, which is no covariate; name it by past=, future= or "
                "static= as well"
            )

    def by_role(self) -> dict[str, str]:
        """Return the fixed name → the name in the source."""
        roles = ({} if self.id is None else {ID: self.id}) | {TIME: self.time}
        for kind in ("target", "past", "future", "static"):
            roles |= self.of_kind(kind)
        return roles

    def of_kind(self, kind: str) -> dict[str, str]:
        """Return the fixed name → the name in the source, of one kind of columns."""
        names: tuple[str, ...] = getattr(self, "targets" if kind == "target" else kind)
        return {f"{kind} {k}": name for k, name in enumerate(names)}

    def value_roles(self) -> list[str]:
        """Return the fixed names of targets and covariates."""
        return [role for role in self.by_role() if role not in {ID, TIME}]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of a source, under the fixed names of :class:`Columns`.

    Attributes
    ----------
    frame : polars.DataFrame
    origin : str
        How messages call the source.
    untyped : bool
        The source knows text only (CSV): whole numbers have to be recognised.
    """

    frame: pl.DataFrame
    origin: str
    untyped: bool = False


def check_names(by_role: Mapping[str, object]) -> None:
    """Raise where a role is given no name of a column."""
    for role, name in by_role.items():
        if not isinstance(name, str) or not name:
            raise ParameterError(f"the {role} column is {name!r}; expected the name of a column")


def check_once(argument: str, names: Sequence[str]) -> None:
    """Raise where an argument names a column twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ParameterError(f"{argument} names {repeated[0]!r} more than once; name each column once")


def listed(names: Iterable[Any], limit: int = 20) -> str:
    """Return names for a message, the first few of very many."""
    shown = [repr(name) for name in names]
    more = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {more:,} more" if more > 0 else "") if shown else "none"
