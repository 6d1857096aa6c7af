"""What is far from all others is said, kept by default, and missing or left out where that is asked for."""

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import foretell as ft
from foretell.cli.commands import app
from foretell.data.strays import stray
from foretell.errors import OutlierWarning, ParameterError


def shop(n=400, customers=50, **columns):
    days = np.datetime64("2024-01-01") + np.arange(n) * 7 % 180
    paid = 5.0 + np.arange(n) % 90
    return pl.DataFrame({"who": np.arange(n) % customers, "when": days, "paid": paid}).with_columns(**columns)


def read(data, **options):
    return ft.read_events(data, id="who", time="when", marks="paid", **options)


ONE = shop().with_columns(paid=pl.when(pl.int_range(pl.len()) == 16).then(2.1e7).otherwise("paid"))


def test_an_amount_a_million_times_the_others_is_said_and_kept():
    with pytest.warns(
        OutlierWarning, match=r"1 of the values of 'paid'.*1,000 times.*21000000 in row 17: kept"
    ):
        log = read(ONE)
    assert log.marks.max() == 2.1e7


def test_it_is_missing_where_that_is_asked_for():
    log = read(ONE, strays="missing")
    assert np.nanmax(log.marks) < 100
    assert log.report.adjusted == {"with 'paid' more than 1,000 times as large as any other, missing": 1}
    assert log.report.examples == {
        "with 'paid' more than 1,000 times as large as any other, missing": ("21000000.0 in row 17",)
    }
    with pytest.raises(ParameterError, match="strays='drop'"):
        read(ONE, strays="drop")


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([5.0] * 28 + [5e9], []),
        ([5.0] * 30 + [4_999.0], []),
        ([5.0] * 30 + [5_001.0], [30]),
        ([-5e6, *[5.0] * 30], [0]),
        ([*[5.0] * 3_000, 1e8, 2e8, 3e8], [3_000, 3_001, 3_002]),
        ([*[5.0] * 3_000, 1e8, 2e8, 3e8, 4e8], []),
        ([np.nan] * 30 + [0.0] * 30 + [1.0], []),
        ([*10.0 ** np.arange(60)], []),
    ],
)
def test_few_values_with_a_wide_gap_below_them_are_stray(values, places):
    assert np.flatnonzero(stray(np.array(values))).tolist() == places


def test_a_customer_with_half_of_the_log_is_said_and_may_be_left_out():
    crowded = shop().with_columns(who=pl.when(pl.int_range(pl.len()) % 2 == 0).then(999).otherwise("who"))
    with pytest.warns(OutlierWarning, match=r"200 of the 400 rows .* one customer, '999'.*exclude=\[999\]"):
        read(crowded)
    log = read(crowded, exclude=[999])
    assert 999 not in log.ids
    assert log.report.left_out == {"of customers that are excluded": 200}
    assert read(crowded, exclude=["GUEST", "999"]).ids.equals(log.ids)
    with pytest.raises(ParameterError, match="exclude='999'; expected a list"):
        read(crowded, exclude="999")


def test_a_value_of_a_series_is_judged_by_its_series():
    weeks = pl.date_range(pl.date(2022, 1, 3), pl.date(2023, 12, 25), "1w", eager=True)
    size = {"small": 2.0, "large": 2e7, "odd": 3.0}
    data = pl.concat(
        [pl.DataFrame({"unique_id": name, "ds": weeks, "y": value}) for name, value in size.items()]
    )
    data = data.with_columns(
        y=pl.when((pl.col("unique_id") == "odd") & (pl.col("ds") == pl.date(2022, 1, 31)))
        .then(4e6)
        .otherwise("y")
    )
    with pytest.warns(OutlierWarning, match=r"1 of the values of 'y'.*odd at 2022-01-31: kept"):
        assert ft.read_series(data).values.max() == 2e7
    panel = ft.read_series(data, strays="missing", exclude=["large"])
    assert np.nanmax(panel.values) == 3.0
    assert np.isnan(panel.values).sum() == 1
    assert panel.report.examples[
        "with 'y' more than 1,000 times as large as any other of their series, missing"
    ] == ("odd at 2022-01-31",)


@pytest.mark.filterwarnings("default::foretell.errors.OutlierWarning")
def test_the_shell_says_it_in_options(tmp_path):
    ONE.write_csv(tmp_path / "a.csv")
    words = ["fit", str(tmp_path / "a.csv"), "--id", "who", "--time", "when", "--mark", "paid"]
    out = CliRunner().invoke(app, [*words, "--model", "mean-gap", "--out", str(tmp_path / "model")])
    assert out.exit_code == 0, out.output
    assert "note: 1 of the values of 'paid'" in out.stderr
    assert "missing by --strays 'missing'" in out.stderr
    out = CliRunner().invoke(
        app,
        [
            *words,
            "--strays",
            "missing",
            "--exclude",
            "3",
            "--model",
            "mean-gap",
            "--out",
            str(tmp_path / "b"),
        ],
    )
    assert "of customers that are excluded" in out.stderr
    assert "note:" not in out.stderr
