"""What the checks of the contract take for granted."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def enough_customers():
    """Let the forecaster that chooses do so on the small log: it would fall back on the statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foretell.events.forecaster.LEAST_CUSTOMERS", 80)
        yield
