"""The page about reading series says what happens."""

from tests.pages import run_page


def test_the_code_of_the_page_runs():
    run_page("read-series.md", 6)
