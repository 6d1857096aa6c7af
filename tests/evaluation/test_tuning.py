"""Search: settings are found on an inner held-back part, trials of one shape share programs, files go on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.core.contracts import Outlook
from foretell.core.time import period_edges
from foretell.errors import DataError, ParameterError, StorageError
from foretell.evaluation.search_space import Between, SearchSpace, with_settings
from foretell.nn.training import Progress, Trainer

SMALL = ft.SeriesForecaster(
    horizon=4,
    model="network",
    ensemble=1,
    window=ft.WindowConfig(lookback=12, patch=4, season=4),
    network=ft.NetworkConfig(layers=0, dense=4, dropout=0.1),
    training=ft.TrainConfig(epochs=1, batch_size=8, refit=False),
)
RATES = {"training.learning_rate": [1e-3, 1e-2, 3e-2], "network.dropout": [0.1, 0.3]}


@pytest.fixture(scope="module")
def panel() -> ft.Panel:
    rng, steps = np.random.default_rng(1), np.arange(60)
    return ft.Panel.from_arrays(
        {f"s{i}": np.sin(steps * 1.57 + i) + 0.1 * rng.normal(size=60) for i in range(3)}
    )


@pytest.fixture(scope="module")
def grid(panel: ft.Panel, tmp_path_factory: pytest.TempPathFactory) -> tuple[ft.SearchResult, Path, int]:
    """A whole grid of one shape, its file, and how many programs it compiled."""
    place = tmp_path_factory.mktemp("search") / "search.db"
    before = Trainer._run_epoch.program()._cache_size()
    result = ft.tune(panel, RATES, model=SMALL, search=ft.SearchConfig(method="grid", storage=place))
    return result, place, Trainer._run_epoch.program()._cache_size() - before


def test_a_grid_tries_every_combination_once(grid: Any) -> None:
    table = grid[0].table()
    assert table.select(*RATES).unique().height == table.height == 6
    assert set(table["state"]) == {"complete"}


def test_trials_that_differ_in_rates_and_dropout_run_one_compiled_program(grid: Any) -> None:
    assert grid[2] == 1


def test_the_best_trial_comes_first_and_its_settings_are_fitted_to_all_data(
    grid: Any, panel: ft.Panel
) -> None:
    result = grid[0]
    table = result.table()
    assert table["mase"].is_sorted()
    assert table["mase"][0] == result.value
    assert result.best == {name: table[name][0] for name in RATES}
    assert result.model.training.learning_rate == result.best["training.learning_rate"]
    assert result.model.panel_ is panel
    assert "best of 6 trials" in str(result)


def test_the_figure_is_the_leaderboards(grid: Any, panel: ft.Panel) -> None:
    result = grid[0]
    again = with_settings(SMALL, result.best)
    figures = ft.evaluate(panel, horizon=4, models=[again]).figures(again.name)
    assert figures["mase"] == pytest.approx(result.value, rel=1e-4)


def test_importances_are_shares_and_drawn(grid: Any) -> None:
    shares = grid[0].importances()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert set(shares) == set(RATES)
    title = ft.plotting.plot_importances(grid[0]).to_dict()["title"]["text"]
    assert "matter" in title


def test_a_finished_search_is_not_run_again(grid: Any, panel: ft.Panel) -> None:
    heard: list[Any] = []
    again = ft.tune(
        panel,
        RATES,
        model=SMALL,
        search=ft.SearchConfig(method="grid", storage=grid[1]),
        progress=heard.append,
    )
    assert heard == []
    assert again.best == grid[0].best


def test_a_file_of_another_search_is_refused(grid: Any, panel: ft.Panel) -> None:
    with pytest.raises(StorageError, match="another search"):
        ft.tune(panel, {"ensemble": [1, 2]}, model=SMALL, search=ft.SearchConfig(storage=grid[1]))


def test_a_search_that_was_broken_off_goes_on(panel: ft.Panel, tmp_path: Path) -> None:
    class BrokenOffError(Exception):
        pass

    def stop(news: Any) -> None:
        if news.done == 1:
            raise BrokenOffError

    options: dict[str, Any] = {"model": SMALL}
    search = ft.SearchConfig(trials=3, together=1, storage=tmp_path / "search.db")
    space = {"training.learning_rate": Between(1e-3, 1e-1, log=True)}
    with pytest.raises(BrokenOffError):
        ft.tune(panel, space, search=search, progress=stop, **options)
    result = ft.tune(panel, space, search=search, **options)
    table = result.table()
    assert table.height == 3
    assert table["training.learning_rate"].n_unique() == 3


def test_when_the_time_is_up_no_trial_is_begun(panel: ft.Panel) -> None:
    search = ft.SearchConfig(method="random", trials=50, seconds=1e-3, together=1)
    result = ft.tune(
        panel, {"training.learning_rate": Between(1e-3, 1e-1, log=True)}, model=SMALL, search=search
    )
    assert result.table().height == 1


class Scripted(ft.SeriesForecaster):
    """Says the losses that its seed tells, and takes no time."""

    def fit(self, panel: ft.Panel, *, progress: Any = None) -> Scripted:
        for epoch in range(10):
            progress and progress(Progress(0, epoch + 1, 10, 1.0, float(self.seed)))
        return self

    def forecast(self, panel: ft.Panel, h: int, quantiles: Any) -> Any:
        return np.full((panel.n_series, h, 1, len(quantiles)), float(self.seed))


def test_hopeless_trials_are_pruned_by_their_validation_loss(panel: ft.Panel) -> None:
    space = {"seed": list(range(8))}
    search = ft.SearchConfig(method="grid", together=1)
    states = ft.tune(panel, space, model=Scripted(horizon=4), search=search).table()
    assert set(states.filter(pl.col("seed") < 4)["state"]) == {"complete"}
    assert set(states.filter(pl.col("seed") >= 4)["state"]) == {"pruned"}
    whole = ft.tune(
        panel, space, model=Scripted(horizon=4), search=ft.SearchConfig(method="grid", prune=False)
    )
    assert set(whole.table()["state"]) == {"complete"}


def test_what_comes_after_the_inner_part_begins_is_not_learned_from(panel: ft.Panel) -> None:
    seen: list[int] = []

    class Watching(Scripted):
        def fit(self, panel: ft.Panel, *, progress: Any = None) -> Scripted:
            seen.append(panel.n_rows)
            return super().fit(panel, progress=progress)

    ft.tune(
        panel, {"seed": [1, 2]}, model=Watching(horizon=4), search=ft.SearchConfig(method="grid", together=1)
    )
    assert seen == [panel.n_rows - 12] * 2 + [panel.n_rows]


def test_settings_that_do_not_go_together_fail_alone(panel: ft.Panel) -> None:
    space = {"window.patch": [4, "x"]}
    table = ft.tune(panel, space, model=SMALL, search=ft.SearchConfig(method="grid")).table()
    assert table["state"].to_list() == ["complete", "fail"]
    assert "patch='x'" in table["why"][1]


class ScriptedEvents(ft.EventForecaster):
    """Expects as many events of each customer as its seed tells."""

    def fit(self, log: ft.EventLog, **_: Any) -> ScriptedEvents:
        self.log_ = log
        return self

    def outlook(self, log: ft.EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        expected = np.full(log.n_customers, float(self.seed))
        return Outlook(expected, np.ones(len(period_edges(horizon, period))), p_active=expected * log.last)

    def return_chances(self, log: ft.EventLog, ticks: Any) -> None:
        return None


def test_events_are_tuned_by_a_figure_of_theirs(small_log: ft.EventLog, small: Any) -> None:
    log = small_log.until(small.cutoff)
    search = ft.SearchConfig(method="grid")
    result = ft.tune(log, {"seed": [0, 1, 9]}, model=ScriptedEvents(), horizon="60d", search=search)
    assert result.model.log_ is log
    assert result.best == {"seed": 1}
    figures = ft.evaluate(log, log.date(log.as_of - 60), "60d", [ScriptedEvents(seed=1)])
    assert result.value == figures.table()["rmse"].item()
    by_order = ft.tune(log, {"seed": [0, 1]}, model=ScriptedEvents(), objective="auc_active", search=search)
    assert by_order.best == {"seed": 1}  # the higher, the better


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"space": {}}, "expected a dict of settings"),
        ({"space": {"network.unit": [1]}}, "no setting 'network.unit'; it has"),
        ({"space": {"network.units": 8}}, "expected a list of values"),
        ({"space": {"seed": Between(1, 5)}, "search": ft.SearchConfig(method="grid")}, "is a range"),
        ({"objective": "loss"}, "expected 'mase'"),
        ({"model": ft.EventForecaster()}, r"expected a foretell.SeriesForecaster"),
        ({"horizon": "7d"}, "whole number of steps"),
    ],
)
def test_wrong_use_is_told(panel: ft.Panel, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        ft.tune(panel, **{"space": {"seed": [1]}, "model": SMALL} | given)


def test_data_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match="read_series"):
        ft.tune([1, 2], {"seed": [1]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "annealing"}, "'tpe', 'random' or 'grid'"),
        ({"trials": 0}, "at least 1"),
        ({"seconds": 0}, "greater than 0"),
    ],
)
def test_searches_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        ft.SearchConfig(**given)


def test_ranges_are_ordered_and_logarithms_positive() -> None:
    for low, high, log in [(2, 2, False), (3, 2, False), (0, 1, True)]:
        with pytest.raises(ParameterError, match="expected"):
            Between(low, high, log)


def test_values_that_storage_cannot_hold_are_kept_by_their_text() -> None:
    quick, slow = ft.TrainConfig(epochs=1), ft.TrainConfig(epochs=9)
    space = SearchSpace({"ensemble": [1, 2], "model": ["auto"]}, ft.EventForecaster())
    assert space.settings({"ensemble": 2, "model": "auto"}) == {"ensemble": 2, "model": "auto"}
    odd = SearchSpace({"head": [quick, slow]}, ft.EventForecaster())
    assert odd.settings(odd.combinations()[1]) == {"head": slow}


def test_a_search_takes_no_longer_to_end_than_its_trials(panel: ft.Panel) -> None:
    begun = time.monotonic()
    ft.tune(panel, {"seed": [1, 2, 3, 4]}, model=Scripted(horizon=4), search=ft.SearchConfig(method="grid"))
    assert time.monotonic() - begun < 5.0
