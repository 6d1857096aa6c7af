"""One mistake in each command line: the exit code says whose fault it is, the message names the option."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.torture.commands import write_shop
from typer.testing import CliRunner

import foretell as ft
from foretell.cli.commands import app
from foretell.cli.questions import QUESTIONS
from foretell.cli.settings import read_assignment
from foretell.errors import ParameterError

VISITS = "VISITS --id who --time day"
SALES = "SALES --id store --time day --target sales"
FIT, SERIES = f"fit {VISITS} --out NEW", f"fit {SALES} --horizon 7 --out NEW"
EVALUATE, BACKTEST = f"evaluate {VISITS} --cutoff 2024-02-29", f"backtest {VISITS} --model mean-gap"
TUNE = f"tune {VISITS} --out NEW"

# The line; the exit code, 2 where the call is wrong and 1 where it failed; what the message says.
MISTAKES = [
    # Options of the other question.
    (f"{SERIES} --mark amount", 2, "--mark belongs to logs of visits"),
    (f"{SERIES} --unit hour", 2, "--unit belongs"),
    (f"{SERIES} --merge day", 2, "--merge belongs"),
    (f"{SERIES} --group shop", 2, "--group belongs"),
    (f"{SERIES} --min-events 2", 2, "--min-events belongs"),
    (f"{SERIES} --head gap", 2, "--head belongs"),
    (f"{SERIES} --no-seasonal", 2, "--seasonal belongs"),
    (f"{FIT} --horizon 7", 2, "--horizon belongs to regular series"),
    (f"{FIT} --past rain", 2, "--past belongs"),
    (f"{FIT} --future promo", 2, "--future belongs"),
    (f"{FIT} --static region", 1, "no column 'region'"),
    (f"{FIT} --categorical region", 2, "--categorical names 'region', which --static does not"),
    (f"{FIT} --freq 1d", 2, "--freq belongs"),
    (f"{FIT} --closed keep", 2, "--closed belongs"),
    (f"{FIT} --duplicates mean", 2, "--duplicates 'mean'"),
    (f"{SERIES} --duplicates keep", 2, "--duplicates 'keep'"),
    (f"{SERIES} --refunds some", 2, "--refunds"),
    (f"{FIT} --sum much", 2, "--sum belongs to visits that are counted by step, with --every"),
    (f"{FIT} --every 1d --horizon 2 --mark much", 2, "--mark belongs to logs of visits"),
    (f"{FIT} --every 1d --horizon 2 --target much", 2, "--target is for rows that are series"),
    (f"{FIT} --every 1d", 2, "needs --horizon"),
    (f"{FIT} --every often --horizon 2", 2, "often"),
    (f"{EVALUATE} --freq 1d", 2, "--freq belongs"),
    (f"{BACKTEST} --past rain", 2, "--past belongs"),
    (f"{TUNE} --space seed=1 --customers VISITS", 2, "--static"),
    ("predict SERIES_MODEL --by-group", 2, "--by-group belongs"),
    ("explain SERIES_MODEL --id east --horizon 7d", 2, "--horizon belongs"),
    ("explain MODEL --id 1 --target sales", 2, "--target belongs"),
    ("plot SERIES_MODEL --actual 2024-01-01 --out NEW.png", 2, "--actual belongs"),
    ("plot SERIES_MODEL --kind totals --newcomers --out NEW.png", 2, "--newcomers belongs"),
    ("plot SERIES_MODEL --kind activity --out NEW.png", 2, "--kind activity belongs"),
    ("update SERIES_MODEL SALES", 2, "takes a model of visits"),
    # Horizons, steps and dates.
    (f"fit {SALES} --out NEW", 2, "--horizon"),
    (f"fit {SALES} --horizon soon --out NEW", 2, "--horizon soon"),
    (f"fit {SALES} --horizon 0 --out NEW", 2, "--horizon 0"),
    (f"fit {SALES} --horizon 6h --out NEW", 2, "--horizon 6h: '6h' is shorter than a step of '1d'"),
    (f"fit {VISITS} --h 7 --out NEW", 2, "--h"),
    ("predict MODEL --horizon soon", 2, "--horizon"),
    ("predict MODEL --horizon 0", 2, "--horizon"),
    ("predict SERIES_MODEL --horizon 7 --horizon 14", 2, "--horizon 7 --horizon 14"),
    (f"{EVALUATE} --horizon 5h --model mean-gap", 2, "--horizon"),
    (f"{BACKTEST} --horizon soon", 2, "--horizon"),
    (f"{BACKTEST} --horizon 7d --step soon", 2, "--step"),
    (f"{FIT} --as-of someday", 2, "--as-of"),
    (f"{FIT} --start someday", 2, "--start"),
    # Names and numbers outside of what is allowed.
    ("predict MODEL --level 120", 2, "--level 120"),
    ("predict MODEL --level high", 2, "--level"),
    ("predict MODEL --id one", 2, "--id one"),
    ("predict MODEL --by-group --id 1", 2, "--by-group"),
    ("anomalies MODEL --level 120", 2, "--level"),
    (f"{FIT} --model prophet", 2, "--model prophet"),
    (f"{FIT} --model pareto-nbb", 2, "did you mean 'pareto-nbd'?"),
    (f"{FIT} --model seasonal-naive", 2, "--model seasonal-naive"),
    (f"{EVALUATE} --model prophet", 2, "--model prophet"),
    (f"{BACKTEST} --horizon 7d --refit often", 2, "--refit 'often'"),
    (f"{BACKTEST} --horizon 7d --training shrinking", 2, "--training 'shrinking'"),
    (f"{FIT} --ensemble 0", 2, "--ensemble"),
    (f"{FIT} --seed -1", 2, "--seed"),
    (f"{FIT} --unit month", 2, "--unit"),
    (f"{FIT} --time-zone Mars/Olympus", 2, "--time-zone"),
    (f"{TUNE} --space seed=1 --method luck", 2, "--method 'luck'"),
    (f"{TUNE} --space seed", 2, "--space"),
    # Settings.
    (f"{FIT} --set network.unit=8", 2, "did you mean 'network.units'?"),
    (f"{FIT} --set units=8", 2, "did you mean 'network.units'?"),
    (f"{FIT} --set network.units", 2, "--set"),
    (f"{FIT} --set network.units=0", 2, "--set network.units = 0"),
    (f"{FIT} --set window.lookback=28", 2, "--set window.lookback"),
    (f"{FIT} --model mean-gap --epochs 3", 2, "--epochs: mean gap has no such setting"),
    (f"{EVALUATE} --model mean-gap --set network.units=8", 2, "--set is a setting of foretell"),
    (f"{BACKTEST} --epochs 3", 2, "--epochs is a setting of foretell, which is not among the models"),
    (f"{FIT} --config nowhere.toml", 2, "--config nowhere.toml"),
    (f"{FIT} --config VISITS", 2, "not TOML"),
    # Files.
    ("predict MODEL --out NEW.xls", 2, ".parquet"),
    ("plot MODEL --id 1 --out NEW.gif", 2, ".svg"),
    ("plot MODEL --out NEW.png", 2, "--id"),
    ("plot MODEL --kind reliability --out NEW.png", 2, "--kind reliability"),
    ("plot MODEL --kind spend --out NEW.png", 2, "the kind spend shows one customer: name it with --id"),
    ("plot MODEL --id 1 --by month --out NEW.png", 2, "go with --kind totals"),
    ("plot MODEL --id 1 --of amount --out NEW.png", 2, "--of goes with the kinds totals, spend and value"),
    ("plot MODEL --kind totals --by group --newcomers --out NEW.png", 2, "those of the whole shop"),
    (f"{EVALUATE} --model mean-gap --report NEW.pdf", 2, ".html"),
    ("fit", 2, "SOURCE"),
    (f"fit {VISITS}", 2, "--out"),
    # What fails though the call is right.
    ("fit nowhere.csv --out NEW", 1, "nowhere.csv"),
    ("predict nowhere", 1, "nowhere"),
    ("predict MODEL --out nowhere/table.csv", 1, "nowhere"),
    ("fit VISITS --id customer --time day --out NEW", 1, "'customer'"),
    (f"{FIT} --mark price", 1, "'price'"),
    (f"update MODEL {VISITS} --out NEW", 1, "no visit comes after 2024-"),
    (f"update MODEL {VISITS} --as-of 2024-01-01 --out NEW", 2, "the model has seen everything up to 2024-"),
    ("fit VISITS --id who --time day --out PLACE", 1, "not a foretell model"),
    (f"fit {SALES.replace('sales', 'sale')} --horizon 7 --out NEW", 1, "'sale'"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with visits.csv, sales.csv, and a model of each."""
    place = tmp_path_factory.mktemp("mistakes")
    write_shop(place)
    return place


def run(place: Path, line: str, tmp_path: Path) -> tuple[int, str]:
    names = {
        "VISITS": place / "visits.csv",
        "SALES": place / "sales.csv",
        "MODEL": place / "model",
        "SERIES_MODEL": place / "series",
        "PLACE": place,
    }
    words = [str(names.get(word, word)).replace("NEW", str(tmp_path / "new")) for word in line.split()]
    done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize(("line", "code", "message"), MISTAKES)
def test_a_mistake_is_named_and_told_from_a_failure(
    place: Path, tmp_path: Path, line: str, code: int, message: str
) -> None:
    exit_code, output = run(place, line, tmp_path)
    assert (exit_code, "Traceback" in output) == (code, False), output
    assert message in output
    assert not list(tmp_path.iterdir())


def test_a_directory_of_another_program_is_refused_before_any_work(place: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "model.json").write_text('{"name": "another program\'s"}')
    code, output = run(place, f"{FIT} --model mean-gap", tmp_path)
    assert (code, "rows read" in output) == (1, False), output
    assert "exists and is not a foretell model" in output


def test_a_description_of_a_model_without_end_is_a_damaged_model(place: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "model.json").write_text("[" * 200_000)
    code, output = run(place, "predict NEW", tmp_path)
    assert (code, "the model is damaged" in output) == (1, True), output


def test_settings_come_from_a_file_options_and_assignments_in_this_order(place: Path, tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(
        "ensemble = 2\nseed = 5\n[network]\nunits = 4\ndense = [4, 2]\n"
        '[training]\nepochs = 2\n[head]\nkind = "bins"\n'
    )
    line = f"{FIT} --config {tmp_path}/model.toml --epochs 1 --ensemble 3 --set ensemble=1"
    code, output = run(place, line, tmp_path)
    assert code == 0, output
    model = ft.load(tmp_path / "new")
    assert isinstance(model, ft.EventForecaster)
    assert (model.ensemble, model.seed) == (1, 5)
    assert (model.network.units, model.network.dense, model.training.epochs) == (4, (4, 2), 1)
    assert ft.HeadConfig("bins") == model.head


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"{FIT} --model pareto-nbd", "Pareto/NBD"),
        (f"{FIT} --model mean-gap", "mean gap"),
        (f"{SERIES} --model seasonal-naive --set season=7", "seasonal naive"),
        (f"fit {SALES} --horizon 1w --out NEW --model drift", "drift"),
    ],
)
def test_statistics_and_rules_are_fitted_by_name(place: Path, tmp_path: Path, line: str, name: str) -> None:
    code, output = run(place, line, tmp_path)
    assert code == 0, output
    assert ft.load(tmp_path / "new").name == name
    code, output = run(place, "predict NEW --horizon 14d --level 80", tmp_path)
    assert code == 0, output


def test_a_quiet_month_moves_the_as_of_date(place: Path, tmp_path: Path) -> None:
    assert run(place, f"{FIT} --model mean-gap --as-of 2024-04-30", tmp_path)[0] == 0
    code, output = run(place, "update NEW VISITS --id who --time day --as-of 2024-05-31", tmp_path)
    assert code == 0, output
    assert "no visits from 2024-05-01 to 2024-05-31" in output
    log = ft.load(tmp_path / "new").log_
    assert (str(log.date(log.as_of)), log.n_events) == ("2024-05-31", 100)


@pytest.mark.parametrize(
    ("text", "freq", "steps"),
    [
        ("13", "1d", 13),
        ("2w", "1d", 14),
        ("1mo", "1d", 29),
        ("1y", "1d", 366),
        ("2d", "1h", 48),
        ("1mo", "1h", 29 * 24),
        ("6mo", "1mo", 6),
        ("1y", "1q", 4),
        ("2y", "1y", 2),
        ("2w", "B", 10),
        ("3mo", "1w", 13),
    ],
)
def test_durations_are_steps_of_the_panel(text: str, freq: str, steps: int) -> None:
    start = {"1d": "2024-01-29", "B": "2024-01-29", "1h": "2024-01-31T22:00"}.get(freq, "2024-01-01")
    panel = ft.Panel.from_arrays([[1.0, 2.0, 3.0]], start=start, freq=freq)
    assert QUESTIONS["series"].horizon(text, panel) == steps


@pytest.mark.parametrize(
    ("text", "freq"), [("1d", "1w"), ("3w", "1mo"), ("1mo", "1q"), ("1mo", 1), ("-1", "1d")]
)
def test_durations_shorter_than_a_step_are_refused(text: str, freq: str | int) -> None:
    where = {} if freq == 1 else {"start": "2024-01-01"}
    panel = ft.Panel.from_arrays([[1.0, 2.0, 3.0]], freq=freq, **where)
    with pytest.raises(ParameterError, match="--horizon"):
        QUESTIONS["series"].horizon(text, panel)


@pytest.mark.parametrize("text", ["units", "=3", "units="])
def test_assignments_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="--set"):
        read_assignment(text)
