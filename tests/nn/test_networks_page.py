"""The page about networks says what happens."""

import doctest
from pathlib import Path


def test_the_code_of_the_page_runs():
    page = Path(__file__).parents[2] / "docs" / "networks.md"
    outcome = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted > 20
    assert outcome.failed == 0
