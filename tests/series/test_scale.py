"""Location and scale of series in float64, and of windows by what they say or what their series does."""

import jax.numpy as jnp
import numpy as np
import pytest

import foretell as ft
from foretell.series.scale import Units, window_scale

TYPICAL = np.array([[10.0], [2.0]])
WAVE = np.sin(2 * np.pi * np.arange(70) / 7) + 0.1 * np.random.default_rng(0).normal(size=70)


def units(values, **options):
    panel = ft.Panel.from_arrays([np.asarray(values, dtype=float)])
    return panel, Units.of(panel, TYPICAL, log=False, **options)


@pytest.mark.parametrize("about_zero", [False, True])
@pytest.mark.parametrize(("level", "size"), [(0, 1), (2e8, 10), (1e20, 1e18), (1e-15, 1e-16), (-5e12, 1)])
def test_a_series_of_any_level_and_size_is_of_order_one_and_comes_back(level, size, about_zero):
    panel, counted_in = units(level + size * WAVE, about_zero=about_zero)
    counted = counted_in.into(panel.values, panel.owner).astype(np.float32)
    assert about_zero or 0.5 < np.abs(counted).max() < 5
    assert np.isfinite(counted**2).all()
    back = counted_in.back(counted.astype(float)[None])[0, :, 0]
    error = np.abs(back - panel.values[:, 0]).max()
    assert error < (2e-7 * abs(level + size) if about_zero else 1e-5 * size + 1e-15 * abs(level))


def test_an_outlier_leaves_the_others_told_apart():
    panel, counted_in = units([*WAVE, 1e12])
    counted = counted_in.into(panel.values, panel.owner).astype(np.float32)[:70, 0]
    assert np.corrcoef(counted, WAVE)[0, 1] > 0.9999


def test_a_constant_series_has_no_scale_and_few_values_take_the_typical_one():
    assert units([7.0] * 40)[1].scale.item() == 0
    assert units([0.1] * 30)[1].scale.item() == 0
    _, few = units([7.0] * 3)
    assert few.scale.item() == pytest.approx(7 * 2 / np.hypot(10, 2))
    _, none = units([np.nan] * 3)
    assert (none.loc.item(), none.scale.item()) == (10, 2)


def test_rare_values_give_the_scale_where_most_are_equal():
    _, found = units([0.0] * 90 + [20.0] * 10)
    assert (found.loc.item(), found.scale.item()) == (0, 2)


@pytest.mark.parametrize("kind", ["window", "season", "last"])
def test_a_window_that_says_nothing_takes_its_series_last_value_and_scale(kind):
    # Nothing, a constant, one value, and a window that varies.
    values = jnp.asarray(
        np.stack([np.zeros(8), np.full(8, 3.0), np.eye(8)[3] * 2, np.arange(8.0)])[..., None]
    )
    mask = jnp.asarray(np.stack([np.zeros(8), np.ones(8), np.eye(8)[3], np.ones(8)])[..., None])
    last = jnp.asarray([[5.0], [3.0], [2.0], [7.0]])
    one = jnp.ones((4, 1))
    loc, scale = window_scale(kind, values, mask, last, (one, one), 2)
    np.testing.assert_allclose(loc[:3, 0, 0], [5, 3, 2])
    np.testing.assert_allclose(scale[:3, 0, 0], 1)
    assert scale[3, 0, 0] > 0.9
