"""Many models trained together: each learns from its own rows, as if it were trained alone."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles import Level

import foretell as ft
from foretell.nn.samplers import ModelSampler, Runs
from foretell.nn.training import ModelTrainer

LEVELS = np.array([1.0, -2.0, 0.5, 3.0, 0.0])


def squared(weights, data, runs, padded, noise):
    """Sum over runs of the squared distance of their mean to the weight."""
    total = 0.0
    for bucket, length in zip(runs, padded, strict=True):
        rows = jnp.minimum(bucket.starts[:, None] + jnp.arange(length), len(data) - 1)
        valid = jnp.arange(length) < bucket.lengths[:, None]
        mean = jnp.sum(jnp.where(valid, data[rows], 0.0), axis=1) / jnp.maximum(bucket.lengths, 1)
        total += jnp.sum(jnp.where(bucket.lengths > 0, (mean - weights[0][0]) ** 2, 0.0))
    return total


def trainer(train, held_out=None, padded=(1, 4), **options):
    defaults = {"epochs": 60, "learning_rate": 0.2, "optimizer": "adam", "batch_size": 8, "patience": 60}
    config = ft.TrainConfig(**defaults | options)
    return ModelTrainer(ModelSampler.of(Level(squared), padded, (train, held_out), 8, 4), config)


def rows_of(counts, seed=0, n_models=5):
    """Return data and runs: every value of model k lies near its level; half the runs have 3 values."""
    rng = np.random.default_rng(seed)
    model = np.repeat(np.arange(n_models), counts)
    rng.shuffle(model)
    lengths = rng.choice([1, 3], len(model))
    starts = np.cumsum(lengths) - lengths
    data = np.repeat(LEVELS[model], lengths) + rng.normal(0, 0.01, lengths.sum())
    return jnp.asarray(data.astype(np.float32)), starts, lengths, model


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 8)), max_size=30))
def test_every_model_finds_its_runs_and_no_others(drawn):
    model, lengths = np.array(drawn, dtype=np.int64).reshape(-1, 2).T
    starts = np.arange(len(model)) * 10
    runs = Runs(*map(np.asarray, Runs.share((starts, lengths), model, 4, (2, 4, 8))))
    assert (runs.starts[-1], runs.lengths[-1]) == (0, 0)
    for k in range(4):
        found = []
        for b in range(3):
            own = slice(runs.first[k, b], runs.first[k, b] + runs.n_runs[k, b])
            assert (np.searchsorted([2, 4, 8], runs.lengths[own]) == b).all()
            found += runs.starts[own].tolist()
        assert sorted(found) == starts[model == k].tolist()


def test_each_model_learns_from_its_own_runs_however_few():
    data, starts, lengths, model = rows_of([40, 3, 100, 12, 1])
    runs = Runs.share((starts, lengths), model, 5, (1, 4))
    done = trainer(runs).train([np.zeros(1)], (data, runs), seed=0)
    assert done.weights[0].shape == (5, 1)
    assert np.allclose(done.weights[0][:, 0], LEVELS, atol=0.05)
    assert (done.epochs == 60).all()


def test_the_same_seed_gives_the_same_models_and_everyone_is_heard_of():
    data, starts, lengths, model = rows_of([9, 8, 7, 6, 5])
    runs = Runs.share((starts, lengths), model, 5, (1, 4))
    many = trainer(runs, epochs=3)
    heard = []
    first, again = (many.train([np.zeros(1)], (data, runs), seed=4, report=heard.append) for _ in range(2))
    assert np.array_equal(first.weights[0], again.weights[0])
    assert max(heard) == 5


def test_a_model_that_does_not_gain_on_held_out_runs_keeps_its_first_weights():
    data, starts, lengths, model = rows_of([20] * 5)
    # Held-out runs of every model are those of level 0: only the last model's training helps on them.
    elsewhere = np.where(model == 4)[0]
    held = Runs.share(
        (np.tile(starts[elsewhere], 5), np.tile(lengths[elsewhere], 5)),
        np.repeat(np.arange(5), len(elsewhere)),
        5,
        (1, 4),
    )
    runs = Runs.share((starts, lengths), model, 5, (1, 4))
    many = trainer(runs, held, patience=5)
    done = many.train([np.full(1, 0.02)], (data, runs), (data, held), seed=0)
    assert (done.epochs[:4] == 0).all()
    assert np.allclose(done.weights[0][:4], 0.02)
    assert done.epochs[4] > 0
    assert np.allclose(done.before, np.mean(0.02**2), atol=1e-3)
    assert (done.after <= done.before).all()


def test_the_batch_loss_is_the_mean_loss_of_a_run_on_average():
    import jax

    data, starts, lengths, model = rows_of([30, 0, 5, 0, 0], seed=3)
    runs = Runs.share((starts, lengths), model, 5, (1, 4))
    sampler = trainer(runs).sampler
    weights = [jnp.asarray([0.3])]
    keys = jax.random.split(jax.random.key(0), 1_000)
    for k in (0, 2):
        drawn = jax.jit(jax.vmap(lambda key, k=k: sampler.loss(weights, (data, runs.of(k)), key)))(keys)
        values = np.asarray(data)
        mine = [
            np.mean(values[s : s + n]) for s, n in zip(starts[model == k], lengths[model == k], strict=True)
        ]
        assert np.isclose(float(drawn.mean()), np.mean((np.array(mine) - 0.3) ** 2), rtol=0.02)
