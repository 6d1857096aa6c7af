"""Charts as the page shows them: in parts that are as wide as the screen, in the reader's language."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import vl_convert

from foretell.i18n import Translator

if TYPE_CHECKING:
    from foretell.plotting.charts import Chart

_NARROW: Final = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
_SHARED: Final = ("$schema", "config", "datasets", "padding")
# What stands in a picture to be read.
_READ: Final = ("title", "text")
# Whose a part is: "Week (prior)".
_WHOSE: Final = re.compile(r"(.+?) \((.+?)\)(.*)")


class Part(NamedTuple):
    """A chart of a picture, as JSON that may stand in a page, and its title."""

    title: str
    spec: str


class Picture(NamedTuple):
    """A chart for the page.

    Attributes
    ----------
    title : str
    about : str
        What it shows, in a sentence or two.
    parts : list of Part
    """

    title: str
    about: str
    parts: list[Part]


def picture(chart: Chart, say: Translator, title: str, about: str = "") -> Picture:
    """Return a chart as the page shows it, under a title of the page's own."""
    spec = chart.to_dict()
    spec.pop("title", None)
    shared = {name: spec[name] for name in _SHARED if name in spec}
    shared["config"] = {**shared.get("config", {}), "background": "transparent"}
    if say.language == "zh":
        locale = vl_convert.get_time_format_locale("zh-CN")  # names of months and days
        shared["usermeta"] = {"embedOptions": {"timeFormatLocale": locale}}
    parts = []
    for part in _parts(spec):
        heading = part.pop("title", None)
        words = "" if heading is None else in_words(str(heading["text"]), say)
        parts.append(Part(words, _in_json(_translated({**part, **shared, **_NARROW}, say))))
    return Picture(title, about, parts)


def in_words(text: str, say: Translator) -> str:
    """Return the words of a chart in the reader's language, those in brackets as they are.

    Examples
    --------
    >>> in_words("Week (prior)", Translator("zh"))
    '一周（prior）'
    """
    whose = _WHOSE.fullmatch(text)
    return say(text) if whose is None else say(f"{whose[1]} ({{who}}){whose[3]}", who=whose[2])


def _parts(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the charts that stand beside and below each other."""
    for way in ("vconcat", "hconcat"):
        if way in spec:
            for part in spec[way]:
                yield from _parts(part)
            return
    yield {name: value for name, value in spec.items() if name not in _SHARED}


def _translated(value: Any, say: Translator) -> Any:
    """Return a description whose words are in the reader's language."""
    if isinstance(value, list):
        return [_translated(part, say) for part in value]
    if not isinstance(value, dict):
        return value
    return {name: _part(name, part, say) for name, part in value.items()}


def _part(name: str, part: Any, say: Translator) -> Any:
    if name in _READ and isinstance(part, str):
        said = part if {"{", "}"} & {*part} else say(part)
        return said if said != part else say.retell(part)
    if name == "config":
        return part
    return _relabelled(part, say) if name == "datasets" else _translated(part, say)


def _relabelled(datasets: Mapping[str, Any], say: Translator) -> dict[str, Any]:
    """Return data whose labels, which stand in the picture, are in the reader's language."""
    return {
        name: [row | {"label": say.retell(str(row["label"]))} if "label" in row else row for row in rows]
        for name, rows in datasets.items()
    }


def _in_json(content: object) -> str:
    """Return data that may stand in a page: it can neither run nor end early."""
    text = json.dumps(content, ensure_ascii=False, default=str)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def digest(content: str) -> str:
    """Return what changes when a file does."""
    return hashlib.sha256(content.encode()).hexdigest()[:16]
