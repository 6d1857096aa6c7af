"""The logger that a program may listen to; nothing is printed where it does not."""

import logging

import polars as pl
import pytest

import foretell as ft
from foretell.baselines import MBGNBD
from foretell.core.journal import JOURNAL, warn
from foretell.errors import ForetellWarning
from foretell.nn.training import reporter

ROWS = pl.DataFrame(
    {
        "unique_id": [1, 1, 2, 2, None],
        "ds": ["2024-01-01", "2024-02-02", "2024-01-09", "2024-03-04", "2024-03-04"],
    }
)


def test_reading_and_fitting_are_written_down(caplog):
    with caplog.at_level(logging.INFO, "foretell"):
        MBGNBD().fit(ft.read_events(ROWS))
    read, fitted = (record.getMessage() for record in caplog.records)
    assert read.startswith("EventLog(2 customers, 4 events")
    assert "5 rows read, 4 kept" in read
    assert fitted.startswith("MBGNBD fitted to EventLog(2 customers")


def test_epochs_are_written_down_where_they_are_asked_for(caplog):
    assert reporter(None, member=0, epochs=3) is None
    with caplog.at_level(logging.DEBUG, "foretell"):
        reporter(None, member=0, epochs=3)(0, 0.5, 0.25)
    (said,) = (record.getMessage() for record in caplog.records)
    assert said == "Progress(member=0, epoch=1, epochs=3, loss=0.5, validation_loss=0.25)"


def test_what_is_warned_of_is_written_down_too(caplog):
    with pytest.warns(ForetellWarning, match="too few") as caught:
        warn("too few", ForetellWarning, stacklevel=1)
    assert caught[0].filename == __file__
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("foretell", "WARNING", "too few")
    ]


def test_nothing_is_printed_where_nobody_listens(capfd):
    assert any(isinstance(handler, logging.NullHandler) for handler in JOURNAL.handlers)
    MBGNBD().fit(ft.read_events(ROWS))
    assert capfd.readouterr() == ("", "")
