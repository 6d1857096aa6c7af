"""The command line on regular series: fit, predict, evaluate, plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from foretell.cli.commands import app

runner = CliRunner()
# What networks learn is held elsewhere: here they are such as compile fast.
QUICK = ["--ensemble", "1", "--set", "network.layers=0", "--set", "network.dense=8"]
H_NEW = ["--horizon", "2", "--out", "NEW"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with sales.csv and a model of it."""
    place = tmp_path_factory.mktemp("series")
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 8, 27), eager=True)
    frames = [
        pl.DataFrame(
            {"store": name, "day": days, "sales": 100 + size * np.sin(2 * np.pi * np.arange(240) / 7)}
        )
        for name, size in (("east", 10), ("west", 20))
    ]
    pl.concat(frames).write_csv(place / "sales.csv")
    out = runner.invoke(app, [*fit_words(place), "--out", str(place / "model"), "--json"])
    assert out.exit_code == 0, out.output
    assert json.loads(out.stdout)["season"] == 7
    return place


def sales_words(place: Path, verb: str) -> list[str]:
    columns = ["--id", "store", "--time", "day", "--target", "sales", "--horizon", "7"]
    return [verb, str(place / "sales.csv"), *columns]


def fit_words(place: Path, verb: str = "fit") -> list[str]:
    return [*sales_words(place, verb), "--epochs", "2", *QUICK]


def test_predict_writes_the_table(place: Path) -> None:
    out = runner.invoke(app, ["predict", str(place / "model"), "--id", "west", "--level", "80"])
    assert out.exit_code == 0, out.output
    lines = out.stdout.strip().splitlines()
    assert lines[0] == "unique_id,ds,foretell,foretell-lo-80,foretell-hi-80"
    assert len(lines) == 8
    assert lines[1].startswith("west,2024-08-28")


def test_totals_of_series_add_up(place: Path) -> None:
    tables = [
        pl.read_csv(runner.invoke(app, ["totals", str(place / "model"), *more]).stdout.encode())
        for more in ([], ["--by", "series"], ["--id", "east", "--horizon", "1w"])
    ]
    whole, series, east = (table["foretell"].to_list() for table in tables)
    assert sum(series) == pytest.approx(whole[0])
    assert series[0] == pytest.approx(east[0])


def test_the_same_steps_again_take_their_place_in_a_table(place: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'forecasts.db'}"
    asked = ["predict", str(place / "model"), "--to-url", url, "--to-table", "steps", "--level", "80"]
    first, again = (runner.invoke(app, asked) for _ in range(2))
    assert (first.exit_code, first.stdout) == (0, ""), first.stderr
    rows = int(first.stderr.split(" rows written")[0].split()[-1])
    assert f"{rows} rows written to table 'steps'" in again.stderr
    assert f"(in place of {rows})" in again.stderr


def test_evaluate_compares_with_the_rules(place: Path) -> None:
    words = [*fit_words(place, "evaluate"), "--json", str(place / "board.json")]
    out = runner.invoke(app, [*words, "--pictures", str(place / "pictures")])
    assert out.exit_code == 0, out.output
    board = json.loads((place / "board.json").read_text())
    assert {row["model"] for row in board["rows"]} == {"foretell", "seasonal naive", "naive", "drift"}
    assert (place / "pictures" / "error_by_step.png").stat().st_size > 1000
    assert (place / "pictures" / "forecast.png").stat().st_size > 1000


def test_several_targets_covariates_and_a_cut_off(place: Path) -> None:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 5, 29), eager=True)
    wave = 100 + 10 * np.sin(2 * np.pi * np.arange(150) / 7)
    columns = {"day": days, "sales": wave, "visits": 3 * wave, "rain": wave % 3, "promo": wave % 2}
    pl.DataFrame(columns | {"region": ["north"] * 150}).write_csv(place / "one.csv")
    words = ["--id", "", "--time", "day", "--target", "sales", "--target", "visits", "--past", "rain"]
    words += ["--future", "promo", "--static", "region", "--freq", "1d", "--horizon", "7"]
    words += ["--epochs", "1", *QUICK]
    out = runner.invoke(
        app, ["evaluate", str(place / "one.csv"), *words, "--cutoff", "2024-05-20", "--json", "-"]
    )
    assert out.exit_code == 0, out.output
    board = json.loads(out.stdout)
    assert (board["cutoff"], board["end"], board["h"]) == ("2024-05-20", "2024-05-27", 7)
    assert all(row["mase"] is not None for row in board["rows"])


def test_plot_draws_one_series(place: Path) -> None:
    out = runner.invoke(app, ["plot", str(place / "model"), "--id", "east", "--out", str(place / "east.svg")])
    assert out.exit_code == 0, out.output
    assert "east" in (place / "east.svg").read_text()


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["predict", "MODEL", "--horizon", "6h"], "shorter than a step of '1d'", 2),
        (["predict", "MODEL", "--id", "north"], "no series 'north'", 2),
        (["update", "MODEL", "CSV"], "takes a model of visits", 2),
        (["fit", "CSV", "--target", "sales", "--out", "NEW"], "--horizon", 2),
        (["fit", "CSV", "--id", "store", "--time", "day", "--target", "sale", *H_NEW], "sale", 1),
    ],
)
def test_wrong_use_is_told(place: Path, words: list[str], said: str, code: int) -> None:
    names = {"MODEL": str(place / "model"), "CSV": str(place / "sales.csv"), "NEW": str(place / "new")}
    out = runner.invoke(app, [names.get(word, word) for word in words])
    assert out.exit_code == code
    assert said in out.output


def test_backtest_goes_back_step_by_step(place: Path) -> None:
    words = [*sales_words(place, "backtest"), "--folds", "2", "--step", "3d"]
    out = runner.invoke(app, [*words, "--model", "naive", "--model", "seasonal naive", "--json", "-"])
    assert out.exit_code == 0, out.output
    result = json.loads(out.stdout)
    assert [day[:10] for day in result["cutoffs"]] == ["2024-08-17", "2024-08-20"]
    assert result["rows"][0]["model"] == "seasonal naive"


def test_backtest_of_series_steps_in_whole_steps(place: Path) -> None:
    out = runner.invoke(app, [*fit_words(place, "backtest"), "--step", "3h"])
    assert out.exit_code == 2
    assert "--step 3h: '3h' is shorter than a step" in out.output


def test_a_forecast_goes_by_covariates_that_are_known_ahead(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    promo = rng.random(126) < 0.15
    promo[-7:] = [True, False] * 3 + [True]
    sales = 20.0 * 2.0**promo * np.exp(rng.normal(0, 0.05, 126))
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 5, 5), eager=True)
    table = pl.DataFrame({"day": days, "sales": sales, "promo": promo.astype(int)})
    known = pl.col("day") <= pl.date(2024, 4, 28)
    table.with_columns(pl.when(known).then("sales")).write_csv(tmp_path / "sales.csv")
    words = ["forecast", str(tmp_path / "sales.csv"), "--time", "day", "--target", "sales"]
    out = runner.invoke(app, [*words, "--future", "promo", "--horizon", "7"])
    assert out.exit_code == 0, out.output
    found = pl.read_csv(out.stdout.encode())["foretell"].to_numpy()
    np.testing.assert_allclose(found, np.where(promo[-7:], 40.0, 20.0), rtol=0.15)


def test_visits_are_counted_and_added_up_by_step_and_group(tmp_path: Path) -> None:
    days = np.datetime64("2024-01-01") + np.arange(900) * 7 % 90
    table = {
        "who": np.arange(900) % 40,
        "day": days,
        "paid": ["1.000,50 €"] * 900,
        "shop": np.arange(900) % 2,
    }
    pl.DataFrame(table).write_csv(tmp_path / "visits.csv")
    columns = [str(tmp_path / "visits.csv"), "--id", "who", "--time", "day", "--every", "1d"]
    out = runner.invoke(
        app,
        [
            "forecast",
            *columns,
            "--sum",
            "paid",
            "--count",
            "--group",
            "shop",
            "--horizon",
            "2",
            "--level",
            "80",
        ],
    )
    assert out.exit_code == 0, out.output
    rows = pl.read_csv(out.stdout.encode())
    assert rows["unique_id"].unique().sort().to_list() == [0, 1]
    assert rows["target"].unique().sort().to_list() == ["paid", "visits"]
    assert rows["ds"].min() == "2024-03-31"
    out = runner.invoke(
        app,
        ["fit", *columns, "--horizon", "7", "--model", "seasonal-naive", "--out", str(tmp_path / "model")],
    )
    assert out.exit_code == 0, out.output
    total = runner.invoke(app, ["predict", str(tmp_path / "model")]).stdout
    assert pl.read_csv(total.encode())["unique_id"].to_list() == ["visits"] * 7
