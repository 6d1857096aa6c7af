"""Two views of one network: whole sequences, and event by event."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foretell.errors import ParameterError
from foretell.events.heads.mixture import Anchor, GapNetwork, anchored
from foretell.nn import mixture as mix
from foretell.nn.arrays import to_device
from foretell.nn.backend import keras
from foretell.nn.causal import CausalStep
from foretell.nn.custom import EventShape
from foretell.nn.plain import PlainNetwork
from foretell.nn.settings import NetworkConfig

N, LENGTH, FEATURES = 3, 5, 4
ANCHOR = Anchor(
    log_r=np.array(-0.4), log_alpha=np.array(3.0), log_a=np.array(-0.3), log_b=np.array(0.6),
    weights=np.array([0.8, 0.1]), mu=np.array([2.0]), log_sigma=np.array([-0.7]),
    pace=np.array([0.3]),
)  # fmt: skip


def histories():
    rng = np.random.default_rng(0)
    features = to_device(rng.normal(size=(N, LENGTH, FEATURES)))
    state = np.stack([np.tile(np.arange(LENGTH), (N, 1)), rng.uniform(0, 90, (N, LENGTH)).cumsum(axis=1)], -1)
    return features, to_device(state)


def anywhere(gap_network):
    """Return weights far from the initial ones, so that no layer is silent."""
    rng = np.random.default_rng(1)
    return [to_device(w + 0.3 * rng.normal(size=w.shape)) for w in gap_network.initial(ANCHOR)]


def whole(gap_network, weights, features, state):
    def run(weights):
        states = gap_network.network.sequence(weights, features).reshape(N * LENGTH, -1)
        flat = features.reshape(N * LENGTH, -1), state.reshape(N * LENGTH, -1)
        return gap_network.network.output(weights, states, *flat)

    return np.asarray(jax.jit(run)(weights)).reshape(N, LENGTH, -1)


def step_by_step(gap_network, step, weights, features, state):
    features, state = (np.asarray(part) for part in (features, state))
    memory = [np.zeros((N, width), np.float32) for width in gap_network.memory_widths]
    outputs = []
    for k in range(LENGTH):
        packed, memory = step(weights, features[:, k], state[:, k], memory)
        outputs.append(np.asarray(packed))
    return np.stack(outputs, axis=1)


def causal_trunk(*layers, steps=8, features=FEATURES):
    """Return a user's network for events."""
    conv = keras.layers.Conv1D(4, 2, padding="causal", activation="tanh")
    return keras.Sequential([keras.Input((steps, features)), *(layers or [conv])])


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig("lstm", layers=2, units=3, dense=4, components=1),
        NetworkConfig("gru", layers=1, units=3, dense=0, components=1),
        NetworkConfig("rnn", layers=2, units=3, dense=0, components=1),
        NetworkConfig("peephole", units=3, dense=2, dense_activation="gelu", components=1),
        NetworkConfig("depth_gated", layers=3, units=3, dense=0, components=1),
        NetworkConfig("clockwork", layers=2, units=4, dense=0, components=1),
        NetworkConfig("slstm", layers=2, units=(3, 2), dense=(4, 3), components=1),
        NetworkConfig("minlstm", layers=2, units=3, dense=0, components=1),
        NetworkConfig(causal_trunk(), dense=4, components=1),
        NetworkConfig(layers=0, dense=4, components=1),
        NetworkConfig(layers=0, dense=0, components=1),
    ],
    ids=lambda config: f"{str(config.cell)[:12]}-{config.layers}-{config.dense}",
)
def test_event_by_event_it_says_the_same_as_over_the_whole_sequence(config):
    gap_network = GapNetwork(config, FEATURES, seed=7)
    inputs = histories()
    weights = anywhere(gap_network)
    packed = whole(gap_network, weights, *inputs)
    steps = step_by_step(gap_network, jax.jit(gap_network.step), weights, *inputs)
    np.testing.assert_allclose(steps, packed, rtol=1e-4, atol=1e-5)
    in_keras = [(v.path, tuple(v.shape)) for v in gap_network.network.variables]
    assert [(v.path, tuple(v.shape)) for v in gap_network.variables] == in_keras
    for variable, start in zip(gap_network.network.variables, gap_network.initial(ANCHOR), strict=True):
        if not variable.path.startswith("anchor"):
            np.testing.assert_array_equal(variable.value, start)
    trained = gap_network._trained
    if isinstance(trained, PlainNetwork):
        flat = [part.reshape(N * LENGTH, -1) for part in (trained.sequence(weights, inputs[0]), *inputs)]
        raw, head = trained.corrections(weights, *flat[:2])
        again = gap_network.says(raw, flat[2], head).reshape(packed.shape)
        np.testing.assert_allclose(again, packed, rtol=1e-4, atol=1e-5)
    if gap_network.namespace_for(1) is np:
        plain = [[np.asarray(part) for part in parts] for parts in (weights, inputs)]
        in_numpy = step_by_step(gap_network, gap_network.step, plain[0], *plain[1])
        np.testing.assert_allclose(in_numpy, steps, rtol=1e-5, atol=1e-5)
        assert in_numpy.dtype == np.float32
    # The weights do matter, and where there is memory, so does the past.
    assert np.abs(packed - whole(gap_network, gap_network.initial(ANCHOR), *inputs)).max() > 0.1
    changed = inputs[0].at[:, 0].add(1.0)
    later = whole(gap_network, weights, changed, inputs[1])[:, 1:]
    assert np.array_equal(later, packed[:, 1:]) == (config.layers == 0)


def test_what_comes_later_changes_nothing_that_was_said_before():
    gap_network = GapNetwork(NetworkConfig(layers=2, units=3, dense=4, components=1), FEATURES)
    features, state = histories()
    weights = anywhere(gap_network)
    packed = whole(gap_network, weights, features, state)
    changed = whole(gap_network, weights, features.at[:, 3:].add(5.0), state.at[:, 3:].add(50.0))
    np.testing.assert_array_equal(changed[:, :3], packed[:, :3])
    assert not np.array_equal(changed[:, 3:], packed[:, 3:])


@pytest.mark.parametrize("drop_out", ["mbg", "bg"])
def test_before_training_it_is_exactly_the_anchor(drop_out):
    gap_network = GapNetwork(NetworkConfig(units=3, dense=4, components=1), FEATURES, drop_out, seed=3)
    features, state = histories()
    packed = whole(gap_network, gap_network.initial(ANCHOR), features, state)
    in_single = Anchor(*[jnp.asarray(part, jnp.float32) for part in ANCHOR])
    exact = mix.pack(anchored(in_single, state[..., 0], state[..., 1], None, drop_out))
    np.testing.assert_allclose(packed, exact, rtol=1e-6, atol=1e-6)


def test_seeds_give_different_networks_and_the_same_seed_the_same():
    config = NetworkConfig(units=3, dense=4, components=1)
    one, same, other = (GapNetwork(config, FEATURES, seed=seed).initial(ANCHOR) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_networks_of_one_build_share_their_compiled_programs():
    config = NetworkConfig(units=3, dense=4, components=1)
    assert GapNetwork(config, FEATURES, seed=0) == GapNetwork(config, FEATURES, seed=1)
    assert hash(GapNetwork(config, FEATURES, seed=0)) == hash(GapNetwork(config, FEATURES, seed=1))
    assert GapNetwork(config, FEATURES, "bg") != GapNetwork(config, FEATURES, "mbg")


@pytest.mark.parametrize(
    ("name", "value"),
    [("cell", "transformer"), ("layers", -1), ("layers", 9), ("units", 0), ("units", 2.5), ("dense", -1),
     ("components", 33), ("dropout", 1.0), ("recurrent_dropout", -0.1), ("units", (3, 0)),
     ("dense", (4, "a")),
     ("dense_activation", "sofmax"), ("activation", 3), ("recurrent_activation", "gate"),
     ("output_activation", "softmax"), ("output_activation", "relu"), ("output_activation", "sigmoid")],
)  # fmt: skip
def test_settings_outside_of_what_is_allowed_are_refused_by_name(name, value):
    with pytest.raises(ParameterError, match=re.escape(f"{name}={value!r}") + ".*expected"):
        NetworkConfig(**{name: value})


def test_dropout_draws_anew_from_each_noise_and_is_silent_without():
    network = GapNetwork(NetworkConfig(units=4, dense=4, dropout=0.5, components=1), 3)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=v.shape).astype(np.float32) for v in network.network.variables]
    states, features, anchor = (rng.normal(size=(5, n)).astype(np.float32) ** 2 for n in (4, 3, 2))

    def output(noise):
        return np.asarray(network.network.output(weights, states, features, anchor, noise))

    one, other = (np.array(pair, dtype=np.uint32) for pair in ([1, 2], [3, 4]))
    assert np.array_equal(output(one), output(one))
    assert not np.array_equal(output(one), output(other))
    assert np.array_equal(output(None), output(None))
    assert not np.array_equal(output(None), output(one))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cell": "minlstm", "recurrent_dropout": 0.1},
            "recurrent_dropout=0.1; the cell 'minlstm' has no such",
        ),
        ({"cell": "rnn", "recurrent_activation": "relu"}, "the cell 'rnn' has no such setting"),
        ({"units": (4, 3), "layers": 3}, r"one width for each of layers=3"),
        ({"cell": "depth_gated", "units": (4, 3)}, "one width for all layers"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ParameterError, match=message):
        NetworkConfig(**settings)


def test_more_than_three_recurrent_layers_are_advised_against():
    with pytest.warns(UserWarning, match="layers=4: 1 to 3 recurrent layers are advised"):
        NetworkConfig(layers=4)


def test_every_knob_reaches_the_layers():
    config = NetworkConfig(
        "lstm", units=(4, 3), dense=(5, 2), dense_activation="relu", activation="softsign",
        recurrent_activation="hard_sigmoid", output_activation="tanh", dropout=0.2, recurrent_dropout=0.1,
        components=1,
    )  # fmt: skip
    layers = {layer.name: layer for layer in GapNetwork(config, FEATURES).whole.layers}
    cells = [layers[f"recurrent_{k}"].cell for k in range(2)]
    assert [(cell.units, cell.activation.__name__) for cell in cells] == [(4, "softsign"), (3, "softsign")]
    assert {(cell.recurrent_activation.__name__, cell.recurrent_dropout) for cell in cells} == {
        ("hard_sigmoid", 0.1)
    }
    assert [layers[name].units for name in ("dense", "dense_1")] == [5, 2]
    assert layers["dense"].activation.__name__ == "relu"
    assert layers["correction"].activation.__name__ == "tanh"
    assert layers["dropout"].rate == 0.2


def test_recurrent_dropout_draws_anew_from_each_noise_and_is_silent_without():
    network = GapNetwork(NetworkConfig(units=4, recurrent_dropout=0.5, components=1), FEATURES).network
    weights = [jnp.asarray(v.value) for v in network.variables]
    features, _ = histories()
    sequence = jax.jit(network.sequence)
    one, other = (jnp.array(pair, dtype=jnp.uint32) for pair in ([1, 2], [3, 4]))
    assert np.array_equal(sequence(weights, features, one), sequence(weights, features, one))
    assert not np.array_equal(sequence(weights, features, one), sequence(weights, features, other))
    assert np.array_equal(sequence(weights, features), sequence(weights, features))


def test_events_are_never_read_backwards():
    with pytest.raises(
        ParameterError, match="bidirectional=True; expected False: an event's state must not see"
    ):
        GapNetwork(NetworkConfig(bidirectional=True), FEATURES)


layers = keras.layers


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (causal_trunk(features=3), r"reads \(None, 8, 3\); expected \(batch, steps, 4\)"),
        (causal_trunk(layers.LSTM(4)), r"gives \(None, 4\) for \(None, 8, 4\); .* a state for every event"),
        (causal_trunk(layers.Conv1D(4, 3, padding="same")), "not causal: another last event changed"),
        (causal_trunk(layers.BatchNormalization()), "not trained by gradients.*LayerNormalization"),
        (layers.LSTM(4), r"one step of LSTM failed|cell"),
    ],
    ids=["features", "one state", "looks ahead", "moving averages", "no cell"],
)
def test_a_network_of_ones_own_that_does_not_fit_events_is_refused_with_what_was_expected(own, message):
    with pytest.raises(ParameterError, match=message):
        GapNetwork(NetworkConfig(own), FEATURES)


class Secret(keras.layers.Layer):
    """Not registered with Keras."""

    def call(self, inputs):
        return inputs


def test_a_layer_that_keras_cannot_rebuild_is_refused_with_how_to_register_it():
    with pytest.raises(ParameterError, match="register_keras_serializable"):
        NetworkConfig(causal_trunk(Secret()))


def test_a_builder_is_told_the_shape_and_members_of_its_network_start_apart():
    told = []

    def build(shape):
        told.append((shape.n_features, shape.steps))
        return causal_trunk(steps=shape.steps, features=shape.n_features)

    config = NetworkConfig(build, components=1).resolved(EventShape(FEATURES, 16))
    assert told == [(FEATURES, 16)]
    one, same, other = (GapNetwork(config, FEATURES, seed=seed).initial(ANCHOR) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
    assert config == NetworkConfig(**dataclasses.asdict(config))  # as JSON keeps it


def test_a_network_of_ones_own_looks_back_over_its_steps_and_no_further():
    model = causal_trunk(layers.Conv1D(2, 4, padding="causal"), steps=3)
    one = CausalStep(model, 3)
    features, _ = histories()
    memory = [jnp.zeros((N, 3 * FEATURES)), jnp.zeros((N, 1))]
    for k in range(LENGTH):
        state, *memory = one([features[:, k], *memory])
        seen = features[:, max(k - 2, 0) : k + 1]
        filled = jnp.pad(seen, ((0, 0), (0, 3 - seen.shape[1]), (0, 0)))
        np.testing.assert_allclose(state, model(filled)[:, seen.shape[1] - 1], rtol=1e-5, atol=1e-6)
