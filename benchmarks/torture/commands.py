"""Command lines with one mistake each: exit code 2 for a wrong call, 1 for a failure, never a traceback."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.torture.harness import FAULT, raised
from benchmarks.torture.tables import ODD, pick
from typer.testing import CliRunner

import foretell as ft
from foretell.baselines import MeanGap, Naive
from foretell.cli.commands import app

_VISITS, _SALES = "VISITS --id who --time day", "SALES --id store --time day --target sales"
# Right calls, each of which takes a moment.
LINES = (
    f"fit {_VISITS} --mark amount --model mean-gap --out NEW",
    f"fit {_SALES} --model naive --horizon 7 --out NEW",
    f"forecast {_SALES} --horizon 3 --out NEW.csv",
    "update MODEL VISITS --id who --time day --out NEW",
    "predict MODEL --horizon 7d --level 80 --out NEW.csv",
    "predict SERIES --horizon 3 --level 80 --id east",
    "totals MODEL --horizon 13w --by month",
    "totals SERIES --horizon 7",
    f"evaluate {_VISITS} --cutoff 2024-02-29 --horizon 30d --model mean-gap --json NEW.json",
    f"backtest {_VISITS} --horizon 14d --folds 2 --model mean-gap",
    "anomalies MODEL",
    "shortlist MODEL --horizon 30d --top 5",
    "spend MODEL --horizon 30d",
    "effects KNOWN --horizon 30d",
    f"fit {_VISITS} --static channel --customers CUSTOMERS --calendar CALENDAR --model prior --out NEW",
    "predict KNOWN --horizon 7d --top 2",
    f"next-group {_VISITS} --group amount --epochs 1 --ensemble 1 --top 1",
)
_WRONG, _FAILED, _EITHER, _ANY = {2}, {1}, {1, 2}, {0, 1, 2}


def _each(values: str, codes: set[int]) -> tuple[tuple[str, set[int]], ...]:
    """Return words, and the exit codes that are right for each."""
    return tuple((value, codes) for value in values.split())


def _of(
    options: str, values: tuple[tuple[str, set[int]], ...]
) -> dict[str, tuple[tuple[str, set[int]], ...]]:
    """Return the same values of several options."""
    return dict.fromkeys(options.split(), values)


_LONG = "x" * 300
_COLUMNS = (("nobody", _EITHER), ("", _ANY), ("day day", _EITHER))
_DATES = _each("someday 2024-13-01 2024-02-30 99999-01-01 inf 2024-01-01Z", _WRONG)
_DURATIONS = _each(f"soon 0 -7d 7parsecs 1e9y 99999999999999999999d inf 1.5d 0d {'9' * 30}", _WRONG)
_NUMBERS = (*_each("x -1 1.5 nan 1e3", _WRONG), ("", _WRONG), ("9" * 30, _ANY))
_FILES = (
    *_each(f"no/x.csv {_LONG}.csv /proc/x.csv VISITS/x.csv", _FAILED),
    ("NEW.exe", _WRONG),
    (".", _EITHER),
)
_PLACES = (*_each(f"/proc/x VISITS/x {_LONG} PLACE", _FAILED), ("", _EITHER))
_CHOICES = (*_each("nonsense NET", _WRONG), ("", _WRONG))
_SERVER = "postgresql://shop:secret@127.0.0.1:1/x"
_SOURCES = (
    *_each(f"nowhere.csv *.nowhere MODEL /dev/null {_LONG} ~no/x", _FAILED),
    (f"{_SERVER} --table visits", _FAILED),
    (_SERVER, _WRONG),
    ("sqlite:///VISITS --table visits", _FAILED),
    ("sqlite:///nowhere.db --query SELECT", _FAILED),
    ("nonsense://shop:secret@x --table visits", _FAILED),
    ("http://127.0.0.1:1/visits.csv --table visits", _FAILED),
    ("VISITS --query SELECT", _WRONG),
    ("VISITS --sheet 1", _WRONG),
    ("", _EITHER),
)
_MODELS = _each(f"nowhere VISITS PLACE / {_LONG} /dev/null", _FAILED)
# Options that the lines have or that are added to them.
MISTAKES = {
    **_of("--id --time --mark --target --group --past --static --categorical --sum", _COLUMNS),
    **_of("--as-of --start --cutoff", _DATES),
    **_of("--horizon --step", _DURATIONS),
    **_of("--seed --ensemble --epochs --min-events --chunk-rows --top --folds --seeds", _NUMBERS),
    **_of("--unit --merge --closed --duplicates --refunds --strays --if-exists", _CHOICES),
    **_of("--head --refit --training --on", _CHOICES),
    "--level": (*_NUMBERS, *_each("0 100 0.8", _WRONG)),
    "--exclude": (("", _ANY),),
    "--customers": _each(f"nowhere.csv SALES / {_LONG} MODEL", _EITHER),
    "--calendar": _each(f"nowhere.csv VISITS / {_LONG} MODEL", _EITHER),
    "--customer": (*_each("nobody", _EITHER), ("", _EITHER)),
    "--discount": _each("x -1 nan", _WRONG),
    "--out": _FILES,
    "--json": _FILES[:1],
    "--report": (("NEW.pdf", _WRONG), ("nowhere/x.html", _FAILED)),
    "--by": (*_each("galaxy", _WRONG), ("", _WRONG)),
    "--model": (*_each("prophet", _WRONG), ("", _WRONG)),
    "--time-format": (*_each("%Q ms %", _EITHER), ("", _ANY)),
    "--time-zone": _each("Mars", _WRONG),
    "--encoding": (*_each("utf-9 base64 rot13", _WRONG), ("utf-32", _FAILED), ("idna", _ANY)),
    "--holidays": _each("XX US-ZZ", _WRONG),
    "--freq": _each("often 0d -1", _WRONG),
    "--set": _each("x =1 a.b=1 seed=-1 seed=[", _WRONG),
    "--config": _each(f"nowhere.toml VISITS / {_LONG}", _WRONG),
    "--where": (*_each("n_events>>3 nobody=3 n_events>x", _WRONG), ("", _WRONG)),
    "--sort": (*_each("nobody", _WRONG), ("", _WRONG)),
    "--value": _each("nobody", _EITHER),
    "--language": _each("xx", _WRONG),
    "--min-chance": _each("2 nan x", _WRONG),
    "--to-url": _each("nonsense", _WRONG),
    "--partitions": _each("0 3", _WRONG),
    "--nonsense": _each("1", _WRONG),
}


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def write_shop(place: Path) -> None:
    """Write visits.csv and sales.csv, and a model of each."""
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 30), eager=True)
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(20), 5)
    visits = pl.DataFrame({"who": who, "day": days.gather(rng.integers(0, len(days), 100)), "amount": 1.5})
    sales = pl.DataFrame({"store": "east", "day": days, "sales": np.sin(np.arange(len(days)))})
    visits.write_csv(place / "visits.csv")
    sales.write_csv(place / "sales.csv")
    log = ft.read_events(visits, id="who", time="day", marks=["amount"], as_of="2024-04-30")
    MeanGap().fit(log).save(place / "model")
    customers = pl.DataFrame({"who": np.arange(20), "channel": ["web", "shop"] * 10})
    customers.write_csv(place / "customers.csv")
    calendar = pl.DataFrame({"day": days, "promotion": np.arange(len(days)) % 7 == 0})
    calendar.with_columns(pl.col("promotion").cast(pl.Int8)).write_csv(place / "calendar.csv")
    known = ft.read_events(visits, id="who", time="day", static="channel", customers=customers)
    ft.EventForecaster(model="prior").fit(known).save(place / "known")
    panel = ft.read_series(sales, id="store", time="day", target="sales")
    Naive(horizon=7).fit(panel).save(place / "series")


@functools.cache
def shop() -> dict[str, str]:
    """Return where a file and a model of each question are."""
    place = Path(_folder().name)
    write_shop(place)
    names = {
        "VISITS": "visits.csv", "SALES": "sales.csv", "MODEL": "model", "SERIES": "series",
        "CUSTOMERS": "customers.csv", "CALENDAR": "calendar.csv", "KNOWN": "known",
    }  # fmt: skip
    return {name: str(place / file) for name, file in names.items()} | {"PLACE": str(place)}


def with_mistake(rng: np.random.Generator) -> tuple[list[str], set[int]]:
    """Return a line with one mistake and the exit codes that are right for it."""
    words = str(pick(rng, LINES)).split()
    way = rng.random()
    if way < 0.12:  # what is read
        wrong, codes = pick(rng, _SOURCES if words[1] in ("VISITS", "SALES") else _MODELS)
        return [words[0], *(wrong.split() or [""]), *words[2:]], codes
    if way < 0.2:  # the shape of the line
        places = [k for k, word in enumerate(words) if word.startswith("--")]
        k = int(rng.choice(places)) if places else 1
        shapes = (
            ([*words[:k], *words[k + 1 :]], _ANY),
            (words[:1], _WRONG),
            ([*words, "--horizon"], _WRONG),
            ([words[0] + "x", *words[1:]], _WRONG),
            ([*words[:k], words[k] + "x", *words[k + 1 :]] if places else [], _WRONG),
        )
        return pick(rng, shapes)
    name = str(pick(rng, tuple(MISTAKES)))
    if way < 0.35:  # anything at all
        return [*_without(words, name), name, str(pick(rng, ODD))], _ANY
    wrong, codes = pick(rng, MISTAKES[name])
    if name == "--out" and words[0] in ("fit", "update", "backtest"):
        wrong, codes = pick(rng, _PLACES)
    # An option that the command has not, or that belongs to the other question, is wrong whatever its value.
    return [*_without(words, name), name, wrong], codes | _WRONG


def _without(words: list[str], name: str) -> list[str]:
    if name not in words:
        return words
    k = words.index(name)
    return [*words[:k], *words[k + 2 :]]


def trial(rng: np.random.Generator, place: Path) -> str:
    """Run a line with a mistake."""
    names, (words, codes) = shop(), with_mistake(rng)
    before = _held()
    for name, path in (names | {"NEW": str(place / "new")}).items():
        words = [word.replace(name, path) for word in words]
    done = CliRunner().invoke(app, words)
    line = f"foretell {' '.join(words)[:300]}"
    error = done.exception
    if error is not None and not isinstance(error, SystemExit):
        outcome = raised(error)
        return (
            f"{outcome}; {line}" if outcome.startswith(FAULT) else f"{FAULT}: it escapes, {error!r}; {line}"
        )
    said = done.output.strip().splitlines()[-1:] or [""]
    if done.exit_code not in codes:
        return f"{FAULT}: exit code {done.exit_code} for {sorted(codes)}, {said[0]!r}; {line}"
    wrong = "Traceback" in done.output or "secret" in done.output or not done.output
    if done.exit_code and (wrong or any(place.iterdir()) or _held() != before):
        return f"{FAULT}: it says {said[0]!r} and leaves {[*place.iterdir()]}; {line}"
    return ("answered", "failed", "refused")[done.exit_code]


def _held() -> list[str]:
    return sorted(str(path) for path in Path(_folder().name).rglob("*"))
