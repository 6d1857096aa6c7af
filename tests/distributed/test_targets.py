"""An interrupted run goes on, a whole one is done anew, and answers of other partitions do not stay."""

import datetime as dt

import polars as pl
import pytest

from foretell.distributed.targets import Folder, Table, target
from foretell.errors import ParameterError, StorageError

JUNE, NAMES = dt.date(2024, 6, 30), ["00000-of-00002", "00001-of-00002"]


def scores(*ids):
    return pl.DataFrame({"unique_id": ids, "as_of": [JUNE] * len(ids), "p_active": [0.5] * len(ids)})


@pytest.fixture(params=["folder", "table"])
def place(request, tmp_path):
    if request.param == "folder":
        return target(tmp_path / "scores", None, str(JUNE))
    return target(f"sqlite:///{tmp_path / 'scores.db'}", "scores", str(JUNE))


def test_an_interrupted_run_goes_on_and_a_whole_one_begins_anew(place):
    assert place.begin("question", NAMES) == {}
    place.note("question", {NAMES[0]: place.write(NAMES[0], [scores("a", "b")])})
    assert place.begin("question", NAMES) == {NAMES[0]: 2}
    place.note("question", {NAMES[1]: 0})
    assert place.noted("question", NAMES) == {NAMES[0]: 2, NAMES[1]: 0}
    assert place.begin("question", NAMES) == {}
    assert place.noted("question", NAMES) == {}


def test_another_question_is_not_answered_by_what_is_there(place):
    place.begin("question", NAMES)
    place.note("question", {NAMES[0]: place.write(NAMES[0], [scores("a")])})
    assert place.begin("another", NAMES) == {}


def test_files_of_other_partitions_of_the_date_go_and_those_of_other_dates_stay(tmp_path):
    may = Folder("2024-05-31", tmp_path)
    may.begin("question", NAMES)
    may.write(NAMES[0], [scores("a")])
    june = Folder(str(JUNE), tmp_path)
    june.begin("question", NAMES)
    june.write(NAMES[0], [scores("a")])
    june.begin("question", ["00000-of-00001"])
    left = [path.name for path in tmp_path.glob("*.parquet")]
    assert left == [f"scores-2024-05-31-{NAMES[0]}.parquet"]


def test_what_a_killed_worker_left_beside_a_file_goes_with_the_retry(tmp_path):
    place = Folder(str(JUNE), tmp_path)
    place.begin("question", NAMES)
    (tmp_path / f".scores-{JUNE}-{NAMES[0]}.parquet.0123abcd").write_bytes(b"half")
    place.write(NAMES[0], [scores("a")])
    assert [path.name for path in tmp_path.glob(".scores*")] == []


def test_a_file_that_was_lost_is_written_again(tmp_path):
    place = Folder(str(JUNE), tmp_path)
    place.begin("question", NAMES)
    place.note("question", {NAMES[0]: 1})
    assert place.noted("question", NAMES) == {}


def test_places_that_are_none_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="needs table="):
        target("sqlite:///scores.db", None, str(JUNE))
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError, match="expected a directory"):
        target(tmp_path / "file", None, str(JUNE))
    (tmp_path / f"scores-{JUNE}.json").write_text("{")
    with pytest.raises(StorageError, match="remove it to score all anew"):
        Folder(str(JUNE), tmp_path).begin("question", NAMES)
    assert isinstance(target("sqlite:///scores.db", "scores", str(JUNE)), Table)
