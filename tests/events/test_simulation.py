"""Expected and simulated numbers of events, against closed forms and a simulation event by event in numpy."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy import stats
from tests.oracles import LogLogistic

from foretell.baselines import MBGNBD, BGNBDParams
from foretell.baselines.statistic import summarise
from foretell.data.log import EventLog
from foretell.data.report import ReadReport
from foretell.events import states
from foretell.events.clock import OperationalClock
from foretell.events.heads.mixture import Anchor, GapNetwork
from foretell.events.history import FeatureScale, Steps, histories, standardised, step_features
from foretell.events.simulation import expected_events
from foretell.events.states import GapModel, encode, log_features, standing
from foretell.nn.settings import NetworkConfig
from foretell.nn.streams import places, streams_of, uniforms

PARAMS = BGNBDParams(0.5, 2_000.0, 0.8, 2.0)
EDGES = [1_000, 6_000]


def fine_log(n=64, seed=0):
    """Return a log whose ticks are so fine that counting in ticks costs nothing."""
    rng = np.random.default_rng(seed)
    times = [np.unique(rng.integers(0, 10_000, rng.integers(1, 9))) for _ in range(n)]
    flat = np.concatenate(times)
    return EventLog(
        ids=pl.Series(range(n)), offsets=np.cumsum([0, *map(len, times)]).astype(np.int64), times=flat,
        marks=np.zeros((len(flat), 0)), mark_names=(), groups=None, group_names=None, unit="day",
        merge=None, start=0, as_of=11_000, report=ReadReport(len(flat), len(flat)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def statistical():
    """A network that says nothing, on a flat clock and without rhythms: MBG/NBD, and its log."""
    log = fine_log()
    history = histories(log, OperationalClock.flat("day").table(log.start, log.as_of))
    features = np.asarray(log_features(history, log), dtype=float)
    network = GapNetwork(NetworkConfig(units=1, dense=0, components=0), features.shape[-1])
    none = np.zeros(0)
    weights = [np.asarray(w) for w in network.initial(Anchor(*np.log(PARAMS), np.zeros(1), *[none] * 3))]
    model = GapModel(
        network, (weights,), OperationalClock.flat("day"), FeatureScale.fit(features), np.zeros(0)
    )
    return model, log, encode(model, log)


@pytest.fixture(scope="module")
def closed_form(statistical):
    exact = MBGNBD()
    exact.params_ = PARAMS
    _, log, _ = statistical
    x, t_x, T = (part[:, None] for part in summarise(log))
    return exact, np.asarray(exact.expected_events(x, t_x, T, EDGES))


@pytest.fixture(scope="module")
def simulated(statistical):
    return expected_events(
        *statistical,
        EDGES,
        paths=1_000,
        streams=streams_of(statistical[1].ids, 1),
        periods=list(range(500, 6_001, 500)),
    )


def test_without_network_the_expectation_is_mbgnbds_closed_form(simulated, closed_form):
    _, exact = closed_form
    np.testing.assert_allclose(simulated.counts.sum(axis=0), exact.sum(axis=0), rtol=0.01)
    # Each customer's own thousand paths leave it some per cent.
    np.testing.assert_allclose(simulated.counts, exact, rtol=0.12, atol=0.02)


def test_without_network_the_chance_of_a_return_is_mbgnbds(statistical, closed_form):
    model, log, states = statistical
    at = standing(model, log, states)
    exact, _ = closed_form
    for window in EDGES:
        expected = exact.p_return(*summarise(log), window)
        np.testing.assert_allclose(at.p_return(window), expected, rtol=1e-3)


def test_the_periods_of_the_cohort_add_up_to_the_customers_expectations(simulated, closed_form):
    exact = closed_form[0]
    assert simulated.cohort.sum() == pytest.approx(simulated.counts[:, 1].sum(), rel=0.01)
    assert simulated.cohort[:2].sum() == pytest.approx(simulated.counts[:, 0].sum(), rel=0.01)
    # MBG/NBD's active customers leave: each period has fewer events than the one before.
    assert exact.params_.a > 0
    assert np.all(np.diff(simulated.cohort) < 0.02 * simulated.cohort[0])


HORIZON, SEEDS, PATHS = 60, 48, 10_000


class SlowPaths:
    """One customer's future, event by event: scipy's distributions, and the network's step."""

    def __init__(self, forecaster, customer, seed=0):
        self.model, self.log, self.states = forecaster.model_, forecaster.log_, forecaster.states_
        self.customer, self.rng = customer, np.random.default_rng(seed)
        log = self.log
        self.ends = self.model.clock.table(log.start, log.as_of + HORIZON).readings[1:]  # of each tick
        self.step = jax.jit(self.model.network.step)

    def parts(self, packed):
        logit, w0, w1, log_shape, log_scale, mu, log_sigma = np.asarray(packed, dtype=float).T
        lomax = stats.lomax(np.exp(log_shape), scale=np.exp(log_scale))
        rhythm = LogLogistic(mu, log_sigma)
        return 1 / (1 + np.exp(-logit)), np.exp([w0, w1]), [lomax, rhythm]

    def survival(self, packed, elapsed):
        cure, weights, parts = self.parts(packed)
        return cure + (1 - cure) * sum(w * p.sf(elapsed) for w, p in zip(weights, parts, strict=True))

    def gap(self, packed, elapsed):
        """Draw whether the customer returns, then the component, then the gap beyond the silence."""
        cure, weights, parts = self.parts(packed)
        returns = self.rng.random(PATHS) < 1 - cure / self.survival(packed, elapsed)
        mass = [w * p.sf(elapsed) for w, p in zip(weights, parts, strict=True)]
        rhythmic = self.rng.random(PATHS) < mass[1] / (mass[0] + mass[1])
        level = self.rng.random(PATHS)
        gaps = [p.isf(level * p.sf(elapsed)) for p in parts]
        return np.where(returns, np.where(rhythmic, gaps[1], gaps[0]), np.inf)

    def member(self, m, edges):
        """Return the number of events up to each edge, shape (n_paths, n_edges)."""
        log, states, c = self.log, self.states, self.customer
        memory = [jnp.asarray(np.tile(part[m, c], (PATHS, 1))) for part in states.memory]
        packed = np.tile(np.asarray(states.packed)[m, c], (PATHS, 1))
        count, age = float(states.count[c]), np.full(PATHS, float(states.age[c]))
        origin = np.full(PATHS, self.ends[states.last[c] - log.start])
        elapsed = self.ends[log.as_of - log.start] - origin
        marks = jnp.asarray(np.tile(states.mean_marks[c], (PATHS, 1)), jnp.float32)
        alive, counts = np.ones(PATHS, dtype=bool), np.zeros((PATHS, len(edges)))
        while alive.any():
            place = np.searchsorted(self.ends, origin + self.gap(packed, elapsed))
            alive &= place < len(self.ends)
            place = np.where(alive, place, len(self.ends) - 1)
            tick = log.start + place
            counts += alive[:, None] & (tick[:, None] <= log.as_of + np.array(edges))
            gap, origin = self.ends[place] - origin, self.ends[place]
            count, age, elapsed = count + 1, age + gap, np.zeros(PATHS)
            single = [jnp.asarray(v, jnp.float32) for v in (gap, age / count, np.full(PATHS, count), age)]
            raw = step_features(Steps(*single, jnp.asarray(tick, jnp.int32), marks, marks), log.unit)
            state = jnp.stack([single[2], single[3]], axis=-1)
            features = standardised(self.model.scale.arrays(), raw)
            packed, memory = self.step(self.model.members[m], features, state, memory)
        return counts

    def mean(self, edges):
        """Return the expected number of events up to each edge, and its standard error."""
        members, packed = range(len(self.model.members)), np.asarray(self.states.packed)[:, self.customer]
        ends, log = self.ends, self.log
        elapsed = ends[log.as_of - log.start] - ends[self.states.last[self.customer] - log.start]
        silent = self.survival(packed, elapsed)
        share = silent / silent.sum()  # what the silence says of the members
        counts = [self.member(m, edges) for m in members]
        mean = sum(s * c.mean(axis=0) for s, c in zip(share, counts, strict=True))
        variance = sum(s**2 * c.var(axis=0) / PATHS for s, c in zip(share, counts, strict=True))
        return mean, np.sqrt(variance)


@pytest.fixture(scope="module")
def disagreeing(small_model):
    """The small model with a second member that sees customers as faster, and as sooner gone."""
    model, shifts = small_model.model_, {"log_alpha": -1.0, "log_a": 2.5}
    names = [v.path.removeprefix("anchor/") for v in model.network.network.variables]
    second = [w + np.float32(shifts.get(name, 0.0)) for name, w in zip(names, model.members[1], strict=True)]
    other = copy.copy(small_model)
    other.model_ = dataclasses.replace(model, members=(model.members[0], second))
    return other._keep(small_model.log_)


@pytest.fixture(scope="module")
def repeated(disagreeing):
    """Expected events of the small log, from as many seeds as give a standard error."""
    parts = disagreeing.model_, disagreeing.log_, disagreeing.states_
    counts = [
        expected_events(*parts, [14, HORIZON], paths=20, streams=streams_of(disagreeing.log_.ids, s)).counts
        for s in range(SEEDS)
    ]
    return np.stack(counts)


def chosen_customers(forecaster):
    """Return a busy customer, one seen once only, and a regular that stays away, on whom members differ."""
    log = forecaster.log_
    busy = np.lexsort([log.last, log.counts])[-1]
    once = np.flatnonzero(log.counts == 1)[-1]
    away = np.flatnonzero((log.as_of - log.last > 20) & (log.as_of - log.last < 60))
    return [int(busy), int(once), int(away[np.argmax(log.counts[away])])]


def test_expected_events_agree_with_a_simulation_event_by_event(disagreeing, repeated):
    """Within 4.5 standard errors of both simulations: six comparisons of fixed seeds."""
    for customer in chosen_customers(disagreeing):
        mean, error = SlowPaths(disagreeing, customer).mean([14, HORIZON])
        ours = repeated[:, customer].mean(axis=0)
        own_error = repeated[:, customer].std(axis=0, ddof=1) / np.sqrt(SEEDS)
        assert np.all(np.abs(ours - mean) < 4.5 * np.hypot(error, own_error) + 1e-4), (customer, ours, mean)


@pytest.fixture(scope="module")
def futures(disagreeing):
    return disagreeing.simulate(HORIZON, paths=300, seed=3)


def test_simulated_means_agree_with_the_expectation(futures, repeated):
    """Within 5 standard errors for every customer, 4 for their sum."""
    counts, expected = futures.counts(), repeated.mean(axis=0)[:, 1]
    error = np.hypot(counts.std(axis=1) / np.sqrt(300), repeated[:, :, 1].std(axis=0) / np.sqrt(SEEDS))
    assert np.all(np.abs(counts.mean(axis=1) - expected) < 5 * error + 0.02)
    total = counts.sum(axis=0)
    assert abs(total.mean() - expected.sum()) < 4 * (total.std() / np.sqrt(300) + 0.02)


def test_simulated_events_lie_within_the_horizon_and_never_two_on_one_day(futures, disagreeing):
    log = disagreeing.log_
    assert np.all((futures.tick > log.as_of) & (futures.tick <= log.as_of + HORIZON))
    rows = np.column_stack([futures.customer, futures.path, futures.tick])
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert np.array_equal(rows, rows[np.lexsort(rows.T[::-1])])
    assert set(np.unique(futures.path)) <= set(range(300))


def test_simulated_events_keep_away_from_closed_days(futures):
    sundays = (futures.tick + 3) % 7 == 6
    assert len(sundays) > 1000
    assert sundays.mean() < 0.002


def test_the_same_seed_gives_the_same_futures_and_another_seed_others(futures, disagreeing):
    same = disagreeing.simulate(HORIZON, paths=300, seed=3)
    assert same.to_polars().equals(futures.to_polars())
    other = disagreeing.simulate(HORIZON, paths=300, seed=4)
    assert not other.to_polars().equals(futures.to_polars())


def test_simulated_tables_count_the_same_events(futures):
    table = futures.to_polars()
    assert table.columns == ["unique_id", "path", "ds"]
    assert len(table) == futures.counts().sum() == len(futures.tick)
    cohort = futures.cohort(period=14, levels=[80])
    assert len(cohort) == 5
    assert cohort["foretell"].sum() == pytest.approx(futures.counts().sum() / 300)
    assert (cohort["foretell-lo-80"] <= cohort["foretell"]).all()
    assert (cohort["foretell-hi-80"] >= cohort["foretell"]).all()


def test_a_longer_horizon_has_more_events(repeated):
    assert np.all(repeated[:, :, 1] >= repeated[:, :, 0])


@pytest.fixture(scope="module")
def table(disagreeing):
    return disagreeing.predict(horizons=["14d", "60d"])


class TestEveryCustomerHasAStreamOfItsOwn:
    """So an answer does not depend on who else is asked about, nor on blocks: to the last bit."""

    def test_asked_alone_or_among_others(self, disagreeing, table):
        ids = disagreeing.log_.ids.gather([3, 80, 17])
        few = disagreeing.predict(horizons=["14d", "60d"], ids=ids)
        assert few.equals(table[[3, 80, 17]])
        assert disagreeing.predict(horizons=["14d", "60d"], ids=ids.head(1)).equals(table[[3]])

    @pytest.mark.parametrize("size", [7, 64])
    def test_in_blocks_of_any_size(self, disagreeing, table, futures, size, monkeypatch):
        monkeypatch.setattr(states, "BLOCK", size)
        other = copy.copy(disagreeing)._keep(disagreeing.log_)
        assert other.predict(horizons=["14d", "60d"]).equals(table)
        assert disagreeing.simulate(HORIZON, paths=300, seed=3).to_polars().equals(futures.to_polars())

    def test_draws_are_uniform_and_unrelated_from_customer_to_customer_path_to_path_and_step_to_step(self):
        streams = streams_of(pl.Series(range(2_000)), 0)
        draws = np.stack(
            [uniforms(streams[:, None], np.arange(20, dtype=np.uint32)[None], step) for step in range(5)]
        )  # step, draw, customer, path
        assert stats.kstest(draws.ravel(), "uniform").pvalue > 0.001
        for axis in range(4):
            first, second = (np.delete(draws, end, axis=axis).ravel() for end in (-1, 0))
            assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)
        other = np.stack(uniforms(streams_of(pl.Series(range(2_000)), 1), np.uint32([3]), 0))
        assert abs(np.corrcoef(other.ravel(), draws[0, :, :, 3].ravel())[0, 1]) < 0.06

    def test_compiled_draws_are_the_same(self):
        streams, paths = streams_of(pl.Series(["a", "é", "17"]), 5), np.arange(3, dtype=np.uint32)
        at = places(np.array([0, 3, 5]), np.array([1, 4, 8]))
        for place in (np.uint32([0]), at):
            compiled = uniforms(
                jnp.asarray(streams), jnp.asarray(paths), jnp.uint32(4), jnp.asarray(place), kind=jnp.float32
            )
            np.testing.assert_array_equal(uniforms(streams, paths, 4, place), compiled)

    def test_paths_that_share_draws_are_spread_evenly_and_each_is_uniform(self):
        streams, n = streams_of(pl.Series(range(2_000)), 0), 8
        at = places(np.arange(n), np.full(n, n))
        draws = np.stack([uniforms(streams[:, None], np.uint32([[0]]), step, at[None]) for step in range(4)])
        spread = np.sort((draws * n).astype(int), axis=-1)  # step, draw, customer, path
        assert np.array_equal(spread, np.broadcast_to(np.arange(n), draws.shape))
        first = draws[..., 0]
        assert stats.kstest(first.ravel(), "uniform").pvalue > 0.001
        joint = first.reshape(12, -1)  # one path's numbers have nothing to do with each other
        assert np.abs(np.corrcoef(joint) - np.eye(12)).max() < 5 / np.sqrt(2_000)


def test_shared_draws_halve_the_error_of_as_many_independent_ones(disagreeing):
    log, n = disagreeing.log_, 16
    few = expected_events(
        disagreeing.model_, log, disagreeing.states_, [HORIZON], paths=n, streams=streams_of(log.ids, 0)
    ).counts[:, 0]
    many = disagreeing.simulate(HORIZON, paths=2_000, seed=1).counts()
    busy = many.mean(axis=1) > 1
    error = np.sqrt(np.mean((few - many.mean(axis=1))[busy] ** 2))
    independent = np.sqrt(np.mean(many.var(axis=1)[busy]) / n)
    assert error < 0.6 * independent
