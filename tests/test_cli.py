from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell import __version__
from foretell.cli.commands import app
from foretell.cli.demo import store_visits
from foretell.cli.questions import typed_ids
from foretell.datasets import load_cdnow
from foretell.errors import ParameterError

COLUMNS = ["--id", "customer_id", "--time", "date"]
QUICK = ["--ensemble", "1", "--epochs", "1"]


def foretell(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shell(*arguments, **options):
    """Run the installed command as a user does."""
    command = [str(Path(sys.executable).with_name("foretell")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """The 1/10 sample as a file, each customer given one of three stores."""
    path = tmp_path_factory.mktemp("data") / "visits.csv"
    rows = load_cdnow(sample=True).with_columns(store=pl.col("customer_id") % 3)
    rows.write_csv(path)
    return path


@pytest.fixture(scope="module")
def fitted(visits, tmp_path_factory):
    """The model's directory, and what fit printed."""
    out = tmp_path_factory.mktemp("fitted") / "model"
    marks = ["--mark", "amount", "--group", "store", "--as-of", "1997-09-30"]
    return out, foretell(
        "fit", visits, *COLUMNS, *marks, *QUICK, "--model", "network", "--json", "--out", out
    )


@pytest.fixture(scope="module")
def model(fitted):
    return fitted[0]


def test_help_comes_at_once_and_names_the_commands():
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = shell("--help")
        seconds.append(time.perf_counter() - started)
    assert done.returncode == 0
    for command in ("demo", "fit", "update", "predict", "evaluate", "backtest", "plot"):
        assert command in done.stdout
    # On an idle machine it takes 0.3 s; the limit leaves room for a busy one.
    assert min(seconds) < 1.5


def test_the_command_line_imports_nothing_slow():
    code = "import sys, foretell.cli.commands; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"jax", "keras", "polars", "numpy", "altair", "scipy"} & set(done.stdout.split())


HEAVY = {"jax", "keras", "pandas", "matplotlib", "scipy", "sklearn", "sqlalchemy", "optuna"}


def imported_by(arguments):
    """Return what a command imports in a process of its own."""
    code = (
        "import atexit, sys; from foretell.cli.commands import main; "
        "atexit.register(lambda: print(*sorted({name.split('.')[0] for name in sys.modules}))); main()"
    )
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (arguments[0] != "fit"), done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["predict", "plot", "update"])
def test_a_saved_model_answers_for_few_customers_without_the_engine(command, model, visits, tmp_path):
    later = tmp_path / "later.csv"
    rows = pl.scan_csv(visits).filter(pl.col("date").is_between(pl.lit("1997-10-01"), pl.lit("1997-10-07")))
    rows.sink_csv(later)
    options = {
        "predict": ["--id", "4", "--id", "999999", "--out", tmp_path / "forecasts.csv"],
        "plot": ["--id", "4", "--out", tmp_path / "next.png"],
        "update": [later, *COLUMNS, "--group", "store", "--out", tmp_path / "moved"],
    }
    arguments = [command, model, *options[command]]
    assert not HEAVY & imported_by(arguments)


def test_a_file_that_is_not_there_is_missed_before_the_engine_comes(tmp_path):
    assert not HEAVY & imported_by(["fit", tmp_path / "nowhere.csv", "--out", tmp_path / "model"])


def test_version_is_data():
    done = foretell("--version")
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"foretell {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["fit"], "SOURCE"),
        (["fit", "visits.csv"], "--out"),
        (["guess"], "guess"),
        (["fit", "visits.csv", "--out", "m", "--ensemble", "0"], "ensemble"),
        (["fit", "visits.csv", "--out", "m", "--unit", "month"], "unit"),
        (["plot", "model", "--out", "a.png"], "--id"),
        (["plot", "model", "--kind", "reliability", "--out", "a.png"], "evaluate"),
        (["predict", "model", "--by-group", "--id", "4"], "--by-group"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments, hint):
    done = foretell(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["fit", "nowhere.csv", "--out", "m"], "nowhere.csv"),
        (["predict", "nowhere"], "nowhere"),
        (["predict", "nowhere", "--out", "nodir/table.csv"], "nodir"),
    ],
)
def test_failure_is_one_line_and_exit_code_1(arguments, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = foretell(*arguments)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("foretell: ")
    assert done.stderr.count("\n") == 1
    assert hint in done.stderr


def test_a_process_that_fails_says_why_in_a_line_and_ends_with_1(tmp_path):
    done = shell("predict", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("foretell: ")
    assert done.stderr.count("\n") == 1


def test_a_column_that_is_not_there_is_named(visits, tmp_path):
    done = foretell("fit", visits, "--id", "customer", "--time", "date", "--out", tmp_path / "model")
    assert done.exit_code == 1
    assert "'customer'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_no_model_is_refused_before_training(visits, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    done = foretell("fit", visits, *COLUMNS, "--out", tmp_path)
    assert done.exit_code == 1
    assert "not a foretell model" in done.stderr
    assert "rows read" not in done.stderr


def test_fit_takes_a_head_by_name_and_predict_leaves_empty_what_it_cannot_know(visits, tmp_path):
    out = tmp_path / "model"
    done = foretell("fit", visits, *COLUMNS, *QUICK, "--as-of", "1997-09-30", "--head", "gap", "--out", out)
    assert done.exit_code == 0
    table = pl.read_csv(foretell("predict", out, "--horizon", "7d", "--id", "4").stdout.encode())
    assert table["p_active"].null_count() == table["p_return_7d"].null_count() == 1
    assert table["next_event"].null_count() == 0
    wrong = foretell("fit", visits, "--target", "amount", "--horizon", "3", "--head", "gap", "--out", out)
    assert wrong.exit_code == 2
    assert "--head" in wrong.output


def test_fit_reports_what_it_read_on_stderr_and_a_summary_as_json(fitted):
    out, done = fitted
    assert done.exit_code == 0, done.stderr
    assert (out / "model.json").is_file()
    assert "6,919 rows read" in done.stderr
    assert "after the as-of date" in done.stderr
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr  # no bars, no colours where nobody watches
    summary = json.loads(done.stdout)
    assert summary["customers"] == 2357
    assert summary["as_of"] == "1997-09-30"
    assert summary["rows_read"] == summary["events"] + sum(summary["left_out"].values())


def test_predictions_are_a_table_on_stdout(model):
    done = foretell("predict", model, "--horizon", "7d", "--horizon", "30d", "--level", "80")
    assert (done.exit_code, done.stderr) == (0, "")
    table = pl.read_csv(done.stdout.encode(), try_parse_dates=True)
    assert table.height == 2357
    assert table.columns[-5:] == [
        "p_return_7d", "p_return_30d", "expected_events_7d", "expected_events_30d", "overdue",
    ]  # fmt: skip
    assert "next_event-lo-80" in table.columns
    assert (table["p_return_7d"] <= table["p_return_30d"]).all()


def test_predictions_are_written_by_the_files_ending(model, tmp_path):
    asked = ["--horizon", "7d", "--horizon", "30d", "--level", "80"]
    tables = []
    for ending, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet), (".json", pl.read_json)):
        out = tmp_path / f"forecasts{ending}"
        done = foretell("predict", model, *asked, "--out", out)
        assert (done.exit_code, done.stdout) == (0, ""), done.stderr
        assert "2,357 rows" in done.stderr
        tables.append(read(out)["p_active"].round(6).to_list())
    assert tables[0] == tables[1] == tables[2]
    as_json = foretell("predict", model, *asked, "--json")
    assert [row["p_active"] for row in json.loads(as_json.stdout)][:9] == pytest.approx(
        tables[0][:9], abs=1e-5
    )


def test_predictions_go_to_a_table_where_the_same_date_again_replaces_them(model, tmp_path):
    url = f"sqlite:///{tmp_path / 'scores.db'}"
    place = ["--horizon", "30d", "--to-url", url, "--to-table", "scores"]
    done = foretell("predict", model, *place)
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert "2,357 rows written to table 'scores' of the sqlite database" in done.stderr
    again = foretell("predict", model, *place)
    assert "(in place of 2,357)" in again.stderr
    one = foretell("predict", model, "--id", "4", *place)
    assert "1 rows written" in one.stderr
    assert "(in place of 1)" in one.stderr
    assert ft.read_events(url, table="scores", id="unique_id", time="last_event").n_customers == 2357
    refused = foretell("predict", model, *place, "--if-exists", "fail")
    assert refused.exit_code == 1
    assert "has a table 'scores'; name another one, or --if-exists 'append'" in refused.stderr
    other = foretell("predict", model, *place, "--horizon", "7d")
    assert other.exit_code == 1
    assert "it lacks 'p_return_7d', 'expected_events_7d'; ask for the same columns" in other.stderr
    assert foretell("predict", model, *place, "--horizon", "7d", "--if-exists", "replace").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--to-url", "sqlite:///a.db"], "--to-url and --to-table go together"),
        (["--to-table", "scores"], "--to-url and --to-table go together"),
        (["--to-url", "sqlite:///a.db", "--to-table", "s", "--out", "a.csv"], "two places"),
        (["--if-exists", "fail"], "goes with --out or --to-url"),
        (["--out", "a.csv", "--if-exists", "append"], "--if-exists 'append' is for tables of databases"),
        (["--out", "a.xls"], "'a.xls' does not say which kind of table"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_the_model_is_read(arguments, hint, tmp_path):
    done = foretell("predict", tmp_path, *arguments)
    assert done.exit_code == 2
    assert hint in done.stderr


def test_a_stranger_is_forecast_as_a_new_customer_and_named(model):
    done = foretell("predict", model, "--id", "4", "--id", "999999", "--horizon", "30d")
    assert done.exit_code == 0
    assert "999999" in done.stderr
    assert pl.read_csv(done.stdout.encode())["n_events"].to_list()[1] == 0
    wrong = foretell("predict", model, "--id", "four")
    assert wrong.exit_code == 2
    assert "whole numbers" in wrong.stderr


def test_groups_are_forecast_by_name(model):
    done = foretell("predict", model, "--by-group", "--horizon", "7d", "--horizon", "30d")
    table = pl.read_csv(done.stdout.encode())
    assert table.columns == ["group", "expected_events_7d", "expected_events_30d"]
    assert table["group"].to_list() == [0, 1, 2]


def test_totals_are_forecast_by_week_group_and_customer(model):
    whole, weeks, groups = (
        pl.read_csv(foretell("totals", model, "--horizon", "28d", *more).stdout.encode())
        for more in ([], ["--by", "week", "--level", "50"], ["--by", "group"])
    )
    assert whole.columns == ["ds", "end", "visits", "visits-lo-80", "visits-hi-80"]
    assert weeks["visits"].sum() == pytest.approx(whole["visits"][0], rel=0.03)  # by simulation
    assert groups["group"].to_list() == [0, 1, 2]
    one = pl.read_csv(foretell("totals", model, "--id", "4").stdout.encode())
    assert one["visits"][0] < whole["visits"][0]


def test_update_takes_the_whole_log_again_and_keeps_what_is_new(model, visits, tmp_path):
    out = tmp_path / "later"
    more = ["--group", "store", "--as-of", "1997-10-31", "--out", out, "--json"]
    done = foretell("update", model, visits, *COLUMNS, *more)
    assert done.exit_code == 0, done.stderr
    assert "before the start" in done.stderr
    assert json.loads(done.stdout)["as_of"] == "1997-10-31"
    assert json.loads((model / "model.json").read_text())["data"]["as_of"] == 10134  # 1997-09-30, untouched


def test_models_are_compared_in_a_table_or_as_json(visits, tmp_path):
    span = ["--as-of", "1998-06-30", "--cutoff", "1997-09-30", "--horizon", "273d"]
    which = ["--model", "bg/nbd", "--model", "repeat rate"]
    board = tmp_path / "board.json"
    done = foretell(
        "evaluate", visits, *COLUMNS, *span, *which, "--json", board, "--pictures", tmp_path / "pictures"
    )
    assert done.exit_code == 0, done.stderr
    assert "BG/NBD" in done.stdout
    assert "rows read" in done.stderr
    rows = json.loads(board.read_text())["rows"]
    assert [row["model"] for row in rows] == ["BG/NBD", "repeat rate"]
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"tracking.png", "reliability.png"}
    printed = foretell("evaluate", visits, *COLUMNS, *span, *which, "--json", "-")
    assert json.loads(printed.stdout)["cutoff"] == "1997-09-30"


def test_a_model_without_a_name_is_refused_with_the_names(visits):
    span = ["--as-of", "1998-06-30", "--cutoff", "1997-09-30"]
    done = foretell("evaluate", visits, *COLUMNS, *span, "--model", "prophet")
    assert done.exit_code == 2
    assert "'bg-nbd'" in done.stderr


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("next", ".png"),
        ("next", ".html"),
        ("activity", ".svg"),
        ("shop", ".svg"),
        ("totals", ".svg"),
        pytest.param("tracking", ".svg", marks=pytest.mark.slow),
    ],
)
def test_plots_are_drawn_from_a_model(model, tmp_path, kind, ending):
    out = tmp_path / f"plot{ending}"
    more = ["--id", "4"] if kind == "next" else ["--horizon", "8w"]
    done = foretell("plot", model, "--kind", kind, *more, "--out", out)
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert out.stat().st_size > 1000


def test_a_closed_pipe_is_no_failure(model):
    command = f"'{Path(sys.executable).with_name('foretell')}' predict '{model}' --horizon 7d | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("unique_id,")


def test_a_database_is_read_by_its_url(visits, tmp_path):
    base = f"sqlite:///{tmp_path / 'shop.db'}"
    pl.read_csv(visits).write_database("visits", base)
    span = ["--as-of", "1998-06-30", "--cutoff", "1997-09-30", "--model", "repeat rate", "--json", "-"]
    done = foretell("evaluate", base, "--table", "visits", *COLUMNS, *span)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["n_customers"] == 2357


def test_the_demo_makes_forecasts_a_leaderboard_and_pictures(tmp_path):
    done = shell("demo", "--out", "made", cwd=tmp_path, env={**os.environ, "COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    made = {path.name for path in (tmp_path / "made").iterdir()}
    assert {"forecasts.csv", "leaderboard.json", "cdnow.csv", "visits.csv", "model"} <= made
    assert {name for name in made if name.endswith(".png")} == {
        "next_event.png", "tracking.png", "reliability.png", "shop.png", "forecast.png", "error_by_step.png",
    }  # fmt: skip
    assert "better than Pareto/NBD" in done.stdout
    assert "What to try next:" in done.stdout


@pytest.mark.slow
def test_the_readmes_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo-output").mkdir()
    load_cdnow().write_csv("demo-output/cdnow.csv")
    store_visits().write_csv("demo-output/stores.csv")
    readme = Path(__file__).parents[1] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    scope = {}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), scope)
    assert (tmp_path / "tracking.png").is_file()
    assert (tmp_path / "forecast.png").is_file()


def test_backtest_compares_cut_off_by_cut_off(visits, tmp_path):
    options = ["--as-of", "1998-06-30", "--horizon", "60d", "--folds", "3", "--model", "mbg/nbd"]
    options += ["--model", "mean gap", "--json", tmp_path / "figures.json", "--out", tmp_path / "rows"]
    done = foretell("backtest", visits, *COLUMNS, *options, "--pictures", tmp_path / "pictures")
    assert done.exit_code == 0, done.stderr
    assert "3 cut-offs, 1998-01-01 to 1998-05-01" in done.stdout
    assert "nothing to compare" in done.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {row["model"] for row in figures["rows"]} == {"MBG/NBD", "mean gap"}
    assert len(list((tmp_path / "rows").iterdir())) == 3
    assert (tmp_path / "pictures" / "coverage.png").stat().st_size > 1_000


def test_backtest_of_named_days_is_json_on_stdout(visits):
    days = ["--cutoff", "1998-01-31", "--cutoff", "1998-03-31", "--as-of", "1998-06-30"]
    done = foretell("backtest", visits, *COLUMNS, *days, "--model", "mean gap", "--json", "-")
    assert json.loads(done.stdout)["cutoffs"] == ["1998-01-31", "1998-03-31"]


def test_backtest_refuses_unknown_policies(visits):
    done = foretell("backtest", visits, *COLUMNS, "--refit", "often", "--model", "mean gap")
    assert done.exit_code == 2
    assert "--refit 'often'; expected 'always', 'never' or 'warm'" in done.stderr


def test_ids_that_are_numbers_with_fractions_are_named_as_they_are_written():
    ids = pl.Series([17850.0, 13047.0])
    assert typed_ids(ids, ["17850", "13047.0"]) == [17850.0, 13047.0]
    with pytest.raises(ParameterError, match=r"ids=\['x'\]: the ids of this model are numbers"):
        typed_ids(ids, ["x"])


def test_update_reads_in_the_zone_of_the_model(tmp_path):
    times = ["01T10:00", "09T10:00", "20T22:30", "21T10:00"]
    rows = [f"{k},2024-05-{when}:00Z" for k in (1, 2) for when in times]
    source = tmp_path / "visits.csv"
    source.write_text("\n".join(["unique_id,ds", *rows]), encoding="utf-8")
    place = tmp_path / "model"
    until = ["--time-zone", "Europe/Berlin", "--as-of", "2024-05-20", "--model", "bg-nbd"]
    assert foretell("fit", source, *until, "--out", place).exit_code == 0
    done = foretell("update", place, source, "--as-of", "2024-05-31", "--json")
    assert json.loads(done.stdout)["events"] == 6  # 20 May, 22:30 and 21 May are one day in Berlin


@pytest.mark.filterwarnings("always::foretell.errors.CovariateWarning")
def test_a_calendar_goes_with_the_visits_and_a_longer_one_with_later_visits(tmp_path):
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 5, 19), eager=True)
    promotion = (days.dt.week() % 5 == 0).cast(pl.Int8)  # from 8 April, from 13 May
    came = [
        (f"{(7 * i + 5 * k) % 60}", day)
        for i, day in enumerate(days)
        for k in range(12 if promotion[i] else 4)
    ]
    pl.DataFrame(came, schema=["unique_id", "ds"], orient="row").write_csv(tmp_path / "visits.csv")
    known = pl.DataFrame({"ds": days, "promotion": promotion})
    known.filter(days < pl.date(2024, 4, 15)).write_csv(tmp_path / "short.csv")
    known.write_csv(tmp_path / "days.csv")
    visits, model = tmp_path / "visits.csv", tmp_path / "model"
    learn = ["--model", "prior", "--as-of", "2024-03-31", "--out", model]
    done = foretell("fit", visits, "--calendar", tmp_path / "short.csv", *learn)
    assert done.exit_code == 0, done.output
    ask = ["predict", model, "--horizon", "28d", "--id", "7"]
    assert "promotion: not known for 14 of the 28 days that are forecast" in foretell(*ask).stderr
    foretell("update", model, visits, "--calendar", tmp_path / "days.csv", "--as-of", "2024-04-14")
    assert "not known" not in foretell(*ask).stderr
    weeks = ft.load(model).predict_cohort("35d")["foretell"].to_numpy()
    assert weeks.argmax() == 4
    assert weeks[4] > 1.5 * weeks[:4].max()


def test_what_if_says_what_a_mailing_would_bring(model, visits, tmp_path):
    ids = pl.read_csv(visits)["customer_id"].unique()
    pl.DataFrame({"customer": ids, "sent": "1997-06-06", "how": "mail"}).write_csv(tmp_path / "sent.csv")
    columns = ["--contact-id", "customer", "--contact-time", "sent", "--contact-kind", "how"]
    ask = ["--contacts", tmp_path / "sent.csv", *columns, "--on", "1997-10-03"]
    done = foretell("what-if", model, *ask, "--id", "111", "--id", "1516", "--horizon", "21d", "--json")
    assert [row["unique_id"] for row in json.loads(done.stdout)] == [111, 1516]
    assert "If 2 customers are contacted on 1997-10-03, expect" in done.stderr
    assert "an association, not an effect" in done.stderr
