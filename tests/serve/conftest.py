"""A service in this process, with a model of visits and one of series, and a folder of its own."""

import numpy as np
import pytest
from starlette.testclient import TestClient

import foretell as ft
from foretell.serve.app import make_app
from foretell.serve.settings import Limits, ServeConfig

TOKEN = "a token for the tests alone"


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The directory of a model of visits that answers at once."""
    rows = ft.datasets.load_cdnow(sample=True)
    log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
    model = ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30")
    return model.save(tmp_path_factory.mktemp("models") / "shop")


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """The directory of a model of regular series."""
    rng = np.random.default_rng(0)
    weeks = 20 + 5 * np.sin(2 * np.pi * np.arange(84) / 7) + rng.normal(size=(3, 84))
    panel = ft.Panel.from_arrays(
        dict(zip("abc", weeks, strict=True)), freq="1d", start="2024-01-01", targets=["visits"]
    )
    model = ft.SeriesForecaster(horizon=7, model="prior").fit(panel)
    return model.save(tmp_path_factory.mktemp("models") / "stores")


@pytest.fixture(scope="session")
def config(shop, stores, tmp_path_factory):
    return ServeConfig((shop, stores), tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def app(config):
    return make_app(config)


@pytest.fixture(scope="session")
def client(app):
    """Asks the service; nobody does its jobs."""
    return TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)


@pytest.fixture
def guarded(tmp_path):
    """Asks a service that others can reach, without models."""
    config = ServeConfig(store=tmp_path, host="0.0.0.0", token=TOKEN, limits=Limits(body=1000, upload=5000))
    client = TestClient(make_app(config), "http://shop.example", raise_server_exceptions=False)
    client.token = TOKEN
    return client
