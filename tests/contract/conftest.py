"""What the checks of the contract take for granted."""

import pytest

import foretell as ft


@pytest.fixture(scope="session", autouse=True)
def enough_customers():
    """Let the forecaster that chooses do so on the small log: it would fall back on the statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ft.EventForecaster, "_least", (80, *ft.EventForecaster._least[1:]))
        yield
