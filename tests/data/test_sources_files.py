"""Files are read by what they hold; what they cannot be is refused with a mend."""

import gzip
import os
import random
import re
import resource
import zipfile

import polars as pl
import pytest
from tests.data.sources import put, read

from foretell.errors import ColumnError, EmptyLogError, SourceError

CSV = "who,when,much\n7,2024-01-01,1.5\n7,2024-01-05,2\n12,2024-01-03,4\n"
TABLE = pl.DataFrame(
    {"who": [7, 7, 12], "when": ["2024-01-01", "2024-01-05", "2024-01-03"], "much": [1.5, 2, 4]}
)
NOISE = random.Random(0).randbytes(999)


def assert_is_the_shop(log):
    assert log.ids.to_list() == [7, 12]
    assert log.dates(log.times).astype(str).tolist() == ["2024-01-01", "2024-01-05", "2024-01-03"]
    assert log.marks.ravel().tolist() == [1.5, 2.0, 4.0]
    assert log.report.rows_read == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shop.csv", CSV),
        ("shop.CSV", CSV),
        ("shop.txt", CSV.replace(",", "|")),
        ("shop.tsv", CSV.replace(",", "\t")),
        ("semicolons.csv", CSV.replace(",", ";").replace("1.5", "1,5")),
        ("shop.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("windows.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("quoted.csv", CSV.replace("who,when", '"who","when"').replace("7,", '"7",')),
        ("no-last-newline.csv", CSV.rstrip()),
        ("shop.jsonl", TABLE.write_ndjson()),
        ("shop.ndjson.gz", gzip.compress(TABLE.write_ndjson().encode(), mtime=0)),
    ],
)
def test_text_files_are_read_whatever_their_delimiter_and_packing(tmp_path, name, content):
    assert_is_the_shop(read(put(tmp_path, name, content)))
    assert_is_the_shop(read(str(tmp_path / name)))


def test_parquet_is_read_with_its_types(tmp_path):
    TABLE.with_columns(pl.col("when").str.to_date(), pl.col("who").cast(pl.Int32)).write_parquet(
        tmp_path / "a.parquet"
    )
    log = read(tmp_path / "a.parquet")
    assert_is_the_shop(log)
    assert log.ids.dtype == pl.Int32


def test_a_pattern_and_a_list_read_all_their_files(tmp_path):
    put(tmp_path, "jan.csv", "who,when,much\n7,2024-01-01,1.5\n")
    put(tmp_path, "feb.csv", "much;who;when\n2;7;2024-01-05\n4;12;2024-01-03\n")
    assert_is_the_shop(read(tmp_path / "*.csv"))
    assert_is_the_shop(read([tmp_path / "jan.csv", str(tmp_path / "f*.csv")]))


def test_a_name_with_pattern_characters_is_a_name_first(tmp_path):
    assert_is_the_shop(read(put(tmp_path, "shop[1].csv", CSV)))


def test_ids_with_leading_zeros_stay_text_in_csv(tmp_path):
    assert read(put(tmp_path, "a.csv", CSV.replace("12,", "012,"))).ids.to_list() == ["012", "7"]


def test_a_late_id_that_is_no_number_makes_all_ids_text(tmp_path):
    rows = "".join(f"{k},2024-01-0{1 + k % 9},1\n" for k in range(3_000))
    log = read(put(tmp_path, "a.csv", "who,when,much\n" + rows + "x,2024-01-01,1\n"))
    assert log.ids.dtype == pl.String
    assert log.n_customers == 3_001


def test_words_for_nothing_are_no_ids_in_csv(tmp_path):
    log = read(put(tmp_path, "a.csv", CSV + ",2024-01-01,1\nNULL,2024-01-01,1\nnan,2024-01-01,1\n"))
    assert log.report.left_out == {"without an id": 3}
    assert log.report.examples["without an id"] == ("row 4", "row 5", "row 6")


def test_words_for_nothing_are_no_times_and_no_marks_in_csv(tmp_path):
    log = read(put(tmp_path, "a.csv", CSV + "7,2024-01-09,NULL\n" * 5 + "7,null,2\n" * 9))
    assert log.report.left_out == {"with an unreadable time": 9, "identical to another row, counted once": 4}
    assert log.report.noted == {"without 'much', missing": 5}


def test_broken_text_in_columns_that_nobody_asked_for_does_no_harm(tmp_path):
    noted = CSV.replace("much\n", "much,note\n").replace("1.5\n", '1.5,"two\nlines, one row"\n')
    assert_is_the_shop(read(put(tmp_path, "a.csv", noted)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", CSV, "is not a Parquet file"),
        ("b.parquet", b"PAR1" + NOISE, "cannot be read as parquet"),
        ("a.csv.gz", CSV, "is not one; drop the .gz"),
        ("b.csv.gz", gzip.compress((CSV * 9_000).encode(), mtime=0)[:-99], "cannot be read as csv"),
        ("c.csv.gz", gzip.compress(NOISE, mtime=0)[:99] + NOISE, "is damaged"),
        ("a.csv", gzip.compress(CSV.encode(), mtime=0), "compressed with gzip; name it a.csv.gz"),
        ("b.csv", b"PAR1" + bytes(range(1, 255)), "binary data"),
        ("c.csv", b"who,when,much\n" + bytes(range(256)), "binary data"),
        ("g.csv", CSV.replace("7,", '"7,', 1), "quotes"),
        ("a.jsonl", "[" + CSV, "no JSON object on its first line"),
        ("b.jsonl", TABLE.write_ndjson() + "{oops\n", "one JSON object a line"),
        ("shop", CSV, "expected one of '.csv'"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_refused(tmp_path, name, content, message):
    with pytest.raises(SourceError, match=message) as caught:
        read(put(tmp_path, name, content))
    assert name in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\n", "who,when,much\n", "who,when,much"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_file_without_rows_is_refused(tmp_path, name, content):
    packed = gzip.compress(content.encode()) if name.endswith(".gz") else content
    with pytest.raises(EmptyLogError, match="rows"):
        read(put(tmp_path, name, packed))


def test_a_file_that_is_not_there_is_refused_with_the_folder_it_was_looked_for_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=rf"no file nope.csv .working folder: {tmp_path}"):
        read("nope.csv")
    with pytest.raises(SourceError, match="no file matches the pattern"):
        read("nope-*.csv")
    with pytest.raises(SourceError, match=r"holds no file that ends in one of '\.csv'"):
        read(tmp_path)


def test_a_missing_column_is_named_with_the_closest_one(tmp_path):
    with pytest.raises(ColumnError, match=r"no column 'Whom'.*'who', 'when', 'much'.*did you mean 'who'"):
        read(put(tmp_path, "a.csv", CSV), id="Whom")


def test_a_file_without_a_header_line_shows_its_first_row_as_columns(tmp_path):
    with pytest.raises(ColumnError, match=r"its columns are '7', '2024-01-01', '1.5'"):
        read(put(tmp_path, "a.csv", CSV.partition("\n")[2]))


@pytest.mark.parametrize("header", [b"who,when,much\n7,2024-01-01,1\n", b""])
@pytest.mark.parametrize("packed", [False, True])
def test_an_endless_line_is_refused_before_it_fills_the_memory(tmp_path, header, packed):
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with gzip.open(path, "wb", compresslevel=1) if packed else path.open("wb") as file:
        file.write(header)
        for _ in range(40 if packed else 200):
            file.write(b"x" * 2**20)
    with pytest.raises(SourceError, match="line of more than 16 MB; expected one row a line"):
        read(path)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 100 * 1_024


def test_reading_leaves_nothing_behind(tmp_path):
    read(put(tmp_path, "a.csv", CSV))
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_carriage_return_within_quotes_stays_in_every_encoding(tmp_path):
    content = 'who;when;much\n"a\rb";2024-01-01;1\n"Köln";2024-01-02;2\n'
    for encoding in ("utf-8", "cp1252", "utf-16"):
        log = read(put(tmp_path, f"{encoding}.csv", content.encode(encoding)))
        assert sorted(log.ids) == ["Köln", "a\rb"]


def test_a_spreadsheet_with_an_empty_column_is_read_without_a_word(tmp_path, caplog):
    frame = pl.DataFrame({"who": ["a", "b"], "when": ["2024-01-01", "2024-01-02"], "much": [None, None]})
    frame.write_excel(tmp_path / "rows.xlsx")
    assert read(tmp_path / "rows.xlsx").n_events == 2
    assert not caplog.records


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "visits.csv")
    with pytest.raises(SourceError, match="there is no file"):
        read(tmp_path / "visits.csv")


def test_a_workbook_without_a_sheet_is_refused(tmp_path):
    pl.DataFrame({"who": ["a"]}).write_excel(tmp_path / "rows.xlsx")
    content = zipfile.ZipFile(tmp_path / "rows.xlsx")
    parts = {name: content.read(name) for name in content.namelist()}
    parts["xl/workbook.xml"] = re.sub(rb"<sheets>.*</sheets>", b"<sheets></sheets>", parts["xl/workbook.xml"])
    with zipfile.ZipFile(tmp_path / "none.xlsx", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(SourceError, match="holds no sheet"):
        read(tmp_path / "none.xlsx")


def test_a_reader_that_panics_is_refused_as_a_source(tmp_path, monkeypatch):
    def panic(*args, **kwargs):
        raise pl.exceptions.PanicException("not yet implemented")

    pl.DataFrame({"who": ["a"], "when": ["2024-01-01"], "much": [1]}).write_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(pl, "scan_parquet", panic)
    with pytest.raises(SourceError, match="cannot be read as parquet: not yet implemented"):
        read(tmp_path / "a.parquet")
