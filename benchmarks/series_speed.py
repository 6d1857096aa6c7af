"""What next, speed: python -m benchmarks.series_speed [--only peer predict windows]

peer      seconds to a better MASE than neuralforecast's LSTM on M4-Hourly, in the same run; it lives in an
          environment of its own, made once
predict   one series, in a process that has forecast before
windows   windows gathered and trained per second beside a bare compiled loop of the same network over batches
          that are already in place
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from benchmarks.parts import run_parts
from benchmarks.peers.environment import peer_python, run_peer
from benchmarks.series_data import M4_HORIZON, M4_SEASON, m4_hourly

import foretell as ft
from foretell.nn.samplers import WindowSampler
from foretell.nn.settings import SERIES
from foretell.nn.training import Trainer
from foretell.series.fitting import ROUNDS, choose_shape
from foretell.series.network import SeriesNetwork
from foretell.series.reading import Reading
from foretell.series.windows import gather, split
from foretell.stats import metrics

ROUND = ROUNDS[-1]
# The same network and windows as in the accuracy table, but one member and a few rounds of steps.
QUICK = ft.TrainConfig(epochs=4, learning_rate=4e-3, validation_fraction=0.0)
WINDOW = ft.WindowConfig(season=M4_SEASON, log=True)

_OURS = """
import json, sys, time
import polars as pl
import foretell as ft
from benchmarks.series_speed import QUICK, WINDOW
panel = ft.read_series(sys.argv[1], id="unique_id", time="ds", target="y", freq=1)
began = time.perf_counter()
model = ft.SeriesForecaster(int(sys.argv[2]), model="network", window=WINDOW, training=QUICK, ensemble=1)
model.fit(panel)
fitted = time.perf_counter()
table = model.predict(levels=[80])
predicted = time.perf_counter()
table.write_parquet(sys.argv[3])
print(json.dumps({"fit_s": fitted - began, "predict_s": predicted - fitted}))
"""


def beside_neuralforecast(runs: int) -> None:
    """Time both in turn, each in a fresh process, compilation included."""
    before, after = m4_hourly().tail_split(M4_HORIZON)
    scale = np.stack(
        [metrics.naive_scale(before.values[a:b], M4_SEASON)
         for a, b in zip(before.offsets[:-1], before.offsets[1:], strict=True)]
    )  # fmt: skip
    truth = after.values.reshape(before.n_series, M4_HORIZON, 1)

    def mase_of(path: Path, column: str) -> float:
        forecasts = pl.read_parquet(path).sort("unique_id", "ds")[column].to_numpy()
        return metrics.mase(truth, forecasts.reshape(truth.shape), scale)

    peer_python("neuralforecast")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        series, ours, theirs = (Path(folder) / f"{name}.parquet" for name in ("series", "ours", "theirs"))
        before.to_frame().write_parquet(series)
        for _ in range(runs):
            command = [sys.executable, "-c", _OURS, str(series), str(M4_HORIZON), str(ours)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            own = sum(json.loads(done.stdout).values())
            seconds = run_peer(
                "neuralforecast", "neuralforecast_lstm.py", series, M4_HORIZON, M4_SEASON, theirs
            )
            other = float(seconds["fit_s"]) + float(seconds["predict_s"])
            ratios.append(own / other)
            print(f"foretell {own:.1f} s, MASE {mase_of(ours, 'foretell'):.3f}; neuralforecast's LSTM "
                  f"{other:.1f} s, MASE {mase_of(theirs, 'LSTM'):.3f}; ratio 1/{1 / ratios[-1]:.1f}",
                  flush=True)  # fmt: skip
    print(f"median ratio 1/{1 / statistics.median(ratios):.1f}")


def one_series(runs: int = 200) -> None:
    """Time the forecast of one series by a fitted ensemble of three."""
    before = m4_hourly().tail_split(M4_HORIZON)[0]
    training = ft.TrainConfig(epochs=1, refit=False)
    model = ft.SeriesForecaster(M4_HORIZON, model="network", window=WINDOW, training=training).fit(before)
    single = before.take([7])
    model.predict(single)
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        model.predict(single)
        seconds.append(time.perf_counter() - began)
    p50, p95 = (1e3 * float(np.quantile(seconds, share)) for share in (0.5, 0.95))
    print(f"one series, {M4_HORIZON} steps, three members: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


def windows_per_second(runs: int = 7) -> None:
    """Time rounds of training that gather their windows, and the same rounds over batches in place."""
    panel = m4_hourly().tail_split(M4_HORIZON)[0]
    shape = choose_shape(panel, WINDOW, M4_HORIZON)
    network, batch = SeriesNetwork(SERIES.network, shape), 64
    flat = Reading.fit(panel, shape.normalise, log=shape.log).flat(panel, 0)
    windows = split(panel, shape.steps, 0.0).train
    windows = windows.filled(panel.n_series)
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, windows.n_windows, (ROUND, batch), dtype=np.int32)
    noise = rng.integers(0, 2**32, (ROUND, 2), dtype=np.uint32)
    trainer = Trainer(WindowSampler(network, batch, ROUND), SERIES.complete_training(QUICK))
    ready = _bare_round(network, trainer)
    in_place = _in_place(network, flat, windows, chosen)

    def timed(round_of: Callable[[Any], Any]) -> float:
        carry = trainer.start(trainer.optimizer.pack(network.initial())).carry
        began = time.perf_counter()
        jax.block_until_ready(round_of(carry))
        return ROUND * batch / (time.perf_counter() - began)

    data = ((flat, windows), windows.n_windows)
    steps = jax.jit(trainer.take_steps, donate_argnums=0)
    ours = lambda carry: steps(carry, (chosen, noise), data, trainer.rates)  # noqa: E731
    bare = lambda carry: ready(carry, in_place, noise)  # noqa: E731
    timed(ours), timed(bare)
    pairs = [(timed(ours), timed(bare)) for _ in range(runs)]
    ratio = statistics.median(own / other for own, other in pairs)
    own, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"windows a second: {own:,.0f} gathered and trained, {other:,.0f} in place; median ratio {ratio:.2f}"
    )


def _in_place(network: SeriesNetwork, flat: Any, windows: Any, chosen: Any) -> Any:
    """Return the batches of a round, gathered beforehand, shape (steps, batch, …) each."""
    shape = network.shape
    gather_one = jax.jit(lambda at: gather(flat, windows.at(at), shape.lookback, shape.steps))
    return jax.tree.map(lambda *parts: jnp.stack(parts), *(gather_one(at) for at in chosen))


def _bare_round(network: SeriesNetwork, trainer: Trainer) -> Callable[..., Any]:
    """Return a compiled loop over batches in place: loss, gradient, update, and nothing else."""

    def total(weights: Any, batch: Any, noise: Any) -> Any:
        value, count = network.batch_loss(trainer.optimizer.unpack(weights), batch, noise)
        return value / jnp.maximum(count, 1.0)

    def step(carry: Any, given: Any) -> Any:
        weights, slots = carry
        value, gradients = jax.value_and_grad(total)(weights, *given)
        weights, slots = trainer.optimizer.step(trainer.rates, slots, gradients, weights)
        return (weights, slots), value

    loop = jax.jit(lambda carry, batches, noise: jax.lax.scan(step, carry, (batches, noise)))
    return lambda carry, batches, noise: loop((carry[0], carry[2]), batches, noise)


PARTS = {
    "peer": lambda: beside_neuralforecast(1),
    "predict": one_series,
    "windows": windows_per_second,
}


if __name__ == "__main__":
    run_parts(PARTS, __doc__)
