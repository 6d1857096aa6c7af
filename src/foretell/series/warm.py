"""Series models that are not trained from the start: from earlier weights, or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from foretell.data.panel import Panel
from foretell.nn.custom import OwnNetwork
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.nn.steps import StepTrainer
from foretell.nn.training import Progress, Trained, side_by_side
from foretell.series.calibration import Calibration
from foretell.series.fitting import ROUND, Reading, SeriesModel, on_device, windows_of_a_step
from foretell.series.network import SeriesNetwork, Shape
from foretell.series.windows import roomy, split

# A warm start takes this share of the rounds, from this share of the learning rate on.
_ROUNDS, _RATE = 0.1, 0.3


def go_on(
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
    network = start.network
    shape = network.shape
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    widths = (reading.past.width, reading.future.width, reading.static.width)
    earlier = start.reading
    if widths != (earlier.past.width, earlier.future.width, earlier.static.width):
        return None
    rounds = max(round(_ROUNDS * training.epochs), 1)
    gentle = dataclasses.replace(training, epochs=rounds, learning_rate=_RATE * training.learning_rate)
    flat = on_device(reading.flat(panel, 0, roomy(panel.n_series), roomy(panel.n_rows)))
    windows = split(panel, 0, shape.steps, 0.0).train
    batch = windows_of_a_step(training, shape)
    trainer = StepTrainer(network, gentle, batch, ROUND)

    def job(m: int) -> Callable[[], Trained]:
        def report(epoch: int, loss: float, validation: float) -> None:
            if progress is not None:
                progress(Progress(m, epoch + 1, rounds, loss, validation))

        data = (flat, on_device(windows.filled(roomy(panel.n_rows))))
        return lambda: trainer.train(start.members[m], data, len(windows.end), seed + m, report=report)

    trained = side_by_side([job(m) for m in range(len(start.members))])
    members = tuple(list(one.weights) for one in trained)
    return SeriesModel(network, members, reading, start.calibration)


def untrained(panel: Panel, shape: Shape, network: NetworkConfig | OwnNetwork, seed: int) -> SeriesModel:
    """Return a model that has learned nothing: it forecasts its anchor."""
    blank = SeriesNetwork(network, shape, seed)
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    return SeriesModel(blank, (list(blank.initial()),), reading, Calibration.none(shape.steps))
