"""Heads for the next gap: their losses, their starts, and answers that say what a head can know."""

import copy
import itertools

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import foretell as ft
from foretell.errors import ParameterError
from foretell.events.clock import OperationalClock
from foretell.events.distribution import GridGap, PointGap
from foretell.events.heads import KINDS
from foretell.events.heads.base import GapData
from foretell.events.heads.grid import Grid, GridNetwork, class_of, fine_steps, from_hazards, population
from foretell.events.heads.point import PointNetwork, shrunken
from foretell.events.history import histories, pace_features, running_median
from foretell.nn import arrays
from foretell.nn.cells import CELLS
from foretell.nn.samplers import Bucket
from foretell.nn.settings import NetworkConfig

TINY = NetworkConfig(units=2, dense=0)
NEW = ("bins", "hazard", "gap")
HORIZONS = ["7d", "30d"]
KNOTS = (0.0, 2.0, 5.0, 11.0)

# --- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "softmax"}, r"kind='softmax'; expected 'mixture', 'bins', 'gap', 'hazard' or 'horizon'"),
        ({"kind": "gap", "scale": "rank"}, r"scale='rank'; expected 'log', 'standard' or 'minmax'"),
        ({"drop_out": "pareto"}, r"drop_out='pareto'; expected 'mbg' or 'bg'"),
        ({"paths": 2.5}, r"paths=2.5; expected a whole number"),
        ({"kind": "bins", "bins": 1}, r"bins=1; expected at least 2"),
        ({"kind": "bins", "bins": (3, 7, 20)}, r"bins=\(3, 7, 20\); expected edges from 0"),
        ({"kind": "bins", "bins": (0, 7, 7)}, "each greater than the one before"),
        ({"kind": "bins", "censored": 1}, "censored=1; expected True or False"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(settings, message):
    with pytest.raises(ParameterError, match=message):
        ft.HeadConfig(**settings)


def test_an_unknown_head_is_refused_before_training(small_log):
    with pytest.raises(ParameterError, match=r"head='bin'; expected one of 'mixture', 'bins'"):
        ft.EventForecaster(head="bin").fit(small_log)


def test_too_many_bins_for_gaps_that_tie_are_refused_with_the_mend(small, small_log):
    with pytest.raises(ParameterError, match="ask for fewer bins, or give own edges"):
        small.forecaster(head=ft.HeadConfig("bins", bins=80)).fit(small_log)


# --- losses against slow loops


def slow_grid_term(log_mass, lower, upper, last):
    """Walk over the classes and add up the part of each in which the gap may still end."""
    total = 0.0
    for k, (low, high) in enumerate(itertools.pairwise(KNOTS)):
        end = np.inf if last else upper
        inside = max(min(end, high) - max(lower, low), 0.0)
        total += np.exp(log_mass[k]) * inside / (high - low)
    if last or upper > KNOTS[-1]:
        total += np.exp(log_mass[-1])
    return np.log(total)


ROWS = [
    (0, 1, 0),
    (1, 2, 0),
    (4, 5, 0),
    (4.5, 6.25, 0),
    (10, 11, 0),
    (11, 12, 0),
    (0, 0, 1),
    (3, 3, 1),
    (20, 20, 1),
]


def gap_data_of(rows):
    """Return gaps as the heads' likelihoods take them."""
    lower, upper, last = (np.array(part) for part in zip(*rows, strict=True))
    interval = (jnp.asarray(part, jnp.float32) for part in (lower, upper))
    return GapData(None, None, *interval, jnp.asarray(last > 0), None)


@pytest.mark.parametrize("hazard", [False, True])
def test_the_loss_of_a_grid_is_what_a_slow_loop_over_its_classes_adds_up(hazard):
    network = GridNetwork(TINY, 3, Grid(KNOTS, KNOTS), hazard=hazard)
    raw = np.random.default_rng(0).normal(size=(len(ROWS), 4 - hazard))
    if hazard:
        packed = np.asarray(from_hazards(jnp.asarray(raw)), dtype=float)
        chance = 1 / (1 + np.exp(-raw))
        for row, h in zip(packed, chance, strict=True):
            by_hand = [h[0], (1 - h[0]) * h[1], (1 - h[0]) * (1 - h[1]) * h[2], np.prod(1 - h)]
            np.testing.assert_allclose(np.exp(row), by_hand, rtol=1e-5)
    else:
        packed = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    data = gap_data_of(ROWS)
    found = network.terms(jnp.asarray(packed, jnp.float32), data)
    slow = [slow_grid_term(p, *row) for p, row in zip(packed, ROWS, strict=True)]
    np.testing.assert_allclose(found, slow, rtol=1e-5, atol=1e-6)


def test_a_class_in_steps_is_worth_what_its_steps_are():
    """The loss with finer steps is that of a grid of these steps, each with its part of the class."""
    fine, within = (0, 1, 2, 5, 8), (0.75, 0.25, 0.4, 0.6)
    network = GridNetwork(TINY, 3, Grid((0, 2, 8), (0, 2, 8), fine, within))
    raw = np.random.default_rng(0).normal(size=(len(ROWS), 3))
    packed = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    data = gap_data_of(ROWS)
    found = network.terms(jnp.asarray(packed, jnp.float32), data)
    mass = np.exp(packed)
    steps = np.log(np.stack([mass[:, k // 2] * w for k, w in enumerate(within)] + [mass[:, 2]], axis=1))
    by_hand = GridNetwork(TINY, 3, Grid(fine, fine)).terms(jnp.asarray(steps, jnp.float32), data)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)
    gap = network.next_gap(packed[None], np.zeros(0))
    np.testing.assert_allclose(gap.survival(np.full(len(ROWS), 5.0)), 1 - mass[:, 0] - 0.4 * mass[:, 1])


def test_the_steps_of_a_class_hold_what_they_hold_among_all(small_log):
    history = plain_history(small_log)
    knots = np.array([0.0, 4.0, 20.0, float(np.ceil(history.upper[~history.last].max()))])
    fine, within = fine_steps(knots, history, censored=False)
    assert set(knots) <= set(fine)
    np.testing.assert_allclose(np.bincount(class_of(fine[:-1], knots), weights=within), 1.0)
    ends = np.ceil(history.upper[~history.last])
    in_class = (ends > 4) & (ends <= 20)
    for low, high, share in zip(fine[:-1], fine[1:], within, strict=True):
        if 4 <= low < 20:
            counted = ((ends > low) & (ends <= high)).sum() / in_class.sum()
            assert share == pytest.approx(counted, abs=0.02)


def test_a_gap_known_to_the_day_is_worth_the_cross_entropy_of_its_class_up_to_a_constant():
    network = GridNetwork(TINY, 3, Grid(KNOTS, KNOTS))
    packed = jnp.log(jnp.asarray([[0.1, 0.2, 0.3, 0.4]] * 2))
    day = GapData(
        None, None, jnp.asarray([2.0, 3.0]), jnp.asarray([3.0, 4.0]), jnp.asarray([False, False]), None
    )
    np.testing.assert_allclose(network.terms(packed, day), np.log(0.2 / 3), rtol=1e-5)


def test_without_open_gaps_a_closed_one_counts_given_that_it_could_be_seen():
    data = GapData(
        jnp.zeros((2, 3)), jnp.zeros((2, 2)), jnp.asarray([1.0, 6.0]), jnp.asarray([2.0, 6.0]),
        jnp.asarray([False, True]), jnp.asarray([8.0, 6.0]),
    )  # fmt: skip
    runs = [Bucket(jnp.asarray([0]), jnp.asarray([2]))]
    mass = np.log([0.1, 0.2, 0.3, 0.4])
    closed, still_open = (slow_grid_term(mass, *row) for row in [(1, 2, 0), (6, 6, 1)])
    seen = slow_grid_term(mass, 0, 8, 0)  # it began eight days before the end
    for censored, expected in [(True, closed + still_open), (False, closed - seen)]:
        network = GridNetwork(TINY, 3, Grid(KNOTS, KNOTS), censored=censored)
        loss = network.loss(network.initial([mass]), data, runs, (2,))
        assert float(loss) == pytest.approx(-expected, rel=1e-5)


@pytest.mark.parametrize("scale", ["log", "standard"])
def test_the_loss_of_a_point_is_its_absolute_error_on_its_scale(scale):
    network = PointNetwork(TINY, 3, scale, 2.0, 4.0)
    packed = jnp.asarray([[0.5], [-1.0]])
    rows = GapData(
        None, None, jnp.asarray([9.0, 2.0]), jnp.asarray([10.0, 3.0]), jnp.asarray([False, False]), None
    )
    gaps = np.array([9.5, 2.5])
    truth = ((np.log1p(gaps) if scale == "log" else gaps) - 2.0) / 4.0
    np.testing.assert_allclose(network.terms(packed, rows), -np.abs(truth - [0.5, -1.0]), rtol=1e-5)
    np.testing.assert_allclose(network.plain(network.scaled(gaps)), gaps)


# --- where they start


def test_the_population_on_a_grid_is_kaplan_meiers(small_log):
    history = plain_history(small_log)
    knots = np.array([0.0, 7.0, 21.0, 60.0, 600.0])
    found = population(knots, history, censored=True)
    for k, (low, high) in enumerate(itertools.pairwise(knots)):
        ended = at_risk = 0.0
        for lower, upper, last in zip(history.lower, history.upper, history.last, strict=True):
            if last:
                at_risk += min(max(lower - low, 0.0), high - low) / (high - low)
            else:
                at_risk += upper > low
                ended += low < upper <= high
        assert found[k] == pytest.approx((ended + 0.5) / (at_risk + 1.0))


def plain_history(log):
    return histories(log, OperationalClock.flat("day").table(log.start, log.as_of))


def test_a_point_starts_near_the_best_mixture_of_own_and_common_mean(small_log):
    history = plain_history(small_log)
    network = PointNetwork(TINY, 3, "log", 0.0, 1.0)
    closed = ~history.last
    truth = np.log1p(0.5 * (history.lower + history.upper))[closed]

    def error(state, parts):
        return np.abs(truth - shrunken(state, *(float(p) for p in parts))).mean()

    state = network.state(history)[closed]
    best = error(state, network.start(history))
    assert best <= error(state, [np.median(truth), 6.0, 0.0])
    assert best <= error(state, [np.median(truth), -6.0, 0.0])


def test_features_of_the_pace_are_those_of_a_slow_loop(small_log):
    history = plain_history(small_log)
    found = pace_features(history)
    for customer in range(20):
        rows = range(small_log.offsets[customer], small_log.offsets[customer + 1])
        gaps = [history.gap[row] for row in rows][1:]
        for x, row in enumerate(rows):
            if x == 0:
                np.testing.assert_allclose(found[row], 0.0)
                continue
            logs = np.log1p(gaps[:x])
            earlier = [logs[-1 - k] if x > k else logs.mean() for k in (1, 2)]
            by_hand = [np.log1p(np.median(gaps[:x])), logs.mean(), logs.std(), *earlier]
            np.testing.assert_allclose(found[row], by_hand, atol=1e-6)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_a_running_median_is_numpys(values):
    found = running_median(np.array([0.0, *values]), np.arange(len(values) + 1) == 0)
    np.testing.assert_allclose(found[1:], [np.median(values[: k + 1]) for k in range(len(values))])


# --- distributions


masses = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4)
level = st.floats(0.01, 0.99)


@given(masses, level, st.floats(0.0, 10.0))
def test_a_quantile_of_a_grid_inverts_its_survival_given_a_return(mass, level, elapsed):
    gap = GridGap(np.array(KNOTS), np.array([mass]) / np.sum(mass))
    silent = np.array([elapsed])
    found = gap.quantiles(silent, np.array([level]))[0]
    assert elapsed <= found[0] <= KNOTS[-1]
    assert gap.within(silent, found)[0] == pytest.approx(level, abs=1e-6)
    never = gap.survival(np.array([np.inf]))
    given_return = (gap.survival(found) - never) / (gap.survival(silent) - never)
    assert given_return[0] == pytest.approx(1 - level, abs=1e-6)


@given(st.lists(st.floats(-2.0, 2.0), min_size=5, max_size=9, unique=True), level, st.floats(0.0, 3.0))
def test_a_quantile_of_a_point_inverts_the_chance_within_it(errors, level, elapsed):
    errors = np.sort(errors) + np.arange(len(errors)) * 1e-3
    gap = PointGap(np.array([2.0]), errors, np.log1p, lambda value: np.maximum(np.expm1(value), 0.0))
    found = gap.quantiles(np.array([elapsed]), np.array([level]))[0]
    if np.isnan(found[0]):
        assert np.log1p(elapsed) - 2.0 >= errors[-1] - 1e-6
    else:
        assert gap.within(np.array([elapsed]), found)[0] == pytest.approx(level, abs=1e-6)


def test_a_silence_longer_than_any_gap_ever_seen_leaves_nothing_to_say():
    gap = GridGap(np.array(KNOTS), np.full((1, 4), 0.25))
    assert np.isnan(gap.quantiles(np.array([11.5]), np.array([0.5]))).all()
    assert gap.p_return(np.array([11.5]), np.array([40.0])) == 0.0
    assert gap.overdue(np.array([11.5])) == 1.0


# --- forecasters


@pytest.fixture(scope="module")
def models(small, small_log):
    """A forecaster of each head but the mixture."""
    return {head: small.forecaster(head=head).fit(small_log, as_of=small.cutoff) for head in NEW}


@pytest.mark.parametrize("head", ["mixture", *NEW])
def test_few_customers_get_from_numpy_what_compiled_programs_answer(models, small_model, head, monkeypatch):
    model = models.get(head, small_model)
    new = ["c001", "c000", "c099", "nobody"]

    def answers():
        fresh = copy.copy(model)
        later = fresh.log_.quiet_until(fresh.log_.as_of + 9)
        questions = [model.predict(["7d", "90d"], ids=new), model.quantiles([0.05, 0.99])]
        questions += [fresh.update(later).predict(["30d"], ids=new), fresh.attach(model.log_).predict_gap()]
        if head != "gap":
            questions.append(model.predict_bins([0, 9, 40]))
        if head == "mixture":
            questions += [model.simulate("60d", paths=5).to_polars(), model.predict_cohort("60d")]
        return questions

    in_numpy = answers()
    monkeypatch.setattr(arrays, "_FEW", 0)
    for few, compiled in zip(in_numpy, answers(), strict=True):
        assert_frame_equal(few, compiled, rel_tol=1e-5, abs_tol=1e-6)


@pytest.mark.parametrize("head", NEW)
def test_all_heads_fill_the_same_table_and_leave_empty_what_they_cannot_know(models, small_model, head):
    table, full = (model.predict(HORIZONS) for model in (models[head], small_model))
    assert table.schema == full.schema
    assert table.select("unique_id", "as_of", "n_events", "last_event").equals(
        full.select("unique_id", "as_of", "n_events", "last_event")
    )
    unknown = {"p_active", "expected_events_7d", "expected_events_30d"}
    if head == "gap":
        unknown |= {"p_return_7d", "p_return_30d", "overdue"}
    assert {name for name in table.columns if table[name].is_null().all()} == unknown
    assert (models[head].return_chances(models[head].log_, [7, 30]) is None) == (head == "gap")
    dates = table.drop_nulls("next_event")
    assert dates.height > 0.5 * table.height  # the others are silent for longer than any gap ever seen
    assert (dates["next_event-lo-80"] <= dates["next_event"]).all()
    assert (dates["next_event"] <= dates["next_event-hi-80"]).all()
    assert (dates["next_event"] > dates["as_of"]).all()
    if head != "gap":
        assert table["p_return_7d"].is_between(0, 1).all()
        assert (table["p_return_7d"] <= table["p_return_30d"] + 1e-9).all()
        assert table["overdue"].is_between(0, 1).all()


@pytest.mark.parametrize("head", NEW)
def test_what_is_saved_answers_the_same_and_goes_on_with_new_events(models, small, small_log, head, tmp_path):
    model = models[head]
    loaded = ft.load(model.save(tmp_path / "model"))
    assert loaded.predict(HORIZONS).equals(model.predict(HORIZONS))
    assert loaded.get_params()["head"] == head
    assert ft.load(model.save_keras(tmp_path / "keras")).predict([]).equals(model.predict([]))
    later = small.read(small.events().filter(pl.col("ds") > pl.date(2023, 6, 30)))
    updated = loaded.update(later)
    np.testing.assert_allclose(updated.states_.count, small_log.counts - 1)
    whole = ft.load(tmp_path / "model")._keep(small_log)
    np.testing.assert_allclose(updated.states_.packed, whole.states_.packed, atol=1e-4)


@pytest.mark.parametrize("head", NEW)
def test_nothing_after_the_date_changes_weights_settings_or_forecasts(models, small, head):
    frame, later = small.events(), pl.col("ds") > pl.date(2023, 6, 30)
    changed = frame.with_columns(
        amount=pl.when(later).then(1e6).otherwise("amount"),
        ds=pl.when(later).then(pl.date(2023, 12, 24)).otherwise("ds"),
    )
    other = small.forecaster(head=head).fit(small.read(changed), as_of=small.cutoff)
    assert other.model_.network == models[head].model_.network
    np.testing.assert_array_equal(other.model_.residuals, models[head].model_.residuals)
    assert other.predict(HORIZONS).equals(models[head].predict(HORIZONS))


@pytest.mark.parametrize("head", NEW)
def test_what_only_the_mixture_can_do_is_refused_with_the_way_out(models, head):
    for call in ("simulate", "predict_cohort", "predict_groups"):
        with pytest.raises(ParameterError, match=rf"the head '{head}' knows the next event only.*'mixture'"):
            getattr(models[head], call)()
    for picture in (ft.plotting.plot_activity, lambda model: ft.plotting.plot_next_event(model, "c001")):
        with pytest.raises(ParameterError, match="does not know who is still active"):
            picture(models[head])


@pytest.mark.parametrize("head", NEW)
def test_the_gap_is_forecast_as_of_the_last_event_for_newcomers_too(models, head):
    table = models[head].predict_gap(levels=[80], ids=["c001", "nobody"])
    assert table.columns == ["unique_id", "last_event", "gap", "gap-lo-80", "gap-hi-80"]
    assert table["last_event"].is_null().to_list() == [False, True]
    values = table.select("gap-lo-80", "gap", "gap-hi-80").to_numpy()
    assert (np.diff(values, axis=1) >= 0).all()
    assert (values == np.rint(values)).all()
    assert (values >= 1).all()


def test_classes_add_up_and_are_those_of_the_head_or_ones_own(models, small_model):
    own = models["bins"].predict_bins()
    assert own.width == 6
    mass = own.drop("unique_id").to_numpy()
    assert (mass >= 0).all()
    tail = np.exp(np.asarray(models["bins"].states_.packed, dtype=float)).mean(axis=0)[:, -1]
    np.testing.assert_allclose(mass.sum(axis=1), 1 - tail, atol=1e-6)
    for model in (models["hazard"], small_model):
        table = model.predict_bins([0, 7, 28, np.inf])
        assert table.columns == ["unique_id", "[0, 7)", "[7, 28)", "[28, inf)"]
        assert (table.drop("unique_id").to_numpy().sum(axis=1) <= 1).all()
    with pytest.raises(ParameterError, match="only the head 'bins' has its own"):
        models["hazard"].predict_bins()
    with pytest.raises(ParameterError, match="forecasts a point, and gives no probabilities"):
        models["gap"].predict_bins([0, 7, 28])


def test_the_leaderboard_leaves_empty_what_a_head_does_not_forecast_and_sorts_it_last(small, small_log):
    board = ft.evaluate(
        small_log, small.cutoff, "91d", models=[small.forecaster(head="hazard"), "repeat rate"]
    )
    assert board.table()["model"].to_list() == ["repeat rate", "foretell, hazard"]
    row = board.figures("foretell, hazard")
    assert [row[name] for name in ("rmse", "mae", "bias_pct", "auc_active")] == [None] * 4
    assert 0.0 < row["brier_30d"] < 0.3
    assert 0.5 < row["coverage_80"] <= 1.0
    assert "–" in str(board)
    with pytest.raises(ParameterError, match="forecasts no numbers of visits"):
        ft.plotting.plot_tracking(board, models=["foretell, hazard"])


# --- cells


@pytest.mark.slow
@pytest.mark.parametrize("head", KINDS)
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_cell_with_every_head_beats_the_constant_forecast_of_the_next_gap(cell, head, sample):
    """Of customers with at least three visits, on CDNOW 1/10: the median gap is the constant."""
    last = np.zeros(sample.n_events, dtype=bool)
    last[sample.offsets[1:] - 1] = True
    rows = sample.to_polars().filter(~pl.Series(last))
    seen = ft.read_events(rows, start=sample.date(sample.start), as_of=sample.date(sample.as_of))
    network = NetworkConfig(cell)
    training = ft.TrainConfig(max_steps=16)
    config = ft.HeadConfig(head, censored=False, seasonal=False)
    model = ft.EventForecaster(head=config, network=network, training=training, ensemble=1).fit(seen)
    assert all(np.isfinite(weight).all() for weight in model.model_.members[0])
    lengths = sample.gaps().lengths
    truth = lengths[np.cumsum(sample.counts - 1)[sample.counts > 1] - 1]
    chosen = seen.counts >= 2
    said = model.predict_gap()["gap"].to_numpy()[chosen]
    constant = np.median(seen.gaps().lengths)
    assert np.abs(truth[chosen] - said).mean() < np.abs(truth[chosen] - constant).mean()
