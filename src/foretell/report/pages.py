"""What pages share: one file each that needs nothing else, no network and no server."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import vl_convert

from foretell.core.paths import as_path, writing
from foretell.errors import ParameterError
from foretell.plotting.charts import Chart

_STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "Noto Sans CJK SC", "Microsoft YaHei",
       "DejaVu Sans", sans-serif; color: #222; max-width: 880px; margin: 2.5em auto; padding: 0 1em;
       background: #fff; }
h1 { font-size: 1.6em; margin-bottom: 0.2em; } h2 { font-size: 1.15em; margin: 2.2em 0 0.4em; }
p.verdict { font-size: 1.15em; border-left: 4px solid #0072B2; padding: 0.4em 0.9em; background: #f3f8fb; }
p.about, figcaption { color: #555; } figure { margin: 1em 0; } svg { max-width: 100%; height: auto; }
figure.live > div { width: 100%; }
div.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.83em; }
th, td { padding: 0.3em 0.5em; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th { color: #555; font-weight: normal; border-bottom: 1px solid #aaa; } th.text, td.text { text-align: left; }
td.long { white-space: normal; min-width: 18em; } tr.ours td { font-weight: bold; }
dt { font-weight: bold; margin-top: 0.6em; } dd { margin-left: 1.2em; }
@media print { body { margin: 0; max-width: none; } h2, figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } details { display: block; } }
@media (max-width: 480px) { body { margin: 1em auto; } h1 { font-size: 1.35em; } }
"""
# Draws each chart anew from its description, so that it answers to the pointer; where scripts are off, the
# picture stays. The interpreter of expressions does without eval, which the page's policy forbids.
_DRAW: Final = """
for (const figure of document.querySelectorAll("figure.live")) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const place = document.createElement("div");
  figure.querySelector("svg").replaceWith(place);
  vegaEmbed(place, spec, {actions: false, ast: true, renderer: "svg"});
}
"""


_GLOBAL: Final = "window.vegaEmbed = vegaEmbed;"


def check_page(path: str | Path) -> Path:
    """Return the path of a page, before any work is done for it."""
    target = as_path(path)
    if target.suffix.lower() not in {".html", ".htm"}:
        raise ParameterError(
            f"{target.name!r} is not the name of a web page; expected one that ends in .html"
        )
    return target


def write_page(text: str, target: Path) -> Path:
    """Write a page to its file."""
    with writing(target):
        target.write_text(text, encoding="utf-8")
    return target


def page(
    title: str,
    body: Iterable[str],
    *,
    language: str = "en",
    live: bool = False,
    data: Mapping[str, object] | None = None,
) -> str:
    """Return a page with a policy that lets nothing in from outside.

    Parameters
    ----------
    title : str
    body : iterable of str
        HTML.
    language : str
    live : bool
        Whether `live_picture` is among it: the script that draws charts comes with it.
    data : mapping, optional
        What a later report reads off this one.
    """
    scripts = [_library(), _DRAW] if live else []
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    policy += f"; script-src {allowed}" if allowed else ""
    stored = "" if data is None else json_script("foretell-report", data)
    code = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n{stored}{code}</body>\n</html>\n"
    )


def note(text: str) -> str:
    """Return a paragraph that explains."""
    return f'<p class="about">{html.escape(text)}</p>'


def svg(chart: Chart, name: str) -> str:
    """Return a chart as inline SVG, with marks of its own: several pictures may stand in one page."""
    drawn = io.StringIO()
    chart.save(drawn, format="svg")
    picture = drawn.getvalue()
    for before in ('id="', "url(#", 'href="#'):
        picture = picture.replace(before, f"{before}{name}-")
    return re.sub(r"<[?!][^>]*>", "", picture)


def live_picture(chart: Chart, name: str, caption: str) -> str:
    """Return a chart that answers to the pointer and is as wide as the screen; without scripts a picture."""
    spec = chart.to_dict() | {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return (
        f'<figure class="live" role="group" aria-label="{html.escape(caption)}">{svg(chart, name)}'
        f"{json_script(None, spec)}<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def json_script(name: str | None, content: Mapping[str, object]) -> str:
    """Return data that scripts of the page can read; it can neither run nor end early."""
    text = json.dumps(content, ensure_ascii=False, default=str)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    marked = "" if name is None else f' id="{name}"'
    return f'<script type="application/json"{marked}>{text}</script>\n'


def read_data(path: Path) -> dict[str, object] | None:
    """Return what a page written by `page` holds as data; None where there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r'<script type="application/json" id="foretell-report">(.*?)</script>', text, re.DOTALL)
    try:
        content = json.loads(found[1]) if found else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


@functools.cache
def _library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    script: str = vl_convert.javascript_bundle(_GLOBAL)
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
