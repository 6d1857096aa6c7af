"""Contacts: rows of whatever source, days and kinds of customers that a log knows."""

import polars as pl
import pytest

import foretell as ft
from foretell.data.contacts import read_contacts

ROWS = {
    "customer": ["b", "a", "b", "b", None],
    "sent": [
        "2024-06-07 09:00",
        "2024-06-07 10:00",
        "2024-06-07 17:00",
        "2024-06-05 08:00",
        "2024-06-05 08:00",
    ],
    "how": ["mail", "coupon", "mail", "mail", "mail"],
}


def test_a_contact_a_day_and_kind_counts_once_and_what_cannot_be_used_is_counted(tmp_path):
    frame = pl.DataFrame(ROWS)
    frame.write_csv(tmp_path / "sent.csv")
    for source in (frame, tmp_path / "sent.csv"):
        read = read_contacts(source, id="customer", time="sent", kind="how")
        assert read.kinds == ("coupon", "mail")
        assert read.ids.to_list() == ["a", "b"]
        dates = read.day.astype("datetime64[D]").astype(str).tolist()
        assert list(zip(read.customer.tolist(), dates, read.kind.tolist(), strict=True)) == [
            (0, "2024-06-07", 0), (1, "2024-06-05", 1), (1, "2024-06-07", 1),
        ]  # fmt: skip
        assert read.report.rows_read == 5
        assert read.report.left_out["without an id"] == 1


def test_contacts_know_whose_they_are_in_a_log():
    visits = pl.DataFrame({"unique_id": [7, 7, 9], "ds": ["2024-05-01", "2024-05-09", "2024-05-03"]})
    log = ft.read_events(visits)
    contacts = read_contacts(pl.DataFrame({"unique_id": [9, 8, 7], "ds": ["2024-05-02"] * 3}))
    assert contacts.kinds == ("contact",)
    assert contacts.of(log).tolist() == [0, -1, 1]


def test_too_many_kinds_are_refused():
    rows = pl.DataFrame({"unique_id": range(40), "ds": ["2024-05-02"] * 40, "kind": range(40)})
    with pytest.raises(ft.errors.DataError, match=r"40 kinds of contacts in 'kind'.*12 at the most"):
        read_contacts(rows, kind="kind")
