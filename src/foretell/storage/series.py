"""A series forecaster as JSON and plain arrays, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foretell.core.contracts import Arrays
from foretell.data.state import panel_of_parts, panel_parts
from foretell.nn.custom import OwnNetwork
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.series.auto import SeriesChoice
from foretell.series.calibration import Calibration
from foretell.series.encoding import CovariateCode
from foretell.series.fitting import Reading, SeriesModel
from foretell.series.forecaster import SeriesForecaster
from foretell.series.network import SeriesNetwork, Shape
from foretell.series.windows import WindowConfig
from foretell.storage.files import Contents


def _network(**kept: Any) -> NetworkConfig | OwnNetwork:
    return OwnNetwork(**kept) if "architecture" in kept else NetworkConfig(**kept)


_CONFIGS: dict[str, Callable[..., Any]] = {
    "network": _network,
    "training": TrainConfig,
    "window": WindowConfig,
}
_CODED = ("past", "future", "static")
_PANEL_IDS, _MODEL_IDS = "ids.parquet", "trained_ids.parquet"


def write_series(model: SeriesForecaster, place: Path) -> tuple[dict[str, Any], Arrays]:
    """Return what JSON describes and the arrays; ids are written to the directory."""
    panel, fitted = model.panel_, model.model_
    reading = fitted.reading
    panel_described, arrays = panel_parts(panel)
    given = model.get_params()
    if given["network"] is not None:
        given["network"] = fitted.network.config  # a user's own network by its architecture
    params = {
        name: dataclasses.asdict(value) if name in _CONFIGS and value is not None else value
        for name, value in given.items()
    }
    described = {
        "params": params,
        "shape": dataclasses.asdict(fitted.network.shape),
        "network": dataclasses.asdict(fitted.network.config),
        "weights": [variable.path for variable in fitted.network.variables],
        "members": len(fitted.members),
        "auto": dataclasses.asdict(model.auto_) if model.auto_ else None,
        "codes": {name: dataclasses.asdict(getattr(reading, name)) for name in _CODED},
        "reading": {"kind": reading.kind, "log": reading.log, "cycles": reading.cycles},
        "panel": panel_described,
    }
    arrays |= {f"reading.{name}": getattr(reading, name) for name in ("loc", "scale", "typical")}
    arrays["calibration"] = fitted.calibration.factors
    described["trust"] = fitted.calibration.trust
    for m, weights in enumerate(fitted.members):
        arrays |= {f"member{m}.{i}": weight for i, weight in enumerate(weights)}
    pl.DataFrame({"unique_id": panel.ids}).write_parquet(place / _PANEL_IDS)
    trained = pl.Series("unique_id", list(reading.ids), dtype=panel.ids.dtype)
    pl.DataFrame({"unique_id": trained}).write_parquet(place / _MODEL_IDS)
    return described, arrays


def read_series_model(described: dict[str, Any], arrays: Arrays, place: Contents) -> SeriesForecaster:
    """Return the forecaster that `write_series` described."""
    params = {
        name: _CONFIGS[name](**value) if name in _CONFIGS and value is not None else value
        for name, value in described["params"].items()
    }
    codes = {name: _code(kept) for name, kept in described["codes"].items()}
    reading = Reading(
        past=codes["past"],
        future=codes["future"],
        static=codes["static"],
        loc=arrays["reading.loc"],
        scale=arrays["reading.scale"],
        typical=arrays["reading.typical"],
        kind=described["reading"]["kind"],
        log=described["reading"]["log"],
        cycles=tuple(described["reading"]["cycles"]),
        ids=tuple(pl.read_parquet(place / _MODEL_IDS)["unique_id"].to_list()),
    )
    loss = (described["params"]["training"] or {}).get("loss")
    network = SeriesNetwork(_network(**described["network"]), Shape(**described["shape"]), loss=loss)
    n_weights = len(described["weights"])
    members = tuple(
        [np.asarray(arrays[f"member{m}.{i}"]) for i in range(n_weights)] for m in range(described["members"])
    )
    model = SeriesForecaster(**params)
    model.model_ = SeriesModel(
        network, members, reading, Calibration(arrays["calibration"], described["trust"])
    )
    if described.get("auto"):
        model.auto_ = SeriesChoice(**described["auto"])
    ids = pl.read_parquet(place / _PANEL_IDS)["unique_id"]
    model.panel_ = panel_of_parts(described["panel"], arrays, ids)
    return model


def _code(kept: dict[str, Any]) -> CovariateCode:
    categories = {name: tuple(known) for name, known in kept["categories"].items()}
    return CovariateCode(tuple(kept["names"]), tuple(kept["mean"]), tuple(kept["deviation"]), categories)
