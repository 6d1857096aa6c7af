"""Runs the code of a page of the docs, as a reader would who types it in."""

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def run_page(name, at_least):
    """Run a page's examples in the present directory; all have to give what the page shows.

    The page has at least so many examples: one whose fences hide them would pass unseen.
    """
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    outcome = doctest.testfile(str(DOCS / name), module_relative=False, optionflags=flags, encoding="utf-8")
    assert outcome.attempted >= at_least
    assert outcome.failed == 0
