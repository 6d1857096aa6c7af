"""Train the prior of series, on synthetic series alone: python -m training.series_prior --help.

Training goes on from its checkpoint, if there is one. The card beside the weights records the command, the
seed, how long it took, and how the loss fell.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from training.series_families import chosen, draw, missing, spread

from foretell.series.prior_features import Reading, Seasons, read
from foretell.series.prior_network import forecast, shapes
from foretell.series.quantiles import QUANTILES

FloatArray: TypeAlias = npt.NDArray[np.float64]
Rng: TypeAlias = np.random.Generator
Weights: TypeAlias = dict[str, Any]


class Kind(NamedTuple):
    """How often series of a season are drawn, how long they are at most, and how far ahead is asked."""

    share: float
    longest: int
    ahead: int


KINDS: Final = {
    Seasons(1): Kind(0.3, 80, 18),
    Seasons(4): Kind(0.15, 125, 18),
    Seasons(12): Kind(0.2, 250, 36),
    Seasons(52): Kind(0.06, 320, 52),
    Seasons(5, 260): Kind(0.03, 560, 60),
    Seasons(7, 364): Kind(0.14, 760, 60),
    Seasons(24, 168): Kind(0.12, 1030, 60),
    Seasons(48, 336): Kind(0.02, 1400, 96),
}
OTHERS: Final = Kind(0.06, 200, 40)  # any other season, of up to 30 steps
STEPS: Final = 16  # ahead of a series, that are learned from at once
WARM_UP, CLIP, DECAY, AVERAGE, EPOCH = 200, 1.0, 1e-4, 0.998, 100
LARGEST: Final = 1e4  # units of the scale: what came is so far away only where the history was constant


class Batch(NamedTuple):
    """What is read, what came, and the weight of each step: 0 where it is not learned from."""

    tokens: FloatArray
    static: FloatArray
    steps: FloatArray
    anchors: FloatArray
    truth: FloatArray
    weight: FloatArray


def kind_of(rng: Rng) -> tuple[Seasons, Kind]:
    """Draw seasons and their lengths."""
    shares = np.array([kind.share for kind in KINDS.values()] + [OTHERS.share])
    place = int(rng.choice(len(shares), p=shares / shares.sum()))
    if place == len(KINDS):
        return Seasons(int(rng.integers(2, 31))), OTHERS
    seasons, kind = list(KINDS.items())[place]
    # Without its second season, in some.
    return (Seasons(seasons.first) if rng.random() < 0.15 else seasons), kind


def make_batch(rng: Rng, n: int) -> Batch:
    """Draw series, cut their histories to any length, and read them."""
    seasons, kind = kind_of(rng)
    longest = int(rng.uniform(0.25, 1.0) * kind.longest) + 1
    h = int(rng.integers(1, kind.ahead + 1))
    values = draw(rng, n, longest + h, seasons)
    history, truth = values[:, :longest], values[:, longest:]
    kept = np.where(
        chosen(rng, 0.3, n), spread(rng, 1.0, longest, n), rng.uniform(longest / 4, longest + 1, (n, 1))
    )
    if rng.random() < 0.25:
        history = missing(rng, history)
    history = np.where(np.arange(longest) >= longest - np.maximum(kept.astype(int), 1), history, np.nan)
    reading = read(history, seasons, h)
    return learnt_from(rng, reading, truth)


def learnt_from(rng: Rng, reading: Reading, truth: FloatArray) -> Batch:
    """Choose steps of what came, and weigh series by how far they usually vary, which is known before."""
    h = truth.shape[1]
    picked = np.sort(np.concatenate([rng.permutation(h)[:STEPS], rng.integers(0, h, max(STEPS - h, 0))]))
    scaled = (truth[:, picked] - reading.base[:, None]) / reading.scale[:, None]
    weight = (np.abs(scaled) < LARGEST) / (0.3 + reading.usual[:, None])
    parts = (
        reading.tokens,
        reading.static,
        reading.steps[:, picked],
        reading.anchors[:, picked],
        np.clip(scaled, -LARGEST, LARGEST),
        weight,
    )
    return Batch(*(np.asarray(part, dtype=np.float32) for part in parts))


def scanned(gates: Any, recurrent: Any) -> Any:
    """Return the last state of an LSTM, as `foretell.series.prior_network.lstm` does, compiled."""
    units = recurrent.shape[0]

    def step(carry: Any, gate: Any) -> Any:
        state, memory = carry
        i, f, g, o = jnp.split(gate + state @ recurrent, 4, axis=1)
        memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(memory), memory), None

    start = jnp.zeros((gates.shape[0], units))
    (state, _), _ = jax.lax.scan(step, (start, start), gates.swapaxes(0, 1))
    return state


def initial(rng: Rng, sizes: dict[str, tuple[int, ...]]) -> Weights:
    """Return weights to start from: an even mean of the anchors, normal quantiles about it."""
    weights = {
        name: rng.standard_normal(shape) / np.sqrt(shape[0]) if len(shape) > 1 else np.zeros(shape)
        for name, shape in sizes.items()
    }
    units = sizes["lstm.recurrent"][0]
    weights["lstm.bias"][units : 2 * units] = 1.0
    weights["lstm.recurrent"] *= 0.7
    weights["out"] *= 0.05
    weights["out.bias"][-len(QUANTILES) - 1 : -1] = np.linspace(-2.0, 2.0, len(QUANTILES))
    return {name: jnp.asarray(value, dtype=jnp.float32) for name, value in weights.items()}


def loss_of(weights: Weights, batch: Batch) -> Any:
    """Return the mean pinball loss over steps and quantiles, weighted."""
    levels = jnp.asarray(QUANTILES)
    quantiles = forecast(weights, batch[:4], scanned, jnp)
    error = batch.truth[..., None] - quantiles
    pinball = jnp.maximum(levels * error, (levels - 1.0) * error).mean(axis=-1)
    return (pinball * batch.weight).sum() / jnp.maximum((batch.weight > 0).sum(), 1)


@jax.jit
def train_step(memory: dict[str, Weights], batch: Batch, count: Any, rate: Any) -> Any:
    """One step of Adam with decoupled decay and clipped gradients; and the average of weights."""
    weights = memory["weights"]
    loss, gradient = jax.value_and_grad(loss_of)(weights, batch)
    norm = jnp.sqrt(sum(jnp.sum(part**2) for part in gradient.values()))
    factor = jnp.minimum(1.0, CLIP / (norm + 1e-9))
    keep = jnp.minimum(AVERAGE, count / (count + 10.0))
    after: dict[str, Weights] = {name: {} for name in memory}
    for name, value in weights.items():
        part = gradient[name] * factor
        first = 0.9 * memory["first"][name] + 0.1 * part
        second = 0.999 * memory["second"][name] + 0.001 * part**2
        move = (first / (1.0 - 0.9**count)) / (jnp.sqrt(second / (1.0 - 0.999**count)) + 1e-8)
        after["first"][name], after["second"][name] = first, second
        after["weights"][name] = value - rate * (move + DECAY * value)
        after["average"][name] = keep * memory["average"][name] + (1.0 - keep) * after["weights"][name]
    return after, loss


class Batches:
    """Batches that a thread draws ahead; the k-th is the same whoever asks for it, and when."""

    def __init__(self, seed: int, size: int, begin: int) -> None:
        self.made: queue.Queue[Batch] = queue.Queue(4)
        threading.Thread(target=self._make, args=(seed, size, begin), daemon=True).start()

    def _make(self, seed: int, size: int, begin: int) -> None:
        while True:
            self.made.put(make_batch(np.random.default_rng([seed, begin]), size))
            begin += 1

    def __next__(self) -> Batch:
        return self.made.get()


def train(options: argparse.Namespace) -> None:
    """Train until the steps or the minutes are over."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    memory, done, curve, spent = resumed(options)
    batches = Batches(options.seed, options.batch, done)
    began, losses = time.monotonic() - spent, []
    passed = min(done / options.steps, 1.0)
    while passed < 1.0:
        done += 1
        rate = options.rate * min(done / WARM_UP, 1.0) * (0.5 + 0.5 * np.cos(np.pi * passed) + 0.005)
        memory, loss = train_step(memory, next(batches), float(done), rate)
        losses.append(loss)
        minutes = (time.monotonic() - began) / 60.0
        passed = max(done / options.steps, minutes / options.minutes)
        if done % EPOCH == 0 or passed >= 1.0:
            curve.append([done, round(minutes, 2), round(float(np.mean(losses)), 5)])
            print(*curve[-1], flush=True)
            losses = []
            saved(out, memory, curve, options)


def resumed(options: argparse.Namespace) -> tuple[dict[str, Weights], int, list[Any], float]:
    """Return where training stands: its memory, steps done, the curve, seconds spent."""
    checkpoint = options.out / "checkpoint.npz"
    if checkpoint.exists():
        card = json.loads((options.out / "card.json").read_text())
        memory: dict[str, Weights] = {}
        with np.load(checkpoint) as kept:
            for key in kept.files:
                part, name = key.split("/")
                memory.setdefault(part, {})[name] = jnp.asarray(kept[key])
        return memory, card["curve"][-1][0], card["curve"], 60.0 * card["curve"][-1][1]
    example = make_batch(np.random.default_rng(0), 2)
    sizes = shapes(*(part.shape[-1] for part in example[:3]), options.units, options.width)
    weights = initial(np.random.default_rng(options.seed), sizes)
    if options.start is not None:
        with np.load(options.start) as kept:
            weights = {name: jnp.asarray(kept[name], dtype=jnp.float32) for name in weights}
    print(sum(int(part.size) for part in weights.values()), "weights")
    nothing = {name: jnp.zeros_like(value) for name, value in weights.items()}
    return {"weights": weights, "first": nothing, "second": nothing, "average": weights}, 0, [], 0.0


def saved(out: Path, memory: dict[str, Weights], curve: list[Any], options: argparse.Namespace) -> None:
    """Write the checkpoint, the average of the weights in half precision, and the card."""
    flat = {f"{part}/{name}": value for part, group in memory.items() for name, value in group.items()}
    np.savez(out / "checkpoint.new.npz", **flat)
    (out / "checkpoint.new.npz").replace(out / "checkpoint.npz")
    np.savez_compressed(
        out / "weights.npz", **{name: np.asarray(v, np.float16) for name, v in memory["average"].items()}
    )
    settings = {name: value for name, value in vars(options).items() if name not in {"out", "start"}}
    card = {"trained_on": "synthetic series alone", "command": "python -m training.series_prior", **settings}
    (out / "card.json").write_text(json.dumps(card | {"curve": curve}, indent=1) + "\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory of the checkpoint, weights and card"
    )
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
