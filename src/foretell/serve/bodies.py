"""What requests hold, and what answers hold: the shapes of which the service's description is made."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from foretell.errors import ParameterError
from foretell.serve.store import KEY, NAME


def _whole(value: object) -> object:
    """Return 7 of 7.0, which is the same number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# What 64 bits hold, and the description, whose limits are floating-point numbers, says exactly.
_MOST: Final = 9_200_000_000_000_000_000
_WHOLE: Final = BeforeValidator(_whole)
# A duration, or a number of ticks or steps; what a model cannot count on its clock it refuses itself.
Horizon: TypeAlias = (
    Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}(h|d|w|mo|y)$")]
    | Annotated[int, Field(ge=1, le=100_000), _WHOLE]
)
Asked: TypeAlias = tuple[tuple[Horizon, ...], tuple[float, ...]]
"""Horizons and levels of a question."""
Level: TypeAlias = Annotated[float, Field(ge=1, lt=100, allow_inf_nan=False)]
Id: TypeAlias = (
    Annotated[str, StringConstraints(max_length=200)] | Annotated[int, Field(ge=-_MOST, le=_MOST), _WHOLE]
)
Column: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ModelName: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Key: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{KEY}$")]
Known: TypeAlias = (
    Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, StringConstraints(max_length=200)]
)
"""A number, or a name, that is known of a customer."""
Day: TypeAlias = Annotated[str, StringConstraints(max_length=40)]


class Body(BaseModel):
    """A request: nothing is guessed, and nothing that is not known is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Visit(Body):
    """A visit that the model has not seen."""

    id: Id
    time: Day
    marks: dict[Column, Annotated[float, Field(allow_inf_nan=False)]] = {}
    group: Id | None = None
    static: dict[Column, Known] = {}


Visits: TypeAlias = Annotated[list[Visit], Field(min_length=1, max_length=10_000)]


class PredictAsk(Body):
    """Whom to forecast, how far, and how sure."""

    ids: Annotated[list[Id], Field(min_length=1)] | None = None
    horizons: Annotated[list[Horizon], Field(min_length=1, max_length=20)] | None = None
    levels: Annotated[list[Level], Field(max_length=20)] = [50, 80, 95]
    visits: Visits | None = None
    as_of: Day | None = None
    offset: Annotated[int, Field(ge=0), _WHOLE] = 0
    limit: Annotated[int, Field(ge=1), _WHOLE] = 1_000


class SpendAsk(Body):
    """Whose spend to forecast, how far, and how sure."""

    mark: Column = "amount"
    ids: Annotated[list[Id], Field(min_length=1)] | None = None
    horizons: Annotated[list[Horizon], Field(min_length=1, max_length=20)] = ["30d", "90d"]
    levels: Annotated[list[Level], Field(max_length=20)] = [80]
    offset: Annotated[int, Field(ge=0), _WHOLE] = 0
    limit: Annotated[int, Field(ge=1), _WHOLE] = 1_000


class ValueAsk(Body):
    """Whose visits to come are valued, up to when, and at which interest of a year."""

    mark: Column = "amount"
    ids: Annotated[list[Id], Field(min_length=1)] | None = None
    horizon: Horizon = "1y"
    discount: Annotated[float, Field(ge=0, lt=10, allow_inf_nan=False)] = 0.1
    offset: Annotated[int, Field(ge=0), _WHOLE] = 0
    limit: Annotated[int, Field(ge=1), _WHOLE] = 1_000


class TotalsAsk(Body):
    """Which sums: of visits, or of a mark; with the customers to come, too."""

    horizon: Horizon | None = None
    by: Annotated[list[Column], Field(max_length=3)] = []
    levels: Annotated[list[Level], Field(max_length=20)] = [80]
    ids: Annotated[list[Id], Field(min_length=1)] | None = None
    mark: Column | None = None
    newcomers: bool = False


class ShortlistAsk(Body):
    """Whom to write to, and within which time a contact works."""

    top: Annotated[int, Field(ge=1, le=10_000), _WHOLE] = 200
    horizon: Horizon = "30d"
    where: Annotated[list[Column], Field(max_length=10)] = []
    min_chance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    value: Column | None = None
    language: Literal["en", "zh"] = "en"


class ExplainAsk(Body):
    """Which forecast."""

    id: Id
    horizon: Horizon = "30d"
    target: Column | None = None
    language: Literal["en", "zh"] = "en"


class Reading(Body):
    """How the rows of a source are read."""

    kind: Literal["events", "series"] = "events"
    id: Column | None = None
    time: Column
    marks: Annotated[list[Column], Field(max_length=20)] = []
    group: Column | None = None
    static: Annotated[list[Column], Field(max_length=20)] = []
    categorical: Annotated[list[Column], Field(max_length=20)] = []
    target: Annotated[list[Column], Field(max_length=20)] = []
    freq: Day | None = None
    time_format: Day | None = None
    time_zone: Day | None = None
    as_of: Day | None = None
    sheet: Column | None = None
    calendar: Key | None = None
    """Source with a row for each day, of days to come too."""


class FitAsk(Body):
    """What a model learns from."""

    model: ModelName
    source: Key
    read: Reading
    by: Column = "auto"
    horizon: Horizon | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31), _WHOLE] = 0


class CompareAsk(Body):
    """What models are compared on, a model's own data or a source: the end is held back from them."""

    model: ModelName | None = None
    source: Key | None = None
    read: Reading | None = None
    models: Annotated[list[Column], Field(min_length=1, max_length=10)] | None = None
    horizon: Horizon | None = None


class UpdateAsk(Body):
    """New visits, in a source or here; without any nobody came up to a date."""

    source: Key | None = None
    read: Reading | None = None
    visits: Visits | None = None
    as_of: Day | None = None


class DatabaseAsk(Body):
    """A table of a database on a server."""

    url: Annotated[str, StringConstraints(max_length=2_000)]
    table: Column | None = None
    query: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] | None = None


class Failure(BaseModel):
    """What went wrong."""

    kind: str
    message: str


class Failed(BaseModel):
    """The one shape of errors."""

    error: Failure


class Health(BaseModel):
    """Whether the service is well."""

    status: Literal["ok"]
    version: str


Cell: TypeAlias = str | int | float | bool | dt.date | dt.datetime | None
Row: TypeAlias = dict[str, Cell]


class Rows(BaseModel):
    """A table: its rows, in the columns of the library's tables."""

    rows: list[Row]


class ModelAbout(BaseModel):
    """A model that answers."""

    name: str
    kind: Literal["events", "series"]
    fitted: str
    size: int
    columns: list[str]
    worth: str | None
    start: str
    as_of: str
    own: bool


class Models(BaseModel):
    """All models, and why some cannot be read."""

    models: list[ModelAbout]
    unreadable: dict[str, str]


class ExplanationAbout(BaseModel):
    """Why a forecast is what it is."""

    id: str | int | float
    quantity: str
    anchor: float
    forecast: float
    words: list[str]
    parts: list[Row]


class SourceAbout(BaseModel):
    """Rows that can be read: their columns, the first few, and what they look like."""

    source: str
    label: str
    columns: list[str]
    head: list[Row]
    likely: dict[str, str]


class JobAbout(BaseModel):
    """A job as it stands."""

    job: str
    kind: Literal["fit", "update", "compare"]
    model: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float
    message: str
    created: str
    finished: str | None
    result: dict[str, object] | None = None


class JobList(BaseModel):
    """The jobs that were accepted last."""

    jobs: list[JobAbout]


_EXPECTED: Final = {
    "horizon": "expected steps, or a duration such as '4w'",
    "model": "expected small letters, digits, - and _, at most 64",
    "target": "expected the column to forecast",
}
Ask = TypeVar("Ask", bound=BaseModel)


def asked(kind: type[Ask], **values: object) -> Ask:
    """Return a request of what a form holds; say in words what is wrong with it."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ParameterError(f"{name}={first['input']!r}; {_EXPECTED.get(name, first['msg'])}") from error
