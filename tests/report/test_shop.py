"""The shop's own page: its figures by hand, its parts, and that it stands alone."""

import re

import numpy as np
import polars as pl
import pytest
from tests.browsing import browse, needs_browser

import foretell as ft
from foretell.acquisition import predict_shop
from foretell.errors import ParameterError
from foretell.report import outlook
from foretell.report.pages import json_script, page, read_data


@pytest.fixture(scope="module")
def model(small_log, small):
    return ft.baselines.ParetoNBD().fit(small_log, as_of=small.cutoff)


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    return ft.write_report(model, tmp_path_factory.mktemp("shop") / "shop.html")


def headings(text):
    return re.findall(r"<section><h2>(.*?)</h2>", text)


def test_the_page_has_every_part(written, model):
    text = written.read_text(encoding="utf-8")
    assert headings(text) == [
        "What to expect", "What it is worth", "Whom to write to", "Who is new",
        "How good earlier forecasts were", "What the words mean",
    ]  # fmt: skip
    assert text.count('<figure class="live"') == text.partition("<script>")[0].count("</svg>") == 4
    week = outlook.expectations(model)[0]
    assert f"expect about {week.total:,.0f} visits, {week.new:,.0f} of them by customers" in text
    assert written.stat().st_size < 2_000_000


def test_money_of_weeks_and_months_is_that_of_the_log_and_of_the_totals(model):
    log, amounts = model.log_, model.log_.marks[:, 0]
    past, ahead = outlook.weeks(model, "amount")
    week = log.times > log.as_of - 7
    assert past["spend"][-1] == pytest.approx(amounts[week].sum())
    assert past["spend"].len() == min((log.as_of - log.start + 1) // 7, 52)
    expected = predict_shop(model, "13w", "week", mark="amount")
    assert ahead["spend"].to_list() == expected["spend"].to_list()
    _, month = outlook.expectations(model, "amount")
    assert month.total == predict_shop(model, 30, mark="amount")["spend"][0]
    assert month.before == pytest.approx(amounts[log.times > log.as_of - 30].sum())
    assert month.year_ago is None


def test_it_stands_alone(written):
    text = written.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src 'sha256-\S+' 'sha256-\S+'$", policy)
    assert not re.search(r"<(link|iframe|object|embed|script src)\b", text)


@needs_browser
def test_a_browser_draws_every_chart_anew_and_fetches_nothing(written, tmp_path):
    shown, asked = browse(written, tmp_path / "profile", "--virtual-time-budget=3000", "--dump-dom")
    assert shown.count('class="vega-bindings"') == 4
    assert asked == set()


def test_the_next_report_says_what_came_since_then(written, model, small_log, tmp_path):
    log, cutoff = small_log, model.log_.as_of
    later = ft.baselines.ParetoNBD().fit(log.up_to(cutoff + 31))
    earlier = read_data(written)
    change = outlook.changes(later, earlier)
    after = (log.times > cutoff) & (log.times <= cutoff + 31) & (log.first <= cutoff)[log.owner]
    assert change["visits"] == after.sum() > 0
    assert change["new"] == ((log.first > cutoff) & (log.first <= cutoff + 31)).sum()
    assert change["days"] == 31
    weeks = np.cumsum(earlier["weeks"])
    assert change["expected"] == pytest.approx(weeks[3] + (weeks[4] - weeks[3]) * 3 / 7)
    came = set(log.ids.gather(np.unique(log.owner[after])).to_list())
    assert change["returned"] == len(came & set(earlier["shortlist"]))
    text = ft.write_report(later, tmp_path / "next.html", since=written).read_text(encoding="utf-8")
    assert f"Since the report of {earlier['as_of']}, 31 days ago, its customers came" in text
    # The one that stands at the place is the earlier one; the same date again is no change.
    again = ft.write_report(later, tmp_path / "next.html").read_text(encoding="utf-8")
    assert "What changed" not in again


def test_newcomers_are_counted_by_the_month_of_their_first_visit(model):
    log = model.log_
    table = outlook.newcomers(model)
    first = pl.Series(log.time_of(log.first)).dt.truncate("1mo")
    assert table["customers"].to_list() == first.value_counts().sort("ds")["count"].to_list()
    january = np.flatnonzero((first == table["month"][0]).to_numpy())
    back = [
        log.counts[place] > 1 and log.times[log.offsets[place] + 1] - log.first[place] <= 30
        for place in january
    ]
    assert table["back_30d"][0] == pytest.approx(np.mean(back))


def test_who_has_been_here_for_less_long_has_no_share_yet(small_log):
    log = small_log.until("2023-02-15")
    table = outlook.newcomers(ft.baselines.ParetoNBD().fit(log))
    assert table.filter(pl.col("month") >= pl.date(2023, 2, 1))["back_30d"].null_count() > 0


def test_earlier_forecasts_are_made_from_what_was_known_then(model):
    table = outlook.earlier_forecasts(model)
    assert table.height == 6
    log, origin = model.log_, model.log_.as_of - 30
    then = ft.baselines.ParetoNBD().fit(log.up_to(origin))
    answers = then.predict([30], [], None)
    assert table["visits"][-1] == pytest.approx(answers["expected_events_30t"].sum())
    known = log.first <= origin
    assert table["actual"][-1] == ((log.times > origin) & known[log.owner]).sum()


def test_it_speaks_chinese(model, tmp_path):
    text = ft.write_report(model, tmp_path / "shop.html", language="zh").read_text(encoding="utf-8")
    assert 'lang="zh"' in text
    words = re.sub(r"<(script|svg|style).*?</\1>", "", text, flags=re.DOTALL)
    left = set(re.findall(r"[A-Za-z]{4,}", re.sub(r"<[^>]*>", "", words)))
    assert left <= {"Pareto", "amount"}


def test_a_model_that_counts_nothing_is_refused(small_log, tmp_path):
    gap = ft.baselines.MeanGap().fit(small_log)
    with pytest.raises(ParameterError, match="no chances of a return"):
        ft.write_report(gap, tmp_path / "shop.html")


def test_data_of_a_page_cannot_end_early_and_are_read_again(tmp_path):
    data = {"as_of": "</script><script>alert(1)</script>", "weeks": [1.5]}
    assert "</script><script>" not in json_script("x", data)
    place = tmp_path / "page.html"
    place.write_text(page("title", ["<p>text</p>"], data=data), encoding="utf-8")
    assert read_data(place) == data
    assert read_data(tmp_path / "nothing.html") is None
    place.write_text("<p>another page</p>", encoding="utf-8")
    assert read_data(place) is None


def test_the_page_says_what_days_of_a_calendar_bring(tmp_path):
    rng = np.random.default_rng(0)
    days = pl.date_range(pl.date(2023, 1, 2), pl.date(2023, 12, 31), eager=True)
    promotion = np.arange(len(days)) % 40 < 6
    rate = rng.gamma(1.0, 0.05, (200, 1)) * np.where(promotion, 2.5, 1.0)
    who, when = np.nonzero(rng.random(rate.shape) < rate)
    visits = pl.DataFrame({"unique_id": who, "ds": days[when]})
    log = ft.read_events(visits, as_of="2023-09-30", calendar={"ds": days, "promotion": promotion})
    model = ft.EventForecaster(model="prior").fit(log)
    times = model.calendar_table()["times"][0]
    for language, said in (
        ("en", f"promotion 1: {times:.2f} times as many"),
        ("zh", f"平日的 {times:.2f} 倍"),
    ):
        text = ft.write_report(model, tmp_path / f"{language}.html", language=language).read_text("utf-8")
        assert said in text
