"""Answers are those of the library, and what is refused is refused in one shape."""

import io
import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import foretell as ft
from foretell.acquisition import predict_shop
from foretell.serve.api import ARROW
from foretell.serve.work import run

VISITS = "customer,day,amount\n" + "".join(
    f"c{k % 40},2024-{1 + (k * 7) % 9:02d}-{1 + (k * 11) % 28:02d},{k % 13 + 1}.5\n" for k in range(400)
)


@pytest.fixture(scope="module")
def model(shop):
    return ft.load(shop)


def ask(client, path, body, status=200, **headers):
    answer = client.post(f"/v1/models/{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


def table(answer):
    return pl.read_json(io.BytesIO(json.dumps(answer.json()["rows"]).encode()))


def as_read(frame):
    return pl.read_json(io.BytesIO(frame.write_json().encode()))


def test_forecasts_are_those_of_the_model(client, model):
    ids = model.log_.ids[:50].to_list()
    answer = ask(client, "shop/predict", {"ids": ids, "horizons": ["30d"], "levels": [80]})
    assert_frame_equal(table(answer), as_read(model.predict(["30d"], [80], ids)), check_exact=True)


def test_a_stretch_of_all_customers_is_answered(client, model):
    answer = ask(client, "shop/predict", {"offset": 100, "limit": 3})
    assert answer.json()["rows"][0]["unique_id"] == model.log_.ids[100]
    assert len(answer.json()["rows"]) == 3


def test_tables_come_as_a_stream_of_arrow_where_it_is_asked_for(client, model):
    answer = ask(client, "shop/predict", {"limit": 5, "levels": [80]}, accept=ARROW)
    assert answer.headers["content-type"] == ARROW
    expected = model.predict(levels=[80], ids=model.log_.ids[:5])
    assert_frame_equal(pl.read_ipc_stream(answer.content), expected, check_exact=True)


@pytest.mark.parametrize("customer", [4, 18, 999_999])
def test_one_customer_is_answered_as_among_all(client, model, customer):
    answer = client.get(f"/v1/models/shop/customers/{customer}", params={"horizon": "30d", "level": 80})
    assert answer.json() == json.loads(model.predict(["30d"], [80], [customer]).write_ndjson())
    again = client.get(f"/v1/models/shop/customers/{customer}", params={"horizon": "30d", "level": 80})
    assert again.content == answer.content


def test_visits_that_come_with_a_question_are_looked_at_and_not_kept(client, model):
    customer = int(model.log_.ids[0])
    before = client.get(f"/v1/models/shop/customers/{customer}").json()
    body = {"ids": [customer], "visits": [{"id": customer, "time": "1997-10-04", "marks": {"amount": 9.0}}]}
    with_visit = ask(client, "shop/predict", body).json()["rows"][0]
    assert with_visit["n_events"] == before["n_events"] + 1
    assert with_visit["last_event"] == with_visit["as_of"] == "1997-10-04"
    assert with_visit["overdue"] == 0.0
    assert client.get(f"/v1/models/shop/customers/{customer}").json() == before


def test_somebody_who_is_new_may_have_come(client):
    body = {"visits": [{"id": 900_000, "time": "1997-10-04"}, {"id": 900_000, "time": "1997-10-11"}]}
    (row,) = ask(client, "shop/predict", body).json()["rows"]
    assert (row["unique_id"], row["n_events"], row["as_of"]) == (900_000, 2, "1997-10-11")


def test_silence_is_news_too(client, model):
    customer = int(model.log_.ids[0])
    (row,) = ask(client, "shop/predict", {"ids": [customer], "as_of": "1997-12-24"}).json()["rows"]
    assert row["as_of"] == "1997-12-24"
    assert row["overdue"] > client.get(f"/v1/models/shop/customers/{customer}").json()["overdue"]


def test_totals_are_those_of_the_model(client, model):
    answer = ask(client, "shop/totals", {"horizon": "8w", "by": ["week"], "levels": [80]})
    assert_frame_equal(table(answer), as_read(model.predict_totals("8w", "week")), check_exact=True)


def test_spend_and_value_are_those_of_the_model(client, model):
    ids = model.log_.ids[:20].to_list()
    answer = ask(client, "shop/spend", {"ids": ids, "horizons": ["90d"], "levels": [50]})
    expected = model.predict_spend(["90d"], [50], ids)
    assert_frame_equal(table(answer), as_read(expected), check_exact=True)
    answer = ask(client, "shop/value", {"offset": 3, "limit": 5, "horizon": "6mo", "discount": 0.2})
    expected = model.predict_value("6mo", discount=0.2, ids=model.log_.ids[3:8])
    assert_frame_equal(table(answer), as_read(expected), check_exact=True)


def test_totals_of_money_and_of_newcomers_are_those_of_the_library(client, model):
    answer = ask(client, "shop/totals", {"horizon": "4w", "by": ["week"], "mark": "amount"})
    expected = model.predict_totals("4w", "week", mark="amount")
    assert_frame_equal(table(answer), as_read(expected), check_exact=True)
    answer = ask(client, "shop/totals", {"horizon": "4w", "mark": "amount", "newcomers": True})
    expected = predict_shop(model, "4w", mark="amount")
    assert_frame_equal(table(answer), as_read(expected), check_exact=True)


def test_the_shortlist_is_that_of_the_model(client, model):
    body = {"top": 5, "value": "visits", "where": ["n_events>=3"], "language": "zh"}
    expected = model.shortlist(5, value="visits", where=["n_events>=3"], language="zh")
    assert_frame_equal(table(ask(client, "shop/shortlist", body)), as_read(expected), check_exact=True)
    assert "这样的顾客" in expected["reason"][0]


def test_series_are_answered_step_by_step(client, stores):
    panel_model = ft.load(stores)
    answer = ask(client, "stores/predict", {"ids": ["a", "b"], "horizons": [3], "levels": [80]})
    expected = panel_model.predict(panel_model.panel_.select(["a", "b"]), horizon=3, levels=[80])
    assert_frame_equal(table(answer), as_read(expected), check_exact=True)
    totals = ask(client, "stores/totals", {"by": ["series"]})
    assert_frame_equal(table(totals), as_read(panel_model.predict_totals(by="series")), check_exact=True)


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "words"),
    [
        ("nobody/predict", {}, 404, "NotThereError", "there is no model 'nobody'; there are shop, stores"),
        ("shop/predict", {"ids": ["x"]}, 409, "ParameterError", "ids are Int64 in this log"),
        ("shop/predict", {"horizons": ["99999y"]}, 409, "ParameterError", "200 years"),
        ("shop/predict", {"horizons": ["50y"]}, 409, "ParameterError", "looks at most 3,653 ahead"),
        ("shop/predict", {"limit": 200_000}, 409, "ParameterError", "at most 100,000 rows"),
        ("shop/predict", {"ids": list(range(10_001))}, 409, "ParameterError", "takes at most 10,000"),
        ("shop/predict", {"horizon": "7d"}, 422, "RequestError", "body.horizon: Extra inputs"),
        ("shop/explain", {"id": 4}, 409, "ParameterError", "the prior knows"),
        ("shop/totals", {"by": ["town"]}, 409, "ParameterError", "by='town'; expected"),
        ("shop/totals", {"mark": "price"}, 409, "DataError", "the log has no mark 'price', it has amount"),
        ("shop/totals", {"newcomers": True, "ids": [4]}, 409, "ParameterError", "those of the whole shop"),
        ("stores/totals", {"newcomers": True}, 409, "ParameterError", "are for models of visits"),
        ("shop/spend", {"mark": "price"}, 409, "DataError", "the log has no mark 'price', it has amount"),
        ("shop/spend", {"offset": 10**9}, 409, "ParameterError", "the number of customers, 2"),
        ("shop/spend", {"limit": 200_000}, 409, "ParameterError", "at most 100,000 rows"),
        ("stores/spend", {}, 409, "ParameterError", "spend is that of customers"),
        ("shop/value", {"discount": -1}, 422, "RequestError", "greater than or equal to 0"),
        ("shop/value", {"horizon": "50y"}, 409, "ParameterError", "looks at most 3,653 ahead"),
        ("shop/update", {}, 409, "ParameterError", "nothing new; expected visits="),
        ("stores/shortlist", {}, 409, "ParameterError", "a shortlist is one of customers"),
        ("shop/shortlist", {"where": ["x=1"]}, 409, "ParameterError", "there is no column 'x'"),
        ("stores/predict", {"horizons": [3, 4]}, 409, "ParameterError", "expected one: all steps"),
        ("stores/update", {"as_of": "2025-01-01"}, 409, "ParameterError", "fit it again"),
    ],
)
def test_what_is_refused_says_why_in_one_shape(client, path, body, status, kind, words):
    error = ask(client, path, body, status).json()["error"]
    assert error["kind"] == kind
    assert words in error["message"]


def send(client, content=VISITS, name="visits.csv"):
    return client.post("/v1/sources", params={"name": name}, content=content)


def test_a_file_is_sent_looked_at_fitted_to_and_updated(client, app, tmp_path):
    service = app._app._service
    source = send(client).json()
    assert source["columns"] == ["customer", "day", "amount"]
    assert source["likely"]["id"] == "customer"
    assert source["head"][0] == {"customer": "c0", "day": "2024-01-01", "amount": "1.5"}
    read = {"id": "customer", "time": "day", "marks": ["amount"]}
    body = {"model": "sent", "source": source["source"], "read": read, "by": "repeat rate"}
    job = client.post("/v1/fits", json=body)
    assert job.status_code == 202
    assert job.json()["state"] == "waiting"
    place = service.shelf.place("sent")
    service.jobs.take()
    run(service.store, job.json()["job"], place)
    done = client.get(f"/v1/jobs/{job.json()['job']}").json()
    assert (done["state"], done["progress"]) == ("done", 1.0)
    assert "400 rows read" in done["message"]
    before = client.get("/v1/models/sent").json()
    assert before["size"] == 40

    visits = [
        {"id": "c1", "time": "2024-10-05", "marks": {"amount": 3.0}},
        {"id": "new", "time": "2024-10-06"},
    ]
    update = client.post("/v1/models/sent/update", json={"visits": visits}).json()
    for _ in range(2):  # as after a crash between its end and the word of it
        service.jobs.take()
        run(service.store, update["job"], place)
    after = client.get("/v1/models/sent").json()
    assert (after["size"], after["as_of"]) == (41, "2024-10-06")
    assert client.get("/v1/models/sent/customers/c1").json()["last_event"] == "2024-10-05"
    # The process ended between what it wrote and the word of it: it is done again.
    again = client.post("/v1/models/sent/update", json={"visits": visits}).json()["job"]
    service.jobs.take()
    service.jobs.put_back(again)
    service.jobs.take()
    run(service.store, again, place)
    done = client.get(f"/v1/jobs/{again}").json()
    assert (done["state"], done["message"].partition(":")[0]) == ("done", "nothing new is left")
    assert client.get("/v1/models/sent").json() == after

    assert client.delete("/v1/models/sent").status_code == 204
    assert client.get("/v1/models/sent").status_code == 404


def test_what_is_known_of_customers_comes_with_a_file_and_with_visits(client, app):
    service = app._app._service
    rows = [line + (",web" if k // 10 % 2 else ",shop") for k, line in enumerate(VISITS.splitlines()[1:])]
    source = send(client, "\n".join(["customer,day,amount,channel", *rows])).json()["source"]
    read = {"id": "customer", "time": "day", "static": ["channel"]}
    body = {"model": "known", "source": source, "read": read, "by": "prior"}
    job = client.post("/v1/fits", json=body).json()["job"]
    service.jobs.take()
    run(service.store, job, service.shelf.place("known"))
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "done"
    effects = ft.load(service.shelf.place("known")).customer_effects()
    assert sorted(effects["value"]) == ["shop", "web"]

    def predict(static):
        visits = [{"id": "new", "time": "2024-10-06", "static": static}]
        return client.post("/v1/models/known/predict", json={"ids": ["new"], "visits": visits})

    assert predict({"channel": "web"}).json()["rows"][0]["n_events"] == 1
    refused = predict({"region": "north"})
    assert refused.status_code == 409
    assert "channel" in refused.text
    assert client.delete("/v1/models/known").status_code == 204


def test_a_calendar_is_a_file_of_its_own(client, app):
    service = app._app._service
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), eager=True)
    promotion = (days.dt.ordinal_day() % 30 < 5).cast(pl.Int8)
    came = [(f"c{(k * 7 + n) % 40}", day) for n, day in enumerate(days) for k in range(4 + 6 * promotion[n])]
    visits = pl.DataFrame(came, schema=["customer", "day"], orient="row").filter(
        pl.col("day").dt.month() < 10
    )
    calendar = pl.DataFrame({"day": days, "promotion": promotion})
    keys = [send(client, frame.write_csv()).json()["source"] for frame in (visits, calendar)]
    read = {"id": "customer", "time": "day", "calendar": keys[1]}
    body = {"model": "promoted", "source": keys[0], "read": read, "by": "prior"}
    job = client.post("/v1/fits", json=body).json()["job"]
    assert service.jobs.get(job).sources == keys
    service.jobs.take()
    run(service.store, job, service.shelf.place("promoted"))
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "done"
    assert ft.load(service.shelf.place("promoted")).calendar_table()["times"][0] > 1.8
    missing = client.post("/v1/fits", json=body | {"read": read | {"calendar": "0" * len(keys[1])}})
    assert missing.status_code == 404
    assert client.delete("/v1/models/promoted").status_code == 204


def test_models_are_compared_with_simple_rules_in_words(client, app):
    service = app._app._service
    read = {"id": "customer", "time": "day"}
    source = send(client).json()["source"]
    models = ["repeat rate", "mean gap"]
    assert client.post("/v1/comparisons", json={"source": source}).status_code == 409
    job = client.post("/v1/comparisons", json={"source": source, "read": read, "models": models}).json()
    service.jobs.take()
    run(service.store, job["job"], service.store.models / "none")
    result = client.get(f"/v1/jobs/{job['job']}").json()["result"]
    assert "rmse" in result["columns"]
    assert result["verdict"]
    job = client.post("/v1/comparisons", json={"model": "stores", "models": ["naive", "drift"]}).json()
    service.jobs.take()
    run(service.store, job["job"], service.shelf.place("stores"))
    assert "mase" in client.get(f"/v1/jobs/{job['job']}").json()["result"]["columns"]


def test_a_job_that_fails_says_why_and_names_the_file_as_it_was_sent(client, app):
    service = app._app._service
    source = send(client).json()["source"]
    body = {"model": "never", "source": source, "read": {"id": "customer", "time": "when"}}
    job = client.post("/v1/fits", json=body).json()
    service.jobs.take()
    run(service.store, job["job"], service.shelf.place("never"))
    failed = client.get(f"/v1/jobs/{job['job']}").json()
    assert failed["state"] == "failed"
    assert "visits.csv" in failed["message"]
    assert str(service.store.place) not in failed["message"]


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "a/b/..\\x.csv", "rows.csv\0.csv", "日.csv"])
def test_the_name_of_a_file_is_no_path(client, app, name):
    service = app._app._service
    source = send(client, name=name).json()
    kept = service.store.source(source["source"])
    assert kept.rows == str(service.store.sources / source["source"] / "rows.csv")
    assert client.delete(f"/v1/sources/{source['source']}").status_code == 204
    assert client.get(f"/v1/sources/{source['source']}").status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("visits", "a,b\n", "says nothing about what it holds"),
        ("visits.csv", "", "visits.csv is empty"),
        ("visits.zip", b"no zip", "visits.zip cannot be unpacked"),
        ("visits.csv.gz", b"no gzip", "cannot be unpacked"),
        ("visits.db", b"SQLite format 3\0", "says nothing"),
    ],
)
def test_files_that_cannot_be_read_are_refused_and_not_kept(client, app, name, content, words):
    kept = set(app._app._service.store.sources.iterdir())
    answer = send(client, content, name)
    assert answer.status_code == 409
    assert words in answer.json()["error"]["message"]
    assert set(app._app._service.store.sources.iterdir()) == kept


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////etc/passwd",
        "duckdb:///x",
        "postgresql://user@/shop?host=/var/run/postgresql",
        "mysql+pymysql://user@host/shop?read_default_file=/etc/passwd",
        "no url",
    ],
)
def test_databases_that_are_files_and_options_of_drivers_are_refused(client, url):
    answer = client.post("/v1/sources/database", json={"url": url, "table": "visits"})
    assert answer.status_code == 409


def test_jobs_are_given_up_and_listed(client):
    read = {"id": "customer", "time": "day"}
    body = {"model": "later", "source": send(client).json()["source"], "read": read}
    job = client.post("/v1/fits", json=body).json()["job"]
    assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert client.get("/v1/jobs").json()["jobs"][0]["job"] == job


def test_models_that_the_service_was_started_with_are_not_overwritten_by_fits(client):
    body = {
        "model": "shop",
        "source": send(client).json()["source"],
        "read": {"id": "customer", "time": "day"},
    }
    assert "choose another name" in client.post("/v1/fits", json=body).json()["error"]["message"]
    assert client.delete("/v1/models/shop").status_code == 409


def test_what_happened_is_counted(client):
    text = client.get("/metrics").text
    assert 'foretell_requests_total{method="POST",route="/v1/models/{model}/predict",status="200"}' in text
    assert 'foretell_request_seconds_bucket{route="/v1/models/{model}/predict",le="+Inf"}' in text
    assert "# TYPE foretell_models gauge" in text
