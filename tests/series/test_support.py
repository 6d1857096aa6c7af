"""Which values there can be is noticed, can be said, and is kept in every quantile."""

import numpy as np
import pytest

import foretell as ft
from foretell.errors import DataError, ParameterError
from foretell.series.quantiles import QUANTILES, means
from foretell.series.support import Support

RNG = np.random.default_rng(0)


def panel_of(values):
    return ft.Panel.from_arrays([np.asarray(values, dtype=float)])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([3, 0, 2, np.nan, 5], "counts"),
        ([0.5, 0, 3.25], "nonnegative"),
        ([0.5, 0, 0.25, 1], "shares"),
        ([0.5, -0.1, 0.25], "real"),
        ([0, 1, 0, 1], "counts"),
        ([np.nan, np.nan], "real"),
    ],
)
def test_the_narrowest_support_is_noticed(values, kind):
    assert Support.of(panel_of(values)).kinds == (kind,)


def test_each_target_has_its_own():
    panel = ft.Panel.from_arrays([np.stack([np.arange(9), np.arange(9) - 4.5], axis=1)], targets=["a", "b"])
    support = Support.of(panel)
    assert support.kinds == ("counts", "real")
    kept = support.keep(np.array([[-0.4, 1.6], [-0.4, 1.6]]))
    assert kept.tolist() == [[0, 2], [-0.4, 1.6]]


@pytest.mark.parametrize(("kind", "kept"), [("real", [-1.3, 0.6, 2.7]), ("nonnegative", [0, 0.6, 2.7]),
                                            ("counts", [0, 1, 3]), ("shares", [0, 0.6, 1])])  # fmt: skip
def test_every_quantile_keeps_to_it(kind, kept):
    assert Support((kind,), (False,)).keep(np.array([[-1.3, 0.6, 2.7]])).tolist() == [kept]


def test_what_is_asked_for_has_to_hold_of_the_data():
    assert Support.of(panel_of([1, 2]), "real").kinds == ("real",)
    with pytest.raises(DataError, match="support='shares' means between 0 and 1, and 'y' holds 2"):
        Support.of(panel_of([1, 2]), "shares")
    with pytest.raises(ParameterError, match="support='positive'; expected 'auto'"):
        ft.WindowConfig(support="positive")


def test_demand_is_intermittent_where_most_values_are_zero():
    rare = (RNG.random(200) < 0.1) * 20
    assert Support.of(panel_of(rare)).intermittent == (True,)
    assert Support.of(panel_of(rare - 1)).intermittent == (False,)
    assert Support.of(panel_of(np.zeros(9))).intermittent == (False,)


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.3])
def test_the_mean_counts_what_is_beyond_all_quantiles(chance):
    rare = (RNG.random(5000) < chance) * 20.0
    trained = np.quantile(rare, QUANTILES)[None, None, None]
    found = means(trained, panel_of(rare), Support.of(panel_of(rare)))
    assert found.item() == pytest.approx(rare.mean())


def test_a_mean_of_a_symmetric_distribution_is_its_median():
    trained = np.quantile(RNG.normal(5, 1, 100_000), QUANTILES)[None, None, None]
    found = means(trained, panel_of([4.5, 5.5]), Support.anything(1))
    assert found.item() == pytest.approx(5, abs=0.02)


@pytest.mark.parametrize("later", [0.0, 0.02])
def test_demand_that_has_died_away_is_not_forecast_to_come_again(later):
    history = np.append(np.full(60, 190.0), (RNG.random(340) < later) * 2.0)
    recent = history[-200:]
    trained = np.quantile(recent, QUANTILES)[None, None, None]
    found = means(trained, panel_of(history), Support.of(panel_of(history)))
    assert found.item() == pytest.approx(recent.mean(), abs=0.05)
