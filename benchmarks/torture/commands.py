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
)
_WRONG, _FAILED, _EITHER, _ANY = {2}, {1}, {1, 2}, {0, 1, 2}
_COLUMNS = (("nobody", _EITHER), ("", _ANY), ("day day", _EITHER))
_DATES = tuple(
    (text, _WRONG) for text in ("someday", "2024-13-01", "2024-02-30", "99999-01-01", "inf", "2024-01-01Z")
)
_DURATIONS = tuple(
    (text, _WRONG)
    for text in (
        "soon",
        "0",
        "-7d",
        "7parsecs",
        "1e9y",
        "99999999999999999999d",
        "inf",
        "1.5d",
        "0d",
        "9" * 30,
    )
)
_NUMBERS = (*((text, _WRONG) for text in ("x", "-1", "1.5", "", "nan", "1e3")), ("9" * 30, _ANY))
_FILES = (
    ("nowhere/deep/x.csv", _FAILED), ("NEW.exe", _WRONG), ("x" * 300 + ".csv", _FAILED),
    ("/proc/x.csv", _FAILED), ("VISITS/x.csv", _FAILED), (".", _EITHER),
)  # fmt: skip
_PLACES = (
    ("/proc/x", _FAILED),
    ("VISITS/x", _FAILED),
    ("x" * 300, _FAILED),
    ("PLACE", _FAILED),
    ("", _EITHER),
)
_CHOICES = (("nonsense", _WRONG), ("", _WRONG), ("NET", _WRONG))
_SOURCES = (
    *((text, _FAILED) for text in ("nowhere.csv", "*.nowhere", "MODEL", "/dev/null", "x" * 300, "~no/x")),
    ("postgresql://shop:secret@127.0.0.1:1/x --table visits", _FAILED),
    ("sqlite:///VISITS --table visits", _FAILED), ("sqlite:///nowhere.db --query SELECT", _FAILED),
    ("postgresql://shop:secret@127.0.0.1:1/x", _WRONG),
    ("nonsense://shop:secret@x --table visits", _FAILED),
    ("http://127.0.0.1:1/visits.csv --table visits", _FAILED), ("VISITS --query SELECT", _WRONG),
    ("VISITS --sheet 1", _WRONG), ("", _EITHER),
)  # fmt: skip
_MODELS = tuple((text, _FAILED) for text in ("nowhere", "VISITS", "PLACE", "/", "x" * 300, "/dev/null"))
# Options that the lines have or that are added to them.
MISTAKES = {
    "--id": _COLUMNS, "--time": _COLUMNS, "--mark": _COLUMNS, "--target": _COLUMNS, "--group": _COLUMNS,
    "--past": _COLUMNS, "--static": _COLUMNS, "--categorical": _COLUMNS, "--sum": _COLUMNS,
    "--exclude": (("", _ANY),), "--as-of": _DATES, "--start": _DATES, "--cutoff": _DATES,
    "--horizon": _DURATIONS, "--step": _DURATIONS, "--level": (*_NUMBERS, ("0", _WRONG), ("100", _WRONG),
    ("0.8", _WRONG)), "--seed": _NUMBERS, "--ensemble": _NUMBERS, "--epochs": _NUMBERS,
    "--min-events": _NUMBERS, "--chunk-rows": _NUMBERS, "--top": _NUMBERS, "--folds": _NUMBERS,
    "--seeds": _NUMBERS, "--json": _FILES[:1], "--report": (("NEW.pdf", _WRONG),
    ("nowhere/x.html", _FAILED)), "--out": _FILES, "--unit": _CHOICES, "--merge": _CHOICES,
    "--closed": _CHOICES, "--duplicates": _CHOICES, "--refunds": _CHOICES, "--strays": _CHOICES,
    "--if-exists": _CHOICES, "--head": _CHOICES, "--refit": _CHOICES, "--training": _CHOICES,
    "--by": (("galaxy", _WRONG), ("", _WRONG)), "--model": (("prophet", _WRONG), ("", _WRONG)),
    "--time-format": (("%Q", _EITHER), ("ms", _EITHER), ("", _ANY), ("%", _EITHER)),
    "--time-zone": (("Mars", _WRONG),), "--encoding": (("utf-9", _WRONG), ("base64", _WRONG),
    ("rot13", _WRONG), ("utf-32", _FAILED), ("idna", _ANY)), "--holidays": (("XX", _WRONG),
    ("US-ZZ", _WRONG)), "--freq": (("often", _WRONG), ("0d", _WRONG), ("-1", _WRONG)),
    "--set": (("x", _WRONG), ("=1", _WRONG), ("a.b=1", _WRONG), ("seed=-1", _WRONG), ("seed=[", _WRONG)),
    "--config": (("nowhere.toml", _WRONG), ("VISITS", _WRONG), ("/", _WRONG), ("x" * 300, _WRONG)),
    "--where": (("n_events>>3", _WRONG), ("nobody=3", _WRONG), ("", _WRONG), ("n_events>x", _WRONG)),
    "--sort": (("nobody", _WRONG), ("", _WRONG)), "--value": (("nobody", _EITHER),),
    "--language": (("xx", _WRONG),), "--min-chance": (("2", _WRONG), ("nan", _WRONG), ("x", _WRONG)),
    "--to-url": (("nonsense", _WRONG),), "--partitions": (("0", _WRONG), ("3", _WRONG)), "--on": _CHOICES,
    "--nonsense": (("1", _WRONG),),
}  # fmt: skip


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def shop() -> dict[str, str]:
    """Return where a file and a model of each question are."""
    place = Path(_folder().name)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 30), eager=True)
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(20), 5)
    visits = pl.DataFrame({"who": who, "day": days.gather(rng.integers(0, len(days), 100)), "amount": 1.5})
    sales = pl.DataFrame({"store": "east", "day": days, "sales": np.sin(np.arange(len(days)))})
    visits.write_csv(place / "visits.csv")
    sales.write_csv(place / "sales.csv")
    log = ft.read_events(visits, id="who", time="day", marks=["amount"], as_of="2024-04-30")
    MeanGap().fit(log).save(place / "model")
    panel = ft.read_series(sales, id="store", time="day", target="sales")
    Naive(horizon=7).fit(panel).save(place / "series")
    names = {"VISITS": "visits.csv", "SALES": "sales.csv", "MODEL": "model", "SERIES": "series"}
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
