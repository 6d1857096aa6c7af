"""Encodings are guessed from what text holds, and any text becomes UTF-8 with line feeds."""

import io

import pytest

from foretell.data.encodings import check_encoding, guess, marked, rewritten
from foretell.errors import ParameterError, SourceError

TEXTS = [
    ("Kunde;Ort\nMüller;Köln\nGroß & Söhne;Überlingen\n12,50 €", ["cp1252"], "cp1252"),
    ("café,crème brûlée\nélève,à bientôt", ["cp1252", "latin-1"], "cp1252"),
    ("niño,São Paulo\n¿qué?", ["cp1252", "latin-1"], "cp1252"),
    ("Zoë", ["latin-1"], "cp1252"),
    ("客户,日期,金额\n王明,2024-01-01,12\n李娜,2024-01-02,上海", ["gb18030", "gbk"], "gb18030"),
    ("王明", ["gb18030"], "gb18030"),
    ("客戶,日期,金額\n王小明,2024-01-01,台北市\n陳美玲,高雄", ["big5"], "big5"),
    ("陳美玲", ["big5"], "big5"),
    ("顧客,日付,金額\n田中太郎,2024-01-01,東京\nさくら,大阪カフェ", ["shift_jis"], "shift_jis"),
    ("고객,날짜\n김철수,서울특별시\n이영희,부산광역시\n박민수,대구광역시", ["euc_kr"], "euc_kr"),
    ("клиент,дата,сумма\nИванов,2024-01-01,12\nМосква", ["cp1251"], "cp1251"),
]
CASES = [(text, written, told) for text, names, told in TEXTS for written in names]


@pytest.mark.parametrize(("text", "written", "told"), CASES)
def test_an_encoding_is_told_from_its_text(text, written, told):
    assert guess(io.BytesIO(text.encode(written)), "a.csv") == told


@pytest.mark.parametrize("text", ["id,day\n1,2024", "Köln", "王明" * 400_000])
def test_utf8_is_utf8(text):
    assert guess(io.BytesIO(text.encode()), "a.csv") is None


def test_marks_and_zeros_tell_of_wide_encodings():
    text = "id;tag\n1;Köln\n"
    names = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"]
    assert [marked(text.encode(name)) for name in names] == names
    assert marked(text.encode()) is None


def test_utf8_with_a_broken_byte_is_no_other_encoding():
    broken = "Köln, Größe, Übermut, Äpfel und Öl\n".encode() * 9 + b"\xff\n"
    with pytest.raises(SourceError, match="UTF-8 but for what stands near byte 369"):
        guess(io.BytesIO(broken), "a.csv")


def test_what_is_like_nothing_known_has_to_be_named():
    with pytest.raises(SourceError, match="cannot be told; name it by encoding="):
        guess(io.BytesIO(bytes(range(128, 256)) * 9), "a.csv")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-16", "shift_jis", "utf-8-sig"])
def test_text_is_written_anew_block_by_block(ends, encoding, monkeypatch):
    monkeypatch.setattr("foretell.data.encodings._BLOCK", 7)
    lines = ["顧客,日付", "田中,1", "", "x"]
    made = rewritten(io.BytesIO(ends.join(lines).encode(encoding)), encoding, ".csv", "a.csv")
    assert made.path.read_text(encoding="utf-8").split("\n") == lines
    path = made.path
    del made
    assert not path.exists()


def test_text_in_another_encoding_than_said_is_refused():
    with pytest.raises(SourceError, match=r"a.csv is not written in ascii.*near byte 1"):
        rewritten(io.BytesIO("Köln".encode()), "ascii", ".csv", "a.csv")
    with pytest.raises(ParameterError, match="encoding='utf-9' is not known"):
        check_encoding("utf-9")
