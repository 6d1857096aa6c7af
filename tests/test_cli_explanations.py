"""The commands that look into models: tune, explain, anomalies, shortlist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell.cli.commands import app
from foretell.cli.settings import read_searched
from foretell.errors import ParameterError

runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_model: ft.EventForecaster) -> Path:
    """A directory with sales.csv, and a model of visits."""
    place = tmp_path_factory.mktemp("insight")
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 9), eager=True)
    pl.DataFrame({"day": days, "sales": 50 + np.sin(np.arange(69))}).write_csv(place / "sales.csv")
    small_model.save(place / "visits")
    return place


def test_a_customer_is_explained_in_words_and_numbers(place: Path, small_model: ft.EventForecaster) -> None:
    customer = small_model.log_.ids[0]
    words = ["explain", str(place / "visits"), "--id", customer, "--picture", str(place / "why.svg")]
    out = runner.invoke(app, words)
    assert out.exit_code == 0, out.output
    assert "The chance of a visit within 30 days" in out.stdout
    assert "mean gap" in out.stdout
    assert customer in (place / "why.svg").read_text()
    content = json.loads(
        runner.invoke(app, ["explain", str(place / "visits"), "--id", customer, "--json"]).stdout
    )
    assert content["parts"][0]["what"] == "anchor"
    assert str(ft.explain(small_model, customer)) == "\n".join(content["words"])


def test_silent_customers_are_listed(place: Path, small_model: ft.EventForecaster) -> None:
    out = runner.invoke(app, ["anomalies", str(place / "visits"), "--level", "90"])
    assert out.exit_code == 0, out.output
    lines = out.stdout.strip().splitlines()
    assert lines[0] == "unique_id,ds,what,value,low,high,score"
    assert len(lines) - 1 == ft.anomalies(small_model, level=90).height


def test_settings_are_searched_and_the_best_model_kept(place: Path) -> None:
    words = ["tune", str(place / "sales.csv"), "--time", "day", "--target", "sales", "--horizon", "3"]
    words += ["--epochs", "1", "--ensemble", "1", "--space", "network.units=4", "--space", "network.layers=0"]
    words += ["--space", "seed=0,1", "--id", "", "--space", "window.lookback=6", "--method", "grid"]
    out = runner.invoke(app, [*words, "--out", str(place / "best"), "--storage", str(place / "search.db")])
    assert out.exit_code == 0, out.output
    assert "Trials, the best first" in out.stdout
    assert "best of 2 trials" in out.stdout
    result: Any = ft.load(place / "best")
    assert result.network.units == 4
    assert result.horizon == 3


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ensemble=1,3", ("ensemble", [1, 3])),
        ("head.seasonal=true,false", ("head.seasonal", [True, False])),
        ("window.lookback=none,28", ("window.lookback", [None, 28])),
        ("network.cell=lstm,gru", ("network.cell", ["lstm", "gru"])),
        ("network.units=8..64:log", ("network.units", ft.Between(8, 64, log=True))),
        ("network.dropout=0..0.5", ("network.dropout", ft.Between(0, 0.5))),
    ],
)
def test_settings_to_search_are_read(text: str, values: Any) -> None:
    assert read_searched(text) == values


@pytest.mark.parametrize("text", ["units", "=3", "units=", "units=a..b", "units=1..8:exp"])
def test_settings_to_search_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="expected"):
        read_searched(text)


def test_wrong_use_is_told(place: Path) -> None:
    out = runner.invoke(app, ["explain", str(place / "visits"), "--id", "nobody"])
    assert out.exit_code == 2
    assert "no customer 'nobody'" in out.output
    sales = str(place / "sales.csv")
    out = runner.invoke(app, ["tune", sales, "--space", "seed=1", "--out", sales])
    assert out.exit_code == 1
    assert "not a foretell model" in out.output


def test_the_customers_to_write_to_are_listed(place: Path) -> None:
    words = ["shortlist", str(place / "visits"), "--top", "3", "--where", "n_events>=2", "--language", "zh"]
    out = runner.invoke(app, [*words, "--out", str(place / "letters.csv")])
    assert out.exit_code == 0, out.output
    table = pl.read_csv(place / "letters.csv")
    assert table.height == 3
    assert table["reason"].str.contains("来过").all()
    refused = runner.invoke(app, [*words, "--value", "money"])
    assert refused.exit_code == 2
    assert "--value" in refused.stderr


def test_a_forecast_shows_the_rows_that_were_asked_for(place: Path, small_model: ft.EventForecaster) -> None:
    words = ["predict", str(place / "visits"), "--horizon", "30d", "--sort", "p_return_30d", "--top", "4"]
    out = runner.invoke(app, [*words, "--json"])
    assert out.exit_code == 0, out.output
    rows = json.loads(out.stdout)
    best = small_model.predict(horizons=["30d"]).sort("p_return_30d", descending=True)["unique_id"][:4]
    assert [row["unique_id"] for row in rows] == best.to_list()
    assert runner.invoke(app, [*words, "--where", "nothing=1"]).exit_code == 2


def test_what_customers_will_spend_is_told(place: Path) -> None:
    rows = ft.datasets.load_cdnow(sample=True)
    log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
    ft.baselines.ParetoNBD().fit(log).save(place / "money")
    words = ["spend", str(place / "money"), "--sort", "expected_spend_90d", "--top", "3", "--json"]
    out = runner.invoke(app, words)
    assert out.exit_code == 0, out.output
    assert len(json.loads(out.stdout)) == 3
    worth = runner.invoke(app, ["spend", str(place / "money"), "--discount", "0.1", "--id", "4", "--json"])
    assert list(json.loads(worth.stdout)[0])[-1] == "value"
    wrong = runner.invoke(app, ["spend", str(place / "money"), "--discount", "0.1", "--level", "80"])
    assert wrong.exit_code == 2
    sums = runner.invoke(app, ["totals", str(place / "money"), "--of", "amount", "--json"])
    assert set(json.loads(sums.stdout)[0]) == {"ds", "end", "spend", "spend-lo-80", "spend-hi-80"}


def test_the_shop_has_a_page(place: Path, small_log: ft.EventLog) -> None:
    ft.baselines.ParetoNBD().fit(small_log).save(place / "shop")
    words = ["report", str(place / "shop"), "-o", str(place / "shop.html"), "--language", "zh"]
    out = runner.invoke(app, words)
    assert out.exit_code == 0, out.output
    assert "该联系谁" in (place / "shop.html").read_text(encoding="utf-8")
    assert runner.invoke(app, [*words[:3], str(place / "shop.pdf")]).exit_code == 2
