"""The pages that teach say what happens, and their two languages show the same code."""

import re

import pytest
from tests.pages import DOCS, run_page

ROOT = DOCS.parent
DOORS = {"baselines", "datasets", "distributed", "errors", "evaluation", "plotting", "prep"}


@pytest.mark.parametrize(
    ("page", "at_least"),
    [
        ("tutorial.md", 35),
        ("questions.md", 20),
        ("heads.md", 17),
        ("backtest.md", 10),
        ("baselines.md", 20),
        ("saved-models.md", 13),
        ("reading.md", 8),
        ("read-series.md", 6),
        ("databases.md", 12),
        ("networks.md", 21),
        ("explain.md", 6),
        ("prior.md", 7),
        ("series-prior.md", 7),
        ("shop.md", 4),
        ("shortlist.md", 6),
        ("totals.md", 6),
        ("search.md", 6),
    ],
)
def test_the_code_of_the_page_runs(page, at_least, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where its pictures go
    run_page(page, at_least)


def test_the_chinese_page_shows_the_same_code_as_the_english_one():
    english, chinese = (
        re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
        for name in ("tutorial.md", "tutorial.zh.md")
    )
    assert english == chinese
    assert len(english) > 10


def test_every_picture_and_page_that_a_page_links_to_is_there():
    links = 0
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (DOCS / target).exists(), (page.name, target)
            links += 1
    assert links > 10


def test_every_picture_is_shown_by_a_page():
    pages = [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
    shown = " ".join(page.read_text(encoding="utf-8") for page in pages)
    assert [path.name for path in (DOCS / "images").iterdir() if f"images/{path.name}" not in shown] == []


@pytest.mark.parametrize(
    "page",
    [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "benchmarks" / "README.md"],
    ids=lambda page: page.name,
)
def test_pages_import_from_doors_only(page):
    imported = re.findall(r"(?:from|import) +foretell\.([\w.]+)", page.read_text(encoding="utf-8"))
    assert set(imported) <= DOORS
