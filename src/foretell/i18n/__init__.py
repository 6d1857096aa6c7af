"""What the shop reads, in its own language: words for the shortlist, the report and the page."""

from __future__ import annotations

import functools
import json
import re
import string
from collections.abc import Mapping
from importlib import resources
from typing import Final, Literal

from foretell.core.constraints import OneOf, check

Language = Literal["en", "zh"]
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}


class Translator:
    """Gives English sentences in another language.

    A sentence is its own key: one that the catalogue lacks stays English. Values stand in braces.

    Parameters
    ----------
    language : {"en", "zh"}

    Examples
    --------
    >>> Translator("zh")("{count} visits", count=3)
    '3 次到访'
    >>> Translator("en")("{count} visits", count=3)
    '3 visits'
    """

    def __init__(self, language: str = "en") -> None:
        check("language", language, OneOf(tuple(LANGUAGES)))
        self.language = language
        self._words = catalogue(language)

    def __call__(self, sentence: str, **values: object) -> str:
        """Return a sentence with its values."""
        return self._words.get(sentence, sentence).format(**values)

    def retell(self, message: str) -> str:
        """Return an English message whose values are in it already, line by line, as far as it is known.

        Examples
        --------
        >>> Translator("zh").retell("there is no model 'x'; fit one first")
        "没有模型 'x'；请先拟合一个"
        """
        return "\n".join(map(self._line, message.split("\n")))

    def _line(self, line: str) -> str:
        words = line.strip()
        for pattern, other in messages(self.language):
            found = pattern.fullmatch(words)
            if found is not None:  # its values may be messages, too
                values = {name: self._line(value) for name, value in found.groupdict().items()}
                return line.replace(words, other.format(**values), 1)
        return line


@functools.cache
def messages(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Return how messages look in English, and what they are in a language; the first that fits holds."""
    if language == "en":
        return []
    return [(re.compile(_pattern(one)), other) for one, other in _read(f"{language}_messages").items()]


def _pattern(template: str) -> str:
    """Return a pattern that fits a message with any values.

    Examples
    --------
    >>> _pattern("there-is-no {what}").partition("(")[2]
    '?P<what>.+?)'
    """
    parts = string.Formatter().parse(template)
    return "".join(re.escape(text) + (f"(?P<{name}>.+?)" if name else "") for text, name, _, _ in parts)


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the sentences of a language by their English."""
    if language == "en":
        return {}
    return _read(language)


def _read(name: str) -> dict[str, str]:
    text = resources.files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words
