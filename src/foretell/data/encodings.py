"""Text files in whatever encoding and with whatever ends of lines: guessed, and written anew in UTF-8."""

from __future__ import annotations

import codecs
import os
import re
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from foretell.errors import ParameterError, SourceError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK: Final = 2**20
_SAMPLE: Final = 2**18
_MOSTLY: Final = 10  # times as many whole characters as broken ones
_LIKELY: Final = 0.4  # of what is beyond ASCII


def check_encoding(name: object) -> None:
    """Raise where there is no encoding of this name."""
    try:
        "".encode(name)  # type: ignore[arg-type]  # that is the question
    except (LookupError, TypeError, ValueError) as error:
        raise ParameterError(
            f"encoding={name!r} is not known; expected a name such as 'utf-8', 'utf-16', 'cp1252', "
            "'latin-1', 'gb18030', 'big5' or 'shift_jis'"
        ) from error


def is_utf8(name: str) -> bool:
    """Tell whether a name means UTF-8, which needs no writing anew."""
    return codecs.lookup(name).name in {"utf-8", "utf-8-sig"}


def marked(head: bytes) -> str | None:
    """Return the encoding that the first bytes of a file tell of: a mark, or zeros between letters."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    even, odd = head[:_SAMPLE:2].count(0), head[1:_SAMPLE:2].count(0)
    half = min(len(head), _SAMPLE) // 2
    # Delimiters, digits and ends of lines are of one byte in all scripts.
    if half > 4 and max(even, odd) > 0.2 * half and min(even, odd) < 0.01 * half:
        return "utf-16-be" if even > odd else "utf-16-le"
    return None


def guess(file: IO[bytes], origin: str) -> str | None:
    """Return the encoding in which a text file is most likely written, None where it is UTF-8."""
    decoder, broken, text, read = codecs.getincrementaldecoder("utf-8")(), None, b"", 0
    while block := file.read(_BLOCK):
        if broken is None and not (block.isascii() and not decoder.getstate()[0]):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                broken = read + error.start
        read += len(block)
        if not block.isascii() and len(text) < _SAMPLE:
            text += b"\n".join(line for line in re.split(rb"[\r\n]", block) if not line.isascii()) + b"\n"
        if broken is not None and len(text) >= _SAMPLE:
            break
    if broken is None and not decoder.getstate()[0]:
        return None
    broken = read if broken is None else broken  # in the middle of a character
    whole = sum(ord(char) > 127 for char in text.decode("utf-8", "ignore"))
    if whole > _MOSTLY * text.decode("utf-8", "replace").count("\ufffd"):
        raise SourceError(
            f"{origin} is written in UTF-8 but for what stands near byte {broken:,}; mend it, or name "
            "another encoding by encoding="
        )
    best = guessed(text)
    if best is None:
        raise SourceError(
            f"{origin} is not written in UTF-8 (near byte {broken:,}), and in what it is cannot be told; "
            "name it by encoding=, such as 'cp1250' or 'euc_kr'"
        )
    return best


def guessed(text: bytes) -> str | None:
    """Return the encoding in which text beyond ASCII is most likely written, None where none is likely.

    Examples
    --------
    >>> [guessed(name.encode(code)) for name, code in (("Köln", "cp1252"), ("上海,王明", "gb18030"))]
    ['cp1252', 'gb18030']
    """
    scores = {name: score(text) for name, score in _SCORES.items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < _LIKELY:
        return None
    return "latin-1" if best == "cp1252" and not _decodes(text, "cp1252") else best


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(text)
    except UnicodeDecodeError:
        return False
    return True


def _of_two_bytes(text: bytes, encoding: str, common: re.Pattern[bytes]) -> float:
    """Return the share of characters beyond ASCII that are common in texts of an encoding of two bytes."""
    if not _decodes(text, encoding):
        return 0.0
    decoded = codecs.getincrementaldecoder(encoding)().decode(text)
    some = [char for char in decoded if ord(char) > 127]
    if not some:
        return 0.0
    return sum(common.fullmatch(char.encode(encoding, "replace")) is not None for char in some) / len(some)


# The characters that writers use: the first level of each standard, its signs, letters of full width.
_GB: Final = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]|[\xa1-\xa3][\xa1-\xfe]")
_BIG5: Final = re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]|[\xa1-\xa3][\x40-\x7e\xa1-\xfe]")
_JIS: Final = re.compile(rb"\x82[\x4f-\xf1]|\x83[\x40-\x96]|[\x88-\x97][\x40-\xfc]|\x81[\x40-\xac]")
_KOREAN: Final = re.compile(rb"[\xb0-\xc8][\xa1-\xfe]")
_ENOUGH: Final = 20
_LETTERS: Final = re.compile(
    rb"[A-Za-z][\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xff]{1,2}|[\xc0-\xff]{1,2}[A-Za-z]"
)
_ALONE: Final = re.compile(
    rb"(?<![\x80-\xff])(?:[\x80\x82-\x86\x89\x8b\x91-\x99\x9b\xa0-\xbf]|[\xc0-\xff])(?![\x80-\xff])"
)
_CYRILLIC: Final = re.compile(rb"(?<![\x80-\xff])[\xc0-\xff\xa8\xb8][\xe0-\xff\xb8]+(?![\x80-\xff])")


def _korean(text: bytes) -> float:
    """Return more than 1 where there are many characters, all of which may be Korean as well as Chinese."""
    runs = re.findall(rb"[\x80-\xff]+", text)
    many = sum(map(len, runs)) // 2
    korean = sum(len(_KOREAN.findall(run)) for run in runs if len(run) % 2 == 0)
    return 1.01 if korean == many >= _ENOUGH and _decodes(text, "euc_kr") else 0.0


def _western(text: bytes) -> float:
    """Return the share of bytes beyond ASCII that are letters among ASCII's, or signs that stand alone."""
    many = sum(byte > 127 for byte in text)
    beside = sum(sum(byte > 127 for byte in found[0]) for found in _LETTERS.finditer(text))
    rest = _LETTERS.sub(b"", text)
    return 0.95 * (beside + len(_ALONE.findall(rest))) / max(many, 1)


def _cyrillic(text: bytes) -> float:
    """Return the share of bytes beyond ASCII that stand in words of small letters, or one capital first."""
    many = sum(byte > 127 for byte in text)
    return 0.9 * sum(len(found[0]) for found in _CYRILLIC.finditer(text)) / max(many, 1)


_SCORES: Final[dict[str, Callable[[bytes], float]]] = {
    "gb18030": lambda text: _of_two_bytes(text, "gb18030", _GB),
    "big5": lambda text: _of_two_bytes(text, "big5hkscs", _BIG5),
    "euc_kr": _korean,
    "shift_jis": lambda text: _of_two_bytes(text, "cp932", _JIS),
    "cp1252": _western,
    "cp1251": _cyrillic,
}
# What is written by systems that call themselves by the shorter name.
_WIDER: Final = {"big5": "big5hkscs", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030"}


class Temporary:
    """A file that lasts as long as this object."""

    def __init__(self, suffix: str) -> None:
        handle, name = tempfile.mkstemp(suffix, "foretell-")
        os.close(handle)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


def rewritten(file: IO[bytes], encoding: str, suffix: str, origin: str) -> Temporary:
    """Write a text file anew in UTF-8, a block at a time."""
    made = Temporary(suffix)
    with made.path.open("w", encoding="utf-8", newline="") as out:
        for text in _decoded(file, _WIDER.get(codecs.lookup(encoding).name, encoding), origin):
            out.write(text)
    return made


def _decoded(file: IO[bytes], encoding: str, origin: str) -> Iterator[str]:
    """Yield text; where lines end with carriage returns alone, with line feeds in their place."""
    decoder = codecs.getincrementaldecoder(encoding)()
    read, old_ends = 0, None
    while True:
        block = file.read(_BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            where = read + getattr(error, "start", 0)
            raise SourceError(
                f"{origin} is not written in {encoding} ({getattr(error, 'reason', error)}, near byte "
                f"{where:,}); name the right one by encoding=, or leave it out to have it guessed"
            ) from error
        if old_ends is None and ("\n" in text or "\r" in text[:-1]):
            old_ends = "\n" not in text
        read += len(block)
        yield text.replace("\r", "\n") if old_ends else text
        if not block:
            return
