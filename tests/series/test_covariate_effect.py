"""What covariates add to the prior: found where there is something, and nothing where it is chance."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import foretell as ft
from foretell.errors import CovariateWarning, DataError
from foretell.series.auto import SeriesChoice
from foretell.series.covariate_effect import CovariateEffect, _Around, _drawn, _had, _Sums, prior_with
from foretell.series.prior import Prior
from foretell.series.prior_forecast import prior_quantiles
from foretell.series.quantiles import QUANTILES, at_levels
from foretell.stats.metrics import naive_scale

LEVELS = [0.1, 0.5, 0.9]
N, LENGTH, H = 24, 196, 14


def sales(lift, seed=0):
    """Return weekly sales whose promotions multiply them, and when these are."""
    rng = np.random.default_rng(seed)
    promo = (rng.random((N, LENGTH)) < 0.08).astype(float)
    level = np.exp(rng.normal(3, 1, (N, 1)) + rng.normal(0, 0.01, (N, LENGTH)).cumsum(axis=1))
    week = np.exp(rng.normal(0, 0.3, (N, 7)))[:, np.arange(LENGTH) % 7]
    return level * week * np.exp(rng.normal(0, 0.15, (N, LENGTH))) * lift**promo, promo


def panel_of(values, given, **columns):
    """Return a panel that ends before the last horizon; so many steps of it have known covariates."""
    future = {name: [row[: LENGTH - H + given] for row in column] for name, column in columns.items()}
    return ft.Panel.from_arrays(values[:, :-H], freq="1d", start="2024-01-01", future=future)


@pytest.fixture(scope="module")
def promotions():
    return sales(lift=2.0)


@pytest.fixture(scope="module")
def panel(promotions):
    return panel_of(promotions[0], H, promo=promotions[1])


@pytest.fixture(scope="module")
def effect(panel):
    return CovariateEffect.fit(panel, 7)


def scaled(values):
    return np.array([naive_scale(row[:-H, None], 7) for row in values])


def coverage(values, quantiles):
    truth = values[:, -H:]
    return (truth >= quantiles[:, :, 0, 0]) & (truth <= quantiles[:, :, 0, 2])


def test_promotions_that_double_sales_are_found(panel, effect):
    (found,) = effect.targets
    assert found.form == "share"
    lift = panel.values / effect.without(panel).values
    promoted = panel.future.values == 1.0
    np.testing.assert_allclose(lift[promoted].mean() / lift[~promoted].mean(), 2.0, rtol=0.05)


def test_nothing_after_the_history_is_learned_from(promotions, panel, effect):
    values, promo = promotions
    ahead = promo.copy()
    ahead[:, -H:] = 7.0
    assert CovariateEffect.fit(panel_of(values, H, promo=ahead), 7) == effect
    whole = ft.Panel.from_arrays(values, freq="1d", start="2024-01-01", future={"promo": list(ahead)})
    assert CovariateEffect.fit(whole.up_to(int(panel.ends[0])), 7) == effect


def test_promoted_steps_are_forecast_with_their_promotions(promotions, panel, effect):
    values, promo = promotions
    promoted = promo[:, -H:] == 1.0
    with_them, without = prior_with(effect, panel, H, LEVELS, 7), prior_quantiles(panel, H, LEVELS, 7)
    errors = [np.abs(part[:, :, 0, 1] - values[:, -H:]) / scaled(values) for part in (with_them, without)]
    assert errors[0][promoted].mean() < 0.5 * errors[1][promoted].mean()
    assert errors[0].mean() < 0.8 * errors[1].mean()
    assert 0.7 < coverage(values, with_them).mean() < 0.9
    assert coverage(values, with_them)[promoted].mean() > 0.65
    assert coverage(values, without)[promoted].mean() < 0.4


def test_where_promotions_are_not_given_intervals_hold_without(promotions, panel, effect):
    values, promo = promotions
    unknown = prior_with(effect, panel_of(values, 0, promo=promo), H, LEVELS, 7)
    assert 0.7 < coverage(values, unknown).mean() < 0.9
    given = prior_with(effect, panel, H, LEVELS, 7)
    plain = promo[:, -H:] == 0.0
    width = [(part[:, :, 0, 2] - part[:, :, 0, 0])[plain] for part in (unknown, given)]
    assert (width[0] > width[1]).all()


def test_a_mixture_of_what_the_series_has_had_answers_where_nothing_is_given(promotions, effect):
    part = panel_of(*promotions[:1], 0, promo=promotions[1]).take([3])
    answer = effect.quantiles(part, 8, LEVELS, 7)[0, :, 0]
    alone = prior_quantiles(effect.without(part), 8, QUANTILES, 7)[0, :, 0]
    lift = (part.values / effect.without(part).values)[:, 0]
    levels = np.linspace(0.001, 0.999, 999)
    for step in (6, 7):  # what was last known is forgotten
        drawn = np.sort(at_levels(alone[step], levels.tolist())) * lift[:, None]
        np.testing.assert_allclose(answer[step], np.quantile(drawn, LEVELS), rtol=0.03)


def test_what_is_not_given_stays_for_as_long_as_it_is_wont_to():
    rng = np.random.default_rng(0)
    places = 400 + np.array([0, 9, 200])
    for lasts in (1, 20):
        drawn = rng.random(400) < 1.0 / lasts
        price = rng.choice([0.0, 1.0, 2.0], 400)[np.maximum.accumulate(np.where(drawn, np.arange(400), 0))]
        price[-1] = 1.5
        path = np.concatenate([price, np.full(201, np.nan)])[:, None]
        had = _had(path, np.array([0.5]), places)
        likely = (had == 0.75).mean(axis=1)
        stays = 1.0 - 1.0 / lasts
        np.testing.assert_allclose(likely, [stays, stays**10, 0.0], atol=0.12)
        assert had[2].mean() == pytest.approx(0.5, abs=0.15)
    assert (_had(np.full((5, 1), np.nan), np.array([1.0]), np.array([3, 4])) == 0).all()


def test_what_does_not_help_changes_nothing():
    values, _ = sales(lift=1.0)
    rng = np.random.default_rng(5)
    panel = panel_of(values, H, weather=np.tile(rng.normal(size=LENGTH), (N, 1)))
    assert CovariateEffect.fit(panel, 7) is None
    model = Prior(horizon=H).fit(panel)
    np.testing.assert_array_equal(model.forecast(panel, H, LEVELS), prior_quantiles(panel, H, LEVELS))
    assert model.predict(horizon=H + 1).height == N * (H + 1)  # and no warning: nothing is read


def test_series_react_each_in_its_own_way():
    values, promo = sales(lift=1.0)
    lift = np.where(np.arange(N) % 2, 1.0, 3.0)
    values = values * lift[:, None] ** promo
    panel = panel_of(values, H, promo=promo)
    effect = CovariateEffect.fit(panel, 7)
    assert np.isfinite(effect.targets[0].own)
    found = panel.values / effect.without(panel).values
    for i in range(N):
        rows = slice(panel.offsets[i], panel.offsets[i + 1])
        promoted = panel.future.values[rows, 0] == 1.0
        own = found[rows][promoted].mean() / found[rows][~promoted].mean()
        assert own == pytest.approx(lift[i], rel=0.25)
    # Each is told from its own history, whoever else is asked.
    alone = panel.take([5])
    np.testing.assert_array_equal(effect.without(alone).values, effect.without(panel).take([5]).values)
    whole = effect.quantiles(panel, H + 2, LEVELS, 7)
    np.testing.assert_allclose(effect.quantiles(alone, H + 2, LEVELS, 7), whole[5:6], rtol=1e-5)


def test_values_below_zero_have_effects_that_are_added():
    rng = np.random.default_rng(2)
    heat = rng.normal(size=(3, LENGTH))
    week = 5 * np.sin(2 * np.pi * np.arange(LENGTH) / 7)
    values = week + 4 * heat + rng.normal(0, 0.5, (3, LENGTH))
    panel = panel_of(values, H, heat=heat)
    effect = CovariateEffect.fit(panel, 7)
    assert effect.targets[0].form == "change"
    found = prior_with(effect, panel, H, LEVELS, 7)
    assert np.abs(found[:, :, 0, 1] - values[:, -H:]).mean() < 1.0


def test_categories_are_told_apart_and_an_unknown_one_is_not_given(promotions):
    values, promo = sales(lift=1.0)
    kinds = np.array(["none", "flyer", "shelf"])[(promo * (1 + np.arange(N) % 2)[:, None]).astype(int)]
    values = values * np.where(kinds == "flyer", 2.0, 1.0)
    kinds[:, -1] = "radio"
    panel = panel_of(values, H, kind=kinds)
    effect = CovariateEffect.fit(panel, 7)
    assert effect.code.categories == {"kind": ("flyer", "none", "shelf")}
    lift = (panel.values / effect.without(panel).values)[:, 0]
    seen = kinds[:, :-H].ravel()
    means = {kind: lift[seen == kind].mean() for kind in ("flyer", "none", "shelf")}
    assert means["flyer"] / means["none"] == pytest.approx(2.0, rel=0.1)
    assert means["shelf"] / means["none"] == pytest.approx(1.0, rel=0.1)
    shorter = panel_of(values, H - 1, kind=kinds)
    answers = [effect.quantiles(part, H, LEVELS, 7) for part in (panel, shorter)]
    np.testing.assert_array_equal(answers[0], answers[1])


def test_differences_and_their_sums_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    series = [rng.random(n) + 1.0 for n in (17, 30)]
    series[1][4] = np.nan
    panel = ft.Panel.from_arrays(series)
    x = rng.normal(size=(47, 2))
    around = _Around.of(panel, 0, x, cycle=3)
    sums = around.sums("level", np.zeros_like(around.rows), 1)
    coefficients = np.array([0.2, -0.1])
    total, squares, misses = np.zeros(2), np.zeros((2, 2)), []
    for values, rows, owner in ((series[0], x[:17], 0), (series[1], x[17:], 1)):
        level, change = np.nanmean(values), np.nanmean(np.abs(values[3:] - values[:-3]))
        found, products = np.zeros(2), np.zeros((2, 2))
        for t in range(len(values)):
            near = [
                s for s in (t - 6, t - 3, t + 3, t + 6) if 0 <= s < len(values) and not np.isnan(values[s])
            ]
            if np.isnan(values[t]) or not near:
                continue
            away = rows[t] - rows[near].mean(axis=0)
            found += away * (values[t] - values[near].mean()) / level
            products += np.outer(away, away)
            clean = (values[near] - level * rows[near] @ coefficients).mean()
            misses.append(abs(values[t] - clean - level * rows[t] @ coefficients) / change)
        np.testing.assert_allclose(sums.with_values[owner, 0], found)
        np.testing.assert_allclose(sums.products[owner, 0], products)
        total, squares = total + found, squares + products
    every = np.tile(coefficients, (len(around.rows), 1))
    errors = around.errors("level", every, np.zeros_like(around.rows))
    np.testing.assert_allclose(errors, [np.mean(misses)])
    # Ridge regression towards t is least squares with rows √λ I, √λ t added.
    towards = np.array([0.5, 0.5])
    root = np.linalg.cholesky(squares).T
    rows = np.vstack([root, 2.0 * np.eye(2)])
    values = np.concatenate([np.linalg.solve(root.T, total), 2.0 * towards])
    expected = np.linalg.lstsq(rows, values, rcond=None)[0]
    drawn = _drawn(_Sums(squares[None, None], total[None, None]), towards, 4.0)
    np.testing.assert_allclose(drawn[0, 0], expected)


def test_odd_panels_have_no_effect_and_no_warning():
    steps = np.arange(60.0)
    nothing = np.full(60, np.nan)
    for values, column in (
        (steps, nothing),
        (0.0 * steps, steps),
        (nothing, steps),
        (steps, np.ones(60)),
        (steps[:5], steps[:5]),
    ):
        panel = ft.Panel.from_arrays([values], future={"x": [column]})
        assert CovariateEffect.fit(panel, 7) is None
    assert CovariateEffect.fit(ft.Panel.from_arrays([steps]), 7) is None


def test_series_that_say_nothing_are_answered_beside_others(panel, effect, promotions):
    values = promotions[0].copy()
    values[0], values[1], values[2, :-1] = np.nan, 0.0, np.nan
    odd = panel_of(values, H, promo=promotions[1])
    found = effect.quantiles(odd, 3, LEVELS, 7)
    assert np.isnan(found[0]).all()
    assert (found[1] == 0).all()
    np.testing.assert_allclose(found[3:], effect.quantiles(panel, 3, LEVELS, 7)[3:], rtol=1e-5)


@pytest.mark.parametrize("make", [Prior, lambda horizon: ft.SeriesForecaster(horizon, model="prior")])
def test_it_is_kept_with_the_model_and_what_is_not_given_is_named(make, panel, effect, tmp_path):
    model = make(horizon=H).fit(panel)
    again = ft.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.forecast(panel, H, LEVELS), prior_with(effect, panel, H, LEVELS, 7))
    assert again.predict().equals(model.predict())
    with pytest.warns(CovariateWarning, match=r"promo: not known ahead for 24 of 360 .* averaged over"):
        model.predict(horizon=H + 1)


def test_it_stands_beside_the_network_where_that_is_not_told_enough(panel, effect):
    choice = SeriesChoice({"network": 1.0}, {}, too_little_data=False, season=7, effect=effect)
    assert choice.report().endswith("regression of what it does not read, on promo")
    ours = np.zeros((N, H + 1, 1, len(LEVELS)))
    found = choice.forecast(lambda: ours, panel, H + 1, LEVELS)
    assert (found[:, :H] == 0).all()
    np.testing.assert_array_equal(found[:, H:], effect.quantiles(panel, H + 1, LEVELS, 7)[:, H:])


@pytest.mark.parametrize(
    ("part", "value", "fault"),
    [
        ("cycle", 0, "no cycle"),
        ("scale", [[0.0], [0.0], [0.0], [0.0]], "other numbers"),
        ("scale", [[0.0, 1.0], [1.0], [0.0], [0.0]], "other columns"),
        ("targets", [["square", [1.0], 3.0]], "other forms"),
        ("targets", [["share", [float("nan")], 3.0]], "other numbers"),
    ],
)
def test_a_damaged_effect_is_refused(effect, part, value, fault):
    kept = json.loads(json.dumps(dataclasses.asdict(effect)))
    assert CovariateEffect.from_description(kept, ["promo"]) == effect
    with pytest.raises(DataError, match=fault):
        CovariateEffect.from_description(kept | {part: value}, ["promo"])
    with pytest.raises(DataError, match="other names"):
        CovariateEffect.from_description(kept, ["price"])
