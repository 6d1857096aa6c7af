"""Training of the horizon head: on simulated shops for the prior, on earlier origins for one log.

The prior is made by ``python -m foretell.events.horizon.training --rounds 600 --out DIR``. It may be stopped
at any time, and goes on from its last checkpoint in DIR when it is started again.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from foretell.core import FloatArray, IntArray
from foretell.events.horizon.features import GRID, Float32Array, Inputs, ShopSummary, Visits, inputs
from foretell.events.horizon.network import (
    Weights,
    anchor_knots,
    corrected,
    corrections,
    initial_weights,
    lstm_step,
)
from foretell.events.horizon.shops import random_shop

SHORT: Final = 9
"""Steps of the histories that are run without the many empty steps of the long ones."""
_HORIZONS: Final = 5  # of one row
_BATCH: Final = (704, 320)  # rows with short histories, and with long ones
_SHOPS, _ROWS, _STEPS = 48, 160, 16  # of a round: shops, customers of each, steps
_AVERAGED: Final = 0.999
_SLOWLY: Final = 0.97  # as the average moves where there are few steps
_HELD_OUT, _EVERY = 200, 25  # shops by which it is judged, and after how many rounds


class Rows(NamedTuple):
    """What the loss reads of n customers: inputs, and visits in some horizons, float32.

    Attributes
    ----------
    steps, context : arrays
        As in `Inputs`.
    odds, more : array, shape (n, n_knots)
        The anchor's curves.
    days : array, shape (n, n_horizons)
        Horizons in days of the clock.
    visits : array, shape (n, n_horizons)
        Visit days in each.
    """

    steps: Any
    context: Any
    odds: Any
    more: Any
    days: Any
    visits: Any

    def take(self, rows: IntArray) -> Rows:
        """Return some rows."""
        return Rows(*(part[rows] for part in self))


def rows_of(given: Inputs, days: FloatArray, visits: IntArray) -> Rows:
    """Return rows of customers of a shop: horizons of shape (n_horizons,), visits (n, n_horizons)."""
    parts = (
        given.steps,
        given.context,
        *anchor_knots(given.anchor),
        np.broadcast_to(days, visits.shape),
        visits,
    )
    return Rows(*(np.asarray(part, dtype=np.float32) for part in parts))


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several shops together."""
    return Rows(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def simulated_rows(seed: Sequence[int], *, most: int = _ROWS) -> Rows:
    """Return rows of a simulated shop, at its today, with horizons drawn at random."""
    rng = np.random.default_rng(seed)
    shop = random_shop(rng)
    visits = Visits(*shop.seen(), shop.today - 1)
    summary = ShopSummary.of(visits)
    longest = shop.end - shop.today
    ticks = np.exp(rng.uniform(0, np.log(longest), _HORIZONS)).astype(np.int64)
    ticks[-1] = longest
    chosen = rng.permutation(shop.n)[:most]
    days = summary.clock.ahead(visits.as_of, ticks)
    return rows_of(inputs(visits.take(chosen), summary), days, shop.counts(ticks)[chosen])


def log_likelihood(knots: tuple[Any, Any, Any], days: Any, visits: Any) -> Any:
    """Return the logarithm of P(N(u) = k) by `CountCurves`, shape (n, n_horizons); 0 where u is 0."""
    log_odds, log_more, log_shape = knots
    at = jnp.log2(jnp.maximum(days, 1e-2))
    k = jnp.clip(jnp.floor(at).astype(jnp.int32), 0, len(GRID) - 2)
    share = at - k

    def between(values: Any) -> Any:
        low, high = (jnp.take_along_axis(values, k + i, axis=1) for i in (0, 1))
        return low * (1 - share) + high * share

    odds, mean = between(log_odds), jnp.clip(between(log_more), -14.0, 9.0)
    shape, more = log_shape[:, None], jnp.maximum(visits - 1.0, 0.0)
    r = jnp.exp(shape)
    log_total = jnp.logaddexp(shape, mean)
    further = (
        gammaln(more + r) - gammaln(r) - gammaln(more + 1.0)
        + r * (shape - log_total) + more * (mean - log_total)
    )  # fmt: skip
    terms = jnp.where(visits > 0, jax.nn.log_sigmoid(odds) + further, jax.nn.log_sigmoid(-odds))
    return jnp.where(days > 0.01, terms, 0.0)


def read_histories(weights: Weights, steps: Any) -> Any:
    """Return the hidden state after the last step; steps of zeros before the first gap change nothing."""
    projected = jnp.swapaxes(steps @ weights["input"] + weights["gates"], 0, 1)
    begun = jnp.swapaxes((steps != 0).any(axis=2), 0, 1)[..., None]

    def step(state: tuple[Any, Any], given: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
        after = lstm_step(weights, state, given[0], jnp)
        kept = tuple(jnp.where(given[1], new, old) for new, old in zip(after, state, strict=True))
        return (kept[0], kept[1]), None

    start = jnp.zeros((steps.shape[0], weights["memory"].shape[0]))
    return jax.lax.scan(step, (start, start), (projected, begun))[0][0]


def loss(weights: Weights, short: Rows, long: Rows) -> Any:
    """Return the mean negative log-likelihood of two batches."""
    parts = [jnp.concatenate(pair) for pair in zip(short[1:], long[1:], strict=True)]
    context, odds, more, days, visits = parts
    hidden = jnp.concatenate([read_histories(weights, part.steps) for part in (short, long)])
    knots = corrected(corrections(weights, hidden, context, jnp), odds, more, jnp)
    return -log_likelihood(knots, days, visits).mean()


class Training(NamedTuple):
    """Where training stands: weights, Adam's two moments, the average of the weights, the steps taken."""

    weights: Weights
    first: Weights
    second: Weights
    average: Weights
    step: Any

    @classmethod
    def begin(cls, weights: Weights) -> Training:
        """Return the state before the first step."""
        zeros = {name: np.zeros_like(value) for name, value in weights.items()}
        return cls(weights, zeros, zeros, weights, np.float32(0))


@functools.partial(jax.jit, static_argnames=("averaged",))
def adam_step(
    state: Training, short: Rows, long: Rows, rate: Any, averaged: float = _AVERAGED
) -> tuple[Training, Any]:
    """Take a step of Adam with a clipped gradient, and move the average of the weights."""
    value, gradient = jax.value_and_grad(loss)(state.weights, short, long)
    norm = jnp.sqrt(sum(jnp.sum(part**2) for part in gradient.values()))
    clip = jnp.minimum(1.0, 1.0 / (norm + 1e-9))
    step = state.step + 1
    weights, first, second, average = {}, {}, {}, {}
    keep = jnp.minimum(averaged, step / (step + 10.0))
    for name, part in gradient.items():
        first[name] = 0.9 * state.first[name] + 0.1 * part * clip
        second[name] = 0.999 * state.second[name] + 0.001 * (part * clip) ** 2
        direction = first[name] / (1 - 0.9**step) / (jnp.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
        weights[name] = state.weights[name] - rate * (direction + 1e-3 * state.weights[name])
        average[name] = keep * state.average[name] + (1 - keep) * weights[name]
    return Training(weights, first, second, average, step), value


class Batches:
    """Batches of fixed shapes, drawn from rows: most of them of short histories."""

    def __init__(self, rows: Rows, sizes: tuple[int, int]) -> None:
        n_steps = (rows.steps != 0).any(axis=2).sum(axis=1)
        self.rows, self.sizes = rows, sizes
        self.short, self.long = (np.flatnonzero(part) for part in (n_steps <= SHORT, n_steps > SHORT))

    def draw(self, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """Return a batch of short histories and one of long ones."""
        short, long = (
            self.rows.take(rng.choice(part if len(part) else np.arange(len(self.rows.steps)), size))
            for part, size in zip((self.short, self.long), self.sizes, strict=True)
        )
        return short._replace(steps=short.steps[:, -SHORT:]), long


def learning_rate(share: float, peak: float) -> float:
    """Return the rate after a share of the training: a short rise, then half a cosine."""
    return peak * min(1.0, share / 0.02 + 0.02) * (0.5 * (1 + math.cos(math.pi * share)) + 0.005)


def train_prior(out: Path, *, rounds: int, seed: int, peak: float) -> None:
    """Train the prior from its last checkpoint on, or from the start; see the module."""
    out.mkdir(parents=True, exist_ok=True)
    recipe = {"rounds": rounds, "seed": seed, "peak_rate": peak, "shops": _SHOPS, "rows": _ROWS,
              "steps": _STEPS, "batch": _BATCH, "averaged": _AVERAGED}  # fmt: skip
    checkpoint, curve_file = out / "checkpoint.npz", out / "curve.json"
    held_out = [simulated_rows((seed, 10**6, k)) for k in range(_HELD_OUT)]
    shape = (held_out[0].steps.shape[2], held_out[0].context.shape[1])
    state, done, seconds, curve = (
        Training.begin(initial_weights(np.random.default_rng(seed), *shape)),
        0,
        0.0,
        [],
    )
    if checkpoint.exists():
        state, done, seconds = _read(checkpoint)
        curve = json.loads(curve_file.read_text())["curve"]
    judged = joined(held_out)
    began, losses = time.process_time() - seconds, []
    for number in range(done, rounds):
        batches = Batches(joined([simulated_rows((seed, number, k)) for k in range(_SHOPS)]), _BATCH)
        rng = np.random.default_rng((seed, number))
        for _ in range(_STEPS):
            state, value = adam_step(state, *batches.draw(rng), learning_rate(number / rounds, peak))
            losses.append(value)
        if number % _EVERY == _EVERY - 1 or number == rounds - 1:
            seconds = time.process_time() - began
            point = {"round": number + 1, "seconds": round(seconds), "loss": float(np.mean(losses))}
            curve.append(point | {"held_out": float(_judge(state.average, judged))})
            losses = []
            _write(checkpoint, state, number + 1, seconds)
            write_weights(out / "prior.npz", state.average)
            curve_file.write_text(json.dumps({"recipe": recipe, "curve": curve}, indent=1))
            print(curve[-1], flush=True)  # noqa: T201  # a command that says how far it is


_ORIGINS: Final = np.linspace(0.35, 0.94, 7)  # shares of the log at which it is looked ahead
_JUDGED: Final = 0.78  # share of the log by which the number of steps is chosen, on what comes after it
_CHOICES: Final = (0, 20, 40, 80)
_CUSTOMERS: Final = 3000  # at one origin
_OWN_BATCH: Final = (352, 160)
_GENTLE: Final = 5e-5  # at 3e-4 a log's own origins are taken for all that can come


def adapted(weights: Weights, visits: Visits, *, seed: int) -> dict[str, Float32Array]:
    """Return weights after further steps on a log's own earlier origins, as many as later visits gain by.

    How many is chosen on the last part of the log: the network is trained on what came before it, and judged
    by the likelihood of what came then. Where nothing is gained the weights stay as they are.
    """
    origin = int(visits.first.min())
    span = visits.as_of - origin
    judge = origin + int(_JUDGED * span)
    rng = np.random.default_rng(seed)
    held_out = _looked_ahead(visits, judge, visits.as_of, rng)
    earlier = [_looked_ahead(visits, origin + int(o * (judge - origin)), judge, rng) for o in _ORIGINS]
    known = [rows for rows in earlier if rows is not None]
    if held_out is None or not known:
        return weights
    losses: list[float] = []

    def judged(now: Weights) -> None:
        losses.append(float(_judge(now, held_out)))

    _steps_on(weights, joined(known), rng, judged, _CHOICES[-1])
    steps = _CHOICES[int(np.argmin(losses))]
    if not steps:
        return weights
    all_rows = [_looked_ahead(visits, origin + int(o * span), visits.as_of, rng) for o in _ORIGINS]
    final = _steps_on(weights, joined([rows for rows in all_rows if rows is not None]), rng, None, steps)
    return {name: np.asarray(value) for name, value in final.items()}


def _steps_on(
    weights: Weights,
    rows: Rows,
    rng: np.random.Generator,
    judge: Callable[[Weights], None] | None,
    most: int,
) -> Weights:
    """Return the average of the weights after some steps, shown to a judge at each number to choose from."""
    state, batches = Training.begin(weights), Batches(rows, _OWN_BATCH)
    for step in range(most + 1):
        if judge is not None and step in _CHOICES:
            judge(state.average)
        if step < most:
            state, _ = adam_step(state, *batches.draw(rng), _GENTLE * min(1.0, (step + 1) / 20), _SLOWLY)
    return state.average


def _looked_ahead(visits: Visits, origin: int, until: int, rng: np.random.Generator) -> Rows | None:
    """Return rows of customers as they stood at an origin, with their visits up to a later date."""
    past, longest = visits.until(origin), until - origin
    if longest < 2 or len(past.count) == len(past.time):
        return None
    chosen = rng.permutation(len(past.count))[:_CUSTOMERS]
    ticks = np.exp(rng.uniform(0, np.log(longest), _HORIZONS)).astype(np.int64)
    ticks[-1] = longest
    known = np.unique(visits.owner[visits.time <= origin])[chosen]
    counts = [
        np.bincount(
            visits.owner[(visits.time > origin) & (visits.time <= origin + t)], minlength=len(visits.count)
        )
        for t in ticks
    ]
    summary = ShopSummary.of(past)
    days = summary.clock.ahead(origin, ticks)
    return rows_of(inputs(past.take(chosen), summary), days, np.stack(counts, axis=1)[known])


@jax.jit
def _judge(weights: Weights, rows: Rows) -> Any:
    knots = corrected(
        corrections(weights, read_histories(weights, rows.steps), rows.context, jnp),
        rows.odds,
        rows.more,
        jnp,
    )
    return -log_likelihood(knots, rows.days, rows.visits).mean()


def write_weights(path: Path, weights: Weights) -> None:
    """Write weights in half precision."""
    half: Weights = dict(weights)
    half |= {name: np.asarray(value, dtype=np.float16) for name, value in weights.items()}
    np.savez_compressed(path, **half)


def _write(path: Path, state: Training, done: int, seconds: float) -> None:
    parts: Weights = {
        f"{field}.{name}": np.asarray(value)
        for field in Training._fields[:-1]
        for name, value in getattr(state, field).items()
    }
    there = path.with_suffix(".new.npz")
    np.savez(there, step=np.asarray(state.step), done=done, seconds=seconds, **parts)
    there.replace(path)


def _read(path: Path) -> tuple[Training, int, float]:
    with np.load(path) as stored:
        fields = [
            {name.split(".")[1]: stored[name] for name in stored.files if name.startswith(f"{field}.")}
            for field in Training._fields[:-1]
        ]
        weights, first, second, average = fields
        return (
            Training(weights, first, second, average, stored["step"]),
            int(stored["done"]),
            float(stored["seconds"]),
        )


def main() -> None:
    """Train the prior."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=2e-3)
    asked = parser.parse_args()
    train_prior(asked.out, rounds=asked.rounds, seed=asked.seed, peak=asked.rate)


if __name__ == "__main__":
    main()
