"""A forecaster of series as plain values, and back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from foretell.core.constraints import Whole, check_all
from foretell.core.contracts import Arrays, Described, State
from foretell.core.grid import Grid
from foretell.data.state import panel_state, refuse, with_data
from foretell.nn.settings import NetworkConfig, TrainConfig
from foretell.nn.state import member_arrays, members_of_arrays, network_of_state, network_state
from foretell.series.architecture import Shape
from foretell.series.auto import SeriesChoice
from foretell.series.calibration import Calibration
from foretell.series.covariates import CovariateCode
from foretell.series.fitting import SeriesModel
from foretell.series.network import SeriesNetwork
from foretell.series.quantiles import QUANTILES
from foretell.series.reading import Reading
from foretell.series.support import SUPPORTS, Support
from foretell.series.windows import WindowConfig

if TYPE_CHECKING:
    from foretell.series.forecaster import SeriesForecaster

_CODED = ("past", "future", "static")
_SCALES = ("loc", "scale", "typical")
_TRAINED = "trained"
# Of a window, however few weights a network of the user's own has.
_MOST_STEPS = 100_000


def forecaster_state(model: SeriesForecaster, read_as: Described) -> State:
    """Return what a forecaster has learned, and its panel, if it has one."""
    fitted = model.model_
    reading, network, calibration = fitted.reading, fitted.network, fitted.calibration
    params = {
        name: dataclasses.asdict(value) if name in {"training", "window"} and value is not None else value
        for name, value in model.get_params().items()
    }
    described = {
        "params": params | {"network": network_state(model.network, network.config)},
        "shape": dataclasses.asdict(network.shape),
        "network": dataclasses.asdict(network.config),
        "weights": [variable.path for variable in network.variables],
        "members": len(fitted.members),
        "auto": dataclasses.asdict(model.auto_) if model.auto_ else None,
        "codes": {name: dataclasses.asdict(getattr(reading, name)) for name in _CODED},
        "reading": {"kind": reading.kind, "log": reading.log, "cycles": reading.cycles},
        "trust": calibration.trust,
        "support": dataclasses.asdict(model.support_),
        "read_as": read_as,
    }
    arrays = member_arrays(fitted.members)
    arrays |= {"calibration": calibration.factors, "calibration.added": calibration.added}
    arrays |= {f"reading.{name}": getattr(reading, name) for name in _SCALES}
    panel = vars(model).get("panel_")
    ids = pl.Series("unique_id", list(reading.ids), dtype=None if panel is None else panel.ids.dtype)
    return State(described, arrays, {_TRAINED: ids.to_frame()}, None if panel is None else panel_state(panel))


def choice_of(state: State) -> SeriesChoice | None:
    """Return what an inner backtest chose, if there was one."""
    described = state.described["auto"]
    return (
        SeriesChoice.from_description(described, state.described["read_as"]["future"]) if described else None
    )


def support_of(state: State) -> Support:
    """Return which values the targets can have; nothing is known of models that were saved before."""
    n_targets = len(state.described["read_as"]["targets"])
    kept = state.described.get("support")
    if kept is None:
        return Support.anything(n_targets)
    support = Support(tuple(kept["kinds"]), tuple(map(bool, kept["intermittent"])))
    wrong = not set(support.kinds) <= set(SUPPORTS) or len(support.intermittent) != n_targets
    refuse("support", {"other kinds": wrong or len(support.kinds) != n_targets})
    return support


def settings(described: Described) -> dict[str, Any]:
    """Return the arguments of a forecaster."""
    params = dict(described["params"])
    for name, kind in (("training", TrainConfig), ("window", WindowConfig)):
        params[name] = None if params[name] is None else kind(**params[name])
    return params | {"network": network_of_state(params["network"])}


def series_model_of(state: State) -> SeriesModel:
    """Return the model that `forecaster_state` described."""
    described, arrays = state.described, state.arrays
    codes, about = described["codes"], described["reading"]
    reading = Reading(
        past=CovariateCode.from_description(codes["past"]),
        future=CovariateCode.from_description(codes["future"]),
        static=CovariateCode.from_description(codes["static"]),
        loc=arrays["reading.loc"],
        scale=arrays["reading.scale"],
        typical=arrays["reading.typical"],
        kind=about["kind"],
        log=about["log"],
        cycles=tuple(float(seen) for seen in about["cycles"]),
        ids=tuple(state.tables[_TRAINED]["unique_id"].to_list()),
    )
    loss = (described["params"]["training"] or {}).get("loss")
    built = network_of_state(described["network"]) or NetworkConfig()
    network = SeriesNetwork(built, _checked_shape(Shape(**described["shape"]), arrays), loss=loss)
    hash(network)  # compiled programs are known by it
    shapes = [tuple(variable.shape) for variable in network.variables]
    model = SeriesModel(
        network,
        members_of_arrays(arrays, described["members"], shapes),
        reading,
        Calibration(
            arrays["calibration"],
            described["trust"],
            arrays.get("calibration.added", np.zeros_like(arrays["calibration"])),
        ),
    )
    _check_model(model, described["read_as"])
    return model


def _checked_shape(shape: Shape, arrays: Arrays) -> Shape:
    """Return a shape; refuse one of which no network of the size that was saved can be built."""
    names = [field.name for field in dataclasses.fields(WindowConfig) if hasattr(shape, field.name)]
    WindowConfig(**{name: getattr(shape, name) for name in names})
    sizes = dict.fromkeys(("lookback", "patch", "horizon", "season", "n_targets", "maps"), Whole())
    check_all(vars(shape), sizes | dict.fromkeys(("n_past", "n_known", "n_static"), Whole(0)))
    weights = sum(values.size for name, values in arrays.items() if name.startswith("member0."))
    refuse(
        "network",
        {
            "steps without a calibration": len(arrays["calibration"]) != shape.steps,
            "more steps than weights": shape.lookback * shape.channels > max(weights, _MOST_STEPS),
            "parts of patches": shape.lookback % shape.patch > 0,
        },
    )
    return shape


def _check_model(model: SeriesModel, options: Described) -> None:
    """Refuse a model whose parts do not fit each other."""
    reading, shape = model.reading, model.network.shape
    factors, added, trust = model.calibration.factors, model.calibration.added, model.calibration.trust
    own = (len(reading.ids), shape.n_targets)
    widths = (reading.past.width, reading.static.width, reading.future.width + len(reading.cycles))
    refuse(
        "model",
        {
            "no members": not model.members,
            "another calibration": factors.shape != (shape.steps, len(QUANTILES))
            or not (np.isfinite(factors) & (factors >= 0)).all()
            or added.shape != factors.shape
            or not np.isfinite(added).all()
            or not 0.0 <= trust <= 1.0,
            "scales of other series": reading.loc.shape != own or reading.scale.shape != own,
            "scales that are infinite": any(
                np.isinf(part).any() for part in (reading.loc, reading.scale, reading.typical)
            ),
            "cycles that are neither seen nor not": not set(reading.cycles) <= {0.0, 1.0},
            "cycles of other steps": len(reading.cycles) != len(Grid(options["freq"]).calendar_names),
            "no typical scale": reading.typical.shape != (2, shape.n_targets)
            or np.isnan(reading.typical).any(),
            "covariates of other names": any(
                list(getattr(reading, name).names) != options[name] for name in _CODED
            ),
            "other covariates": widths != (shape.n_past, shape.n_static, shape.n_known),
            "other targets": len(options["targets"]) != shape.n_targets,
            "another normalisation": reading.kind != shape.normalise or reading.log != shape.log,
        },
    )


def of_today(state: State) -> State:
    """Return a state of today of one of the first formats, in which the panel's values were arrays."""
    if "panel" not in state.described:
        return state
    params = dict(state.described["params"])
    window = {name: params.pop(name) for name in ("method", "variables")}
    params["window"] = (params["window"] or {}) | window
    if not params.pop("refit"):
        params["training"] = (params["training"] or {}) | {"refit": False}
    state = dataclasses.replace(state, described={**state.described, "params": params})
    return dataclasses.replace(with_data(state), tables={_TRAINED: state.tables["trained_ids"]})
