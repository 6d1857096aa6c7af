"""The prior answers for any series at once, and says the same whoever else is asked."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import foretell as ft
from foretell.series.prior_forecast import WEIGHTS, prior_quantiles

RNG = np.random.default_rng(7)
LEVELS = [0.1, 0.5, 0.9]


def waves(n, length, season=7, noise=0.3):
    steps = np.arange(length)
    return [
        10 + 3 * np.sin(2 * np.pi * (steps + i) / season) + RNG.normal(0, noise, length) for i in range(n)
    ]


def daily(series):
    return ft.Panel.from_arrays(series, freq="1d", start="2024-01-01")


def test_a_season_is_forecast_without_training():
    whole = daily(waves(12, 134))
    before, after = whole.tail_split(14)
    quantiles = prior_quantiles(before, 14, LEVELS)[..., 0, :]
    truth = after.values.reshape(12, 14)
    assert np.abs(quantiles[..., 1] - truth).mean() < 0.45
    inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., 2])
    assert 0.6 < inside.mean() < 0.97


@pytest.mark.parametrize("factor", [1e-15, 1e20])
def test_units_do_not_matter(factor):
    series = waves(2, 60)
    plain = prior_quantiles(daily(series), 9, LEVELS)
    scaled = prior_quantiles(daily([factor * values for values in series]), 9, LEVELS)
    np.testing.assert_allclose(scaled / factor, plain, rtol=1e-2)


def test_an_answer_does_not_depend_to_the_last_bit_on_who_else_is_asked():
    panel = daily([*waves(66, 40), *waves(3, 90), [4.0]])
    together = prior_quantiles(panel, 9, LEVELS)
    for chosen in ([3], [67], [69], [5, 6, 40, 68], [*range(0, 70, 2)]):
        np.testing.assert_array_equal(
            prior_quantiles(panel.take(np.array(chosen)), 9, LEVELS), together[chosen]
        )


def test_any_length_and_any_horizon_is_answered():
    series = [[3.0], [3.0, 4.0], [5.0] * 10, *waves(1, 30)]
    quantiles = prior_quantiles(daily(series), 150, LEVELS)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    widths = quantiles[..., 2] - quantiles[..., 0]
    assert (widths[:2] > 0).all()  # of one or two values nobody is sure
    assert (quantiles >= 0).all()


def test_what_was_always_zero_stays_and_what_was_never_seen_is_unknown():
    quantiles = prior_quantiles(daily([[0.0] * 9, [np.nan] * 9]), 3, LEVELS)
    assert (quantiles[0] == 0).all()
    assert np.isnan(quantiles[1]).all()


def test_a_target_that_comes_later_is_forecast_from_its_own_last_value():
    values = np.stack(waves(2, 80), axis=1)
    values[-5:, 1] = np.nan
    late = prior_quantiles(daily([values]), 4, LEVELS)[0, :, 1]
    own = prior_quantiles(daily([values[:-5, 1]]), 9, LEVELS)[0, 5:, 0]
    np.testing.assert_allclose(late, own, rtol=1e-3)


def test_it_runs_without_the_engine_and_its_weights_are_small():
    code = (
        "import sys, foretell as ft; from foretell.series.prior_forecast import prior_quantiles;"
        "prior_quantiles(ft.Panel.from_arrays([[1, 2, 3]]), 2, [0.5]);"
        "assert not {'jax', 'keras', 'scipy.stats'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert WEIGHTS.stat().st_size < 1_000_000
