import pytest

import foretell as ft
from foretell.datasets import load_cdnow


@pytest.fixture(scope="session")
def cdnow_sample_log():
    return ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")


@pytest.fixture(scope="session")
def cdnow_log():
    return ft.read_events(load_cdnow(), id="customer_id", time="date", as_of="1998-06-30")
