"""What may be a path, and what is said where one cannot be written."""

from pathlib import Path

import pytest

from foretell.core.paths import as_path, writing
from foretell.errors import ParameterError, StorageError


def test_text_and_paths_are_paths_and_a_tilde_is_the_home():
    assert as_path("a/b") == Path("a/b") == as_path(Path("a/b"))
    assert as_path("~/model") == Path.home() / "model"


@pytest.mark.parametrize("value", [None, 7, b"model", [], "", "a\0b", "\ud800", "~nobody-of-this-name/x"])
def test_what_is_no_path_is_refused_by_its_name(value):
    with pytest.raises(ParameterError, match=r"^out="):
        as_path(value, "out")


def test_what_the_system_says_is_a_storage_error(tmp_path):
    said = f"^cannot write the page to {tmp_path}"
    for place in (tmp_path / "no" / "file", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(StorageError, match=said), writing(place, "the page"):
            place.write_text("")
