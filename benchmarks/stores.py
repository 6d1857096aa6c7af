"""Many stores: python -m benchmarks.stores [--speed] [--accuracy]

Speed: 200 stores, each with its own small network (the tutorial's: two LSTM layers of 8 units over windows
of 3 gaps, five classes, batches of 100), trained together by the compiled engine, and one after the other by
Keras `fit` on JAX: a new model for each store, as the tutorial has it; and one model with its weights and
optimizer set back, so that it is compiled once. Same stores, same windows, same number of steps, and all full
batches.

Accuracy: one model for all stores of Complete Journey, one for each, one for each group of similar stores.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax.numpy as jnp
import numpy as np
from benchmarks.events import journey

import foretell as ft
from foretell.nn.backend import keras
from foretell.nn.samplers import ModelSampler, Runs
from foretell.nn.settings import STORES as DEFAULTS
from foretell.nn.training import ModelTrainer

STORES, WINDOWS, LENGTH, CLASSES, BATCH, EPOCHS = 200, 300, 3, 5, 100, 20
SAMPLED = 10  # stores that the loops are timed on; the rest takes as long


def network() -> Any:
    """Return the tutorial's network."""
    return keras.Sequential(
        [
            keras.Input((LENGTH, 1)),
            keras.layers.LSTM(8, return_sequences=True),
            keras.layers.LSTM(8),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def windows() -> tuple[np.ndarray, np.ndarray]:
    """Return scaled windows (n_stores, n_windows, length, 1) and classes (n_stores, n_windows).

    Every store's customers come with their own rhythm, so that there is something to learn.
    """
    rng = np.random.default_rng(0)
    inputs = np.zeros((STORES, WINDOWS, LENGTH, 1), dtype=np.float32)
    classes = np.zeros((STORES, WINDOWS), dtype=np.int32)
    for store in range(STORES):
        usual = rng.gamma(3.0, 8.0) * rng.gamma(4.0, 0.25, WINDOWS)
        gaps = np.rint(rng.gamma(4.0, usual[:, None] / 4.0, (WINDOWS, LENGTH + 1)))
        classes[store] = ft.prep.Bins.quantiles(gaps[:, -1] + rng.random(WINDOWS), CLASSES).encode(
            gaps[:, -1]
        )
        inputs[store, ..., 0] = ft.prep.StandardScaler().fit_transform(np.log1p(gaps[:, :-1]))
    return inputs, classes


def together(inputs: np.ndarray, classes: np.ndarray) -> tuple[float, float, float]:
    """Train all stores in one compiled program; return seconds to compile, to train, and the accuracy."""
    model = network()
    fixed = [variable.value for variable in model.non_trainable_variables]

    class Network:
        variables = model.trainable_variables

        def loss(self, weights: Any, data: Any, runs: Any, lengths: Any, noise: Any) -> Any:
            del lengths, noise
            rows = runs[0].starts
            chances = model.stateless_call(weights, fixed, data[0][rows], training=True)[0]
            return keras.ops.sum(keras.losses.sparse_categorical_crossentropy(data[1][rows], chances))

    n = STORES * WINDOWS
    every = (np.arange(n), np.ones(n, dtype=int))
    runs = Runs.share(every, np.repeat(np.arange(STORES), WINDOWS), STORES, (1,))
    config = ft.TrainConfig(epochs=EPOCHS, batch_size=BATCH, optimizer="adam", learning_rate=0.01)
    data = (jnp.asarray(inputs.reshape(n, LENGTH, 1)), jnp.asarray(classes.reshape(n)))
    sampler = ModelSampler.of(Network(), (1,), (runs, None), BATCH, WINDOWS // BATCH)
    trainer = ModelTrainer(sampler, DEFAULTS.complete_training(config))
    initial = [variable.value for variable in Network.variables]
    began = time.perf_counter()
    trainer.train(initial, (data, runs), seed=0)
    first = time.perf_counter() - began
    began = time.perf_counter()
    done = trainer.train(initial, (data, runs), seed=0)
    second = time.perf_counter() - began
    right = []
    for store in range(SAMPLED):
        own = [weight[store] for weight in done.weights]
        right.append(np.argmax(model.stateless_call(own, fixed, inputs[store])[0], axis=1) == classes[store])
    return first - second, second, float(np.mean(right))


def one_after_the_other(inputs: np.ndarray, classes: np.ndarray, *, new: bool) -> tuple[float, float]:
    """Train some stores by Keras `fit`; return seconds for all, and the accuracy."""

    def compiled() -> Any:
        model = network()
        rate = keras.optimizers.schedules.CosineDecay(0.01, EPOCHS * (WINDOWS // BATCH))
        model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), "sparse_categorical_crossentropy")
        return model

    began = time.perf_counter()
    model, right = compiled(), []
    initial = model.get_weights()
    model.fit(inputs[0], classes[0], batch_size=BATCH, epochs=1, verbose=0)
    compiling = 0.0 if new else time.perf_counter() - began
    began = time.perf_counter()
    for store in range(SAMPLED):
        if new:
            model = compiled()
        else:
            model.set_weights(initial)
            for variable in model.optimizer.variables:
                variable.assign(np.zeros(variable.shape, variable.dtype))
        model.fit(inputs[store], classes[store], batch_size=BATCH, epochs=EPOCHS, verbose=0)
        right.append(np.argmax(model.predict_on_batch(inputs[store]), axis=1) == classes[store])
    each = (time.perf_counter() - began) / SAMPLED
    return compiling + STORES * each, float(np.mean(right))


def speed() -> None:
    """Print the table of seconds."""
    inputs, classes = windows()
    compiling, training, accuracy = together(inputs, classes)
    reused, reused_accuracy = one_after_the_other(inputs, classes, new=False)
    fresh, fresh_accuracy = one_after_the_other(inputs, classes, new=True)
    ours = compiling + training
    steps = EPOCHS * (WINDOWS // BATCH)
    print(f"{STORES} stores, {WINDOWS} windows each, {steps} steps of {BATCH} windows each\n")
    print("| how | seconds for all stores | times ours | accuracy on its own windows |")
    print("|---|---|---|---|")
    print(f"| together, compilation included | {ours:.1f} | 1 | {accuracy:.3f} |")
    print(f"| together, compiled before | {training:.1f} | {training / ours:.2f} | {accuracy:.3f} |")
    for how, seconds, right in [
        ("Keras `fit`, a new model a store", fresh, fresh_accuracy),
        ("Keras `fit`, one model set back, compiled once", reused, reused_accuracy),
    ]:
        print(f"| {how} | {seconds:.0f} | {seconds / ours:.1f} | {right:.3f} |")


def accuracy() -> None:
    """Compare the three ways on Complete Journey."""
    stores = ft.StoreConfig(min_customers=10, min_visits=200)
    models = [ft.StoreForecaster(models=kind, stores=stores) for kind in ("global", "store", "similar")]
    board = ft.evaluate(journey(), "2017-09-30", "91d", models=models)
    print(board)
    for name, model in board.models.items():
        own = model.stores_.filter(model.stores_["model"] > 0)
        print(f"{name}: {own['model'].n_unique()} models for {own.height} of {model.stores_.height} stores, "
              f"{int((own['gain'] > 0).sum())} stores gained")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--accuracy", action="store_true")
    asked = parser.parse_args()
    if asked.speed or not asked.accuracy:
        speed()
    if asked.accuracy or not asked.speed:
        accuracy()
