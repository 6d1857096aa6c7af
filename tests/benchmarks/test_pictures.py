"""What the pictures of the pages are drawn from."""

from __future__ import annotations

import numpy as np
from benchmarks import pictures
from tests.pages import DOCS


def test_every_picture_that_can_be_drawn_lies_where_the_pages_look_for_it():
    assert [name for name in pictures.PICTURES if not (DOCS / "images" / f"{name}.png").exists()] == []


def test_a_level_changes_by_a_fifth_or_more_so_many_days_ago():
    values = pictures._shifted(np.random.default_rng(0), 40, ago=7)
    weeks = values[:, :224].reshape(40, 32, 7).mean(axis=2)
    change = np.abs(np.log(weeks[:, 29:].mean(axis=1) / weeks[:, :27].mean(axis=1)))
    assert (change > 0.15).all()
    steady = np.abs(np.log(weeks[:, 26] / weeks[:, :26].mean(axis=1)))
    assert (steady < 0.1).all()
