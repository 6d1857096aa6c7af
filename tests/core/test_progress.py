"""Bars where somebody watches, a function where one is given, silence elsewhere."""

import io
import sys
import types
from typing import NamedTuple

import numpy as np
import pytest

import foretell as ft
from foretell.core.progress import is_watched, watch_backtest, watch_search, watch_training
from foretell.errors import ParameterError


class Epoch(NamedTuple):
    member: int
    epoch: int
    epochs: int
    validation_loss: float


class Trial(NamedTuple):
    done: int
    trials: int
    best: float | None


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal_in(monkeypatch):
    """Put a terminal in the place of stderr, in the test itself: pytest puts its own there before each."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    return stream


def test_a_bar_for_each_network_is_drawn_on_a_terminal(monkeypatch):
    terminal = terminal_in(monkeypatch)
    with watch_training(None) as told:
        told(Epoch(0, 3, 40, 0.25))
        told(Epoch(1, 40, 40, 0.5))
    drawn = terminal.getvalue()
    assert "network 1" in drawn
    assert "3 passes over the data" in drawn
    assert "network 2" in drawn


def test_a_fit_that_trains_nothing_draws_nothing(monkeypatch):
    terminal = terminal_in(monkeypatch)
    with watch_training(None):
        pass
    assert terminal.getvalue() == ""


def test_a_search_has_one_bar(monkeypatch):
    terminal = terminal_in(monkeypatch)
    with watch_search(None) as told:
        told(Trial(1, 20, None))
        told(Trial(2, 20, 0.75))
    assert "trial 2 of 20" in terminal.getvalue()
    assert "best 0.75" in terminal.getvalue()


def test_a_backtest_has_a_bar_of_its_cutoffs_and_a_comparison_one_too(monkeypatch):
    terminal = terminal_in(monkeypatch)
    panel = ft.Panel.from_arrays([[1, 2, 3] * 8])
    ft.backtest(panel, ["naive"], horizon=3, cutoffs=2)
    assert "cut-off 2 of 2 naive" in terminal.getvalue()
    ft.evaluate(panel, horizon=3, models=["drift"])
    assert "cut-off 1 of 1 drift" in terminal.getvalue()


@pytest.mark.parametrize("watch", [watch_training, watch_search, watch_backtest])
def test_false_draws_nothing_on_a_terminal_either(watch, monkeypatch):
    terminal = terminal_in(monkeypatch)
    with watch(False) as told:
        assert told is None
    assert terminal.getvalue() == ""


def test_where_nobody_watches_there_is_no_bar_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_watched()
    with watch_training(None) as told:
        assert told is None
    with watch_training(True) as told:
        assert told is not None


def test_a_notebook_is_watched(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    assert is_watched()


def test_a_function_is_called_and_anything_else_refused():
    epochs = []
    with watch_training(epochs.append) as told:
        told(Epoch(0, 1, 2, 0.5))
    assert epochs == [Epoch(0, 1, 2, 0.5)]
    panel = ft.Panel.from_arrays([np.sin(np.arange(60))])
    with pytest.raises(ParameterError, match="progress='yes'; expected a function"):
        ft.SeriesForecaster(horizon=3, model="prior").fit(panel, progress="yes")
