"""The pages about search and explanations say what happens."""

import doctest
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["search", "explain"])
def test_the_code_of_the_page_runs(name):
    page = Path(__file__).parents[1] / "docs" / f"{name}.md"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    outcome = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert outcome.attempted > 5
    assert outcome.failed == 0
