"""Exported programs of series forecast as `forecast` does."""

import functools
import json
import time

import numpy as np
import pytest
from tests.contract.cases import HORIZON, own_windows, values
from tests.exports import run, session_of

import foretell as ft
from foretell.data.tables import quantiles_for
from foretell.series import forecaster
from foretell.series.calibration import Calibration
from foretell.series.fitting import SeriesModel
from foretell.series.network import SeriesNetwork
from foretell.series.quantiles import QUANTILES
from foretell.series.reading import Reading

pytest.importorskip("jax2onnx")


def anywhere(panel, shape, network, training, *, ensemble, seed, progress):
    """Return a model with weights and a calibration far from where training begins, without training."""
    rng = np.random.default_rng(5)
    networks = [SeriesNetwork(network, shape, seed + m, training.loss) for m in range(ensemble)]
    members = tuple([w + 0.3 * rng.normal(size=w.shape) for w in one.initial()] for one in networks)
    members = tuple([w.astype(np.float32) for w in weights] for weights in members)
    reading = Reading.fit(panel, shape.normalise, log=shape.log)
    factors = np.broadcast_to(
        1.0 + np.abs(np.linspace(-0.5, 0.5, len(QUANTILES))), (shape.steps, len(QUANTILES))
    )
    added = np.linspace(-0.3, 0.3, len(QUANTILES)) * np.arange(1, shape.steps + 1)[:, None]
    return SeriesModel(networks[0], members, reading, Calibration(factors, 0.7, added))


@pytest.fixture(scope="module", autouse=True)
def without_training():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecaster, "fit_series_model", anywhere)
        yield


def panel_of(n_targets=1, covariates=False, n_steps=60):
    """Return five daily series of different lengths with holes, the first shorter than a window."""
    rng = np.random.default_rng(3)
    lengths = [9, n_steps, n_steps - 4, n_steps, n_steps - 11]
    series, n = [], len(lengths)
    for length in lengths:
        week = 3.0 * np.sin(2 * np.pi * np.arange(length) / 7)
        rows = 20.0 + week[:, None] + rng.normal(size=(length, n_targets))
        rows[rng.random(rows.shape) < 0.1] = np.nan
        rows[0] = 20.0
        series.append(rows)
    extra = {}
    if covariates:
        extra["past"] = {"driver": [rng.normal(5.0, 2.0, length) for length in lengths]}
        kinds = np.array(["no", "some", "much"])
        extra["future"] = {"promo": [kinds[rng.integers(3, size=length + HORIZON)] for length in lengths]}
        extra["static"] = {"size": rng.normal(100.0, 10.0, n), "town": ["x", "y", "x", "y", "z"]}
    targets = [f"y{k}" for k in range(n_targets)]
    return ft.Panel.from_arrays(series, freq="1d", start="2022-01-03", targets=targets, **extra)


def windows(model, panel):
    """Return what an exported program reads of the ends of a panel's series."""
    shape = model.model_.network.shape
    lookback, steps, n = shape.lookback, shape.steps, panel.n_series
    kept = np.minimum(panel.lengths, lookback)

    def tail(rows, ahead=None):
        out = np.full((n, lookback + (steps if ahead is not None else 0), rows.shape[1]), np.nan, np.float32)
        for i in range(n):
            out[i, lookback - kept[i] : lookback] = rows[
                panel.offsets[i + 1] - kept[i] : panel.offsets[i + 1]
            ]
            if ahead is not None:
                known = ahead[panel.ahead_offsets[i] : panel.ahead_offsets[i + 1]][:steps]
                out[i, lookback : lookback + len(known)] = known
        return out

    inputs = {"values": tail(panel.values), "lengths": kept.astype(np.int32)}
    program = model._program([80], [])
    if "last" in program.inputs:
        inputs["last"] = panel.ends.astype(np.int32)
    if "series" in program.inputs:
        inputs["series"] = np.arange(n, dtype=np.int32)
    if panel.past.names:
        inputs["past"] = tail(panel.past.values)
        inputs["future"] = tail(panel.future.values, panel.ahead.values)
        inputs["static"] = panel.static.values.astype(np.float32)
    return inputs


def check(model, panel, path):
    inputs = windows(model, panel)
    answers = run(path, inputs)["quantiles"]
    own = model.forecast(panel, HORIZON, quantiles_for([80]))
    assert answers.shape == own.shape
    assert not np.allclose(own[..., 0], own[..., 2])
    np.testing.assert_allclose(answers, own, rtol=1e-5)
    return inputs


CASES = {
    "one target": ({}, {}),
    "two targets, shared": ({"n_targets": 2}, {}),
    "two targets, joined": ({"n_targets": 2}, {"variables": "joined"}),
    "two targets in branches": ({"n_targets": 2, "covariates": True}, {"variables": "branches"}),
    "covariates": ({"covariates": True}, {}),
    "written by a decoder": ({}, {"method": "seq2seq"}),
    "logarithms": ({}, {"log": True}),
    "scales of whole series": ({}, {"normalise": "standard"}),
    "years": ({"n_steps": 800}, {}),
}
NETWORKS = {
    "of both directions": lambda: ft.NetworkConfig(layers=1, units=4, dense=4, bidirectional=True),
    "of one's own": lambda: own_windows,
    "of minlstm": lambda: ft.NetworkConfig("minlstm", layers=1, units=4, dense=4),
}
# Converted to ONNX in every run of the tests; the others are slow.
QUICK = ("covariates",)
# jax2onnx knows no padding of arrays of any size, nor one between rows, as parallel scans need.
NO_ONNX = ("written by a decoder", "of minlstm")


@functools.cache
def fitted(case):
    if case in NETWORKS:
        return values(network=NETWORKS[case]()).fit(panel_of()), panel_of()
    rows, window = CASES[case]
    panel = panel_of(**rows)
    window = {"lookback": 14, "patch": 7, "season": 7} | window
    return values(window=ft.WindowConfig(**window), ensemble=2).fit(panel), panel


@pytest.mark.parametrize("case", CASES)
def test_a_stablehlo_file_forecasts_as_the_model_does(case, tmp_path):
    model, panel = fitted(case)
    check(model, panel, model.export(tmp_path / "what.stablehlo", levels=[80]))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[] if case in QUICK else [pytest.mark.slow])
        for case in CASES
        if case not in NO_ONNX
    ],
)
def test_an_onnx_file_forecasts_as_the_model_does(case, tmp_path):
    model, panel = fitted(case)
    path = model.export(tmp_path / "what.onnx", levels=[80])
    inputs = check(model, panel, path)
    session = session_of(path)
    about = json.loads(session.get_modelmeta().custom_metadata_map["foretell"])
    assert about["quantiles"] == [0.1, 0.5, 0.9]
    assert about["targets"] == list(panel.targets)
    many = {name: np.concatenate([part] * 40) for name, part in inputs.items()}
    begin = time.perf_counter()
    session.run(None, many)
    assert (time.perf_counter() - begin) / len(many["lengths"]) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("case", NETWORKS)
def test_networks_of_all_kinds_can_be_exported(case, tmp_path):
    model, panel = fitted(case)
    for suffix in (".stablehlo",) if case in NO_ONNX else (".stablehlo", ".onnx"):
        check(model, panel, model.export(tmp_path / f"what{suffix}", levels=[80]))


def test_what_a_program_does_not_cover_is_not_answered(tmp_path):
    model, panel = fitted("years")
    path = model.export(tmp_path / "what.stablehlo")
    inputs = windows(model, panel)
    inputs["last"] = inputs["last"] + np.array([0, 1, 4_000, 0, -900], dtype=np.int32)
    unanswered = np.isnan(run(path, inputs)["quantiles"]).all(axis=(1, 2, 3))
    assert unanswered.tolist() == [False, False, True, False, True]


@pytest.mark.parametrize("case", NO_ONNX)
def test_what_onnx_cannot_hold_is_refused_with_a_way_out(case, tmp_path):
    model, _ = fitted(case)
    with pytest.raises(ft.errors.ParameterError, match=r"expected another cell, or a path .*\.stablehlo"):
        model.export(tmp_path / "what.onnx")


def test_sample_paths_cannot_be_exported(tmp_path):
    model = values("recursive").fit(panel_of())
    with pytest.raises(ft.errors.ParameterError, match="method='recursive' cannot be exported"):
        model.export(tmp_path / "what.onnx")
