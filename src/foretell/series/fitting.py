"""Fit of the series model: its shape, the ensemble by the compiled loop, its calibration."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.data.panel import Panel
from foretell.data.periodicity import find_season
from foretell.errors import DataError
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array, Tree, Weights, jitted, side_by_side
from foretell.nn.custom import OwnNetwork
from foretell.nn.samplers import WindowSampler, evaluated
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.nn.training import Progress, Trained, Trainer, gentle, reporter
from foretell.series.architecture import Shape
from foretell.series.calibration import Calibration, clusters_of, reach_of_rule
from foretell.series.covariates import CovariateCode
from foretell.series.network import SeriesNetwork
from foretell.series.reading import Reading
from foretell.series.windows import Flat, Spans, WindowConfig, Windows, all_windows, gather, roomy, split

# Steps of one compiled round, after which the held-out windows are looked at: the first of these in which so
# many rounds draw as many windows as the panel has rows.
ROUNDS, _ROUNDS_OF_ROWS = (25, 50, 100), 4
# Rows to learn from: more windows than that are not drawn in a whole training.
_MOST_ROWS = 4_000_000
# A warm start takes this share of the rounds, and so does the scout when it goes on to the last part.
_WARM_EPOCHS = 0.1
# Windows of a step; where targets share the network each window counts for as many.
_BATCH = 128
# A lookback reaches back over so many horizons or, if that is more, so many seasons, where series are twice
# as long.
_HORIZONS_BACK, _SEASONS_BACK = 3, 14
# Series differ in what repeats: a linear map for so many of them, up to some number.
_SERIES_PER_MAP, _MOST_MAPS = 8, 8


@dataclasses.dataclass(frozen=True)
class SeriesModel:
    """What is learned: the network, the members' weights, how panels are read, how quantiles are widened.

    Attributes
    ----------
    network : SeriesNetwork
    members : tuple of lists of arrays
    reading : Reading
    calibration : Calibration
    """

    network: SeriesNetwork
    members: tuple[list[npt.NDArray[np.float32]], ...]
    reading: Reading
    calibration: Calibration

    @functools.cached_property
    def stacked(self) -> list[Array]:
        """The members' weights on the device, shape (n_members, …) each."""
        return [to_device(np.stack(parts)) for parts in zip(*self.members, strict=True)]


def windows_of_a_step(training: TrainConfig, shape: Shape) -> int:
    """Return the batch size: what was asked for, or so many windows that each target's count together."""
    apart = shape.n_targets if shape.variables == "shared" else 1
    return training.batch_size or max(_BATCH // apart, 8)


def steps_of_a_round(n_rows: int, batch: int) -> int:
    """Return the steps of a round: a small panel has been seen after fewer of them.

    Examples
    --------
    >>> [steps_of_a_round(n_rows, 128) for n_rows in (4_000, 20_000, 400_000)]
    [25, 50, 100]
    """
    return next((n for n in ROUNDS if _ROUNDS_OF_ROWS * n * batch >= n_rows), ROUNDS[-1])


def fit_series_model(
    panel: Panel,
    shape: Shape,
    network: NetworkConfig | OwnNetwork,
    training: TrainConfig,
    *,
    ensemble: int,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> SeriesModel:
    """Fit the series model to a panel.

    The first member is a scout: it is trained on all but the last part of each series, says when to stop and
    by how much the quantiles have to be widened, and goes on, gently, to the last part. The others are
    trained on everything, for as many rounds.
    """
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    panel = sampled(panel)
    networks = [SeriesNetwork(network, shape, seed + m, training.loss) for m in range(ensemble)]
    initial = [one.initial() for one in networks]
    members = _Members(networks[0], reading, panel, training, seed, progress)
    windows = split(panel, shape.steps, training.validation_fraction)
    if not len(windows.held_out.end):
        trained = members.train(initial, windows.train)
        return SeriesModel(networks[0], _weights(trained), reading, Calibration.none(shape.steps))
    if training.refit:
        scout = members.train(initial[:1], windows.train, windows.held_out)
        trained = members.refit(scout[0], initial[1:], split(panel, shape.steps, 0.0).train)
    else:
        trained = scout = members.train(initial, windows.train, windows.held_out)
    errors = rule_errors(networks[0], members.flat, all_windows(panel, shape.steps, shape.season))
    rule = reach_of_rule(errors, shape.season)
    calibration = _calibrate(networks[0], _weights(scout), members.flat, windows.held_out, rule)
    return SeriesModel(networks[0], _weights(trained), reading, calibration)


def sampled(panel: Panel) -> Panel:
    """Return the panel of as many series, drawn at random, as there is something to learn from."""
    if panel.n_rows <= _MOST_ROWS:
        return panel
    order = np.random.default_rng(0).permutation(panel.n_series)
    within = int(np.searchsorted(np.cumsum(panel.lengths[order]), _MOST_ROWS))
    return panel.take(np.sort(order[: max(within, 1)]))


def train_further(
    panel: Panel,
    start: SeriesModel,
    training: TrainConfig,
    *,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> SeriesModel | None:
    """Train an earlier model's members further, gently, on a panel that has gone on.

    Trust and calibration stay: they came from windows that the earlier model had not been trained on. Returns
    None where the panel's covariates are coded differently now, so that the weights do not fit.
    """
    network, earlier = start.network, start.reading
    shape = network.shape
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    widths = (reading.past.width, reading.future.width, reading.static.width)
    if widths != (earlier.past.width, earlier.future.width, earlier.static.width):
        return None
    panel = sampled(panel)
    members = _Members(network, reading, panel, gentle(training, _WARM_EPOCHS), seed, progress)
    trained = members.train(start.members, split(panel, shape.steps, 0.0).train)
    return SeriesModel(network, _weights(trained), reading, start.calibration)


def untrained(panel: Panel, shape: Shape, network: NetworkConfig | OwnNetwork, seed: int) -> SeriesModel:
    """Return a model that has learned nothing: it forecasts its anchor."""
    blank = SeriesNetwork(network, shape, seed)
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    return SeriesModel(blank, (list(blank.initial()),), reading, Calibration.none(shape.steps))


class _Members:
    """Trains the members of an ensemble side by side, on windows of one panel."""

    def __init__(
        self,
        network: SeriesNetwork,
        reading: Reading,
        panel: Panel,
        training: TrainConfig,
        seed: int,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.training, self.seed, self.progress = training, seed, progress
        room = (roomy(panel.n_series), roomy(panel.n_rows))
        self.series = room[0]
        self.flat = reading.flat(panel, reading.units(panel), 0, room)
        batch = windows_of_a_step(training, network.shape)
        self.sampler = WindowSampler(network, batch, steps_of_a_round(panel.n_rows, batch))
        self.dropout = getattr(network.config, "dropout", 0.0)
        self.held_out: Tree = None

    def train(
        self, initial: Sequence[Weights], windows: Spans, held_out: Windows | None = None
    ) -> list[Trained]:
        """Train from initial weights, on windows, with others by which to stop."""
        if held_out is not None:
            data = (self.flat, held_out.filled(roomy(len(held_out.end))))
            self.held_out = (data, evaluated(len(held_out.end)))
        jobs = [self._job(self.training, m, start, windows) for m, start in enumerate(initial)]
        return side_by_side(jobs)

    def refit(self, scout: Trained, initial: Sequence[Weights], windows: Spans) -> list[Trained]:
        """Let the scout go on to all windows, and train the others on them for as many rounds as it took."""
        further, epochs = gentle(self.training, _WARM_EPOCHS), max(int(scout.epochs), 1)
        jobs = [self._job(self.training, m, start, windows, epochs) for m, start in enumerate(initial, 1)]
        *others, first = side_by_side([*jobs, self._job(further, 0, scout.weights, windows, further.epochs)])
        return [first, *others]

    def _job(
        self, training: TrainConfig, m: int, initial: Weights, windows: Spans, epochs: int | None = None
    ) -> Callable[[], Trained]:
        trainer = Trainer(self.sampler, training, dropout=self.dropout, joined=True)
        train = ((self.flat, windows.filled(self.series)), windows.n_windows)
        report = reporter(self.progress, m, epochs or training.epochs)
        return functools.partial(
            trainer.train, initial, train, self.held_out, seed=self.seed + m, epochs=epochs, report=report
        )


def _weights(trained: list[Trained]) -> tuple[list[npt.NDArray[np.float32]], ...]:
    return tuple(list(one.weights) for one in trained)


def _calibrate(
    network: SeriesNetwork, members: Sequence[Weights], flat: Flat, held_out: Windows, rule: FloatArray
) -> Calibration:
    """Compare the members' mean quantiles with the truth of held-out windows."""
    quantiles, truths, anchors = [], [], []
    for part, count in _in_chunks(held_out):
        passes = [normalised_with_truth(network, weights, flat, part) for weights in members]
        quantiles.append(np.mean([np.sort(q[:count], axis=-1) for q, *_ in passes], axis=0))
        truths.append(_where_observed(*passes[0][1:3])[:count])
        anchors.append(np.asarray(passes[0][3])[:count])
    clusters = clusters_of(held_out, network.shape.steps, network.shape.n_targets)
    truth, forecast, anchor = (np.concatenate(parts) for parts in (truths, quantiles, anchors))
    return Calibration.fit(truth, forecast, anchor, clusters, rule)


def rule_errors(network: SeriesNetwork, flat: Flat, windows: Windows) -> FloatArray:
    """Return what came after windows less the anchor, in scales of the window; NaN where nothing came."""
    parts = [
        _where_observed(*_rule_errors(network, flat, part))[:count] for part, count in _in_chunks(windows)
    ]
    return np.concatenate(parts)


def _where_observed(values: Array, observed: Array) -> FloatArray:
    """Return values, NaN where nothing was observed."""
    return np.where(np.asarray(observed) > 0, np.asarray(values, dtype=np.float64), np.nan)


def _in_chunks(windows: Windows, size: int = 256) -> Iterator[tuple[Windows, int]]:
    """Return windows on the device, of one size, and how many there are of them."""
    for begin in range(0, len(windows.end), size):
        part = Windows(*(column[begin : begin + size] for column in windows))
        yield part.filled(size), len(part.end)


@jitted(0)
def _rule_errors(network: SeriesNetwork, flat: Flat, windows: Windows) -> tuple[Array, Array]:
    batch = gather(flat, windows, network.shape.lookback, network.shape.steps)
    _, loc, scale, anchor = network.inputs(batch)
    truth, observed = network.truth(batch, loc, scale)
    return truth - anchor, observed


@jitted(0)
def normalised_with_truth(
    network: SeriesNetwork, weights: Weights, flat: Flat, windows: Windows
) -> tuple[Array, Array, Array, Array]:
    """Return quantiles of some windows, what came, which of it was observed, and the anchor, normalised."""
    shape = network.shape
    batch = gather(flat, windows, shape.lookback, shape.steps)
    quantiles, loc, scale, anchor = network.quantiles(weights, batch)
    truth, observed = network.truth(batch, loc, scale)
    return quantiles, truth, observed, anchor


def choose_shape(panel: Panel, window: WindowConfig, horizon: int) -> Shape:
    """Return the network's shape: what was chosen, the rest by season, horizon and lengths."""
    season = window.season or find_season(panel)
    patch = window.patch or _default_patch(season, horizon)
    if window.lookback is None:
        seasons = _SEASONS_BACK * season if season > 1 else 0
        most = max(int(np.median(panel.lengths)) // 2, patch)
        lookback = min(max(_HORIZONS_BACK * horizon, seasons, 4 * patch), most)
    else:
        lookback = window.lookback
    lookback = max(round(lookback / patch), 1) * patch
    code = [CovariateCode.fit(part) for part in (panel.past, panel.future, panel.static)]
    if window.log and float(np.nanmin(panel.values)) <= -1.0:
        raise DataError(
            f"log=True takes log(1 + y), and the smallest value is {float(np.nanmin(panel.values)):g}; "
            "expected values that are never negative: use another normalisation"
        )
    return Shape(
        lookback=lookback,
        patch=patch,
        horizon=horizon,
        season=season,
        n_targets=len(panel.targets),
        n_past=code[0].width,
        n_known=len(panel.grid.calendar_names) + code[1].width,
        n_static=code[2].width,
        normalise=window.normalise or ("window" if season > 1 else "last"),
        log=window.log,
        variables="joined" if len(panel.targets) == 1 and window.variables == "shared" else window.variables,
        method=window.method,
        maps=int(np.clip(panel.n_series * len(panel.targets) // _SERIES_PER_MAP, 1, _MOST_MAPS)),
    )


def _default_patch(season: int, horizon: int) -> int:
    """Return a whole season, or a share of it so that a horizon is not much less than a patch."""
    if season == 1:
        return max(min(horizon // 2, 8), 1)
    if season <= 48:
        return season
    return max(d for d in range(1, 49) if season % d == 0)
