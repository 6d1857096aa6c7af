"""Translations: complete, with the values of their sentences."""

import ast
import string
from pathlib import Path

import pytest

import foretell
from foretell.i18n import LANGUAGES, Translator, _read, catalogue

SOURCES = Path(foretell.__file__).parent
OTHERS = [language for language in LANGUAGES if language != "en"]


def spoken():
    """Return every sentence that the sources give to a translator, which is called ``say`` everywhere."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and "cli" not in path.parts:
                    yield first.value


def fields(sentence):
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated(language):
    assert not set(spoken()) - set(catalogue(language))


@pytest.mark.parametrize("language", OTHERS)
def test_translations_hold_the_values_of_their_sentences(language):
    wrong = [one for one, other in catalogue(language).items() if fields(one) != fields(other)]
    assert not wrong


def test_what_is_not_translated_stays_english():
    assert Translator("zh")("never {seen}", seen="before") == "never before"


@pytest.fixture(scope="module")
def written():
    """All text of the sources, that of an f-string in the pieces between its values."""
    pieces = [
        node.value
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join(pieces)


@pytest.mark.parametrize("language", OTHERS)
def test_messages_that_are_translated_are_those_of_the_sources(language, written):
    known = _read(f"{language}_messages")
    wrong = [one for one, other in known.items() if not fields(other) <= fields(one)]
    assert not wrong
    for message in known:
        for piece, *_ in string.Formatter().parse(message):
            assert piece.strip(" ;:") in written, message


def test_a_message_is_told_again_with_its_values_and_what_they_say():
    say = Translator("zh")
    told = say.retell("none of the 3 rows of a.csv can be used: 2 before the start; 1 without an id")
    assert told == "a.csv 的 3 行都不能用：2 行早于起始日；1 行没有编号"
    report = "3 rows read, 2 kept\n  1 merged (for example 7 on 2024-01-02)"
    assert say.retell(report) == "读取 3 行，保留 2 行\n  1 行已合并（例如 7 on 2024-01-02）"
    assert say.retell("as of 30 Sep 1997") == "截至 1997 年 9 月 30 日"
    assert say.retell("nobody {knows} it") == "nobody {knows} it"
    assert Translator("en").retell("as of 30 Sep 1997") == "as of 30 Sep 1997"
