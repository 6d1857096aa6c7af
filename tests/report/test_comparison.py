"""The report is one page that shows everything and, in a real browser, asks for nothing from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.browsing import browse, needs_browser

import foretell as ft
from foretell.baselines.rules import Naive
from foretell.errors import ParameterError, StorageError
from foretell.evaluation import Evaluation


class Nasty(Naive):
    """Has markup for a name."""

    name = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def visits(small_log: ft.EventLog, small: Any) -> Evaluation:
    ours = small.forecaster()
    return ft.evaluate(small_log, small.cutoff, "90d", models=[ours, "bg/nbd", "repeat rate"], seeds=2)


@pytest.fixture(scope="module")
def series() -> Evaluation:
    rng, steps = np.random.default_rng(0), np.arange(48)
    panel = ft.Panel.from_arrays({f"s{i}": 9 + np.sin(steps) + rng.normal(size=48) for i in range(3)})
    return ft.evaluate(panel, horizon=6, models=["seasonal naive", "naive", "drift"], season=6)


@pytest.fixture(scope="module")
def page(visits: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ft.write_report(visits, tmp_path_factory.mktemp("report") / "report.html")


def sections(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_the_page_of_visits_has_every_part(page: Path, visits: Evaluation) -> None:
    text = page.read_text(encoding="utf-8")
    assert sections(text) == [
        "Leaderboard", "Visits by week", "Does 20 % mean 20 %?", "Overdue", "Spread over seeds"
    ]  # fmt: skip
    assert all(name in text for name in visits.names)
    assert text.count("<svg") == 2
    overdue = text[text.index("<h2>Overdue") : text.index("<h2>Spread")]
    customers = re.findall(r'<td class="text">(c\d+)</td>', overdue)
    assert len(customers) == 20
    forecast = visits.models[visits.ours[0]].predict(["90d"], ids=customers)
    assert forecast["p_return_90d"].is_sorted(descending=True)
    assert (forecast["overdue"] >= 0.5).all()
    assert 'class="verdict"' in text
    assert "highest" in text


def test_the_page_of_series_has_every_part(series: Evaluation, tmp_path: Path) -> None:
    text = ft.write_report(series, tmp_path / "report.html").read_text(encoding="utf-8")
    assert sections(text) == ["Leaderboard", "Error by step ahead", "Do the intervals hold?"]
    assert text.count("<svg") == 2
    assert str(series.verdict()) in text


def test_nothing_in_the_page_points_outside(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert named <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not addresses
    assert not re.search(r"<(script|link|iframe|object|embed)\b", text)


def test_marks_of_two_pictures_have_different_names(page: Path) -> None:
    names = re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8"))
    assert len(names) == len(set(names))


def test_names_cannot_bring_markup_into_the_page(tmp_path: Path) -> None:
    panel = ft.Panel.from_arrays({"a": np.arange(12.0)})
    evaluation = ft.evaluate(panel, horizon=2, models=[Nasty()], season=1)
    for text in (ft.write_report(evaluation, tmp_path / "r.html").read_text("utf-8"), evaluation.to_html()):
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_what_the_data_cannot_show_is_said(small_log: ft.EventLog, tmp_path: Path) -> None:
    cutoff = small_log.date(small_log.as_of - 10)
    board = ft.evaluate(small_log, cutoff, "10d", models=["repeat rate"])
    text = ft.write_report(board, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "who returned is not known" in text


def test_wrong_names_and_places_are_told(series: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"ends in \.html"):
        ft.write_report(series, tmp_path / "report.pdf")
    with pytest.raises(StorageError, match="cannot write"):
        ft.write_report(series, tmp_path / "nowhere" / "report.html")


@needs_browser
def test_a_browser_shows_everything_and_fetches_nothing(page: Path, tmp_path: Path) -> None:
    shown, asked = browse(page, tmp_path / "profile", "--dump-dom")
    for part in ("Leaderboard", "Visits by week", "Overdue", "Spread over seeds", "repeat rate", "foretell"):
        assert part in shown
    assert shown.count("<svg") == 2
    assert asked == set()
    picture = tmp_path / "page.png"
    browse(page, tmp_path / "profile", f"--screenshot={picture}", "--window-size=1000,2600")
    assert picture.stat().st_size > 30_000


@needs_browser
def test_a_page_that_fetches_something_would_be_found_out(tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    other.write_text('<img src="http://shop.test/pixel.png">', encoding="utf-8")
    assert browse(other, tmp_path / "profile", "--dump-dom")[1] == {"http://shop.test/pixel.png"}


def test_the_command_line_writes_it(small_log: ft.EventLog, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from foretell.cli.commands import app

    frame = small_log.to_polars()
    frame.write_csv(tmp_path / "visits.csv")
    words = ["evaluate", str(tmp_path / "visits.csv"), "--cutoff", "2023-06-30", "--horizon", "60d"]
    words += ["--model", "repeat rate", "--report", str(tmp_path / "report.html"), "--json", "-"]
    out = CliRunner().invoke(app, words)
    assert out.exit_code == 0, out.output
    assert json.loads(out.stdout)["rows"][0]["model"] == "repeat rate"
    assert "Visits by week" in (tmp_path / "report.html").read_text(encoding="utf-8")
