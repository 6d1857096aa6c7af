"""Windows lie where the plain count of a series' steps puts them, and no more are held out than asked for."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import foretell as ft
from foretell.series.windows import split

LENGTHS = (1, 2, 7, 20, 33, 60)
H = 4


def panel(lengths=LENGTHS):
    return ft.Panel.from_arrays([np.arange(float(n)) for n in lengths])


@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_windows_to_train_on_are_those_of_each_series_in_turn(fraction):
    train = split(panel(), H, fraction).train
    expected, start = [], 0
    for series, n in enumerate(LENGTHS):
        held_out = max(round(fraction * n), H) if fraction else 0
        cut = n - (held_out if n - held_out >= 2 * H else n // 3 if fraction else 0)
        first = min(H // 2, max(cut - 1, 1))
        ends = range(first, max(cut - H, first) + 1)
        expected += [(start + end, start, start + cut, series) for end in ends]
        start += n
    assert train.n_windows == len(expected)
    drawn = jax.jit(type(train).at)(train.filled(64), np.arange(train.n_windows))
    np.testing.assert_array_equal(np.stack(drawn, axis=1), expected)


def test_held_out_windows_begin_in_the_last_part_and_end_with_the_series():
    whole = panel()
    held_out = split(whole, H, 0.2).held_out
    assert set(held_out.series) == {2, 3, 4, 5}
    long = held_out.series >= 3
    cut = whole.lengths - np.maximum(np.round(0.2 * whole.lengths).astype(int), H)
    step = held_out.end - held_out.start
    assert np.all(step[long] >= cut[held_out.series][long])
    assert np.all((held_out.end + H <= held_out.stop)[long])
    assert step[~long].min() == 5
    np.testing.assert_array_equal(held_out.stop, whole.offsets[held_out.series + 1])


@pytest.mark.parametrize("most", [3, 10, 40])
def test_no_more_windows_are_held_out_than_asked_for_however_many_series_there_are(most):
    held_out = split(panel([40] * 30), H, 0.5, most).held_out
    assert most / 2 < len(held_out.end) <= most
