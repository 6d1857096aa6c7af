from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import re
import struct
import zlib

import altair as alt
import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell import plotting
from foretell.acquisition import predict_shop, shop_so_far
from foretell.datasets import load_cdnow
from foretell.errors import DataError, ParameterError, StorageError
from foretell.events.states import standing
from foretell.nn.training import Progress

CUTOFF = "1997-09-30"
REGULAR = 15562  # 27 visits


@pytest.fixture(scope="module")
def log():
    return ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")


@pytest.fixture(scope="module")
def model(fitted):
    return fitted


@pytest.fixture(scope="module")
def board(log):
    return ft.evaluate(log, CUTOFF, "30w", models=["bg/nbd", "pareto/nbd", "repeat rate"])


@pytest.fixture(scope="module")
def tracking(board):
    return plotting.plot_tracking(board)


def values(chart, *fields):
    """Return the rows of a chart's data sets that have these fields."""
    spec = chart.to_dict()
    return [row for rows in spec["datasets"].values() for row in rows if set(fields) <= set(row)]


def texts(chart):
    return {row["label"] for row in values(chart, "label")}


def test_the_ending_says_how_a_chart_is_saved(tracking, tmp_path):
    png, svg, html = (plotting.save(tracking, tmp_path / f"chart{ending}") for ending in plotting.FORMATS)
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert png.stat().st_size < 150_000
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    page = html.read_text(encoding="utf-8")
    assert "vega" in page
    assert not re.search(r"<(script|link)[^>]+(src|href)=[\"']?(https?:)?//", page)


def pixels_of(png):
    """Return the colours of a picture as the renderer writes it, or of its palette: (height, width, 3)."""
    width, height, _, kind = struct.unpack(">IIBB", png[16:26])
    chunks = {}
    while png := png[8 if png[1:4] == b"PNG" else 0 :]:
        (length,) = struct.unpack(">I", png[:4])
        chunks[png[4:8]] = chunks.get(png[4:8], b"") + png[8 : 8 + length]
        assert png[8 + length : 12 + length] == struct.pack(">I", zlib.crc32(png[4 : 8 + length]))
        png = png[12 + length :]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, -1)[:, 1:]
    if kind == 3:
        return np.frombuffer(chunks[b"PLTE"], dtype=np.uint8).reshape(-1, 3)[rows]
    return np.cumsum(rows.reshape(height, width, 4), axis=1, dtype=np.uint8)[..., :3]


def test_a_repacked_png_still_is_the_same_picture(tracking, tmp_path):
    drawn = tmp_path / "plain.png"
    tracking.save(str(drawn), scale_factor=1.5)
    plain, packed = drawn.read_bytes(), plotting.save(tracking, tmp_path / "packed.png").read_bytes()
    assert len(packed) < len(plain) / 3
    apart = np.abs(pixels_of(packed).astype(int) - pixels_of(plain)).max(axis=2)
    assert apart.max() < 40
    assert (apart > 0).mean() < 0.01


def test_a_picture_without_a_background_still_shines_through(tmp_path):
    see_through = (
        alt.Chart(pl.DataFrame({"x": [1]})).mark_point().encode(x="x:Q").properties(background="transparent")
    )
    png = plotting.save(see_through, tmp_path / "chart.png").read_bytes()
    assert png[25] == 6  # with a channel of its own for what shines through


def test_a_picture_of_another_kind_is_refused_by_its_ending(tracking, tmp_path):
    with pytest.raises(ParameterError, match=r"'chart.gif'.*\.png, \.svg or \.html"):
        plotting.save(tracking, tmp_path / "chart.gif")


def test_a_place_that_cannot_be_written_is_named(tracking, tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        plotting.save(tracking, tmp_path / "nowhere" / "chart.svg")


def test_tracking_shows_what_came_beside_the_best_forecasts(board, tracking):
    assert texts(tracking) == {"actual", *board.table()["model"][:2], "forecast from here on →"}
    weekly = values(tracking, "week", "visits")
    drawn = [row["visits"] for row in weekly]
    for total in board.totals.filter(pl.col("model") == board.names[0])["y"]:
        assert total in drawn


def test_tracking_draws_no_forecast_of_a_model_that_is_not_there(board):
    with pytest.raises(ParameterError, match=r"'prophet'.*BG/NBD"):
        plotting.plot_tracking(board, models=["prophet"])


def test_tracking_takes_a_band(board):
    weeks = 30
    band = pl.DataFrame(
        {
            "ds": [dt.date(1997, 10, 1)] * weeks,
            "foretell-lo-80": np.full(weeks, 30.0),
            "foretell-hi-80": np.full(weeks, 50.0),
        }
    )
    chart = plotting.plot_tracking(board, models=["BG/NBD"], band=band)
    assert len(values(chart, "low", "high")) == weeks
    assert "Shaded" in chart.to_dict()["title"]["subtitle"][1]


def test_a_short_last_week_is_left_out_of_tracking(log):
    board = ft.evaluate(log, CUTOFF, "30d", models=["bg/nbd"])
    chart = plotting.plot_tracking(board)
    ahead = {row["week"] for row in values(chart, "week", "visits") if row["week"] > "1997-09-30T23"}
    assert len(ahead) == 4


def test_an_hourly_log_is_drawn_by_weeks_with_its_hours(tmp_path):
    start = dt.datetime(2024, 1, 1)  # noqa: DTZ001  # wall time
    rows = [
        {"unique_id": f"c{k}", "ds": start + dt.timedelta(hours=31 * k + 50 * j)}
        for k in range(9)
        for j in range(30)
    ]
    hourly = ft.read_events(pl.DataFrame(rows), unit="hour")
    chart = plotting.plot_tracking(ft.evaluate(hourly, "2024-02-10", "14d", models=["repeat rate"]))
    assert "10 Feb 2024, 23:00" in chart.to_dict()["title"]["subtitle"][0]
    weekly = [row for row in values(chart, "week", "visits") if "label" not in row]
    assert len(weekly) == 5 + 2 + 2  # five weeks so far; two of actual and two of the forecast
    assert plotting.save(chart, tmp_path / "hourly.svg").stat().st_size > 0


@pytest.mark.slow
def test_tracking_of_a_model_shows_its_forecast_after_the_weeks_so_far(model):
    chart = plotting.plot_tracking(model, horizon="10w")
    assert "foretell" in texts(chart)
    assert len(values(chart, "low", "high")) == 10


def test_reliability_shows_models_that_forecast_a_probability(board):
    chart = plotting.plot_reliability(board)
    points = values(chart, "model", "forecast", "observed")
    assert {row["model"] for row in points} == {"BG/NBD", "Pareto/NBD"}
    assert len(points) == 20
    assert all(row["low"] <= row["observed"] <= row["high"] for row in points)


def test_reliability_says_why_it_cannot_be_drawn(log, board):
    with pytest.raises(ParameterError, match="none of these models"):
        plotting.plot_reliability(board, models=["repeat rate"])
    with pytest.raises(ParameterError, match="no model 'x'"):
        plotting.plot_reliability(board, models=["x"])
    late = ft.evaluate(log, "1998-06-15", "7d", models=["bg/nbd"])
    with pytest.raises(ParameterError, match="less than 30 days"):
        plotting.plot_reliability(late)


def test_the_next_visit_is_drawn_as_a_distribution(model):
    chart = plotting.plot_next_event(model, REGULAR, actual="1997-10-05")
    bars = values(chart, "from", "chance")
    answer = model.predict(horizons=[], levels=[80]).filter(pl.col("unique_id") == REGULAR)
    returns = standing(model.model_, model.log_, model.states_).p_return(30)
    shown = sum(row["chance"] for row in bars)
    assert 0.85 < shown <= 1.0
    # What the bars say of the first 30 days is what predict says.
    month = sum(row["chance"] for row in bars if row["from"] < "1997-10-31")
    place = model.log_.ids.index_of(REGULAR)
    assert month * answer["p_active"][0] == pytest.approx(returns[place], abs=1e-3)
    inside = [row["from"][:10] for row in bars if row["inside"]]
    assert [min(inside), max(inside)] == [str(answer[f"next_event-{end}-80"][0]) for end in ("lo", "hi")]
    assert any(text.startswith("27 visits") for text in texts(chart))
    assert "5 Oct 1997" in chart.to_dict()["title"]["subtitle"][0]


def test_a_model_that_answers_at_once_draws_what_it_answers(model):
    prior = ft.EventForecaster(model="prior").fit(model.log_)
    chart = plotting.plot_next_event(prior, REGULAR)
    answer = prior.predict(["30d"], [80], [REGULAR]).row(0, named=True)
    bars = values(chart, "from", "chance")
    month = sum(row["chance"] for row in bars if row["from"] < "1997-10-31")
    assert month * answer["p_active"] == pytest.approx(answer["p_return_30d"], abs=1e-3)
    assert f"{answer['p_return_30d']:.0%}" in chart.to_dict()["title"]["subtitle"][0]


def test_a_customer_of_one_visit_has_a_picture_too(model, tmp_path):
    once = model.log_.ids.filter(pl.Series(model.log_.counts == 1))[0]
    chart = plotting.plot_next_event(model, once)
    assert "1 visit" in texts(chart)
    assert any(text.endswith("later →") for text in texts(chart))
    assert plotting.save(chart, tmp_path / "once.svg").stat().st_size > 0


@pytest.mark.parametrize("stranger", [-1, "nobody", None])
def test_a_stranger_has_no_picture(model, stranger):
    with pytest.raises(ParameterError, match="no customer"):
        plotting.plot_next_event(model, stranger)


def test_the_map_of_activity_counts_every_customer_once(model):
    cells = values(plotting.plot_activity(model), "p_active", "customers")
    assert sum(row["customers"] for row in cells) == model.log_.n_customers
    assert all(0.0 <= row["p_active"] <= 1.0 for row in cells)


def busy(chart, who):
    """Return how busy each place of a week is, as a clock has it."""
    rows = [row for row in values(chart, "who", "at", "busy") if row["who"] == who]
    return [row["busy"] for row in sorted(rows, key=lambda row: row["at"])]


def test_a_network_shows_its_week_and_who_comes_back(small_model):
    chart = plotting.plot_shop(small_model)
    week = busy(chart, "network")
    assert week[6] < 0.01  # closed on Sundays
    assert week[5] > 1.2  # busy on Saturdays
    assert np.mean(week) == pytest.approx(1.0)
    assert not values(chart, "week", "busy")  # of the level it knows nothing
    returns = values(chart, "days", "chance", "visits")
    once = np.flatnonzero(small_model.log_.counts == 1)
    expected = small_model.return_chances(small_model.log_, [365])[once].mean()
    last = next(row for row in returns if row["visits"] == "1" and row["days"] == 365)
    assert last["chance"] == pytest.approx(expected)
    assert {row["visits"] for row in returns} == {"1", "2", "3 to 4", "5 or more"}


def test_the_prior_shows_the_level_of_whole_weeks_too(small_log, small):
    model = ft.EventForecaster(model="prior").fit(small_log, as_of=small.cutoff)
    chart = plotting.plot_shop(model)
    level = values(chart, "week", "busy")
    assert len(level) == (model.log_.as_of + 1 - model.log_.first.min()) // 7
    assert level[-1]["busy"] == pytest.approx(np.exp(model.horizon_.shop_.weeks[-1]))
    assert busy(chart, "prior")[6] == 0.0


def test_the_default_shows_the_year_that_its_network_knows_beside_the_prior(small_log, small):
    with pytest.warns(ft.errors.SmallDataWarning):
        model = small.forecaster(model="auto").fit(small_log.take(range(60)))
    busy_december = (*[0.9] * 48, *[2.0] * 4, 1.0)
    clock = dataclasses.replace(model.model_.clock, year=busy_december)
    model.model_ = dataclasses.replace(model.model_, clock=clock)
    rows = values(plotting.plot_shop(model), "who", "at", "busy")
    year = {row["at"]: row["busy"] for row in rows if row["at"] < "2024"}
    assert len(year) == 52
    assert max(year, key=year.get) >= "2023-12"
    assert {row["who"] for row in rows if row["at"] < "2024"} == {"network"}
    assert {row["who"] for row in rows if row["at"] >= "2024"} == {"network", "prior"}  # the week


def test_visits_that_are_dated_by_month_have_no_week():
    rows = [
        {"unique_id": f"c{k}", "ds": dt.date(2022 + m // 12, m % 12 + 1, 1)}
        for k in range(40)
        for m in range(k % 9, 20)
    ]
    with pytest.warns(ft.errors.CalendarWarning):
        log = ft.read_events(pl.DataFrame(rows))
    chart = plotting.plot_shop(ft.EventForecaster(model="prior").fit(log))
    assert not values(chart, "who", "busy")
    assert values(chart, "days", "chance")


@pytest.mark.parametrize(
    "draw",
    [
        plotting.plot_shop,
        plotting.plot_activity,
        plotting.plot_tracking,
        lambda m: plotting.plot_next_event(m, 4),
    ],
    ids=["shop", "activity", "tracking", "next"],
)
def test_a_statistic_has_no_picture_of_its_own(board, draw):
    with pytest.raises(ParameterError, match="ParetoNBD has no such picture; expected an EventForecaster"):
        draw(board.models["Pareto/NBD"])


def network_rows(chart):
    return {row["name"]: row for row in chart.layer[1].data.values}


def test_a_network_is_drawn_layer_by_layer_with_its_widths(small_model):
    rows = network_rows(ft.plotting.plot_network(small_model))
    assert [rows[name]["role"] for name in ("features", "recurrent_0", "dense", "join")] == [
        "input", "recurrent", "weights", "plain",
    ]  # fmt: skip
    assert (rows["recurrent_0"]["kind"], rows["recurrent_0"]["gives"]) == ("LSTM", "· × 4")
    assert rows["features"]["y2"] < rows["recurrent_0"]["y"]


def test_boxes_of_a_drawn_network_stand_apart_and_no_arrow_starts_below_its_end(small_model):
    chart = ft.plotting.plot_network(small_model)
    boxes = list(network_rows(chart).values())
    for k, one in enumerate(boxes):
        for other in boxes[:k]:
            apart_x = one["x2"] < other["x"] or other["x2"] < one["x"]
            assert apart_x or one["y2"] < other["y"] or other["y2"] < one["y"]
    points = chart.layer[0].layer[0].data.values
    for before, after in itertools.pairwise(points):
        assert before["link"] != after["link"] or before["y"] < after["y"]


def test_a_network_that_is_not_fitted_cannot_be_drawn():
    with pytest.raises(ft.errors.NotFittedError, match="takes its shape from the data; call fit first"):
        ft.plotting.plot_network(ft.EventForecaster())


def test_a_qq_picture_shows_both_stores_and_how_far_apart_they_are(small_log):
    names = small_log.group_names.to_list()
    chart = plotting.plot_qq(small_log, names[0], names[1])
    title = chart.to_dict()["title"]
    assert title["text"] == f"Gaps of store {names[0]} and store {names[1]}"
    assert "slope" in title["subtitle"][1]
    assert len(values(chart, "first", "second")) == 99 + 2 + 2
    with pytest.raises(ParameterError, match="there is no store 'shop 9' in the log; it has 3, such as"):
        plotting.plot_qq(small_log, names[0], "shop 9")


def test_a_log_without_stores_has_no_qq_picture(log):
    with pytest.raises(DataError, match="the log has no stores"):
        plotting.plot_qq(log, 1, 2)


def test_forecasts_beside_truth_show_every_pair_and_the_error():
    chart = plotting.plot_predicted([0, 10, 20], [1, 13, 16])
    assert "3 forecasts; mean absolute error 2.7, median 3.0" in chart.to_dict()["title"]["subtitle"][0]
    points = [(row["actual"], row["predicted"]) for row in values(chart, "actual", "predicted")]
    assert {(1.0, 1.0), (10.0, 13.0), (20.0, 16.0)} <= set(points)
    with pytest.raises(ParameterError, match="expected one forecast for each"):
        plotting.plot_predicted([1, 2], [1])


def test_training_is_shown_epoch_by_epoch_for_training_and_held_out_customers():
    epochs = [Progress(m, e, 3, 5.0 - e, 6.0 - e) for m in range(2) for e in (1, 2, 3)]
    chart = plotting.plot_training(epochs)
    assert len(values(chart, "epoch", "loss", "member")) == 12
    assert "2 networks" in chart.to_dict()["title"]["subtitle"][0]
    with pytest.raises(ParameterError, match="epochs is empty"):
        plotting.plot_training([])


@pytest.fixture(scope="module")
def shop(small_log, small):
    return ft.baselines.ParetoNBD().fit(small_log, as_of=small.cutoff)


@pytest.mark.parametrize(("by", "mark"), [("week", None), ("month", "amount")])
def test_totals_are_drawn_as_they_were_and_as_they_are_forecast(shop, by, mark):
    chart = plotting.plot_totals(shop, "8w", by=by, mark=mark, newcomers=True)
    what = "visits" if mark is None else "spend"
    table = predict_shop(shop, "8w", by, mark=mark)
    drawn = values(chart, "total", "low", "high", "middle")
    assert [row["total"] for row in drawn] == table[what].to_list()
    assert [row["low"] for row in drawn] == table[f"{what}-lo-80"].to_list()
    parts = values(chart, "who", "until")
    assert [row["high"] for row in parts if row["who"] == "today's customers"] == table["known"].to_list()
    upon = [row["high"] - row["low"] for row in parts if row["who"] == "customers to come"]
    np.testing.assert_allclose(upon, table["new"])
    past = [row["total"] for row in values(chart, "total", "middle") if "low" not in row]
    assert past == shop_so_far(shop.log_, by, mark=mark)[what].to_list()
    title = chart.to_dict()["title"]
    assert title["text"].startswith("Visits per week" if mark is None else "Sum of amount per month")
    assert "30 Jun 2023" in title["subtitle"][0]


def test_totals_without_newcomers_are_of_todays_customers_alone(shop):
    chart = plotting.plot_totals(shop)
    assert {row["who"] for row in values(chart, "who")} == {"today's customers"}
    assert len(values(chart, "who")) == 13


def test_totals_of_groups_stand_beside_those_before(shop):
    log = shop.log_
    rows = values(plotting.plot_totals(shop, "60d", by="group"), "group", "before")
    assert [row["total"] for row in rows] == sorted((row["total"] for row in rows), reverse=True)
    late = log.times > log.as_of - 60
    counts = {name: int((log.groups[late] == k).sum()) for k, name in enumerate(log.group_names)}
    assert {row["group"]: row["before"] for row in rows} == counts
    with pytest.raises(ParameterError, match="the whole shop"):
        plotting.plot_totals(shop, by="group", newcomers=True)


def test_the_sum_of_all_series_is_drawn():
    rng = np.random.default_rng(0)
    panel = ft.Panel.from_arrays({k: 9 + rng.normal(size=40) for k in "ab"})
    model = ft.SeriesForecaster(horizon=4, model="prior").fit(panel)
    chart = plotting.plot_totals(model)
    sums = panel.values[:, 0].reshape(2, 40).sum(axis=0)
    rows = [row["y"] for row in values(chart, "y", "what") if row["what"] == "actual"]
    np.testing.assert_allclose(rows, sums[-24:])
    expected = model.predict_totals(by="step")["foretell"]
    assert [row["y"] for row in values(chart, "y", "what") if row["what"] == "foretell"] == expected.to_list()
    with pytest.raises(ParameterError, match="for models of visits"):
        plotting.plot_totals(model, mark="amount")


def test_a_customers_spend_is_added_up_and_goes_on(shop):
    log = shop.log_
    place = int(log.counts.argmax())
    customer = log.ids[place]
    amounts = log.marks[log.offsets[place] : log.offsets[place + 1], 0]
    chart = plotting.plot_spend(shop, customer, horizon="8w")
    rows = values(chart, "y")
    assert max(row["y"] for row in rows if "lo-80" not in row) == pytest.approx(amounts.sum())
    ahead = [row for row in rows if "lo-80" in row]
    spend = shop.predict_spend(["8w"], [80], [customer]).row(0, named=True)
    assert len(ahead) == 9
    assert ahead[0]["y"] == ahead[0]["hi-95"] == pytest.approx(amounts.sum())
    assert ahead[-1]["y"] - ahead[0]["y"] == pytest.approx(spend["expected_spend_8w"])
    assert ahead[-1]["hi-80"] - ahead[0]["y"] == pytest.approx(spend["expected_spend_8w-hi-80"])
    with pytest.raises(ParameterError, match="no customer 'nobody'"):
        plotting.plot_spend(shop, "nobody")
    with pytest.raises(DataError, match="no mark 'price'"):
        plotting.plot_spend(shop, customer, mark="price")


def test_the_value_of_all_is_split_by_tenths_of_the_customers(shop):
    rows = values(plotting.plot_value(shop, "26w", discount=0.2), "part", "share")
    worth = np.sort(shop.predict_value("26w", discount=0.2)["value"].to_numpy())[::-1]
    assert sum(row["customers"] for row in rows) == len(worth)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert rows[0]["share"] == pytest.approx(worth[: rows[0]["customers"]].sum() / worth.sum())
    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
