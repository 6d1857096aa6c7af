"""The pages say what happens; each block is run or says why not; two languages show the same code."""

import importlib
import json
import re

import pytest
from tests.pages import (
    DOCS,
    blocks,
    check_command,
    check_names,
    commands,
    run_console,
    run_notebook,
    run_page,
)

ROOT = DOCS.parent
DOORS = {
    "acquisition",
    "baselines",
    "contacts",
    "datasets",
    "distributed",
    "errors",
    "evaluation",
    "mlflow",
    "next_group",
    "plotting",
    "prep",
}
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
RUN = {
    "tutorial.md": 35,
    "questions.md": 90,
    "heads.md": 17,
    "backtest.md": 10,
    "baselines.md": 20,
    "saved-models.md": 13,
    "reading.md": 8,
    "read-series.md": 6,
    "databases.md": 12,
    "networks.md": 21,
    "explain.md": 6,
    "prior.md": 7,
    "series-prior.md": 7,
    "shop.md": 4,
    "customers.md": 10,
    "shortlist.md": 6,
    "shop-report.md": 4,
    "totals.md": 6,
    "value.md": 11,
    "calendars.md": 30,
    "next-group.md": 9,
    "tuning.md": 6,
    "index.md": 6,
    "gallery.md": 31,
    "quickstart.md": 17,
    "others.md": 37,
    "what-next.md": 11,
    "distributed.md": 12,
}
ELSEWHERE = {"export.md": "events/test_export.py", "README.md": "test_cli.py"}
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CHINESE = {page.name.replace(".zh.", "."): page.name for page in DOCS.glob("*.zh.md")}
LANGUAGES = {"python", "bash", "console", "sql", "text", "yaml"}

page_by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize(("page", "at_least"), RUN.items())
def test_the_code_of_the_page_runs(page, at_least, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where its pictures go
    run_page(page, at_least)


@pytest.mark.parametrize(("page", "at_least"), [("cli.md", 13), ("others.md", 6)])
def test_the_shell_sessions_of_the_page_print_what_it_shows(page, at_least, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_console(page, at_least)


@pytest.mark.parametrize("notebook", EXAMPLES, ids=lambda path: path.stem)
def test_the_notebook_prints_what_it_shows(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_notebook(notebook) > 2
    assert (DOCS / "examples" / f"{notebook.stem}.md").is_file()


@pytest.mark.parametrize("page", ["questions.md", "questions.zh.md"])
def test_every_question_is_answered_with_code_that_runs(page):
    answers = re.split(r"^## ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(answers) == 12
    assert all("\n>>> " in answer for answer in answers)


def test_every_page_is_in_the_index():
    listed = re.findall(r"^[\w./-]+$", (DOCS / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert pages - {"index"} == set(listed)


@pytest.mark.parametrize(("page", "translated"), CHINESE.items())
def test_the_chinese_page_shows_the_same_code_as_the_english_one(page, translated):
    english, chinese = (
        [block.code for block in blocks(DOCS / name) if block.language in LANGUAGES - {"text"}]
        for name in (page, translated)
    )
    assert english == chinese
    assert len(english) > 5


@page_by_page
def test_each_block_of_code_is_run_or_says_why_not(page):
    for block in blocks(page):
        if block.language.startswith("{"):  # Sphinx' own: the site's build runs it
            continue
        assert block.language in LANGUAGES, block
        if block.is_session:
            ran = {*RUN, *ELSEWHERE, *CHINESE.values()}
            assert page.name in ran, f"{page.name} has examples, but no test runs it"
        elif block.language == "python" and page.name not in ELSEWHERE:
            assert block.why, f"no example, and no comment <!-- not run: why --> before it:\n{block.code}"
            check_names(block.code)


@page_by_page
def test_commands_and_their_options_are_those_of_the_command_line(page):
    for block in blocks(page):
        if block.language in {"bash", "console"}:
            for words in commands(block.code):
                check_command(words)


def test_the_command_of_the_container_is_one_of_the_command_line():
    *_, last = re.findall(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    script = json.loads(last)[-1]
    (words,) = commands(re.sub(r"\$\(.*?\)", "model", script.removeprefix("exec ")))
    check_command(words)
    assert "--host" in words


def test_code_is_fenced():
    """Indented blocks have no language: neither a test nor the site's colours know what they are."""
    for page in DOCS.glob("*.md"):
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not re.search(r"^\n    ", prose, re.MULTILINE), page.name


def test_every_picture_and_page_that_a_page_links_to_is_there():
    links = 0
    for page in {*DOCS.rglob("*.md"), *PAGES, ROOT / "CONTRIBUTING.md"}:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)
            links += 1
    assert links > 10


def test_every_picture_is_shown_by_a_page():
    shown = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in (DOCS / "images").iterdir() if f"images/{path.name}" not in shown] == []


@page_by_page
def test_pages_import_from_doors_only(page):
    imported = re.findall(r"(?:from|import) +foretell\.([\w.]+)", page.read_text(encoding="utf-8"))
    assert set(imported) <= DOORS


@pytest.mark.parametrize("door", ["", *(f".{name}" for name in sorted(DOORS))])
def test_the_reference_has_every_public_name(door):
    room = importlib.import_module(f"foretell{door}")
    written = (DOCS / "api" / f"{door[1:] or 'foretell'}.md").read_text(encoding="utf-8")
    listed = re.findall(
        rf"^\.\. auto(?!module)\w+:: foretell{re.escape(door)}\.(\w+)$", written, re.MULTILINE
    )
    if door == ".errors":  # has no list of its own: all of it is public
        public = [name for name, value in vars(room).items() if isinstance(value, type)]
    else:
        public = [name for name in room.__all__ if name not in DOORS | {"__version__"}]
    assert sorted(listed) == sorted(public)
