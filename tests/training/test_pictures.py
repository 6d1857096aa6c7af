"""The pictures of what the priors were trained on show every family."""

from __future__ import annotations

from training import pictures
from training import series_families as families

from foretell.events.horizon import shops


def titles(chart):
    """Return the titles of all parts of a chart."""
    parts = [chart.to_dict()]
    for part in parts:
        parts += [inner for key in ("vconcat", "concat") for inner in part.get(key, ())]
    return {part["title"]["text"].replace(" ", "_") for part in parts}


def test_every_family_of_shops_is_drawn():
    assert set(shops.FAMILIES) <= titles(pictures.shop_families())


def test_every_family_of_series_is_drawn():
    known = (*families.LEVELS, *families.PROFILES, *families.ERRORS)
    assert {family.__name__ for family in known} <= titles(pictures.series_families())
