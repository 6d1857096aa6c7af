"""The compiled loop: which events it sees, what it optimises, and that a seed settles everything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles import Level

from foretell.errors import ParameterError
from foretell.nn.backend import side_by_side
from foretell.nn.samplers import RunSampler, bucket_lengths, bucketed, cut_runs, filled, shuffled
from foretell.nn.settings import EVENTS, TrainConfig
from foretell.nn.training import Trainer

counts_lists = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def offsets_of(counts):
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@given(counts_lists, st.integers(1, 17), st.data())
def test_runs_cover_every_event_of_the_chosen_sequences_once(counts, max_steps, data):
    offsets = offsets_of(counts)
    chosen = sorted(data.draw(st.sets(st.sampled_from(range(len(counts))), min_size=1)))
    starts, lengths = cut_runs(offsets, np.array(chosen), max_steps)
    covered = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
    assert covered.tolist() == [row for c in chosen for row in range(offsets[c], offsets[c + 1])]
    assert lengths.min() >= 1
    assert lengths.max() <= max_steps


@given(counts_lists, st.integers(1, 17))
def test_the_run_that_holds_the_open_gap_has_the_full_context(counts, max_steps):
    offsets = offsets_of(counts)
    starts, lengths = cut_runs(offsets, np.arange(len(counts)), max_steps)
    at_the_end = np.isin(starts + lengths, offsets[1:])
    assert lengths[at_the_end].tolist() == np.minimum(counts, max_steps).tolist()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=200), st.integers(1, 6))
def test_padded_lengths_are_few_powers_of_two_that_hold_every_run(lengths, most):
    lengths = np.array(lengths)
    sizes = bucket_lengths(lengths, most=most)
    assert len(sizes) <= most
    assert list(sizes) == sorted(set(sizes))
    assert all(size & (size - 1) == 0 for size in sizes)
    assert sizes[-1] >= lengths.max() > sizes[-1] // 2


@given(st.lists(st.integers(1, 300), min_size=1, max_size=200))
def test_merging_buckets_wastes_no_more_than_allowed(lengths):
    lengths = np.array(lengths)
    sizes = np.array(bucket_lengths(lengths, most=20, waste=1.7))
    padded = sizes[np.searchsorted(sizes, lengths)].sum()
    next_power = 2 ** np.ceil(np.log2(lengths))
    assert padded <= max(1.7 * lengths.sum(), next_power.sum())


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60))
def test_every_run_lies_in_the_smallest_bucket_that_holds_it(lengths):
    starts, lengths, sizes = np.arange(len(lengths)) * 100, np.array(lengths), (2, 8, 64)
    buckets = bucketed(starts, lengths, sizes)
    assert sorted(np.concatenate([s for s, _ in buckets]).tolist()) == starts.tolist()
    for low, size, (own, lens) in zip((0, 2, 8), sizes, buckets, strict=True):
        assert np.all((lens > low) & (lens <= size))
        assert np.array_equal(lengths[own // 100], lens)


def test_buckets_are_filled_up_with_empty_runs_and_one_more():
    buckets = [(np.array([5, 9]), np.array([2, 1])), (np.array([], dtype=int), np.array([], dtype=int))]
    first, second = filled(buckets, [3, 2])
    assert np.asarray(first.starts).tolist() == [5, 9, 0, 0]
    assert np.asarray(first.lengths).tolist() == [2, 1, 0, 0]
    assert np.asarray(second.lengths).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("n_runs", "n_steps"), [(7, 3), (6, 3), (1, 4), (12, 1)])
def test_the_batches_of_an_epoch_hold_every_run_exactly_once(n_runs, n_steps):
    batches = shuffled(np.random.default_rng(0), n_runs, n_steps)
    assert batches.shape == (n_steps, -(-n_runs // n_steps))
    flat = batches.ravel()
    assert sorted(flat[flat < n_runs].tolist()) == list(range(n_runs))
    assert np.all(flat[flat >= n_runs] == n_runs)
    full = (batches < n_runs).sum(axis=1)
    assert full.max() - full.min() <= 1


def test_the_order_of_the_runs_depends_on_the_seed_alone():
    def order(seed):
        return shuffled(np.random.default_rng(seed), 50, 5)

    np.testing.assert_array_equal(order(1), order(1))
    assert not np.array_equal(order(1), order(2))


# A loss of which everything is known: the squared distance of one weight from the values of all events.
def squared(weights, data, runs, lengths, noise=None):
    total = 0.0
    for bucket, length in zip(runs, lengths, strict=True):
        rows = jnp.minimum(bucket.starts[:, None] + jnp.arange(length), len(data) - 1)
        valid = jnp.arange(length) < bucket.lengths[:, None]
        total += jnp.sum(jnp.where(valid, (data[rows] - weights[0]) ** 2, 0.0))
    return total


COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 4, 4]
LENGTHS = (2, 8)


class Toy:
    """A trainer for the squared loss, with its data."""

    def __init__(self, **config):
        settings = {"epochs": 60, "batch_size": 5, "learning_rate": 0.2, "weight_decay": 0.0}
        self.values = np.random.default_rng(3).normal(2.0, 1.0, sum(COUNTS)).astype(np.float32)
        self.offsets = offsets_of(COUNTS)
        config = EVENTS.complete_training(TrainConfig(**settings | config))
        sampler = RunSampler(Level(squared), LENGTHS, len(COUNTS), config.batch_size)
        self.trainer = Trainer(sampler, config, joined=True)

    def buckets(self, chosen, extra=0):
        runs = bucketed(*cut_runs(self.offsets, np.array(chosen), 8), LENGTHS)
        return filled(runs, [len(starts) + extra for starts, _ in runs])

    def train(self, *, seed=0, validation=None, report=None, extra=0, start=0.0):
        values = jnp.asarray(self.values)
        held = None if validation is None else (values, self.buckets(validation))
        initial = [np.full(1, start, dtype=np.float32)]
        train = (values, self.buckets(range(len(COUNTS)), extra))
        return self.trainer.train(initial, train, held, seed=seed, report=report)


@pytest.fixture(scope="module")
def toy():
    return Toy()


def test_training_finds_the_minimum(toy):
    weights = toy.train().weights
    assert weights[0][0] == pytest.approx(toy.values.mean(), abs=0.02)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(toy):
    one, same, other = (toy.train(seed=seed).weights[0][0] for seed in (4, 4, 5))
    assert one == same
    assert one != other


def test_fillers_cost_nothing(toy):
    data = jnp.asarray(toy.values)
    losses = [
        jax.jit(squared, static_argnums=3)([jnp.ones(1)], data, toy.buckets(range(10), extra), LENGTHS)
        for extra in (0, 9)
    ]
    assert float(losses[0]) == pytest.approx(((toy.values - 1.0) ** 2).sum(), rel=1e-6)
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-6)


def test_the_reported_loss_is_that_of_an_average_batch_over_the_batch(toy):
    heard = []
    toy.train(report=lambda epoch, loss, validation: heard.append((epoch, loss)))
    assert [epoch for epoch, _ in heard] == list(range(60))
    # At the end the weight hardly moves: per sequence, the loss is the variance times events per sequence.
    assert heard[-1][1] == pytest.approx(toy.values.var() * sum(COUNTS) / len(COUNTS), rel=0.02)


def test_training_stops_when_held_out_data_get_worse_and_keeps_the_best_weights():
    toy = Toy(patience=3, learning_rate=0.05)
    toy.values[toy.offsets[-2] :] = 0.5  # what is held out lies nearer to the start than the rest
    heard = []
    trained = toy.train(validation=[9], report=lambda epoch, loss, value: heard.append(value))
    assert trained.epochs == int(np.argmin(heard)) + 1
    assert len(heard) == trained.epochs + 3 < 60
    assert trained.after == min(heard) < trained.before
    held = toy.values[toy.offsets[-2] :]
    again = ((held - trained.weights[0][0]) ** 2).sum()
    assert again == pytest.approx(trained.after, rel=1e-4, abs=1e-6)


def test_weights_that_are_never_beaten_are_the_ones_it_started_from():
    toy = Toy(patience=2, learning_rate=0.5, epochs=5)
    toy.values[toy.offsets[-2] :] = 0.0
    trained = toy.train(validation=[9])
    assert trained.weights[0][0] == 0.0
    assert trained.epochs == 0


def test_jobs_run_side_by_side_come_back_in_order():
    assert side_by_side([lambda k=k: k * k for k in range(7)]) == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("batch_size", 2.5), ("patience", -1), ("max_steps", 0), ("validation_fraction", 1.0),
     ("learning_rate", 0.0), ("learning_rate", float("nan")), ("optimizer", "sgdd"), ("loss", "mse2"),
     ("loss", "categorical_crossentropy")],
)  # fmt: skip
def test_settings_outside_of_what_is_allowed_are_refused_by_name(name, value):
    with pytest.raises(ParameterError, match=rf"{name}={value!r}; expected"):
        TrainConfig(**{name: value})
