"""The forecaster that chooses, for series: never much worse than its best member, honest about small data."""

import copy
import dataclasses
import functools

import numpy as np
import pytest
from tests.data.panels import small_forecaster

import foretell as ft
from foretell.errors import CovariateWarning, ParameterError, SmallDataWarning
from foretell.series.auto import SeriesChoice, choose
from foretell.series.prior_forecast import prior_quantiles
from foretell.stats.blending import blend_weights

H = 6
LEVELS = [0.1, 0.5, 0.9]


tiny = functools.partial(small_forecaster, model="auto")


def waves(n=8, length=126, seed=2):
    rng = np.random.default_rng(seed)
    steps = np.arange(length)
    return [(3 + i) * np.sin(2 * np.pi * (steps + i) / 12) + 10 * i + rng.normal(0, 0.5, length)
            for i in range(n)]  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return ft.Panel.from_arrays(waves())


@pytest.fixture(scope="module")
def fitted(whole):
    return tiny().fit(whole.tail_split(H)[0])


def error(model, whole):
    before, after = whole.tail_split(H)
    found = model.forecast(before, H, LEVELS)[..., 0, 1]
    return np.abs(found - after.values.reshape(found.shape)).mean()


def test_the_blend_errs_no_more_than_prior_and_network_where_it_was_chosen(fitted):
    losses = dict(fitted.auto_.losses)
    assert losses.pop("blend") <= 0.5 * (losses["prior"] + losses["network"]) + 1e-12
    assert set(losses) == {"network", "prior", "seasonal naive", "naive", "drift"}
    assert sum(fitted.auto_.weights.values()) == pytest.approx(1.0)


def test_the_summary_starts_with_who_answers_and_why(fitted):
    shares, losses, *_ = fitted.summary().splitlines()
    assert shares.startswith("forecasts: prior ")
    assert losses.startswith("scaled pinball loss in horizons that were held back: prior ")
    untold = SeriesChoice({"prior": 1.0}, {}, too_little_data=True, season=1).report().splitlines()
    assert untold[1:] == [
        "nothing was held back to judge by",
        "the network was not trained: fewer than 200 values, series of fewer than 100, or not asked for",
    ]


def test_on_the_held_out_part_it_is_not_worse_than_its_best_member(fitted, whole):
    before = whole.tail_split(H)[0]
    rules = [ft.baselines.SeasonalNaive(season=12).fit(before), ft.baselines.Naive().fit(before)]
    assert error(fitted, whole) <= 1.05 * min(error(rule, whole) for rule in rules)


def test_quantiles_are_in_order_and_the_table_reads_as_ever(fitted):
    found = fitted.forecast(fitted.panel_, 2 * H, LEVELS)
    assert (np.diff(found, axis=-1) >= 0).all()
    assert fitted.predict(levels=[80]).columns[2:] == ["foretell", "foretell-lo-80", "foretell-hi-80"]


def test_members_disagree_in_a_column_of_their_own(fitted):
    model = copy.copy(fitted)
    (weights,) = fitted.model_.members
    other = [weight * 1.2 for weight in weights]
    trusted = dataclasses.replace(fitted.model_.calibration, trust=0.5)
    model.model_ = dataclasses.replace(fitted.model_, members=(weights, other), calibration=trusted)
    table = model.predict(levels=[80], disagreement=True)
    assert table.columns[-1] == "foretell-sd"
    assert (table["foretell-sd"] > 0).any()
    assert table.drop("foretell-sd").equals(model.predict(levels=[80]))


def test_it_is_saved_and_loaded(fitted, tmp_path):
    again = ft.load(fitted.save(tmp_path / "model"))
    assert again.auto_ == fitted.auto_
    assert again.predict().equals(fitted.predict())


def test_one_short_series_is_left_to_the_prior(tmp_path):
    series = [1.0, 2.0, 4.0, 3.0] * 8
    panel = ft.Panel.from_arrays({"short": series})
    window = ft.WindowConfig(lookback=8, patch=4, season=4)
    with pytest.warns(SmallDataWarning, match="32 observed values are too few"):
        model = tiny(horizon=4, window=window).fit(panel)
    assert model.auto_.too_little_data
    assert model.auto_.weights["prior"] >= 0.5  # what one series says is next to chance
    np.testing.assert_allclose(model.predict()["foretell"], [1.0, 2.0, 4.0, 3.0], atol=0.2)
    assert ft.load(model.save(tmp_path / "model")).predict().equals(model.predict())


def test_many_short_series_are_left_to_the_prior_without_a_word():
    rng = np.random.default_rng(0)
    panel = ft.Panel.from_arrays({f"s{k}": rng.normal(50, 5, 60).tolist() for k in range(20)}, freq="1mo")
    model = ft.SeriesForecaster(horizon=6).fit(panel)
    assert "network" not in model.auto_.weights
    assert "series of fewer than 100" in model.summary()
    long = ft.Panel.from_arrays({f"s{k}": rng.normal(50, 5, 100).tolist() for k in range(3)}, freq="1mo")
    promo = {f"s{k}": [0.0, 1.0] * 33 for k in range(20)}
    beside = ft.Panel.from_arrays(
        {name: values[:60] for name, values in promo.items()},
        freq="1mo",
        future={"promo": list(promo.values())},
    )
    assert not model._is_known_better(long)
    assert not model._is_known_better(beside)


def test_a_series_too_short_to_hold_anything_back_is_left_to_the_prior():
    panel = ft.Panel.from_arrays({"a": [1.5, 5.25], "b": [2.0, 3.5]})
    with pytest.warns(SmallDataWarning):
        model = tiny(horizon=4, window=ft.WindowConfig(lookback=4, patch=4, season=1)).fit(panel)
    np.testing.assert_array_equal(model.forecast(panel, 4, LEVELS), prior_quantiles(panel, 4, LEVELS, 1))


@pytest.mark.parametrize("length", [7, 15, 60])
def test_series_of_unequal_lengths_are_judged_where_they_reach(length):
    panel = ft.Panel.from_arrays([*waves(4), np.arange(float(length))])
    alone = choose(panel, H, None, 12)
    assert alone.losses
    assert sum(alone.weights.values()) == pytest.approx(1.0)


def test_the_prior_of_the_blend_is_asked_with_the_season_that_it_takes_by_itself():
    # A trend hides the season of quarters from a rule of thumb, but not from the prior.
    trends = [np.arange(30.0) * slope + 50 for slope in (1, 2, 3)]
    panel = ft.Panel.from_arrays(trends, freq="3mo", start="2010-01-01")
    assert choose(panel, 4, None, None).season == 4
    assert choose(panel, 4, None, 2).season == 2
    with pytest.warns(SmallDataWarning):
        model = tiny(horizon=4, window=ft.WindowConfig(lookback=8, patch=4)).fit(panel)
    assert model.auto_.season == 4


def test_the_prior_alone_answers_for_a_single_value_and_is_saved(tmp_path):
    panel = ft.Panel.from_arrays({"a": [7.0]})
    model = tiny(model="prior").fit(panel)
    assert model.auto_.weights == {"prior": 1.0}
    table = model.predict(levels=[80])
    assert (table["foretell-hi-80"] > table["foretell-lo-80"]).all()
    assert ft.load(model.save(tmp_path / "model")).predict(levels=[80]).equals(table)


def test_an_unknown_model_is_refused(whole):
    with pytest.raises(ParameterError, match="model='best'"):
        tiny(model="best").fit(whole)


def test_each_quantile_has_weights_of_its_own(whole):
    train, _ = whole.tail_split(H)
    alone = choose(train, H, None, 12)
    mixed = dataclasses.replace(
        alone,
        weights={"prior": 0.5, "naive": 0.5},
        by_level={"prior": [1.0, *[0.5] * 7, 0.0], "naive": [0.0, *[0.5] * 7, 1.0]},
    )
    prior, naive = (
        dataclasses.replace(alone, weights={name: 1.0}, by_level=None).forecast(
            np.zeros(1), train, H, [0.05, 0.1, 0.5, 0.9]
        )
        for name in ("prior", "naive")
    )
    asked = mixed.forecast(np.zeros_like(prior), train, H, [0.05, 0.1, 0.5, 0.9])
    expected = np.stack(
        [prior[..., 0], prior[..., 1], (prior[..., 2] + naive[..., 2]) / 2, naive[..., 3]], axis=-1
    )
    np.testing.assert_allclose(asked, np.sort(expected, axis=-1))


def test_weights_find_the_true_blend():
    rng = np.random.default_rng(0)
    parts = {name: rng.normal(size=5_000) for name in "abc"}
    truth = 0.7 * parts["a"] + 0.3 * parts["b"]
    found = blend_weights(lambda x: (x - truth) ** 2, parts)
    assert found == pytest.approx({"a": 0.7, "b": 0.3}, abs=0.06)


def test_a_rule_that_is_far_worse_takes_no_part_in_what_all_series_had_in_common():
    """A level that rose for all at the one origin is no reason to follow a drift."""
    rng = np.random.default_rng(0)
    week, t = np.array([1, 1.1, 1.2, 1.4, 2.0, 2.4, 0.5]), np.arange(150)
    rose = np.where(t >= 150 - 28, 1.3, 1.0)
    series = [
        rng.uniform(20, 40) * week[t % 7] * rose * np.exp(0.15 * rng.normal(size=150)) for _ in range(30)
    ]
    choice = choose(ft.Panel.from_arrays(series, freq="1d"), 28, None, None)
    assert set(choice.weights) == {"prior", "seasonal naive"}
    assert min(choice.losses["naive"], choice.losses["drift"]) > 1.5 * choice.losses["prior"]


def test_a_blend_that_is_better_by_chance_only_leaves_the_weight_with_the_best():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=40)
    parts = {"good": truth + 0.1 * rng.normal(size=40), "bad": truth + 3.0 * rng.normal(size=40)}
    assert blend_weights(lambda x: (x - truth) ** 2, parts) == {"good": 1.0}
    # Of one unit nothing is known of chance.
    assert len(blend_weights(lambda x: np.atleast_1d(((x - truth) ** 2).mean()), parts)) == 1


def test_the_prior_answers_where_future_covariates_are_not_given():
    values = waves(3)
    panel = ft.Panel.from_arrays(values, future={"promo": [np.zeros(len(row) + 2) for row in values]})
    choice = SeriesChoice({"network": 1.0}, {}, too_little_data=False, season=12)
    ours = np.zeros((3, H, 1, len(LEVELS)))
    found = choice.forecast(lambda: ours, panel, H, LEVELS)
    assert (found[:, :2] == 0).all()
    np.testing.assert_allclose(found[:, 2:], prior_quantiles(panel, H, LEVELS, 12)[:, 2:])


def test_a_network_without_a_share_is_asked_only_where_the_prior_knows_nothing():
    choice = SeriesChoice({"prior": 1.0}, {}, too_little_data=True, season=12)
    panel = ft.Panel.from_arrays(waves(3))
    found = choice.forecast(lambda: pytest.fail("it was asked"), panel, H, LEVELS)
    np.testing.assert_array_equal(found, prior_quantiles(panel, H, LEVELS, 12))
    blank = ft.Panel.from_arrays([np.full(30, np.nan)])
    ours = np.broadcast_to(np.sort(LEVELS), (1, H, 1, len(LEVELS)))
    np.testing.assert_array_equal(choice.forecast(lambda: ours, blank, H, LEVELS), ours)


def test_future_covariates_that_are_not_given_are_named():
    values = waves(3)
    panel = ft.Panel.from_arrays(values, future={"promo": [np.zeros(len(row) + 2) for row in values]})
    network = tiny(model="network", training=ft.TrainConfig(epochs=1)).fit(panel)
    with pytest.warns(CovariateWarning, match=r"promo: not known ahead for 12 of 18 steps"):
        network.predict()
