"""Pareto/NBD, BG/NBD and MBG/NBD by what is known of customers: their own time runs faster or slower."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.baselines import BGNBD, MBGNBD, ParetoNBD
from foretell.baselines.speeds import Speeds
from foretell.errors import DataError

MODELS = [ParetoNBD, BGNBD, MBGNBD]
GAMMA = np.log(2.0)


@pytest.fixture(scope="module")
def log():
    """Visits of 1,500 customers who never leave; those of the web come twice as often."""
    rng = np.random.default_rng(1)
    web = rng.random(1500) < 0.5
    rate = rng.gamma(2.0, 1 / 80, 1500) * np.where(web, 2.0, 1.0)
    first = rng.integers(0, 200, 1500)
    counts = rng.poisson(rate * (299 - first))
    owner = np.repeat(np.arange(1500), counts + 1)
    days = np.concatenate(
        [np.append(start, rng.integers(start + 1, 300, n)) for start, n in zip(first, counts, strict=True)]
    )
    frame = pl.DataFrame({"unique_id": owner, "day": days})
    frame = frame.select(
        "unique_id",
        ds=pl.date(2023, 1, 1) + pl.duration(days="day"),
        channel=pl.Series(np.where(web, "web", "shop")[owner]),
    )
    return ft.read_events(frame, static="channel", as_of="2023-10-27")


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.shell_name)
def model(request, log):
    return request.param().fit(log)


def test_a_channel_that_doubles_the_rate_has_a_factor_of_two(model):
    labels = [word for _, word in model.speeds_.design.labels]
    gamma = dict(zip(labels, model.speeds_.coefficients, strict=True))
    assert gamma["web"] - gamma["shop"] == pytest.approx(GAMMA, abs=0.12)


def test_a_newcomer_by_the_web_is_expected_twice_as_often(model, log):
    rows = pl.DataFrame({"unique_id": [9000, 9001], "ds": ["2023-10-28"] * 2, "channel": ["web", "shop"]})
    later = ft.read_events(rows, static="channel", start="2023-10-28", as_of="2023-10-28")
    moved = type(model).from_state(model.state()).update(later)
    answers = moved.predict(["7d"], ids=[9000, 9001])
    web, shop = answers["expected_events_7d"]
    assert 1.7 < web / shop < 2.2
    assert answers["next_event"][0] < answers["next_event"][1]
    assert answers["p_return_7d"][0] > 1.6 * answers["p_return_7d"][1]


def test_time_that_runs_faster_is_a_longer_time(model, log):
    """The formulas at the own time of a customer, one by one, are the slow way to the same answers."""
    speed = model.speeds_.of(log)
    ages, silent = (log.as_of - log.first) * speed, (log.last - log.first) * speed
    slow = [
        model.expected_events(repeats, recency, age, 30 * factor)
        for repeats, recency, age, factor in zip(log.counts[:40] - 1.0, silent, ages, speed, strict=False)
    ]
    answers = model.predict(["30d"], ids=log.ids[:40].to_list())
    np.testing.assert_allclose(answers["expected_events_30d"], slow, rtol=1e-9)


def test_the_gradient_of_the_coefficients_is_that_of_the_likelihood(log):
    """At the optimum, no small step of the coefficient leads higher."""
    model = BGNBD().fit(log)
    design = model.speeds_.design
    columns = design.matrix(log.static)

    def height(coefficients):
        speed = np.exp(columns @ coefficients)
        x = log.counts - 1.0
        rows = (x, (log.last - log.first) * speed, (log.as_of - log.first) * speed)
        likelihood = model._log_likelihood(
            np.array(model.params_), type(model._histories(log).summary)(*rows)
        )
        return likelihood[0].sum() + (x * np.log(speed)).sum() - 0.5 * (coefficients**2).sum()

    best = model.speeds_.coefficients
    for step in (np.array([0.02, -0.02]), np.array([-0.02, 0.02])):
        assert height(best) > height(best + step)


def test_without_anything_known_nothing_is_changed(log, model):
    frame = log.to_polars().drop("channel")
    bare = type(model)().fit(ft.read_events(frame, as_of="2023-10-27"))
    assert bare.speeds_ is None
    assert bare.log_likelihood_ < model.log_likelihood_


def test_the_factors_are_kept_and_checked(model, log):
    again = type(model).from_state(model.state())
    assert again.predict(["30d"]).equals(model.predict(["30d"]))
    described = model.speeds_.describe()
    for speed in ([1.0], [np.nan, 1.0], [1e9, 0.0]):
        with pytest.raises(DataError):
            Speeds.from_description({**described, "speed": speed})
