"""Forecasters as MLflow models, without pickle (``pip install 'foretell[mlflow]'``).

What is logged is the directory that ``save`` writes. As MLflow's ``pyfunc`` it answers wherever MLflow serves
models; `load_model` gives the forecaster itself back.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foretell._version import __version__
from foretell.errors import MissingDependencyError, ParameterError
from foretell.forecasters import load
from foretell.storage.forecaster import SavedForecaster

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_model", "log_model", "save_model"]

FLAVOR: Final = "foretell"
_DATA: Final = "model"


def save_model(model: SavedForecaster, path: str | Path, **options: Any) -> None:
    """Write a fitted forecaster to a directory as an MLflow model.

    Parameters
    ----------
    model : forecaster
        One of ours, or a statistic of `foretell.baselines`.
    path : str or Path
        A directory that is not there yet.
    **options
        Those of ``mlflow.pyfunc.save_model``, such as ``metadata``.

    Raises
    ------
    MissingDependencyError
        MLflow is not installed.
    ParameterError
        It is no forecaster of foretell.

    Examples
    --------
    >>> import tempfile
    >>> import foretell as ft
    >>> from foretell import mlflow as flavor
    >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    >>> place = tempfile.mkdtemp() + "/model"
    >>> flavor.save_model(ft.baselines.MBGNBD().fit(log), place)
    >>> flavor.load_model(place).predict(ids=[111]).height
    1
    """
    if not isinstance(model, SavedForecaster):
        raise ParameterError(f"model={model!r}; expected a forecaster of foretell")
    mlflow = _mlflow("mlflow.pyfunc", "mlflow.models")
    about = options.pop("mlflow_model", None) or mlflow.models.Model()
    about.add_flavor(FLAVOR, foretell_version=__version__, data=f"data/{_DATA}")
    options = {"signature": _signature(model), "pip_requirements": [f"foretell=={__version__}"]} | options
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example", UserWarning)  # any ids will do
        saved = model.save(Path(folder) / _DATA)
        mlflow.pyfunc.save_model(
            path=str(path), loader_module=__name__, data_path=str(saved), mlflow_model=about, **options
        )


def log_model(model: SavedForecaster, name: str, **options: Any) -> Any:
    """Log a fitted forecaster to the active run of MLflow.

    Parameters
    ----------
    model : forecaster
    name : str
        Under which the run knows it.
    **options
        Those of ``mlflow.models.Model.log``, such as ``registered_model_name``.

    Returns
    -------
    mlflow.models.model.ModelInfo
        With ``model_uri``, by which `load_model` and ``mlflow.pyfunc.load_model`` find it.
    """
    mlflow = _mlflow("mlflow.models")
    flavor = importlib.import_module(__name__)
    return mlflow.models.Model.log(artifact_path=None, flavor=flavor, name=name, model=model, **options)


def load_model(uri: str | Path) -> Any:
    """Return the forecaster of an MLflow model.

    Parameters
    ----------
    uri : str or Path
        A directory, ``models:/…`` or ``runs:/…``.
    """
    mlflow = _mlflow("mlflow.artifacts", "mlflow.models")
    place = Path(uri) if Path(uri).is_dir() else Path(mlflow.artifacts.download_artifacts(str(uri)))
    flavors = mlflow.models.Model.load(str(place)).flavors
    if FLAVOR not in flavors:
        raise ParameterError(f"uri={str(uri)!r} is a model of {', '.join(flavors)}; expected one of {FLAVOR}")
    return load(place / flavors[FLAVOR]["data"])


def _load_pyfunc(path: str) -> _Answers:
    """Return what MLflow asks; the name is MLflow's."""
    return _Answers(load(path))


class _Answers:
    """A forecaster as MLflow asks it: rows in, rows out, as frames of pandas."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, asked: pd.DataFrame | None, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answer for the ids in the first column, for all where there is no row."""
        params = {name: _plain(value) for name, value in (params or {}).items()}
        ids = None if asked is None or not len(asked) else asked.iloc[:, 0].tolist()
        if self.model.kind == "events":
            table = self.model.predict(ids=ids, **params)
        else:
            table = self.model.predict(
                self.model.panel_ if ids is None else self.model.panel_.select(ids), **params
            )
        answers: pd.DataFrame = table.to_pandas()
        return answers


def _plain(value: Any) -> Any:
    """Return a parameter as Python's own values: MLflow gives arrays."""
    return value.tolist() if hasattr(value, "tolist") else value


def _signature(model: Any) -> Any:
    """Return which parameters may come with a question, and what they are by default."""
    types = importlib.import_module("mlflow.types")
    signatures = importlib.import_module("mlflow.models")
    params = [types.ParamSpec("levels", types.DataType.long, [50, 80, 95], shape=(-1,))]
    if model.kind == "events":
        horizons = ["7d", "30d", "90d"]
        params.append(types.ParamSpec("horizons", types.DataType.string, horizons, shape=(-1,)))
    else:
        params.append(types.ParamSpec("horizon", types.DataType.long, int(model.horizon)))
    return signatures.ModelSignature(params=types.ParamSchema(params))


def _mlflow(*modules: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those that it gives while it is imported are not about models
            for module in modules:
                importlib.import_module(module)
            return importlib.import_module("mlflow")
    except ImportError as error:
        raise MissingDependencyError("MLflow is not installed: pip install 'foretell[mlflow]'") from error
