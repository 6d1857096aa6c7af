"""Who may ask, from where, and how much."""

import pytest
from starlette.testclient import TestClient

from foretell.serve.guard import COOKIE, Guard, cookie_of
from foretell.serve.settings import ServeConfig
from foretell.serve.watch import Counters

TOKEN = "a token for the tests alone"  # as in conftest


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000"])
def test_this_machine_is_asked_by_its_own_names(client, host):
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "localhost@evil.example"]
)
def test_another_name_for_this_machine_is_refused(client, host):
    answer = client.get("/v1/models", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["kind"] == "HostError"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_origins_change_nothing(client, headers):
    answer = client.post("/v1/sources?name=x.csv", content="a,b\n1,2\n", headers=headers)
    assert answer.status_code == 403


def test_the_own_page_and_no_page_at_all_may(client):
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    for headers in (own, {}):
        assert client.post("/v1/jobs/" + "0" * 32 + "/cancel", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": f"{COOKIE}=wrong"}],
)
def test_without_the_token_nothing_is_said(guarded, headers):
    answer = guarded.get("/v1/models", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/health").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {TOKEN}"}, {"Cookie": f"{COOKIE}={cookie_of(TOKEN)}"}]
)
def test_with_the_token_all_is(guarded, headers):
    assert guarded.get("/v1/models", headers=headers).json()["models"] == []


def test_too_much_is_refused_whatever_is_said_of_its_length(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.post("/v1/fits", content=b"x" * 1001, headers=headers).status_code == 413
    unsaid = (b"x" * 600 for _ in range(2))
    assert guarded.post("/v1/fits", content=unsaid, headers=headers).status_code == 413
    rows = b"a,b\n" + b"1,2\n" * 1000
    assert guarded.post("/v1/sources?name=x.csv", content=rows, headers=headers).status_code == 201
    unsaid = (b"1,2\n" * 1000 for _ in range(2))
    assert guarded.post("/v1/sources?name=x.csv", content=unsaid, headers=headers).status_code == 413


def test_what_goes_wrong_inside_is_logged_and_not_told(tmp_path, caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("a secret")

    guard = Guard(broken, ServeConfig(), Counters(tmp_path))
    answer = TestClient(guard, "http://localhost").get("/v1/models")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "a secret" in caplog.text


def test_every_answer_forbids_scripts_of_others_and_frames(client):
    policy = client.get("/health").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
