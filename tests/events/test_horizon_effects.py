"""What is known of customers moves what is expected of them, as far as the log shows, and no further."""

import copy
import dataclasses
import datetime as dt

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.data.covariates import Covariates
from foretell.data.design import Design
from foretell.errors import DataError, ParameterError
from foretell.events.horizon.effects import Effects, fit_effects
from foretell.events.horizon.rates import LOST, MEANS, SCORES, Histories, RateClasses, tilted

CHANNELS = ("shop", "web")


def shop(n=1500, *, effect=2.0, seed=0, days=300):
    """Return histories of customers of two channels, one of which doubles the rate, and what is known."""
    rng = np.random.default_rng(seed)
    web = rng.random(n) < 0.4
    rate = rng.gamma(2.0, 1 / 60, n) * np.where(web, effect, 1.0)
    age = rng.uniform(10, days, n)
    life = rng.exponential(400.0, n)
    counts = rng.poisson(rate * np.minimum(age, life))
    recency = np.where(counts > 0, np.minimum(age, life) * rng.random(n) ** (1 / np.maximum(counts, 1)), 0.0)
    words = {"channel": CHANNELS, "noise": ("0", "1", "2", "3", "4", "5")}
    values = np.column_stack([web, rng.integers(0, 6, n), rng.normal(40, 10, n)]).astype(np.float64)
    return Histories(counts.astype(np.float64), recency, age), Covariates(
        ("channel", "noise", "size"), values, words
    )


def tilt(effects, static):
    return effects.tilt(static, len(static))


def newcomers(rates, effects, static):
    zeros = np.zeros(len(static))
    at = Histories(zeros, zeros, zeros, tilt(effects, static))
    return rates.curves(at, np.array([90.0])).expected[:, 0]


def of(name, value, static):
    """Return one customer of whom one thing is known."""
    values = np.full((1, len(static.names)), np.nan)
    values[0, static.names.index(name)] = value
    return dataclasses.replace(static, values=values)


def test_a_channel_that_doubles_the_rate_is_found_and_noise_is_not():
    histories, static = shop()
    rates, effects = fit_effects(histories, static)
    ratio = newcomers(rates, effects, of("channel", 1, static)) / newcomers(
        rates, effects, of("channel", 0, static)
    )
    assert 1.5 < ratio.item() < 2.2
    noise = np.concatenate([newcomers(rates, effects, of("noise", k, static)) for k in range(6)])
    assert np.ptp(noise) / noise.mean() < 0.15
    sizes = [newcomers(rates, effects, of("size", size, static)).item() for size in (25, 55)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.06)


def test_a_channel_that_changes_nothing_has_no_effect():
    histories, static = shop(effect=1.0, seed=3)
    rates, effects = fit_effects(histories, static)
    both = [newcomers(rates, effects, of("channel", k, static)).item() for k in (0, 1)]
    assert both[0] == pytest.approx(both[1], rel=0.1)


def test_the_own_visits_of_a_customer_outweigh_what_is_known():
    histories, static = shop()
    rates, effects = fit_effects(histories, static)

    def spread(repeats, age):
        tilt = np.concatenate([effects.tilt(of("channel", k, static), 1) for k in (0, 1)])
        one = Histories(np.full(2, float(repeats)), np.full(2, age - 1.0), np.full(2, age), tilt)
        expected = rates.curves(one, np.array([90.0])).expected[:, 0]
        return expected[1] / expected[0]

    assert spread(0, 2.0) > spread(5, 100.0) > spread(40, 800.0)
    assert spread(40, 800.0) < 1.15


def test_shares_are_tilted_as_the_formula_says():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(len(MEANS) * len(LOST))).reshape(len(MEANS), len(LOST))
    tilt = rng.normal(size=(3, 2))
    slow = np.array(
        [
            [
                [
                    weights[k, j]
                    * np.exp(u * np.log(MEANS[k] * 32) + v * (np.log(LOST[j] / (1 - LOST[j])) + 2))
                    for j in range(len(LOST))
                ]
                for k in range(len(MEANS))
            ]
            for u, v in tilt
        ]
    ).reshape(3, -1)
    np.testing.assert_allclose(tilted(weights, tilt), slow / slow.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(tilted(weights, np.zeros((1, 2)))[0], weights.ravel())
    assert SCORES.shape == (weights.size, 2)


def test_nobody_is_described_by_a_category_that_was_never_seen():
    histories, static = shop(n=400)
    effects = fit_effects(histories, static)[1]
    other = Covariates(static.names, np.array([[0.0, np.nan, np.nan]]), {"channel": ("kiosk",), "noise": ()})
    unknown = dataclasses.replace(static, values=np.full((1, 3), np.nan))
    np.testing.assert_array_equal(tilt(effects, other), np.zeros((1, 2)))
    np.testing.assert_array_equal(tilt(effects, unknown), np.zeros((1, 2)))


def test_the_order_of_categories_and_customers_does_not_matter():
    histories, static = shop(n=600)
    effects = fit_effects(histories, static)[1]
    turned = static.recoded({"channel": CHANNELS[::-1], "noise": tuple("543210")})
    others = fit_effects(histories, turned)
    np.testing.assert_allclose(tilt(others[1], turned), tilt(effects, static), atol=1e-6)
    order = np.random.default_rng(0).permutation(600)
    shuffled = fit_effects(histories.take(order), static.take(order))
    np.testing.assert_allclose(tilt(shuffled[1], static), tilt(effects, static), atol=1e-6)


def test_what_is_missing_everywhere_or_the_same_for_all_tells_nothing():
    histories, _ = shop(n=200)
    values = np.column_stack([np.full(200, np.nan), np.ones(200), np.zeros(200)])
    static = Covariates(("a", "b", "c"), values, {"c": ("x",)})
    rates, effects = fit_effects(histories, static)
    np.testing.assert_array_equal(tilt(effects, static), np.zeros((200, 2)))
    np.testing.assert_array_equal(rates.weights, RateClasses.fit(histories).weights)


def test_effects_are_described_and_read_back():
    histories, static = shop(n=300)
    effects = fit_effects(histories, static)[1]
    described = effects.describe()
    np.testing.assert_array_equal(tilt(Effects.from_description(described), static), tilt(effects, static))
    for wrong in ({"rate": [1.0]}, {"spread": [0.0] * len(effects.design.centre)}, {"lost": [np.nan] * 9}):
        with pytest.raises(DataError):
            Effects.from_description({**described, **wrong})
    assert Design.from_description(described).labels == effects.design.labels


@pytest.fixture(scope="module")
def visits():
    """Visits of 400 customers of two channels, one of which doubles the rate, over a year."""
    rng = np.random.default_rng(5)
    rows, channel = [], {}
    for customer in range(400):
        channel[customer] = CHANNELS[int(rng.random() < 0.4)]
        time = rng.integers(0, 360)
        rate = rng.gamma(3.0, 1 / 75) * (1 + (channel[customer] == "web"))
        while time < 365:
            rows.append((customer, dt.date(2023, 1, 1) + dt.timedelta(int(time)), channel[customer]))
            time += 1 + int(rng.exponential(1 / rate))
    return pl.DataFrame(rows, schema=["unique_id", "ds", "channel"], orient="row")


@pytest.fixture(scope="module")
def model(visits):
    log = ft.read_events(visits, static="channel", as_of="2023-12-31")
    return ft.EventForecaster(model="prior").fit(log)


def test_the_prior_forecasts_customers_by_what_is_known_of_them(visits, model):
    table = model.customer_effects("90d")
    assert table.columns == ["covariate", "value", "customers", "newcomer_90d", "factor"]
    factor = dict(zip(table["value"], table["factor"], strict=True))
    assert factor["web"] > 1.1
    assert factor["shop"] < 0.95
    once = model.predict(["90d"]).filter(pl.col("n_events") == 1)
    channel = visits.unique("unique_id").select("unique_id", "channel")
    means = once.join(channel, on="unique_id").group_by("channel").agg(pl.col("expected_events_90d").mean())
    by_channel = dict(means.iter_rows())
    assert by_channel["web"] > 1.15 * by_channel["shop"]
    stranger = model.predict(["90d"], ids=[10**6])["expected_events_90d"].item()
    shop_, web = (table.filter(value=name)["newcomer_90d"].item() for name in CHANNELS)
    assert 0.5 * shop_ < stranger < web


def test_it_goes_with_the_model_to_the_file_and_to_later_customers(model, tmp_path):
    model.save(tmp_path / "model")
    again = ft.load(tmp_path / "model")
    assert again.predict().equals(model.predict())
    assert again.customer_effects().equals(model.customer_effects())
    rows = pl.DataFrame({"unique_id": [900, 901], "ds": ["2024-01-05"] * 2, "channel": list(CHANNELS)})
    later = ft.read_events(rows, static="channel", start="2024-01-01", as_of="2024-01-10")
    again.update(later)
    shop_, web = again.predict(["90d"], ids=[900, 901])["expected_events_90d"]
    assert web > 1.1 * shop_


def test_customers_who_come_later_change_nothing(visits):
    early = visits.filter(pl.col("ds") <= dt.date(2023, 6, 30))
    forecasts = [
        ft.EventForecaster(model="prior").fit(log, as_of="2023-06-30").predict()
        for log in (ft.read_events(rows, static="channel") for rows in (visits, early))
    ]
    assert forecasts[0].equals(forecasts[1])


def test_numbers_are_not_taken_for_names(visits, model):
    codes = visits.with_columns(channel=(pl.col("channel") == "web").cast(pl.Int8))
    numbers = ft.read_events(codes, static="channel", as_of="2023-12-31")
    with pytest.raises(ParameterError, match=r"numbers here and names .*categorical=\['channel'\]"):
        model.return_chances(numbers, [30])
    of_numbers = ft.EventForecaster(model="prior").fit(numbers)
    with pytest.raises(ParameterError, match="names here and numbers"):
        of_numbers.return_chances(model.log_, [30])


def test_of_customers_of_another_log_nothing_may_be_known(visits, network):
    bare = ft.read_events(visits.drop("channel"), as_of="2023-12-31")
    chances = network.return_chances(bare, [30])
    assert np.isfinite(chances).all()
    assert not np.array_equal(chances, network.return_chances(network.log_, [30]))


@pytest.fixture(scope="module")
def network(visits):
    log = ft.read_events(visits, static="channel", as_of="2023-12-31")
    training = ft.TrainConfig(epochs=2, max_steps=8)
    return ft.EventForecaster(ensemble=1, training=training, network=ft.NetworkConfig(units=(8,))).fit(log)


def test_the_default_reads_it_by_prior_and_network(visits, network, tmp_path):
    assert network.model_.known.design.labels == [("channel", "shop"), ("channel", "web")]
    assert network.model_.network.n_features == 12 + 2 * 2
    shop_, web = network.customer_effects().sort("value")["newcomer_90d"]
    assert web > shop_
    network.save(tmp_path / "model")
    again = ft.load(tmp_path / "model")
    assert again.predict(["90d"]).equals(network.predict(["90d"]))
    rows = pl.DataFrame({"unique_id": [900, 901], "ds": ["2024-01-05"] * 2, "channel": list(CHANNELS)})
    later = ft.read_events(rows, static="channel", start="2024-01-01", as_of="2024-01-10")
    shop_, web = again.update(later).predict(["90d"], ids=[900, 901])["expected_events_90d"]
    assert web > shop_


def test_a_warm_start_reads_the_same_columns(visits, network):
    bare = ft.read_events(visits.drop("channel"), as_of="2023-12-31")
    with pytest.raises(ParameterError, match="columns of its data"):
        ft.EventForecaster(**network.get_params(deep=False)).fit(bare, warm_start=network)


def test_a_reason_names_what_is_known_and_all_parts_add_up(network):
    explanation = ft.explain(network, network.log_.ids[0], horizon="30d")
    parts = {part[0]: part for part in explanation.parts}
    assert parts["channel"][1] in CHANNELS


def test_an_exported_file_takes_nothing_that_is_known(network, tmp_path):
    alone = copy.copy(network)
    alone.auto_ = None
    with pytest.raises(ParameterError, match="channel"):
        alone.export(tmp_path / "when.onnx")
