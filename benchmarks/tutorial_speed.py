"""Training speed of the tutorial's own network: python -m benchmarks.tutorial_speed

Two LSTM layers of 8 units, windows of 3 gaps, a softmax over 5 bins, batches of 100: through our compiled
loop, which gathers the windows inside the step, beside Keras' `fit` on the TensorFlow backend (an environment
of its own, made once) and on JAX. All in turn, in one run, compilation left out.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from benchmarks.peers.environment import peer_python

from foretell.nn.backend import keras
from foretell.nn.samplers import WindowSampler
from foretell.nn.settings import SERIES, TrainConfig
from foretell.nn.training import Trainer

# Keras' backend is chosen by now: the peers' module must not be the first to import it.
from benchmarks.peers.tutorial_net import BATCH, WINDOW, build, gaps  # isort: skip

SCRIPT = Path(__file__).parent / "peers" / "tutorial_net.py"
N_WINDOWS, EPOCHS = 20_000, 5


class TutorialNetwork:
    """The network and its loss, as the compiled loop takes them."""

    def __init__(self) -> None:
        self.model = build(unroll=True)
        self.variables = self.model.trainable_variables
        self.fixed = [variable.value for variable in self.model.non_trainable_variables]
        self.entropy = keras.losses.SparseCategoricalCrossentropy(reduction="sum")

    def loss(self, weights: Any, data: Any, chosen: Any, noise: Any) -> Any:
        """Return the summed loss of some windows, gathered inside the step, and how many there are."""
        values, classes = data
        windows = values[chosen[:, None] + np.arange(WINDOW)][..., None]
        chances = self.model.stateless_call(weights, self.fixed, windows, training=noise is not None)[0]
        return self.entropy(classes[chosen + WINDOW], chances), jnp.float32(BATCH)


class Ours:
    """The same network through the compiled loop; an epoch is one program."""

    def __init__(self) -> None:
        network = TutorialNetwork()
        values, classes = gaps(N_WINDOWS)
        self.data = (jnp.asarray(values), jnp.asarray(classes))
        self.initial = [np.asarray(variable.value) for variable in network.variables]
        training = SERIES.complete_training(TrainConfig(epochs=EPOCHS + 1, optimizer="adam"))
        self.trainer = Trainer(WindowSampler(network, BATCH, N_WINDOWS // BATCH), training, joined=True)

    def run(self) -> list[float]:
        """Return microseconds per step of each epoch but the first."""
        times: list[float] = []
        train = (self.data, N_WINDOWS)
        self.trainer.train(self.initial, train, seed=0, report=lambda *_: times.append(time.perf_counter()))
        steps = N_WINDOWS // BATCH
        return [1e6 * (after - before) / steps for before, after in itertools.pairwise(times)]


def theirs(python: Path | str, backend: str, loop: str) -> list[float]:
    """Return the same of Keras' `fit` in a process of its own."""
    command = [str(python), str(SCRIPT), str(N_WINDOWS), str(EPOCHS), loop]
    done = subprocess.run(
        command, env=os.environ | {"KERAS_BACKEND": backend}, check=True, stdout=subprocess.PIPE, text=True
    )
    times: list[float] = json.loads(done.stdout)["us_per_step"]
    return times


def main(rounds: int) -> None:
    ours = Ours()
    ours.run()  # compiles
    peers = {
        "Keras fit, TensorFlow": (peer_python("tensorflow"), "tensorflow", "loop"),
        "Keras fit, JAX": (sys.executable, "jax", "loop"),
        "Keras fit, JAX, written out": (sys.executable, "jax", "unrolled"),
    }
    medians: dict[str, list[float]] = {name: [] for name in ("foretell", *peers)}
    for _ in range(rounds):
        for name, command in peers.items():
            # Ours before and after each peer, so that both see the machine in the same state.
            around = ours.run()
            medians[name].append(statistics.median(theirs(*command)))
            medians["foretell"].append(statistics.median(around + ours.run()))
    us = {name: statistics.median(values) for name, values in medians.items()}
    print(f"| {N_WINDOWS // BATCH} steps an epoch | µs per step | steps per second | foretell is faster by |")
    print("|---|---|---|---|")
    for name, value in us.items():
        print(f"| {name} | {value:,.0f} | {1e6 / value:,.0f} | {value / us['foretell']:.1f} × |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
