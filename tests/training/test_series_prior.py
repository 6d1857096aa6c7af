"""The training command: it learns, goes on from its checkpoint, and its network is the one that ships."""

from __future__ import annotations

import json

import jax.numpy as jnp
import numpy as np
import pytest
from training import series_prior

from foretell.series.prior_network import forecast


@pytest.fixture(scope="module")
def batch():
    return series_prior.make_batch(np.random.default_rng(0), 8)


def test_the_compiled_network_is_the_one_that_runs_on_numpy(batch):
    sizes = series_prior.shapes(*(part.shape[-1] for part in batch[:3]), 8, 8)
    weights = series_prior.initial(np.random.default_rng(1), sizes)
    plain = forecast({name: np.asarray(value) for name, value in weights.items()}, batch[:4])
    compiled = forecast(weights, batch[:4], series_prior.scanned, jnp)
    np.testing.assert_allclose(plain, compiled, rtol=1e-4, atol=1e-4)
    assert (np.diff(plain, axis=-1) >= 0).all()


def test_training_goes_on_where_it_stopped_and_writes_weights_and_a_card(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(series_prior, "EPOCH", 2)
    for steps in ("2", "4"):
        command = f"x --out {tmp_path} --steps {steps} --batch 4 --units 4 --width 4".split()
        monkeypatch.setattr("sys.argv", command)
        series_prior.main()
    card = json.loads((tmp_path / "card.json").read_text())
    assert [step for step, _, _ in card["curve"]] == [2, 4]
    assert card["seed"] == 0
    with np.load(tmp_path / "weights.npz") as kept:
        assert all(np.isfinite(kept[name]).all() for name in kept.files)
    assert "weights" in capsys.readouterr().out


def test_a_batch_is_known_by_its_seed_and_weighs_nothing_by_what_came(batch):
    again = series_prior.make_batch(np.random.default_rng(0), 8)
    for one, other in zip(batch, again, strict=True):
        np.testing.assert_array_equal(one, other)
    inside = batch.weight > 0
    per_series = [np.unique(row[seen]) for row, seen in zip(batch.weight, inside, strict=True)]
    assert all(len(weights) <= 1 for weights in per_series)
