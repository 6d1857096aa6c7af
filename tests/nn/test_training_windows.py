"""Rounds of steps on windows drawn at random: they learn, stop, repeat, and are compiled once."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from foretell.nn.backend import keras
from foretell.nn.samplers import WindowSampler, evaluated
from foretell.nn.settings import SERIES, TrainConfig
from foretell.nn.training import Trainer

CONFIG = SERIES.complete_training(TrainConfig(epochs=20, learning_rate=0.1, weight_decay=0.0, patience=2))


@dataclasses.dataclass(frozen=True)
class Line:
    """Learns y = 3x − 1; equal whenever its name is."""

    name: str
    traced: ClassVar[list[str]] = []

    @property
    def variables(self) -> list[Any]:
        return [keras.Variable(np.zeros(2, dtype=np.float32), name="line")]

    def loss(self, weights: Any, data: Any, chosen: Any, noise: Any) -> Any:
        self.traced.append(self.name)
        x, y = (column[chosen] for column in data)
        return jnp.sum((weights[0][0] * x + weights[0][1] - y) ** 2), jnp.float32(x.size)


def points(n: int = 40) -> tuple[Any, Any]:
    x = np.linspace(-1, 1, n, dtype=np.float32)
    return jnp.asarray(x), jnp.asarray(3 * x - 1)


def train(name: str, config: TrainConfig = CONFIG, **given: Any) -> Any:
    trainer = Trainer(WindowSampler(Line(name), batch_size=16, n_steps=50), config)
    return trainer.train([np.zeros(2)], (points(), 40), given.pop("held_out", None), **{"seed": 0} | given)


class TestWindows:
    def test_learns_a_line(self) -> None:
        np.testing.assert_allclose(train("learns").weights[0], [3, -1], atol=0.05)

    def test_the_same_seed_gives_the_same_weights(self) -> None:
        first, again, other = (train("repeats", seed=seed).weights[0] for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_equal_trainers_are_compiled_once(self) -> None:
        train("once")
        count = Line.traced.count("once")
        train("once", seed=3, epochs=2)
        assert Line.traced.count("once") == count
        train("once", dataclasses.replace(CONFIG, learning_rate=0.01, weight_decay=0.3))
        assert Line.traced.count("once") == count  # rates are inputs of the program
        train("once", dataclasses.replace(CONFIG, clip_norm=0.5))
        assert Line.traced.count("once") > count

    def test_stops_when_held_out_windows_get_worse_and_keeps_the_best(self) -> None:
        # What is held out follows another line: the start is the best there is.
        x, y = points()
        heard: list[float] = []
        report = lambda epoch, loss, value: heard.append(value)  # noqa: E731
        trained = train("stops", held_out=((x, -y), evaluated(40)), report=report)
        assert (trained.epochs, len(heard)) == (0, CONFIG.patience)
        assert trained.after == trained.before < min(heard)
        assert trained.weights[0].tolist() == [0, 0]

    def test_tells_each_round(self) -> None:
        heard: list[int] = []
        train("tells", epochs=3, report=lambda done, loss, value: heard.append(done))
        assert heard == [0, 1, 2]
