"""Models of MLflow: directories without pickle, that answer as the forecaster does."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

import foretell as ft
from foretell import baselines
from foretell import mlflow as flavor
from foretell.errors import MissingDependencyError, ParameterError

mlflow = pytest.importorskip("mlflow", exc_type=ImportError)


@pytest.fixture(scope="module")
def model():
    days = ["2024-01-01", "2024-01-20", "2024-02-02", "2024-01-09", "2024-03-04", "2024-02-20"]
    return baselines.MBGNBD().fit(ft.read_events(pl.DataFrame({"unique_id": [1, 1, 1, 2, 2, 3], "ds": days})))


@pytest.fixture(scope="module")
def place(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("mlflow") / "model"
    flavor.save_model(model, place)
    return place


def test_the_forecaster_comes_back_as_it_was(model, place):
    assert flavor.load_model(place).predict().equals(model.predict())


def test_nothing_in_it_is_a_pickle(place):
    files = {path.suffix for path in place.rglob("*") if path.is_file()}
    assert files <= {".json", ".npz", ".parquet", ".yaml", ".txt", ""}
    assert "loader_module: foretell.mlflow" in (place / "MLmodel").read_text(encoding="utf-8")


def test_as_a_pyfunc_it_answers_for_the_ids_and_horizons_that_are_asked_for(model, place):
    answers = mlflow.pyfunc.load_model(str(place))
    table = answers.predict(pd.DataFrame({"unique_id": [3, 1]}), params={"horizons": ["30d"], "levels": [80]})
    ours = model.predict(ids=[3, 1], horizons=["30d"], levels=[80])
    assert pl.from_pandas(table)["p_return_30d"].equals(ours["p_return_30d"])
    assert list(table.columns) == ours.columns
    assert len(answers.predict(pd.DataFrame({"unique_id": []}))) == 3


def test_a_model_of_series_answers_for_its_steps(tmp_path):
    panel = ft.Panel.from_arrays({"a": np.arange(12.0), "b": np.ones(12)})
    rule = baselines.SeasonalNaive(season=4, horizon=4).fit(panel)
    flavor.save_model(rule, tmp_path / "model")
    answers = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert answers.predict(pd.DataFrame({"unique_id": ["a"]}))["seasonal naive"].tolist() == [8, 9, 10, 11]
    assert len(answers.predict(pd.DataFrame({"unique_id": []}), params={"horizon": 2})) == 4


def test_a_logged_model_is_found_by_its_address(model, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run():
        info = flavor.log_model(model, "shop")
    assert flavor.load_model(info.model_uri).predict().equals(model.predict())


def test_other_models_are_refused(model, place, tmp_path):
    with pytest.raises(ParameterError, match="expected a forecaster of foretell"):
        flavor.save_model("a model", tmp_path / "model")
    about = place / "MLmodel"
    (tmp_path / "MLmodel").write_text(about.read_text(encoding="utf-8").replace("  foretell:", "  prophet:"))
    with pytest.raises(ParameterError, match="is a model of prophet, python_function; expected"):
        flavor.load_model(tmp_path)


def test_without_mlflow_it_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foretell\[mlflow\]'"):
        flavor.save_model(model, tmp_path / "model")
