"""Translations: complete, with the values of their sentences."""

import ast
import string
from pathlib import Path

import pytest

import foretell
from foretell.i18n import LANGUAGES, Translator, catalogue

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
