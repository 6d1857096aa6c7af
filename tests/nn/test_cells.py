"""Each cell against a slow numpy oracle of its formula, and its two views against each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.nn.backend import keras
from foretell.nn.cells import CELLS, MinLSTM, MinLSTMCell, over_sequences, state_sizes

BATCH, STEPS, FEATURES, UNITS = 2, 7, 3, 4


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def split4(x, h, kernel, recurrent, bias):
    return np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)


def peephole(weights, xs):
    kernel, recurrent, bias, (p_i, p_f, p_o) = weights
    h = c = np.zeros((BATCH, UNITS))
    out = []
    for x in xs:
        s_i, s_f, s_z, s_o = split4(x, h, kernel, recurrent, bias)
        c_new = sigmoid(s_f + p_f * c) * c + sigmoid(s_i + p_i * c) * np.tanh(s_z)
        h, c = sigmoid(s_o + p_o * c_new) * np.tanh(c_new), c_new
        out.append(h)
    return out


def depth_gated(weights, xs):
    kernel, recurrent, bias, (p_i, p_f, p_o), depth_kernel, (w_c, w_b), depth_bias = weights
    h = c = np.zeros((BATCH, UNITS))
    out = []
    for given_x in xs:
        x, below = given_x[:, :-UNITS], given_x[:, -UNITS:]
        s_i, s_f, s_z, s_o = split4(x, h, kernel, recurrent, bias)
        d = sigmoid(x @ depth_kernel + w_c * c + w_b * below + depth_bias)
        c_new = d * below + sigmoid(s_f + p_f * c) * c + sigmoid(s_i + p_i * c) * np.tanh(s_z)
        h, c = sigmoid(s_o + p_o * c_new) * np.tanh(c_new), c_new
        out.append(np.concatenate([h, c], axis=-1))
    return out


def clockwork(weights, xs):
    kernel, recurrent, bias = weights
    periods = [1, 2, 4, 8]  # one unit each
    h, out = np.zeros((BATCH, UNITS)), []
    for t, x in enumerate(xs):
        new = h.copy()
        for g, period in enumerate(periods):
            if t % period == 0:
                slower = sum(h[:, k] * recurrent[k, g] for k in range(UNITS) if periods[k] >= period)
                new[:, g] = np.tanh(x @ kernel[:, g] + slower + bias[g])
        h = new
        out.append(h)
    return out


def slstm(weights, xs):
    """Without a stabiliser: in double precision the exponentials of small numbers need none."""
    h = c = n = np.zeros((BATCH, UNITS))
    out = []
    for x in xs:
        s_i, s_f, s_z, s_o = split4(x, h, *weights)
        i, f = np.exp(s_i), sigmoid(s_f)
        c, n = f * c + i * np.tanh(s_z), f * n + i
        h = sigmoid(s_o) * c / n
        out.append(h)
    return out


def minlstm(weights, xs):
    kernel, bias = weights
    h, out = np.zeros((BATCH, UNITS)), []
    for x in xs:
        s_f, s_i, candidate = np.split(x @ kernel + bias, 3, axis=-1)
        f, i = sigmoid(s_f), sigmoid(s_i)
        h = f / (f + i) * h + i / (f + i) * candidate
        out.append(h)
    return out


def lstm(weights, xs):
    return peephole([*weights, np.zeros((3, UNITS))], xs)


ORACLES = {
    "lstm": lstm, "peephole": peephole, "depth_gated": depth_gated, "clockwork": clockwork, "slstm": slstm,
    "minlstm": minlstm,
}  # fmt: skip


@functools.cache
def layer_of(name):
    """Return a layer over sequences, its number of input columns, and compiled views."""
    linked = name == "depth_gated"
    cell = CELLS[name](UNITS, **({"linked": True} if linked else {}))
    layer = over_sequences(cell, name)
    width = FEATURES + (UNITS if linked else 0)
    layer.build((None, None, width))
    fixed = [v.value for v in layer.non_trainable_variables]
    whole = jax.jit(lambda weights, xs: layer.stateless_call(weights, fixed, xs)[0])
    step = jax.jit(lambda weights, x, memory: cell.stateless_call(weights, fixed, x, memory)[0])
    return layer, width, whole, step


def drawn(name, seed, steps=STEPS, spread=0.7):
    layer, width, *_ = layer_of(name)
    rng = np.random.default_rng(seed)
    weights = [spread * rng.normal(size=v.shape) for v in layer.trainable_variables]
    return weights, rng.normal(size=(BATCH, steps, width))


def single(values):
    return jax.tree.map(lambda part: jnp.asarray(part, jnp.float32), values)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_a_cell_computes_its_formula(name):
    weights, xs = drawn(name, seed=3)
    _, _, whole, _ = layer_of(name)
    found = np.asarray(whole(single(weights), single(xs)))
    expected = np.stack(ORACLES[name](weights, np.swapaxes(xs, 0, 1)), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=10)
@given(st.sampled_from(sorted(CELLS)), st.integers(0, 10_000), st.floats(0.1, 3.0))
def test_step_by_step_a_cell_says_the_same_as_over_the_sequence(name, seed, spread):
    weights, xs = single(drawn(name, seed, spread=spread))
    layer, _, whole, step = layer_of(name)
    memory = [jnp.zeros((BATCH, size)) for size in state_sizes(layer.cell)]
    steps = []
    for k in range(STEPS):
        output, memory = step(weights, xs[:, k], memory)
        steps.append(np.asarray(output))
    np.testing.assert_allclose(np.stack(steps, axis=1), whole(weights, xs), rtol=1e-3, atol=1e-4)


@functools.cache
def from_a_state(layer):
    return jax.jit(lambda weights, xs, start: layer.stateless_call(weights, [], xs, initial_state=[start])[0])


@functools.cache
def plain_minlstm():
    """Return the same cell in Keras' own loop."""
    recurrence = keras.layers.RNN(MinLSTMCell(UNITS), return_sequences=True)
    recurrence.build((None, None, FEATURES))
    return recurrence


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from([1, 13]), st.floats(0.1, 20.0))
def test_the_parallel_scan_of_minlstm_is_its_recurrence_also_from_a_given_state(seed, steps, spread):
    layer, _, _, _ = layer_of("minlstm")
    weights, xs = drawn("minlstm", seed, steps, spread)
    start = np.random.default_rng(seed).normal(size=(BATCH, UNITS))
    scan = from_a_state(layer)(single(weights), single(xs), single(start))
    loop = from_a_state(plain_minlstm())(single(weights), single(xs), single(start))
    scale = 1.0 + float(jnp.abs(loop).max())
    np.testing.assert_allclose(scan / scale, loop / scale, atol=1e-5)


def test_gates_of_slstm_stay_finite_however_large_their_sums_are():
    weights, xs = drawn("slstm", seed=1, spread=1.0)
    _, _, whole, _ = layer_of("slstm")

    def total(weights):
        return jnp.sum(whole(weights, single(1e3 * xs)) ** 2)

    value, slopes = jax.value_and_grad(total)(single(weights))
    assert np.isfinite(value)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_a_slow_module_of_the_clockwork_moves_only_when_its_period_has_passed():
    weights, xs = drawn("clockwork", seed=5, steps=16)
    layer, *_ = layer_of("clockwork")
    fixed = [v.value for v in layer.non_trainable_variables]
    states = np.asarray(layer.stateless_call(single(weights), fixed, single(xs))[0])
    moved = np.any(states[:, 1:] != states[:, :-1], axis=0)
    for unit, period in enumerate([1, 2, 4, 8]):
        assert np.flatnonzero(moved[:, unit]).tolist() == list(range(period - 1, 15, period))


@pytest.mark.parametrize("name", sorted(CELLS))
def test_a_cell_comes_back_from_json_with_its_weights(name):
    layer, width, *_ = layer_of(name)
    inputs = keras.Input((STEPS, width))
    model = keras.Model(inputs, layer(inputs))
    again = keras.models.model_from_json(model.to_json())
    for copy, variable in zip(again.variables, model.variables, strict=True):
        copy.assign(variable.value)
    _, xs = single(drawn(name, seed=2))
    np.testing.assert_array_equal(again(xs), model(xs))


def test_minlstm_gives_its_last_state_and_its_memory_like_any_recurrent_layer():
    layer = MinLSTM(MinLSTMCell(UNITS), return_state=True)
    xs = single(np.random.default_rng(0).normal(size=(BATCH, STEPS, FEATURES)))
    last, memory = layer(xs)
    assert last.shape == (BATCH, UNITS)
    np.testing.assert_array_equal(last, memory)


@pytest.mark.parametrize("name", ["peephole", "depth_gated", "clockwork", "slstm"])
def test_recurrent_dropout_drops_while_training_and_never_else(name):
    layer = over_sequences(CELLS[name](UNITS, recurrent_dropout=0.5, seed=1), name)
    xs = single(np.random.default_rng(0).normal(size=(BATCH, STEPS, FEATURES)))
    assert np.array_equal(layer(xs), layer(xs))
    assert not np.array_equal(layer(xs, training=True), layer(xs))
