"""Every cell learns in both forecasters' networks, from finite gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import foretell as ft
from foretell.errors import ParameterError
from foretell.events.heads.base import GapData
from foretell.events.heads.mixture import Anchor, GapNetwork
from foretell.nn.arrays import to_device
from foretell.nn.backend import keras
from foretell.nn.cells import CELLS
from foretell.nn.custom import OwnNetwork
from foretell.nn.samplers import Bucket
from foretell.nn.settings import NetworkConfig
from foretell.series.architecture import Shape
from foretell.series.network import SeriesNetwork
from foretell.series.quantiles import QUANTILES
from foretell.series.windows import Batch

LAYERS = {"depth_gated": 2}  # with one there is no gate
NEW = ("peephole", "depth_gated", "clockwork", "slstm", "minlstm")
SHAPE = Shape(
    lookback=8, patch=2, horizon=2, season=4, n_targets=1, n_past=0, n_known=0, n_static=0,
    normalise="window", log=False, variables="joined", method="direct",
)  # fmt: skip


def windows(n=16, seed=0):
    """Return windows of a season of four steps that grows."""
    rng = np.random.default_rng(seed)
    start, steps = rng.integers(0, 4, (n, 1)), np.arange(SHAPE.lookback + SHAPE.horizon)
    values = np.sin(np.pi / 2 * (start + steps)) * (1.0 + 0.2 * steps) + rng.normal(0, 0.05, (n, len(steps)))
    values = jnp.asarray(values[..., None], jnp.float32)
    blank = [jnp.zeros((n, size, 0)) for size in (SHAPE.lookback, len(steps))]
    return Batch(
        values=values, mask=jnp.ones_like(values), past=blank[0], known=blank[1], static=jnp.zeros((n, 0)),
        loc=jnp.zeros((n, 1)), scale=jnp.ones((n, 1)),
    )  # fmt: skip


def gaps(n=8, length=4, features=3):
    """Return customers who come every ten days, and the weights' anchor."""
    rows = n * length
    rng = np.random.default_rng(0)
    count = np.tile(np.arange(length), n)
    last = count == length - 1
    data = GapData(
        features=jnp.asarray(rng.normal(size=(rows, features)), jnp.float32),
        state=jnp.asarray(np.stack([count, 10.0 * count], axis=-1), jnp.float32),
        lower=jnp.full(rows, 9.5), upper=jnp.full(rows, 10.5), last=jnp.asarray(last),
        remaining=jnp.zeros(rows),
    )  # fmt: skip
    runs = [Bucket(jnp.arange(n) * length, jnp.full(n, length))]
    zero = np.zeros(())
    return (
        data,
        runs,
        Anchor(zero, zero + 3, zero, zero, np.zeros(2), np.full(1, 2.0), np.full(1, -0.5), np.zeros(1)),
    )


def descend(loss, weights, rate):
    """Return the losses before and after steps down the gradient, which has to be finite."""
    step = jax.jit(jax.value_and_grad(loss))
    weights = [to_device(weight) for weight in weights]
    values = []
    for _ in range(12):
        value, slopes = step(weights)
        assert all(np.isfinite(np.asarray(slope)).all() for slope in slopes)
        values.append(float(value))
        pairs = zip(weights, slopes, strict=True)
        weights = [np.asarray(weight) - rate * np.asarray(slope) for weight, slope in pairs]
    return values[0], values[-1]


@pytest.mark.parametrize("cell", NEW)
def test_a_cell_learns_when_next(cell):
    data, runs, anchor = gaps()
    network = GapNetwork(NetworkConfig(cell, LAYERS.get(cell, 1), units=3, dense=3, components=1), 3)
    noise = jnp.array([1, 2], dtype=jnp.uint32)

    def loss(weights):
        return network.loss(weights, data, runs, (4,), noise) / 32

    before, after = descend(loss, network.initial(anchor), 0.01)
    assert after < before


@pytest.mark.parametrize("cell", NEW)
def test_a_cell_learns_what_next(cell):
    network = SeriesNetwork(NetworkConfig(cell, LAYERS.get(cell, 1), units=3, dense=3), SHAPE)
    batch = windows()
    _, *scales, _ = jax.jit(network.quantiles)(network.initial(), batch)
    truth, _ = network.truth(batch, *scales)

    def loss(weights):
        return jnp.mean((network.quantiles(weights, batch)[0] - truth[..., None]) ** 2)

    before, after = descend(loss, network.initial(), 0.1)
    assert after < before


@pytest.mark.parametrize("cell", ["depth_gated", "clockwork", "slstm", "minlstm"])
def test_a_decoder_of_any_cell_starts_from_the_context_and_gives_the_anchor_before_training(cell):
    shape = Shape(**{**SHAPE.__dict__, "method": "seq2seq"})
    network = SeriesNetwork(NetworkConfig(cell, units=3, dense=3), shape)
    found, _, _, anchor = jax.jit(network.quantiles)(network.initial(), windows(3))
    np.testing.assert_allclose(found, np.repeat(anchor[..., None], len(QUANTILES), axis=-1), atol=1e-6)
    assert np.isfinite(found).all()


def test_both_directions_of_a_window_are_read():
    network = SeriesNetwork(NetworkConfig("gru", units=3, dense=0, bidirectional=True), SHAPE)
    names = [layer.name for layer in network.model.layers]
    assert {"recurrent_0_0", "backward_0_0"} <= set(names)


def test_a_named_loss_trains_the_point_forecast_and_quantiles_stay_around_it():
    network = SeriesNetwork(NetworkConfig("rnn", units=3, dense=0), SHAPE, loss="mean_squared_error")
    batch = windows()
    rng = np.random.default_rng(0)
    weights = [to_device(w + rng.normal(size=w.shape)) for w in network.initial()]
    found = np.asarray(jax.jit(network.quantiles)(weights, batch)[0])
    middle = QUANTILES.index(0.5)
    assert (found[..., :middle] <= found[..., [middle]]).all()
    assert (found[..., middle + 1 :] >= found[..., [middle]]).all()
    assert np.array_equal(np.sort(found, axis=-1)[..., middle], found[..., middle])
    assert network != SeriesNetwork(NetworkConfig("rnn", units=3, dense=0), SHAPE)


def own(*layers, columns=SHAPE.n_columns):
    return OwnNetwork.of(keras.Sequential([keras.Input((8, columns)), *layers]))


FLAT = keras.layers.Flatten


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (own(FLAT(), keras.layers.Dense(3)), r"gives \(None, 3\); expected \(None, 2, 1, 13\).*\(None, 26\)"),
        (own(FLAT(), columns=5), r"has the shape \(None, 8, 5\); expected \(None, 8, 2\)"),
        (own(keras.layers.BatchNormalization()), "not trained by gradients"),
        (OwnNetwork.of(keras.layers.GRUCell(3)), "the network is a GRUCell; expected a keras.Model"),
    ],
    ids=["output", "input", "moving averages", "cell"],
)
def test_a_series_network_of_ones_own_that_does_not_fit_is_refused_with_what_was_expected(network, message):
    with pytest.raises(ParameterError, match=message):
        SeriesNetwork(network, SHAPE)


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_a_series_network_of_ones_own_may_read_parts_by_name(as_dictionary):
    values, anchor = (keras.Input(SHAPE.inputs[name], name=name) for name in ("values", "anchor"))
    flat = keras.layers.Concatenate()([FLAT()(values), FLAT()(anchor)])
    given = {"values": values, "anchor": anchor} if as_dictionary else [values, anchor]
    out = keras.layers.Dense(SHAPE.n_outputs, kernel_initializer="zeros")(flat)
    network = SeriesNetwork(OwnNetwork.of(keras.Model(given, out)), SHAPE)
    found, _, _, start = jax.jit(network.quantiles)(network.initial(), windows(3))
    np.testing.assert_allclose(found[..., 0], start, atol=1e-6)


@pytest.mark.parametrize("network", ["lstm", 7, keras.Sequential])
def test_what_can_be_no_network_is_refused_before_anything_is_read(network):
    for model in (ft.EventForecaster(model="network", network=network), ft.SeriesForecaster(network=network)):
        with pytest.raises(ParameterError, match=r"network=.*expected a foretell\.NetworkConfig"):
            model._check_parameters()


@pytest.mark.slow
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_forecaster_of_any_cell_is_fitted_and_answers_without_gaps(cell, sample):
    network = NetworkConfig(cell, layers=2, units=8, dense=8)
    training = ft.TrainConfig(epochs=3, max_steps=16)
    model = ft.EventForecaster(model="network", network=network, training=training, ensemble=1).fit(sample)
    assert not model.predict(["30d"])["p_return_30d"].is_nan().any()
    panel = ft.Panel.from_arrays([np.sin(np.arange(90) / 3.0)])
    series = ft.SeriesForecaster(
        horizon=3, network=network, model="network", training=training, ensemble=1
    ).fit(panel)
    assert not series.predict()["foretell"].is_nan().any()
