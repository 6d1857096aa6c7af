"""What a notebook shows: short, escaped, without scripts."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell import baselines
from foretell.core.notebook import card

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def log():
    rows = pl.DataFrame(
        {
            "unique_id": ["a", "a", "b", EVIL, "b", None],
            "ds": ["2024-01-02", "2024-01-09", "2024-01-03", "2024-02-01", "2024-03-01", "2024-03-01"],
            EVIL: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "shop": [EVIL] * 6,
        }
    )
    return ft.read_events(rows, marks=[EVIL], group="shop")


@pytest.fixture(scope="module")
def panel():
    return ft.Panel.from_arrays(
        {EVIL: [1.0, 2.0, np.nan, 2.0]}, freq="1d", start="2024-01-01", targets=[EVIL]
    )


def test_a_card_shows_numbers_for_people_and_leaves_out_what_is_not_there():
    shown = card("EventLog", {"customers": 23570, "share": 0.123456, "marks": None, "yes": True})
    assert "<strong>EventLog</strong>" in shown
    assert ">23,570<" in shown
    assert ">0.1235<" in shown
    assert ">True<" in shown
    assert "marks" not in shown


def test_a_long_fact_is_cut_short():
    assert len(card("Panel", {"targets": ", ".join(f"target {n}" for n in range(500))})) < 500


def test_logs_panels_reports_and_models_show_themselves_escaped(log, panel):
    model = baselines.MBGNBD().fit(log)
    rule = baselines.SeasonalNaive(season=2).fit(panel)
    for shown in (log, log.report, panel, panel.report, model, rule, ft.EventForecaster(head="gap", seed=3)):
        page = shown._repr_html_()
        assert type(shown).__name__ in page or "What was read" in page
        assert "<script" not in page
        assert len(page) < 4000


def test_a_log_says_what_became_of_its_rows(log):
    page = log._repr_html_()
    assert "6 read; 1 " in page
    assert "2024-01-02 to 2024-03-01" in page


def test_a_model_shows_what_was_set_and_learned_and_not_its_defaults(log):
    assert "nothing yet" in ft.EventForecaster()._repr_html_()
    page = ft.EventForecaster(seed=3)._repr_html_()
    assert ">seed<" in page
    assert "ensemble" not in page
    page = ft.SeriesForecaster(window=ft.WindowConfig(lookback=30))._repr_html_()
    assert ">WindowConfig(lookback=30)<" in page
    page = baselines.MBGNBD().fit(log)._repr_html_()
    assert ">alpha<" in page
    assert "EventLog(3 customers, 5 events" in page


def test_the_prior_goes_by_the_name_of_the_forecaster_that_it_is(log):
    rows = pl.DataFrame(
        {"unique_id": [1, 1, 2, 2, 3], "ds": ["2024-01-01", "2024-02-01"] * 2 + ["2024-01-05"]}
    )
    model = ft.EventForecaster(model="prior").fit(ft.read_events(rows))
    assert repr(model).startswith("EventForecaster(")
    assert "<strong>EventForecaster</strong>" in model._repr_html_()


def test_a_model_that_was_saved_without_its_data_shows_itself(log, tmp_path):
    bare = ft.load(baselines.MBGNBD().fit(log).save(tmp_path / "bare", data=False))
    assert "not saved with it" in bare._repr_html_()
