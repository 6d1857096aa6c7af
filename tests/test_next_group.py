"""Where the next visit goes: patterns are learned, and nothing is seen ahead."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.errors import DataError, EmptyLogError, NotFittedError, ParameterError
from foretell.next_group import NextGroup


def visits(n_customers=60, n_visits=12, seed=0):
    """Visits that go round north, east, south, west; one in ten goes anywhere."""
    rng = np.random.default_rng(seed)
    names = np.array(["north", "east", "south", "west"])
    rows = []
    for customer in range(n_customers):
        at = rng.integers(4)
        for day in np.sort(rng.choice(200, n_visits, replace=False)):
            at = rng.integers(4) if rng.random() < 0.1 else (at + 1) % 4
            rows.append((customer, day, names[at]))
    frame = pl.DataFrame(rows, schema=["unique_id", "day", "store"], orient="row")
    frame = frame.select("unique_id", "store", ds=pl.date(2024, 1, 1) + pl.duration(days="day"))
    return ft.read_events(frame, group="store")


@pytest.fixture(scope="module")
def model():
    return NextGroup(units=8, ensemble=1, training=ft.TrainConfig(epochs=30)).fit(visits())


def test_a_pattern_is_learned(model):
    scores = model.score(visits(seed=1))
    assert scores["accuracy"] > 0.85
    assert scores["majority"] < 0.35
    assert scores["log_loss"] < 0.7


def test_chances_add_up_and_the_likeliest_come_first(model):
    table = model.predict(top=None)
    assert table.group_by("unique_id").agg(pl.col("chance").sum())["chance"].to_numpy() == pytest.approx(1.0)
    assert table.filter(unique_id=0)["chance"].is_sorted(descending=True)
    two = model.predict(top=2, ids=[7, 3])
    assert two["unique_id"].to_list() == [7, 7, 3, 3]
    assert two.filter(unique_id=3).equals(table.filter(unique_id=3).head(2))


def test_what_comes_later_changes_nothing_before(model):
    log = visits(seed=2)
    before = model.chances(log)
    changed = log.to_polars().with_columns(
        store=pl.when(pl.col("ds") == pl.col("ds").max().over("unique_id"))
        .then(pl.lit("north"))
        .otherwise("group")
    )
    after = model.chances(ft.read_events(changed, group="group"))
    earlier = np.ones(log.n_events, dtype=bool)
    earlier[log.offsets[1:] - 1] = False
    np.testing.assert_allclose(before[earlier], after[earlier], atol=1e-6)


def test_long_histories_are_read_in_pieces():
    log = visits(n_customers=4, n_visits=150)
    model = NextGroup(units=8, ensemble=1, training=ft.TrainConfig(epochs=1)).fit(log)
    assert np.allclose(model.chances(log).sum(axis=1), 1.0)


def test_what_cannot_be_learned_says_why(model, small_log):
    nowhere = small_log.to_polars().select("unique_id", "ds")
    with pytest.raises(DataError, match="no groups"):
        NextGroup().fit(ft.read_events(nowhere))
    once = visits(n_visits=1)
    with pytest.raises(EmptyLogError, match="nobody came twice"):
        NextGroup().fit(once)
    with pytest.raises(NotFittedError):
        NextGroup().predict()
    with pytest.raises(ParameterError, match="units=0"):
        NextGroup(units=0).fit(once)
    with pytest.raises(DataError, match="never seen"):
        model.predict(ids=[12_345])
