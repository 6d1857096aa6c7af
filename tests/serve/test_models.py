"""Models are read once, and again when another version is there."""

import pytest

import foretell as ft
from foretell.serve import models
from foretell.serve.models import ModelShelf
from foretell.serve.store import NotThereError, Store


@pytest.fixture
def shelf(shop, stores, tmp_path):
    return ModelShelf(Store(tmp_path / "store"), {"shop": shop, "stores": stores})


def test_a_model_is_read_once(shelf):
    assert shelf.ready("shop") is None
    assert shelf.get("shop") is shelf.get("shop") is shelf.ready("shop")
    assert shelf.about("shop").size == shelf.get("shop").model.log_.n_customers


def test_a_newer_version_takes_the_place_of_the_older(shelf, shop, tmp_path):
    place = shelf.place("moved")
    model = ft.load(shop)
    model.save(place)
    before = shelf.get("moved")
    model.update(as_of="1997-10-31")
    model.save(place)
    assert shelf.ready("moved") is None
    assert shelf.get("moved").about.as_of == "1997-10-31"
    assert before.about.as_of == "1997-09-30"


def test_no_more_models_than_fit_are_kept_in_memory_and_all_are_known(shelf, monkeypatch):
    monkeypatch.setattr(models, "MOST_LOADED", 1)
    shelf.get("shop")
    shelf.get("stores")
    assert shelf.ready("shop") is None
    assert shelf.ready("stores") is not None
    assert shelf.about("shop").kind == "events"
    assert shelf.ready("shop") is None


def test_what_is_not_there_is_said_with_what_is(shelf):
    with pytest.raises(NotThereError, match="there is no model 'x'; there are shop, stores"):
        shelf.get("x")
