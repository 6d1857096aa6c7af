"""The quick way answers what the route answers, and leaves to it what is unusual."""

import json

import pytest

CUSTOMER = "/v1/models/shop/customers/4"


@pytest.fixture(autouse=True)
def loaded(client):
    """The model is in memory: else all goes to the route."""
    client.get("/v1/models/shop")


def counted(client, way):
    return {line for line in client.get("/metrics").text.splitlines() if way in line}


@pytest.mark.parametrize(
    "query", ["", "?horizon=30d", "?horizon=12&horizon=1y&level=97.5", "?level=80&level=50"]
)
def test_both_ways_answer_alike(client, app, query, monkeypatch):
    quick = client.get(CUSTOMER + query)
    monkeypatch.setattr("foretell.serve.quick.Quick._question", lambda *asked: None)
    by_route = client.get(CUSTOMER + query)
    assert quick.json() == by_route.json()
    assert quick.status_code == by_route.status_code == 200
    assert quick.headers["content-type"] == by_route.headers["content-type"]
    assert quick.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/shop/customers/x", 409),
        ("/v1/models/shop/customers/", 404),
        ("/v1/models/nobody/customers/4", 404),
        ("/v1/models/stores/customers/a", 409),
        (f"{CUSTOMER}?horizon=7x", 422),
        (f"{CUSTOMER}?horizon=99y", 409),
        (f"{CUSTOMER}?level=100", 422),
        (f"{CUSTOMER}?level=nan", 422),
        (f"{CUSTOMER}?horizon=%ff", 422),
    ],
)
def test_what_is_wrong_is_said_by_the_route(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_it_is_counted_by_its_route(client):
    client.get(CUSTOMER)
    assert counted(client, 'route="/v1/models/{model}/customers/{id}",status="200"')


def test_other_methods_are_not_its(client):
    assert client.post(CUSTOMER).status_code == 405
    assert json.loads(client.get(CUSTOMER).text)["unique_id"] == 4
