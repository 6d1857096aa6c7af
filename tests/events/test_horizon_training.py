"""Training of the prior: it learns, and one that was stopped ends where one that ran through does."""

import json

import numpy as np
import pytest

from foretell.events.horizon import network, training


@pytest.fixture(autouse=True)
def small(monkeypatch):
    few = {"_SHOPS": 3, "_STEPS": 4, "_HELD_OUT": 3, "_EVERY": 2, "_BATCH": (44, 20)}
    for name, value in few.items():
        monkeypatch.setattr(training, name, value)


def test_a_stopped_training_goes_on_to_where_it_would_have_been(tmp_path, monkeypatch):
    training.train_prior(tmp_path / "whole", rounds=4, seed=1, peak=1e-3)
    drawn, calls = training.simulated_rows, []

    def stops(seed, **options):
        calls.append(seed)
        if len(calls) > 3 + 2 * 3:
            raise KeyboardInterrupt
        return drawn(seed, **options)

    monkeypatch.setattr(training, "simulated_rows", stops)
    with pytest.raises(KeyboardInterrupt):
        training.train_prior(tmp_path / "stopped", rounds=4, seed=1, peak=1e-3)
    monkeypatch.setattr(training, "simulated_rows", drawn)
    training.train_prior(tmp_path / "stopped", rounds=4, seed=1, peak=1e-3)
    whole, stopped = (network.read_weights(tmp_path / name / "prior.npz") for name in ("whole", "stopped"))
    for name, value in whole.items():
        np.testing.assert_allclose(stopped[name], value, atol=1e-3)
    curves = [json.loads((tmp_path / name / "curve.json").read_text()) for name in ("whole", "stopped")]
    assert [point["round"] for point in curves[1]["curve"]] == [2, 4]
    assert curves[0]["recipe"] == curves[1]["recipe"]


def test_steps_on_one_batch_bring_its_loss_down():
    rows = training.joined([training.simulated_rows((0, 0, k)) for k in range(3)])
    rng, losses = np.random.default_rng(0), []
    batch = training.Batches(rows, training._BATCH).draw(rng)
    shape = (rows.steps.shape[2], rows.context.shape[1])
    state = training.Training.begin(training.initial_weights(np.random.default_rng(0), *shape))
    for _ in range(12):
        state, value = training.adam_step(state, *batch, 3e-3)
        losses.append(float(value))
    assert np.mean(losses[-3:]) < losses[0] - 0.01


def test_the_rate_rises_shortly_and_then_falls():
    rates = [training.learning_rate(share, 1.0) for share in (0.0, 0.02, 0.5, 1.0)]
    assert rates[0] < 0.1
    assert rates[1] > rates[2] > rates[3] > 0
