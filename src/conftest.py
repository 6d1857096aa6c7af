"""What the examples in docstrings may take for granted, as the docstring of their package says."""

from __future__ import annotations

import functools

import pytest


@functools.cache
def _examples() -> dict[str, object]:
    import foretell as ft  # noqa: PLC0415  # only where examples ask for it

    visits = ft.datasets.load_cdnow(sample=True)
    return {
        "ft": ft,
        "log": ft.read_events(visits, id="customer_id", time="date", as_of="1998-06-30"),
        "panel": ft.Panel.from_arrays({"a": [1, 2, 4, 3, 5, 4] * 4}),
    }


@pytest.fixture(autouse=True)
def _shared_examples(request: pytest.FixtureRequest, doctest_namespace: dict[str, object]) -> None:
    """Give the examples of the charts a log and a panel."""
    if request.node.name.startswith("foretell.plotting"):
        doctest_namespace |= _examples()
