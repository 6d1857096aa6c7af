"""Commands that go by what is known of customers, and by where they go."""

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from foretell.cli.commands import app

LOG = ["--id", "who", "--time", "day"]


def foretell(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with visits of two stores, a table of customers, and a model that needs no training."""
    place = tmp_path_factory.mktemp("customers")
    rng = np.random.default_rng(0)
    web = rng.random(200) < 0.5
    counts = 1 + rng.poisson(np.where(web, 6.0, 2.0))
    who = np.repeat(np.arange(200), counts)
    rows = pl.DataFrame({"who": who, "day": rng.integers(0, 300, len(who))}).sort("who", "day")
    rows = rows.with_columns(store=pl.Series(np.where(np.arange(len(rows)) % 2, "north", "south")))
    rows.with_columns(day=pl.date(2023, 1, 1) + pl.duration(days="day")).write_csv(place / "visits.csv")
    table = pl.DataFrame({"who": range(200), "channel": np.where(web, "web", "shop")})
    table.write_csv(place / "customers.csv")
    known = ["--static", "channel", "--customers", place / "customers.csv"]
    done = foretell(
        "fit", place / "visits.csv", *LOG, *known, "--as-of", "2023-08-31", "--model", "prior",
        "--out", place / "model",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return place


def test_effects_are_a_table_of_factors(place):
    done = foretell("effects", place / "model", "--horizon", "30d", "--json")
    table = {row["value"]: row for row in json.loads(done.stdout)}
    assert table.keys() == {"web", "shop"}
    assert table["web"]["factor"] > 1 > table["shop"]["factor"]
    assert "newcomer_30d" in table["web"]


def test_effects_are_drawn(place, tmp_path):
    out = tmp_path / "effects.png"
    assert foretell("plot", place / "model", "--kind", "effects", "--out", out).exit_code == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_an_update_brings_what_is_known_of_new_customers(place, tmp_path):
    later = tmp_path / "later.csv"
    later.write_text("who,day,channel\n900,2023-09-02,web\n901,2023-09-02,shop\n")
    done = foretell("update", place / "model", later, *LOG, "--out", tmp_path / "moved")
    assert done.exit_code == 0, done.stderr
    answers = foretell("predict", tmp_path / "moved", "--id", 900, "--id", 901, "--horizon", "90d", "--json")
    web, shop = (row["expected_events_90d"] for row in json.loads(answers.stdout))
    assert web > shop


def test_where_customers_go_next_is_one_command(place):
    done = foretell(
        "next-group", place / "visits.csv", *LOG, "--group", "store", "--top", 1, "--epochs", 1,
        "--ensemble", 1, "--customer", 3,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    table = pl.read_csv(done.stdout.encode())
    assert table.columns == ["unique_id", "group", "chance"]
    assert table["unique_id"].to_list() == [3]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["next-group", "VISITS", *LOG], 2, "--group"),
        (["next-group", "VISITS", *LOG, "--target", "store"], 2, "--group"),
        (["fit", "VISITS", *LOG, "--out", "NEW", "--customers", "TABLE"], 2, "--static"),
        (["fit", "VISITS", *LOG, "--out", "NEW", "--customers", "TABLE", "--static", "age"], 1, "'age'"),
    ],
)
def test_what_is_missing_is_named(place, tmp_path, words, code, said):
    paths = {"VISITS": place / "visits.csv", "TABLE": place / "customers.csv", "NEW": tmp_path / "new"}
    done = foretell(*(paths.get(word, word) for word in words))
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
