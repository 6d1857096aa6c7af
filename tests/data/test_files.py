"""Files as people have them: encodings, packings, folders, spreadsheets, files that are databases."""

import contextlib
import datetime as dt
import gzip
import io
import itertools
import sqlite3
import zipfile

import polars as pl
import pytest
from tests.data.sources import put, read

import foretell as ft
from foretell.data.files import head_of_file
from foretell.errors import ColumnError, MissingDependencyError, ParameterError, SourceError

CSV = "who,when,much\nMüller,2024-01-01,1.5\nMüller,2024-01-05,2\nGroß,2024-01-03,4\n"
TABLE = pl.read_csv(io.StringIO(CSV), try_parse_dates=True)


def assert_is_the_shop(log, ids=("Groß", "Müller")):
    assert log.ids.to_list() == list(ids)
    assert log.dates(log.times).astype(str).tolist() == ["2024-01-03", "2024-01-01", "2024-01-05"]
    assert log.marks.ravel().tolist() == [4.0, 1.5, 2.0]


def zipped(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", CSV.encode("cp1252"), "cp1252"),
        ("a.csv", CSV.encode("utf-16"), "utf-16"),
        ("a.csv", CSV.encode("utf-16-le"), "utf-16-le"),
        ("a.csv", CSV.encode("utf-8-sig"), None),
        ("a.csv", CSV.replace("\n", "\r"), None),
        ("a.csv", "sep=;\n" + CSV.replace(",", ";"), None),
        ("a.csv", "\n\n" + CSV, None),
        ("a.csv", CSV.replace("who,when,much", "who, when, much "), None),
        ("a.csv", "\ufeff" + CSV.replace("who,when,much", '"who","when","much"'), None),
        ("a.csv", CSV.replace("\n", "\r\n").encode("cp1252"), "cp1252"),
        ("a.tsv", CSV.replace(",", "\t").encode("utf-16"), "utf-16"),
        ("a.csv.gz", gzip.compress(CSV.encode("cp1252")), "cp1252"),
        ("a.zip", zipped(shop__csv=CSV), None),
        ("a.zip", zipped(shop__csv=CSV.encode("cp1252"), read_me__md="hello"), "cp1252"),
        ("a.csv", CSV.replace("much", "much,größe").replace("\n2", "\n2,").encode("cp1252"), "cp1252"),
    ],
    ids=itertools.count(),  # what is packed bears the time of packing, which workers would not agree on
)
def test_text_is_read_in_whatever_encoding_and_packing_and_that_is_said(tmp_path, name, content, told):
    log = read(put(tmp_path, name, content))
    assert_is_the_shop(log)
    assert log.report.noted == ({f"files guessed to be in {told}": 1} if told else {})


def test_an_encoding_that_is_named_is_not_guessed(tmp_path):
    path = put(tmp_path, "a.csv", CSV.replace("Groß", "Łódź").replace("Müller", "Źrebak").encode("cp1250"))
    log = read(path, encoding="cp1250")
    assert_is_the_shop(log, ids=("Łódź", "Źrebak"))
    assert log.report.noted == {}
    for name in ("ascii", "utf-8"):
        with pytest.raises(SourceError, match=f"not written in {name}"):
            read(path, encoding=name)
    with pytest.raises(SourceError, match="not written in utf-16"):
        read(path, encoding="utf-16")
    with pytest.raises(ParameterError, match="encoding='hex' is not known"):
        read(path, encoding="hex")
    with pytest.raises(SourceError, match="there is no file 'yyy"):
        read("y" * 5_000)
    with pytest.raises(ParameterError, match="is for files"):
        read(TABLE, encoding="cp1250")
    with pytest.raises(ParameterError, match=r"sheet='x' is for spreadsheets, and .*a.csv is none"):
        read(path, sheet="x")


def test_a_late_byte_that_is_no_utf8_is_seen(tmp_path):
    rows = "".join(f"{k},2024-01-0{1 + k % 9},1\n" for k in range(90_000))
    log = read(put(tmp_path, "a.csv", f"who,when,much\n{rows}Köln,2024-01-01,1\n".encode("latin-1")))
    assert "Köln" in log.ids


def test_a_folder_and_a_zip_file_are_all_their_tables_with_columns_in_any_order(tmp_path):
    put(tmp_path, "jan.csv", "who,when,much\nMüller,2024-01-01,1.5\n")
    put(tmp_path, "feb.csv", "much;who;when\n2;Müller;2024-01-05\n4;Groß;2024-01-03\n")
    put(tmp_path, "notes.md", "no table")
    assert_is_the_shop(read(tmp_path))
    packed = {file.stem + "__csv": file.read_text() for file in tmp_path.glob("*.csv")}
    assert_is_the_shop(read(put(tmp_path, "both.zip", zipped(**packed))))


def test_rows_that_are_longer_than_the_header_are_told_apart_by_what_has_a_name(tmp_path):
    rows = CSV.replace("much\n", "much,till\n").replace("\n", ",1\n").replace("till,1", "till")
    twice = rows + "Groß,2024-01-03,4,1,and more\n"
    log = read(put(tmp_path, "a.csv", twice))
    assert log.report.left_out == {"identical to another row, counted once": 1}


def test_a_row_that_is_longer_than_the_header_is_named(tmp_path):
    with pytest.raises(
        SourceError, match=r"row 2 has 4 for 3, 'Müller,2024-01-05,1.234,50'; put .* into quotes"
    ):
        read(put(tmp_path, "a.csv", CSV.replace("05,2", "05,1.234,50")))


def test_a_header_that_is_no_line_is_refused(tmp_path):
    with pytest.raises(SourceError, match="new-line character"):
        read(put(tmp_path, "a.csv", "who,wh\ren" + CSV[6:]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04", "cannot be read as a zip file"),
        (zipped(read_me__md="hello"), "holds no file that ends in"),
    ],
)
def test_a_zip_file_without_tables_is_refused(tmp_path, content, message):
    with pytest.raises(SourceError, match=message):
        read(put(tmp_path, "a.zip", content))


def test_spreadsheets_are_read_by_sheet_and_written(tmp_path):
    xlsxwriter = pytest.importorskip("xlsxwriter")
    numbered = TABLE.with_columns(who=pl.col("who").replace_strict({"Müller": 17850, "Groß": 7}))
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        TABLE.write_excel(book, "names")
        numbered.write_excel(book, "numbers")
    first = read(tmp_path / "a.xlsx")
    assert_is_the_shop(first)
    assert first.report.noted == {"spreadsheets read by their first sheet, 'names'": 1}
    second = read(tmp_path / "a.xlsx", sheet="numbers")
    assert_is_the_shop(second, ids=(7, 17850))
    assert second.report.noted == {}
    with pytest.raises(SourceError, match="no sheet 'x'; its sheets are 'names', 'numbers'"):
        read(tmp_path / "a.xlsx", sheet="x")
    with pytest.raises(SourceError, match="cannot be read as spreadsheet"):
        read(put(tmp_path, "b.xlsx", CSV))
    ft.write_tables([TABLE, TABLE], tmp_path / "out.xlsx")
    again = read(tmp_path / "out.xlsx", duplicates="keep")
    assert again.marks.ravel().tolist() == [8.0, 3.0, 4.0]


ODS = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.2"><office:body>'
    '<office:spreadsheet><table:table table:name="Visits">{}</table:table></office:spreadsheet></office:body>'
    "</office:document-content>"
)


def open_document_cell(value):
    kinds = {float: "float", dt.date: "date"}
    kind = kinds.get(type(value), "string")
    attribute = {"float": "value", "date": "date-value"}.get(kind)
    told = f' office:{attribute}="{value}"' if attribute else ""
    return f'<table:table-cell office:value-type="{kind}"{told}><text:p>{value}</text:p></table:table-cell>'


def test_sheets_of_open_documents_are_read(tmp_path):
    pytest.importorskip("fastexcel")
    rows = [TABLE.columns, *TABLE.cast({"much": pl.Float64}).rows()]
    cells = ("".join(map(open_document_cell, row)) for row in rows)
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"></m:manifest>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", ODS.format(body))
        archive.writestr("META-INF/manifest.xml", manifest)
    assert_is_the_shop(read(put(tmp_path, "a.ods", packed.getvalue()), sheet="Visits"))


def test_without_the_reader_of_spreadsheets_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fastexcel", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foretell\[excel\]'"):
        read(put(tmp_path, "a.ods", b"PK"))


def test_a_sqlite_file_is_named_by_its_path(tmp_path):
    path = tmp_path / "shop.anything"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table visits (who text, 'when' text, much real)")
        database.executemany("insert into visits values (?, ?, ?)", TABLE.cast(pl.String).rows())
    assert_is_the_shop(read(path, table="visits"))
    assert_is_the_shop(read(str(path), query="select * from visits"))
    with pytest.raises(ParameterError, match="neither is given, and its tables are 'visits'"):
        read(path)


def test_a_duckdb_file_is_read_by_its_url(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("duckdb_engine")
    put(tmp_path, "a.csv", CSV)
    with contextlib.closing(duckdb.connect(tmp_path / "shop.duckdb")) as database:
        database.execute(f"create table visits as from '{tmp_path / 'a.csv'}'")
    assert_is_the_shop(read(f"duckdb:///{tmp_path / 'shop.duckdb'}", table="visits"))
    with pytest.raises(SourceError, match="there is no database file"):
        read(f"duckdb:///{tmp_path / 'none.duckdb'}", table="visits")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "Kundennummer,Rechnungsdatum,Betrag",
            "'Kundennummer' looks like the id, 'Rechnungsdatum' looks like the time",
        ),
        (
            "客户编号,日期,金额",
            "'客户编号' looks like the id, '日期' looks like the time, '金额' looks like the mark",
        ),
        (
            "Kundennummer,whem,Betrag",
            r"did you mean 'whem'.*'Kundennummer' looks like the id, 'Betrag' looks like the mark; name them",
        ),
        ("a,b,c", "its columns are 'a', 'b', 'c'; name them by id=, time=, marks="),
    ],
)
def test_columns_that_look_like_what_was_asked_for_are_proposed(tmp_path, header, message):
    with pytest.raises(ColumnError, match=message):
        read(put(tmp_path, "a.csv", CSV.replace("who,when,much", header)))


def test_the_first_rows_of_a_file_are_shown_as_they_are(tmp_path):
    text = "id;Straße\n007;Köln\n008;Bonn\n"
    for name, content in (("a.csv", text.encode("cp1252")), ("b.csv", text.encode())):
        (tmp_path / name).write_bytes(content)
        head = head_of_file(tmp_path / name, 1)
        assert head.rows(named=True) == [{"id": "007", "Straße": "Köln"}]
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.write(tmp_path / "a.csv", "a.csv")
    assert head_of_file(tmp_path / "c.zip", 5).shape == (2, 2)
    pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / "d.parquet")
    assert head_of_file(tmp_path / "d.parquet", 1)["n"].to_list() == [1]
    (tmp_path / "broken.parquet").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"broken\.parquet is not a Parquet file"):
        head_of_file(tmp_path / "broken.parquet", 1)
