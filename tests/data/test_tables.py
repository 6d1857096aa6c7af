"""Who is asked about is found among many and among few alike."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data import tables
from foretell.data.tables import asked_customers


@pytest.mark.parametrize("kind", [pl.Int32, pl.Float64, pl.String])
def test_few_are_found_at_the_places_at_which_many_are(kind, monkeypatch):
    ids = pl.Series(np.random.default_rng(0).permutation(200)).cast(kind)
    log = ft.read_events(pl.DataFrame({"unique_id": ids, "ds": ["2024-01-01"] * 199 + ["2024-02-01"]}))
    asked = [*ids.head(6), *ids.head(2), pl.Series([999]).cast(kind)[0]]
    few = asked_customers(log, asked)
    monkeypatch.setattr(tables, "_FEW", 0)
    many = asked_customers(log, asked)
    by_hand = [log.ids.to_list().index(one) if one in log.ids.to_list() else -1 for one in asked]
    assert few.places.tolist() == many.places.tolist() == by_hand
    assert few.ids.to_list() == asked
