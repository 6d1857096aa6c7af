"""The first command, asked for step by step; evaluate that chooses what it holds back."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell.cli.commands import app

runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_log: ft.EventLog) -> Path:
    place = tmp_path_factory.mktemp("new")
    frame = small_log.to_polars().rename({"unique_id": "Kundennummer", "ds": "Datum"})
    frame.select("Kundennummer", "Datum").write_csv(place / "visits.csv")
    weeks = ft.aggregate(small_log, "1w")
    day = pl.date_range(pl.date(2022, 7, 4), interval="1w", end=pl.date(2023, 12, 25), eager=True)
    pl.DataFrame({"day": day[: weeks.n_rows], "visits": weeks.values[:, 0]}).write_csv(place / "weeks.csv")
    return place


def test_visits_are_asked_for_and_the_command_is_shown_and_run(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    # File, visits, then the proposed columns; no amount, no store; at once; the proposed directory; run it.
    said = runner.invoke(app, ["new"], input="visits.csv\nv\n\n\n\n\nat once\n\n\n")
    assert said.exit_code == 0, said.output
    command = "foretell fit visits.csv --id Kundennummer --time Datum --model prior --out model"
    assert command in said.stderr
    assert ft.load("model").log_.n_customers > 100
    # The next model gets a place of its own; a wrong column is asked for again.
    said = runner.invoke(app, ["new", "visits.csv"], input="\nname\n\n\n\n\nt\n\nn\n")
    assert said.exit_code == 0, said.output
    assert "there is no column 'name'; there are Kundennummer, Datum" in said.stderr
    assert "--out model2" in said.stderr
    assert not Path("model2").exists()


def test_series_are_asked_for_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    answers = "series\n-\n\n\n4\nat once\nweekly\ny\n"
    said = runner.invoke(app, ["new", "weeks.csv"], input=answers)
    assert said.exit_code == 0, said.output
    assert "--id '' " in said.stderr
    assert ft.load("weekly").horizon == 4


def test_a_file_that_is_not_there_ends_it(place: Path) -> None:
    said = runner.invoke(app, ["new", str(place / "nothing.csv")])
    assert said.exit_code == 1
    assert "nothing.csv" in said.stderr


def test_evaluate_chooses_what_it_holds_back(place: Path) -> None:
    words = ["evaluate", str(place / "visits.csv"), "--id", "Kundennummer", "--time", "Datum"]
    said = runner.invoke(app, [*words, "--model", "bg-nbd", "--json", "-"])
    assert said.exit_code == 0, said.output
    log = ft.read_events(place / "visits.csv", id="Kundennummer", time="Datum")
    assert json.loads(said.stdout)["cutoffs"] == [str(log.date(log.as_of - 90))]
    shorter = ft.evaluate(log, horizon="30d", models=["bg/nbd"])
    assert shorter.cutoff == str(log.date(log.as_of - 30))
    early = log.up_to(log.start + 200)
    assert ft.evaluate(early, models=["repeat rate"]).horizon == (early.as_of - early.first.min()) // 4
