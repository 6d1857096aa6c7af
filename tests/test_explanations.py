"""Explanations add up and speak plainly; anomalies are what lies outside; both questions."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.errors import DataError, NotFittedError, ParameterError
from foretell.explanations.explanation import integrated_gradients

H, LENGTH = 6, 96


def values(seed: int = 0) -> dict[str, Any]:
    rng, steps = np.random.default_rng(seed), np.arange(LENGTH)
    return {
        f"s{i}": 20 + i + 4 * np.sin(2 * np.pi * steps / 6) + 0.05 * steps + 0.3 * rng.normal(size=LENGTH)
        for i in range(4)
    }


def panel_of(series: dict[str, Any]) -> ft.Panel:
    frame = pl.DataFrame(
        [
            {"unique_id": name, "ds": step, "y": float(value), "promo": float(step % 5 == 0)}
            for name, column in series.items()
            for step, value in enumerate(column)
        ]
    ).with_columns(ds=pl.date(2024, 1, 1) + pl.duration(days=pl.col("ds")))
    return ft.read_series(frame, past=["promo"])


@pytest.fixture(scope="module")
def series_model() -> ft.SeriesForecaster:
    """A model of all but the last two horizons, moved away from its anchor."""
    model = ft.SeriesForecaster(
        H,
        model="network",
        ensemble=2,
        window=ft.WindowConfig(lookback=24, patch=6, season=6),
        network=ft.NetworkConfig(layers=1, units=8, dense=8, dense_activation="relu"),
        training=ft.TrainConfig(epochs=2, learning_rate=0.01, refit=False),
    )
    return model.fit(panel_of({name: column[: -2 * H] for name, column in values().items()}))


def test_integrated_gradients_of_a_linear_map_are_its_terms() -> None:
    weights = jnp.array([1.0, -2.0, 0.5])
    parts = integrated_gradients(lambda x: weights @ x + 3.0, jnp.array([1.0, 1.0, 4.0]))
    np.testing.assert_allclose(parts, [1.0, -2.0, 2.0], rtol=1e-5)


class TestCustomers:
    @pytest.mark.parametrize("rank", [0, -1])
    def test_the_parts_add_up_to_the_forecast(self, small_model: ft.EventForecaster, rank: int) -> None:
        log = small_model.log_
        customer = log.ids[int(np.argsort(-log.counts)[rank])]
        result = ft.explain(small_model, customer)
        table = result.table()
        assert table["contribution"][:-1].sum() == pytest.approx(result.forecast, abs=2e-4)
        answer = small_model.predict(["30d"], ids=[customer])["p_return_30d"][0]
        assert result.forecast == pytest.approx(answer, abs=1e-5)
        assert table["what"].to_list()[0] == "anchor"
        assert {"mean gap", "visits so far", "day of the week", "amount", "season ahead"} <= set(
            table["what"]
        )

    def test_a_model_at_its_anchor_explains_by_the_season_alone(
        self, small_model: ft.EventForecaster
    ) -> None:
        model = ft.EventForecaster(**small_model.get_params())
        model.log_, model.states_ = small_model.log_, small_model.states_
        variables = small_model.model_.network.network.variables
        members = [
            [w * (0 if "correction" in v.path else 1) for v, w in zip(variables, member, strict=True)]
            for member in small_model.model_.members
        ]
        model.model_ = dataclasses.replace(small_model.model_, members=tuple(members))
        result = ft.explain(model, model.log_.ids[0])
        own = [by for what, _, by in result.parts if what != "season ahead"]
        assert np.abs(own).max() < 1e-5

    def test_the_words_are_a_shop_keepers(self, small_model: ft.EventForecaster) -> None:
        log = small_model.log_
        weekday = [
            np.bincount((log.times[a:b] + 3) % 7, minlength=7) for a, b in itertools.pairwise(log.offsets)
        ]
        mostly = [w.max() * 2 >= w.sum() >= 4 for w in weekday]
        words = str(ft.explain(small_model, log.ids[int(np.argmax(mostly))], horizon="2w"))
        assert "The chance of a visit within 14 days is" in words
        assert "of the usual gaps of" in words
        assert "Comes mostly on" in words
        once = log.ids[int(np.argmin(log.counts))]
        assert "There was one visit so far" in str(ft.explain(small_model, once))

    def test_the_words_are_chinese_where_they_are_asked_for_in_chinese(
        self, small_model: ft.EventForecaster
    ) -> None:
        log = small_model.log_
        for rank in (int(np.argmax(log.counts)), int(np.argmin(log.counts))):
            result = ft.explain(small_model, log.ids[rank], language="zh")
            said = " ".join(
                [*result.words, result.quantity, *(f"{what} {value}" for what, value, _ in result.parts)]
            )
            assert set(re.findall(r"[A-Za-z]{2,}", said)) <= {"amount"}

    def test_busy_months_are_told(self, small_model: ft.EventForecaster) -> None:
        year = np.ones(53)
        year[26:31] = 1.4  # July follows the cut-off
        clock = dataclasses.replace(small_model.model_.clock, year=tuple(year))
        busy = ft.EventForecaster(**small_model.get_params())
        busy.log_, busy.states_ = small_model.log_, small_model.states_
        busy.model_ = dataclasses.replace(small_model.model_, clock=clock)
        assert "July is 1.4 times as busy as the average month." in ft.explain(busy, busy.log_.ids[0]).words

    def test_silence_beyond_the_gaps_is_listed(
        self, small_model: ft.EventForecaster, small_log: ft.EventLog
    ) -> None:
        result = ft.anomalies(small_model, level=90)
        late = small_model.predict(horizons=[], levels=[]).filter(pl.col("overdue") > 0.9)
        assert 0 < result.height < small_model.log_.n_customers
        assert set(result["unique_id"]) == set(late["unique_id"])
        assert result["score"].is_sorted(descending=True)
        assert (result["value"] > result["high"] - 1).all()
        assert result.columns == ["unique_id", "ds", "what", "value", "low", "high", "score"]
        later = ft.anomalies(small_model, small_log, level=90)
        assert str(later["ds"][0]) == "2023-12-31"
        with pytest.raises(DataError, match="before the model's date"):
            ft.anomalies(small_model, small_log.up_to(small_log.as_of - 300))


class TestSeries:
    def test_the_words_are_chinese_where_they_are_asked_for_in_chinese(
        self, series_model: ft.SeriesForecaster
    ) -> None:
        result = ft.explain(series_model, "s0", language="zh")
        said = " ".join([*result.words, result.quantity, *(value for _, value, _ in result.parts)])
        assert set(re.findall(r"[A-Za-z]{2,}", said)) <= {"promo"}

    @pytest.mark.parametrize("name", ["s0", "s3"])
    def test_the_parts_add_up_to_the_forecast(self, series_model: ft.SeriesForecaster, name: str) -> None:
        result = ft.explain(series_model, name)
        parts = result.table()["contribution"][:-1].sum()
        assert parts == pytest.approx(result.forecast, rel=2e-3)
        own = series_model.predict(series_model.panel_.select([name]), levels=[])["foretell"].mean()
        assert result.forecast == pytest.approx(own, rel=1e-5)
        assert {"the last 6 steps", "earlier", "calendar", "promo"} <= set(result.table()["what"])

    def test_the_anchor_is_the_seasonal_naive_forecast(self, series_model: ft.SeriesForecaster) -> None:
        result = ft.explain(series_model, "s1")
        assert result.anchor == pytest.approx(series_model.panel_.select(["s1"]).values[-H:].mean(), rel=1e-5)
        assert "the same places of the last season of 6 steps" in str(result)

    def test_values_outside_of_their_interval_are_listed(self, series_model: ft.SeriesForecaster) -> None:
        series = values()
        series["s2"][-8] = 60.0
        result = ft.anomalies(series_model, panel_of(series), level=99)
        assert result["unique_id"][0] == "s2"
        assert result["value"][0] == 60.0
        assert str(result["ds"][0]) == "2024-03-29"
        assert result["what"][0] == "y"
        assert ((result["value"] < result["low"]) | (result["value"] > result["high"])).all()
        assert (result["score"] > 1.0).all()
        clean = ft.anomalies(series_model, panel_of(values()), level=99)
        assert clean.height < result.height + 2
        assert "s2" not in set(clean.filter(pl.col("score") > 5)["unique_id"])

    def test_missing_values_before_a_fold_do_not_hide_it(self, series_model: ft.SeriesForecaster) -> None:
        series = values()
        series["s2"][-2 * H - 2 : -2 * H] = np.nan
        series["s2"][-2 * H] = 60.0
        result = ft.anomalies(series_model, panel_of(series), level=99)
        assert result.row(0)[0] == "s2"
        assert result["value"][0] == 60.0

    def test_by_default_the_last_steps_are_looked_at(self, series_model: ft.SeriesForecaster) -> None:
        result = ft.anomalies(series_model, level=1)
        last = series_model.panel_.time_of(series_model.panel_.ends.max() - np.arange(H))
        assert result.height > 12
        assert set(result["ds"]) <= set(last)

    def test_data_that_do_not_go_on_are_refused(self, series_model: ft.SeriesForecaster) -> None:
        with pytest.raises(DataError, match="goes on"):
            ft.anomalies(series_model, series_model.panel_)


def test_explanations_are_drawn(small_model: ft.EventForecaster, series_model: ft.SeriesForecaster) -> None:
    for result in (ft.explain(small_model, small_model.log_.ids[0]), ft.explain(series_model, "s0")):
        chart = ft.plotting.plot_explanation(result).to_dict()
        assert str(result.id) in chart["title"]["text"]


def test_wrong_use_is_told(small_model: ft.EventForecaster, series_model: ft.SeriesForecaster) -> None:
    with pytest.raises(ParameterError, match="no customer 'nobody'"):
        ft.explain(small_model, "nobody")
    with pytest.raises(ParameterError, match="no series 's9'"):
        ft.explain(series_model, "s9")
    with pytest.raises(ParameterError, match="target='z'; expected"):
        ft.explain(series_model, "s1", target="z")
    with pytest.raises(NotFittedError):
        ft.explain(ft.EventForecaster(), "a")
    with pytest.raises(ParameterError, match="takes a fitted"):
        ft.anomalies("model")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="an EventLog"):
        ft.anomalies(small_model, series_model.panel_)
    with pytest.raises(ParameterError, match="level=100"):
        ft.anomalies(small_model, level=100)
