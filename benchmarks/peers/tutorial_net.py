"""The tutorial's network under Keras' own `fit`, on the backend that KERAS_BACKEND names.

    KERAS_BACKEND=jax python benchmarks/peers/tutorial_net.py 20000 5 loop

trains on that many windows for so many epochs and prints one JSON object: microseconds per step of each epoch
after the first, which compiles. "unrolled" for "loop" writes the three steps of a layer out.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

WINDOW, CLASSES, BATCH = 3, 5, 100


def build(*, unroll: bool = False) -> Any:
    """Return the network: two LSTM layers of 8 units and a softmax over five bins."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((WINDOW, 1)),
            layers.LSTM(8, return_sequences=True, unroll=unroll),
            layers.LSTM(8, unroll=unroll),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def gaps(n_windows: int) -> tuple[Any, Any]:
    """Return a series of scaled gaps, and the bin of each."""
    values = np.random.default_rng(0).random(n_windows + WINDOW).astype(np.float32)
    return values, np.minimum(values * CLASSES, CLASSES - 1).astype(np.int32)


class Clock(keras.callbacks.Callback):
    """Notes when each epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del epoch, logs
        self.times.append(time.perf_counter())


def main(n_windows: int, epochs: int, *, unroll: bool) -> None:
    values, classes = gaps(n_windows)
    rows = np.arange(n_windows)[:, None] + np.arange(WINDOW)
    inputs, one_hot = values[rows][..., None], np.eye(CLASSES, dtype=np.float32)[classes[WINDOW:]]
    clock = Clock()
    model = build(unroll=unroll)
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    model.fit(inputs, one_hot, batch_size=BATCH, epochs=epochs + 1, verbose=0, callbacks=[clock])
    steps = -(-n_windows // BATCH)
    each = [1e6 * float(after - before) / steps for before, after in itertools.pairwise(clock.times)]
    print(json.dumps({"backend": keras.config.backend(), "us_per_step": each}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), unroll=sys.argv[3] == "unrolled")
