"""What the shop reads, in its own language: words for the shortlist, the report and the page."""

from __future__ import annotations

import functools
import json
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


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the sentences of a language by their English."""
    if language == "en":
        return {}
    text = resources.files(__package__).joinpath(f"{language}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words
