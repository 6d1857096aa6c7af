"""How the site is built: `make docs`. It needs no network, neither to build nor to read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from foretell import __version__

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "foretell"
release = version = __version__
copyright = "the authors of foretell, Apache License 2.0"  # noqa: A001  # Sphinx' own name for it

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
html_theme = "furo"
html_title = f"foretell {release}"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
exclude_patterns = ["_build"]

# A link to a heading, a page or a name that is not there stops the build.
nitpicky = True
default_role = "py:obj"
nitpick_ignore = [  # named in docstrings, without a page of their own
    ("py:obj", name)
    for name in (
        "EVENTS", "NetworkForecaster.fit", "Outlook", "Progress", "SERIES", "STORES", "SearchProgress",
        "Simulation.cohort", "foretell.forecasters.load_keras", "foretell.nn.settings", "jax.export",
    )
]  # fmt: skip
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]

autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


# Where a line ends between two Chinese characters, a reader's browser would show a space.
_BROKEN_CHINESE = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])")


def setup(app: Sphinx) -> None:
    """Show what lies outside of this folder, and resolve names as docstrings write them."""
    app.connect("source-read", _inside)
    app.connect("missing-reference", _from_the_door)


def _inside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn links to a page outside of this folder into links to the page that includes it.

    The blank line with which examples end is for those that run them.
    """
    del app
    if docname.startswith("examples/"):
        source[0] = _as_page(Path(__file__).parents[1] / f"{docname}.py")
    source[0] = _BROKEN_CHINESE.sub("", source[0].replace("\n\n```\n", "\n```\n"))
    if docname != "measured":
        source[0] = source[0].replace("](../benchmarks/README.md", "](measured.md")


def _as_page(notebook: Path) -> str:
    """Return a notebook in text form (cells begin with ``# %%``, what they print with ``# >``) as a page."""
    page = []
    for cell in re.split(r"^# %%", notebook.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        kind, _, content = cell.partition("\n")
        if kind == " [markdown]":
            page.append(re.sub(r"^# ?", "", content, flags=re.MULTILINE))
        else:
            code, *printed = re.split(r"^# > ?", content, flags=re.MULTILINE)
            page.append(f"```python\n{code.strip()}\n```\n")
            page += [f"```text\n{''.join(printed).rstrip()}\n```\n"] if printed else []
    source = f"*Run it all: `python examples/{notebook.name}`, or open it as a notebook with jupytext.*\n"
    return "\n".join([page[0], source, *page[1:]])


def _from_the_door(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> Element | None:
    """Look for `EventForecaster.predict` and `predict` in `foretell`, for what rooms hold at its door."""
    if node.get("refdomain") != "py":
        return None
    asked = node["reftarget"]
    for name in (f"foretell.{asked}", f"foretell.EventForecaster.{asked}", _at_the_door(asked)):
        found = env.domains.python_domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", name, node, content
        )
        if found is not None:
            return found
    return None


def _at_the_door(name: str) -> str:
    """Return `foretell.evaluation.judge` of `foretell.evaluation.referee.judge`."""
    *rooms, _, last = name.split(".") if name.count(".") > 1 else ("", "", name)
    return ".".join([*rooms, last])
