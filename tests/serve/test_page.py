"""The page, clicked through in a real browser: from a dropped file to forecasts, in both languages."""

import contextlib
import dataclasses
import datetime as dt
import html
import json
import re
import shutil
import threading
import time
from importlib import resources

import numpy as np
import polars as pl
import pytest
import uvicorn

import foretell as ft
from foretell.evaluation import judge
from foretell.i18n import Translator, catalogue
from foretell.report.shop import rounded
from foretell.serve import views
from foretell.serve.app import make_app
from foretell.serve.models import Loaded, describe
from foretell.serve.settings import Limits, ServeConfig
from foretell.serve.views import customer, like

CHROMIUM = shutil.which("chromium")
SAID = re.compile(r"say\(\s*(?:\"([^\"]*)\"|'([^']*)')")
TEMPLATES = resources.files("foretell.serve") / "templates"
VISITS = "customer,day,amount\n" + "".join(
    f"c{k % 60},2024-{1 + (k * 7) % 9:02d}-{1 + (k * 11) % 28:02d},{k % 13 + 1}.5\n" for k in range(600)
)

browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def address(shop, stores, tmp_path_factory):
    """A service that listens, in a thread; its jobs are done in processes."""
    config = ServeConfig((shop, stores), tmp_path_factory.mktemp("store"))
    app = make_app(config)
    compared(app._app._service)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def compared(service):
    """Leave a comparison that is done."""
    job = service.jobs.add("compare", "shop", {"model": "shop"}, most=1)
    rows = [["foretell", 1.5, None], ["mean gap", 2.5, 0.1]]
    headline = "2,357 customers seen by 1997-06-30, forecast to 1997-09-30: 1,000 events"
    verdict = judge({"foretell": np.ones(9), "mean gap": np.arange(2.0, 11)}, ["foretell"], root=False)
    result = {"verdict": str(verdict), "judged": dataclasses.asdict(verdict), "headline": headline}
    result |= {"columns": ["model", "rmse", "bias"], "rows": rows}
    service.store.keep_result(job.key, result)
    service.jobs.take()
    service.jobs.finish(job.key, "done")


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextlib.contextmanager
def opened(chromium, **options):
    """Give a tab; what its console complains of is an error."""
    with contextlib.closing(chromium.new_context(**options)) as context:
        tab, complaints = context.new_page(), []
        tab.set_default_timeout(60_000)
        tab.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
        tab.on("pageerror", lambda one: complaints.append(str(one)))
        yield tab
        assert not complaints


def check(tab):
    """Hold a page against the rules of accessibility, and against the width of the screen."""
    from axe_playwright_python.sync_playwright import Axe

    if tab.locator(".picture").count():
        tab.wait_for_selector(".picture[data-ready] svg")
    found = Axe().run(tab).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@browser
def test_a_file_is_dropped_fitted_to_and_looked_at(address, chromium, tmp_path):
    file = tmp_path / "My visits.csv"
    file.write_text(VISITS, encoding="utf-8")
    with opened(chromium) as tab:
        tab.goto(address)
        check(tab)
        tab.get_by_label("Drop a file here").set_input_files(file)
        tab.locator("section", has_text="A file").get_by_role("button", name="Look at it").first.click()
        tab.get_by_role("heading", name="My visits.csv").wait_for()
        assert tab.get_by_label("Who: customer or series").input_value() == "customer"
        assert tab.get_by_label("When").input_value() == "day"
        check(tab)
        tab.get_by_label("A step of a regular series").check()
        assert tab.get_by_label("What to forecast").is_visible()
        tab.get_by_label("A visit of a customer").check()
        assert not tab.get_by_label("What to forecast").is_visible()
        tab.get_by_role("button", name="Fit the model").click()
        tab.get_by_role("progressbar").wait_for()
        check(tab)
        tab.get_by_role("heading", name="Visits per week").wait_for()
        assert tab.get_by_text("days the sum of amount will be about").count() == 2
        check(tab)
        tab.get_by_text("The same in numbers").click()
        assert tab.get_by_role("row").count() == 14
        assert tab.get_by_role("columnheader").count() == 7
        tab.get_by_role("textbox", name="Customer").fill("c7")
        tab.get_by_role("button", name="Look up").click()
        tab.get_by_text("This kind of model explains no single forecast").wait_for()
        check(tab)
        tab.get_by_role("button", name="What if?").click()
        tab.get_by_role("columnheader", name="after the visit").wait_for()
        tab.get_by_text("Within 90 days expect amount of about").wait_for()
        for part in ("What was learned", "Whom to write to"):
            tab.get_by_role("link", name=part).click()
            check(tab)
        tab.get_by_role("columnheader", name="value to win").wait_for()
        tab.get_by_role("link", name="Compare and download").click()
        check(tab)
        add_visits(tab, file)
        tab.get_by_role("link", name="Compare and download").click()
        for table, ending in (("What each will spend", "csv"), ("Whom to write to", "xlsx")):
            with tab.expect_download() as taken:
                tab.get_by_role("link", name=f"{table}, {ending}").click()
            assert taken.value.suggested_filename.endswith(ending)


def add_visits(tab, file):
    """Drop a file of new visits on a model's page."""
    tab.get_by_role("link", name="New visits").click()
    check(tab)
    file.write_text(
        "customer,day,amount\nc7,2024-09-02,1\nc7,2024-10-04,2.5\nnew,2024-10-05,\n", encoding="utf-8"
    )
    tab.get_by_label("Drop a file here").set_input_files(file)
    tab.get_by_role("button", name="Look at it").click()
    tab.get_by_role("cell", name="2024-10-04").wait_for()
    check(tab)
    tab.get_by_role("button", name="Add the visits").click()
    tab.get_by_text("2 visits of 2 customers added, up to 2024-10-05").wait_for()
    check(tab)
    tab.get_by_role("link", name="Look at the model").click()
    tab.get_by_text("61 customers, 2024-01-01 to 2024-10-05").wait_for()


@browser
def test_a_job_is_given_up(address, chromium, tmp_path):
    file = tmp_path / "visits.csv"
    file.write_text(VISITS, encoding="utf-8")
    with opened(chromium) as tab:
        tab.goto(f"{address}/page")
        tab.get_by_label("Drop a file here").set_input_files(file)
        tab.get_by_role("button", name="Look at it").first.click()
        tab.get_by_label("How to learn").select_option("With training")
        tab.get_by_label("Name of the model").fill("given-up")
        tab.get_by_role("button", name="Fit the model").click()
        tab.get_by_role("button", name="Give it up").click()
        tab.get_by_text("cancelled").wait_for()
        check(tab)


@browser
def test_series_on_a_small_dark_screen_in_chinese(address, chromium):
    options = {"color_scheme": "dark", "viewport": {"width": 400, "height": 800}, "locale": "zh-CN"}
    with opened(chromium, **options) as tab:
        tab.goto(f"{address}/page")
        check(tab)
        tab.get_by_role("link", name="stores", exact=True).click()
        tab.get_by_role("heading", name="a：今后 7 步").wait_for()
        check(tab)
        tab.get_by_label("序列").fill("b")
        tab.get_by_role("button", name="显示").click()
        tab.get_by_role("heading", name="b：今后 7 步").wait_for()
        for path in (
            "shop",
            "shop/shop",
            "shop/shortlist",
            "shop/update",
            "shop/customer",
            "shop/customer?id=18",
        ):
            tab.goto(f"{address}/page/models/{path}")
            check(tab)
        tab.get_by_text("截至 1997 年 9 月 30 日").wait_for()
        tab.goto(f"{address}/page")
        tab.get_by_role("link", name="比较 shop").click()
        tab.get_by_text("网络比顾客自身的平均间隔好 83%").wait_for()
        tab.get_by_text("截至 1997-06-30 的 2,357 位顾客").wait_for()
        tab.goto(f"{address}/page/models/shop/customer?id=18")
        tab.get_by_role("button", name="English").click()
        tab.get_by_role("heading", name="Customer 18: when is the next visit?").wait_for()


@browser
def test_pages_of_words_alone_can_be_used_by_everybody(address, chromium):
    with opened(chromium) as tab:
        tab.goto(f"{address}/page")
        tab.get_by_role("link", name="compare shop").click()
        tab.get_by_text("The network is 83 % better than the customers' own mean gap").wait_for()
        check(tab)
        for path in ("enter", "models/shop/why?id=18", "models/shop/customer?id=1800000"):
            tab.goto(f"{address}/page/{path}")
            check(tab)


def test_what_is_shown_of_the_whole_is_made_once_in_each_language(client, app, monkeypatch):
    made = []
    monkeypatch.setattr(
        "foretell.serve.views.shop",
        lambda loaded, say: made.append(say.language) or {"pictures": [], "rows": []},
    )
    app._app._service.shelf.get("shop").shown.clear()
    for language in ("en", "zh", "en"):
        answer = client.get("/page/models/shop/shop", headers={"accept-language": language})
        assert f'lang="{language}"' in answer.text
    assert made == ["en", "zh"]
    app._app._service.shelf.get("shop").shown.clear()


def test_customers_are_found_by_a_part_of_their_names(client, shop):
    log = ft.load(shop).log_
    most = str(log.ids[int(log.counts.argmax())])
    assert f"customer?id={most}" in client.get("/page/models/shop/customer").text
    assert like(log, most[:3])[0].startswith(most[:3])
    assert len(like(log, "1")) == 12
    assert like(log, "nobody") == []


def test_what_is_known_of_customers_and_of_days_is_shown_where_it_was_learned(small):
    rows = small.events().with_columns(channel=pl.col("shop"))
    dates = pl.date_range(dt.date(2022, 7, 1), dt.date(2024, 3, 31), eager=True)
    days = pl.DataFrame({"ds": dates}).join(rows.group_by("ds").len("visits"), on="ds", how="left")
    days = days.select("ds", promo=(pl.col("visits").fill_null(0) > 3).cast(pl.Float64))
    log = small.read(rows, static=["channel"], calendar=days)
    model = ft.EventForecaster(model="prior").fit(log)
    shown = views.shop(Loaded("x", model, (0, 0, 0), describe("x", model, own=True)), Translator("zh"))
    assert [picture.title for picture in shown["pictures"]] == ["对店铺学到了什么", "关于顾客的已知信息"]
    assert shown["columns"][:4] == ["项目", "取值", "相对于", "到访倍数"]
    assert [row[0] for row in shown["rows"]] == ["promo"]
    whole = views.overview(Loaded("x", model, (0, 0, 0), describe("x", model, own=True)), Translator("zh"))
    assert "到访，2024 年 1 月 1 日 至 2024 年 1 月 30 日" in whole["by_group"].parts[0].spec
    days = views.days_in_words(model, Translator())
    assert days[0].startswith("promo 1: ")
    assert days[-1] == "The calendar is known up to 31 Mar 2024; later days count as average ones."


def test_what_a_visit_would_change_is_valued_as_the_model_values_all(shop):
    loaded = Loaded("shop", ft.load(shop), (0, 0, 0), describe("shop", ft.load(shop), own=False))
    page = customer(loaded, "18", "1997-10-01", Translator(), Limits())
    (spend,) = loaded.model.predict_spend(["90d"], ids=[18]).to_dicts()
    assert page["found"]["expected_spend_90d"] == spend["expected_spend_90d"]
    assert page["worth"].startswith(
        f"Within 90 days expect amount of about {rounded(spend['expected_spend_90d'])} "
    )
    # Nothing is said of what the visit brings: what one is worth stays as it is.
    assert page["after"]["spend_per_visit"] == pytest.approx(spend["spend_per_visit"], rel=0.05)
    ratio = page["after"]["expected_spend_90d"] / page["after"]["expected_events_90d"]
    assert ratio == pytest.approx(page["after"]["spend_per_visit"])


def test_a_model_is_compared_with_rules_in_words(client, app):
    from foretell.serve.work import run

    service = app._app._service
    answer = client.post("/page/models/stores/compare", follow_redirects=False)
    job = answer.headers["location"].rpartition("/")[2]
    assert 'role="status"' in client.get(f"/page/jobs/{job}").text
    while service.jobs.take().key != job:
        pass
    run(service.store, job, service.shelf.place("stores"))
    shown = client.get(f"/page/jobs/{job}").text
    assert "Compared with simple rules" in shown
    assert "<caption>" in shown


def test_visits_that_the_model_has_seen_are_refused_in_words(client, app):
    from foretell.serve.work import run

    service = app._app._service
    rows = b"customer_id,date,amount\n4,1997-09-30,12\n"
    page = client.post("/page/models/shop/update", files={"file": ("july.csv", rows)})
    assert "<caption>First rows</caption>" in page.text
    source = page.url.params["source"]
    form = {"id": "customer_id", "time": "date"}
    for as_of, words in (
        ("", "no visit comes after 1997-09-30, up to which the model has seen everything"),
        ("1997-09-01", "the model has seen everything up to 1997-09-30; expected a later date"),
    ):
        answer = client.post(
            f"/page/models/shop/update/{source}", data=form | {"as_of": as_of}, follow_redirects=False
        )
        job = answer.headers["location"].rpartition("/")[2]
        while service.jobs.take().key != job:
            pass
        run(service.store, job, service.shelf.place("shop"))
        shown = client.get(f"/page/jobs/{job}").text
        assert words in html.unescape(shown)
        assert "/page/models/shop/update" in shown
    assert client.get("/v1/models/shop").json()["as_of"] == "1997-09-30"


def test_a_file_without_the_columns_of_the_model_is_refused_before_a_job_begins(client):
    page = client.post("/page/models/shop/update", files={"file": ("july.csv", b"who,day\n4,1997-10-30\n")})
    assert "lacks columns that the model was fitted to: amount" in page.text
    assert '<form method="post" action="/page/models' not in page.text
    assert client.get("/page/models/stores/update").status_code == 409


def test_what_goes_wrong_is_a_page_in_words(client):
    answer = client.get("/page/models/nobody")
    assert answer.status_code == 404
    assert "there is no model &#39;nobody&#39;" in answer.text
    answer = client.get("/page/models/shop/customer?id=x")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    for path in (f"shop/customer?id={'9' * 30}", "shop/series", "stores/shop", "stores/customer?id=a"):
        assert client.get(f"/page/models/{path}").status_code == 409
    answer = client.post("/page/sources", files={"file": ("visits", b"a,b")})
    assert "says nothing about what it holds" in answer.text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("horizon", "", "horizon=&#39;&#39;; expected steps, or a duration such as &#39;4w&#39;"),
        ("horizon", "7x", "expected steps, or a duration"),
        ("model", "Shop!", "expected small letters, digits, - and _"),
        ("model", "shop", "choose another name"),
    ],
)
def test_what_a_form_lacks_is_said_in_words(client, field, value, words):
    answer = client.post("/page/sources", files={"file": ("stores.csv", b"a,day,y\n1,2024-01-01,2\n")})
    form = {"kind": "series", "id": "a", "time": "day", "target": "y", "model": "new", "horizon": "7"}
    answer = client.post(f"{answer.url.path}/fit", data={**form, field: value})
    assert answer.status_code == 409
    assert words in answer.text


ENGLISH = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]{2,}){2,}")


def test_what_goes_wrong_is_said_in_chinese_too(client):
    client.cookies.set("foretell-language", "zh")
    try:
        source = client.post("/page/sources", files={"file": ("stores.csv", b"a,day,y\n1,2024-01-01,2\n")})
        form = {"kind": "series", "id": "a", "time": "day", "target": "y", "model": "new", "horizon": "7"}
        fit, answers = f"{source.url.path}/fit", []
        for field, value in (("horizon", ""), ("model", "Shop!"), ("model", "shop")):
            answers.append(client.post(fit, data={**form, field: value}))
        paths = ("nobody", "shop/customer?id=x", "shop/series", "shop/customer?id=4&visit=1997-01-01")
        answers += [client.get(f"/page/models/{path}") for path in paths]
        for name, content in (("visits", b"a"), ("visits.csv", b"")):
            answers.append(client.post("/page/sources", files={"file": (name, content)}))
        answers.append(client.post("/page/databases", data={"url": "no url", "table": "visits"}))
        for answer in answers:
            assert answer.status_code in {404, 409}
            message = html.unescape(re.search(r'role="alert">(.*?)</p>', answer.text)[1])
            assert not ENGLISH.search(message), message
            assert re.search(r"[\u4e00-\u9fff]", message), message
    finally:
        client.cookies.clear()


def test_names_that_are_tags_are_shown_as_they_are(client):
    rows = "<img src=x onerror=alert(1)>,day\n<script>alert(1)</script>,2024-01-01\n"
    answer = client.post("/page/sources", files={"file": ("<b>.csv", rows.encode())})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "&lt;b&gt;.csv" in answer.text


def test_a_browser_enters_by_the_token(guarded):
    assert guarded.get("/page").url.path == "/page/enter"
    assert "That is not the token" in guarded.post("/page/enter", data={"token": "wrong"}).text
    answer = guarded.post("/page/enter", data={"token": guarded.token}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert guarded.token not in cookie
    assert guarded.get("/page").url.path == "/page"


def test_every_sentence_of_the_templates_is_translated():
    said = {a or b for page in TEMPLATES.iterdir() for a, b in SAID.findall(page.read_text(encoding="utf-8"))}
    assert len(said) > 50
    assert not said - set(catalogue("zh"))


def test_tables_are_taken_along(client, monkeypatch):
    monkeypatch.setattr("foretell.serve.views.shop_html", lambda model, say, earlier: "<!DOCTYPE html>")
    answer = client.get("/page/models/stores/forecasts.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="stores-forecasts.csv"'
    assert answer.text.startswith("unique_id,ds,")
    header = "unique_id,as_of,n_events,spend_per_visit,p_spend_30d,expected_spend_30d"
    assert client.get("/page/models/shop/spend.csv").text.startswith(header)
    totals = client.get("/page/models/shop/totals.csv").text
    names = ["ds", "end", "visits", "visits-lo-80", "visits-hi-80", "spend", "spend-lo-80", "spend-hi-80"]
    assert totals.splitlines()[0].split(",") == names
    assert client.get("/page/models/shop/report.html").text.startswith("<!DOCTYPE html>")
    assert client.get("/page/models/stores/totals.xlsx").content[:2] == b"PK"
    assert json.loads(client.get("/v1/models/shop").text)["name"] == "shop"
