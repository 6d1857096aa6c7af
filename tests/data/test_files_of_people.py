"""Forty files as people have them, of many encodings, sheets and ways to write money: the same visits."""

import datetime as dt
import gzip
import zipfile
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

import foretell as ft

WESTERN, CYRILLIC = ("Köln", "Zoë", "Müller", "Gonçalves"), ("Иванов", "Петров", "Смирнова", "Кузнецов")
CHINESE, TRADITIONAL = ("王明", "李华", "张伟", "上海刘洋"), ("陳小姐", "張先生", "黃美玲", "臺灣林志明")
JAPANESE, KOREAN = ("田中さん", "鈴木さん", "高橋さん", "佐藤さん"), ("김민준", "이서연", "박지훈", "최수아")
CENTRAL = ("Dvořák", "Łukasz", "Şebnem", "Čapek")
AMOUNTS = (1234.5, 7.25, 19.0, 0.75)
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=3 * k) for k in range(24)]


def german(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def spaced(value):
    return f"{value:,.2f}".replace(",", "\u202f").replace(".", ",")


def english(value):
    return f"{value:,.2f}"


def wide(text):
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


MONEY = {
    "plain": "{:.2f}".format,
    "thousands": english,
    "a plus": lambda v: f"+{english(v)}",
    "decimal comma": lambda v: f"{v:.2f}".replace(".", ","),
    "German": german,
    "French": spaced,
    "Swiss": lambda v: f"CHF {english(v).replace(',', '’')}",
    "euros before": lambda v: f"€ {german(v)}",
    "euros after": lambda v: f"{german(v)} €",
    "dollars": lambda v: f"${english(v)}",
    "dollars in letters": lambda v: f"USD {english(v)}",
    "pounds": lambda v: f"£{english(v)}",
    "reais": lambda v: f"R$ {german(v)}",
    "crowns": lambda v: f"{spaced(v)} kr",
    "Czech crowns": lambda v: f"{spaced(v)} Kč",
    "zloty": lambda v: f"{spaced(v)} zł",
    "yuan": lambda v: f"¥{english(v)}",
    "yuan after": lambda v: f"{english(v)}元",
    "rupees": lambda v: f"₹{english(v)}",
    "wide digits": lambda v: wide(f"{v:.2f}"),
}
# The encoding, the names, and whether it is told: what cannot be guessed from a few rows has to be.
ENCODINGS = {
    "utf-8": (CHINESE, False), "utf-8-sig": (WESTERN, False), "utf-16": (JAPANESE, False),
    "utf-16-le": (WESTERN, False), "utf-16-be": (WESTERN, False), "utf-32": (KOREAN, False),
    "cp1252": (WESTERN, False), "latin-1": (WESTERN, True), "iso-8859-15": (WESTERN, True),
    "cp1250": (CENTRAL[:2] + CENTRAL[3:], True), "cp1251": (CYRILLIC, False), "koi8-r": (CYRILLIC, True),
    "gb18030": (CHINESE, False), "big5": (TRADITIONAL, False), "shift_jis": (JAPANESE, False),
    "euc_kr": (KOREAN, False),
}  # fmt: skip


def rows(names, money):
    return [(names[k % len(names)], day, money(AMOUNTS[k % 4])) for k, day in enumerate(DAYS)]


def text(names, money, ends="\n"):
    lines = [f'"{who}";{day:%d.%m.%Y};"{paid}"' for who, day, paid in rows(names, money)]
    return ends.join(["who;when;paid", *lines, ""])


def written_as_money(kind, place):
    path = place / "visits.csv"
    path.write_text(text(WESTERN, MONEY[kind]), encoding="utf-8")
    return path, {}, WESTERN


def written_in(encoding, place):
    names, told = ENCODINGS[encoding]
    path = place / "visits.csv"
    path.write_bytes(text(names, german, "\r\n").encode(encoding))
    return path, {"encoding": encoding} if told else {}, names


def sheet(place, money, format_of):
    path = place / "visits.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet("Umsätze")
        dates = book.add_format({"num_format": "dd.mm.yyyy"})
        page.write_row(0, 0, ["who", "when", "paid"])
        for k, (who, day, paid) in enumerate(rows(WESTERN, money), 1):
            page.write(k, 0, who)
            page.write_datetime(k, 1, dt.datetime.combine(day, dt.time()), dates)
            page.write(k, 2, format_of(paid))
    return path, {}, WESTERN


def packed(place):
    path = place / "visits.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("export/visits.csv", text(WESTERN, german).encode("cp1252"))
        archive.writestr("export/readme.pdf", b"%PDF")
    return path, {}, WESTERN


def squeezed(place):
    path = place / "visits.csv.gz"
    path.write_bytes(gzip.compress(text(CHINESE, english).encode("gb18030")))
    return path, {}, CHINESE


PACKINGS = {
    "a sheet of numbers": lambda place: sheet(place, float, float),
    "a sheet of text": lambda place: sheet(place, german, str),
    "zip": packed,
    "gzip": squeezed,
}
FILES = (
    [(f"money, {kind}", lambda place, kind=kind: written_as_money(kind, place)) for kind in MONEY]
    + [(f"encoding, {name}", lambda place, name=name: written_in(name, place)) for name in ENCODINGS]
    + [(f"packed, {name}", make) for name, make in PACKINGS.items()]
)


def test_there_are_forty():
    assert len(FILES) == 40


@pytest.mark.parametrize("make", [make for _, make in FILES], ids=[name for name, _ in FILES])
def test_a_file_as_people_have_it_is_read_to_the_same_visits(make, tmp_path):
    path, told, names = make(tmp_path)
    log = ft.read_events(path, id="who", time="when", marks="paid", **told)
    expected = pl.DataFrame(rows(names, float), schema=["unique_id", "ds", "paid"], orient="row")
    found = log.to_polars().select("unique_id", "ds", "paid")
    assert found.sort("unique_id", "ds").rows() == expected.sort("unique_id", "ds").rows()


def test_an_old_workbook_is_read():
    """Its cells: dates, numbers with and without decimals, one below zero, a name beyond ASCII."""
    path = Path(__file__).parents[1] / "fixtures" / "visits.xls"
    log = ft.read_events(path, id="who", time="when", marks="much", refunds="keep", as_of="2024-02-01")
    assert log.to_polars().rows() == [
        ("Ann", dt.date(2024, 1, 2), 7.0),
        ("Ann", dt.date(2024, 1, 9), 0.75),
        ("Köln", dt.date(2024, 1, 1), 1234.5),
        ("Köln", dt.date(2024, 1, 3), None),
    ]
