"""What tests of the prior answer about: half a year of a small log."""

import pytest

import foretell as ft


@pytest.fixture(scope="module")
def log(small_log):
    return small_log.until("2023-06-30")


@pytest.fixture(scope="module")
def model(log):
    return ft.EventForecaster(model="prior").fit(log)
