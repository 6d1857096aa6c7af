"""Runs the code of a page of the docs, as a reader would who types it in."""

from __future__ import annotations

import ast
import contextlib
import doctest
import functools
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from typer.main import get_command
from typer.testing import CliRunner

import foretell as ft
from foretell.cli.commands import app

DOCS = Path(__file__).parents[1] / "docs"
_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
_FENCED = re.compile(
    r"^(?:<!-- (not run: [^\n]+) -->\n)?```([\w{}-]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_OF_THE_SHELL = re.compile(r"\d?[|<>&;]")


class Block(NamedTuple):
    """A fenced block of a page; ``why`` it is not run, where the page says so."""

    why: str
    language: str
    code: str

    @property
    def is_session(self):
        """Whether it shows what Python answers, and so is run with its page."""
        return ">>> " in self.code


def blocks(page):
    """Return the fenced blocks of a page."""
    return [Block(*found) for found in _FENCED.findall(page.read_text(encoding="utf-8"))]


def run_page(name, at_least):
    """Run a page's examples in the present directory; all have to give what the page shows.

    The page has at least so many examples: one whose fences hide them would pass unseen.
    """
    outcome = doctest.testfile(str(DOCS / name), module_relative=False, optionflags=_FLAGS, encoding="utf-8")
    assert outcome.attempted >= at_least
    assert outcome.failed == 0


def run_console(name, at_least):
    """Run the shell sessions of a page in the present directory; all have to print what the page shows."""
    ran = 0
    for block in blocks(DOCS / name):
        if block.language == "console":
            for command, shown in _sessions(block.code):
                said = _said(command)
                assert doctest.OutputChecker().check_output(shown, said, _FLAGS), f"$ {command}\n{said}"
                ran += 1
    assert ran >= at_least


def _sessions(code):
    """Return commands with what they print."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        command, shown = re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.DOTALL).groups()
        yield command.replace("\\\n", " "), shown


def _said(command):
    """Return what a command writes to both streams."""
    words = shlex.split(command)
    if words[0] == "foretell" and not any(map(_OF_THE_SHELL.match, words)):
        done = CliRunner().invoke(app, words[1:])
        return done.stderr + done.stdout  # messages come first
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{command}\n"], env={**os.environ, "PATH": paths}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


def run_notebook(path):
    """Run the cells of a notebook in text form in the present directory; they have to print what it shows."""
    scope, ran = {"__name__": "__main__"}, 0
    for cell in re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        kind, _, content = cell.partition("\n")
        if kind == " [markdown]":
            continue
        code, *printed = re.split(r"^# > ?", content, flags=re.MULTILINE)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(code, str(path), "exec"), scope)
        shown, said = "".join(printed), said.getvalue()
        assert doctest.OutputChecker().check_output(shown, said, _FLAGS), f"{code}\n{said}"
        ran += 1
    return ran


def commands(code):
    """Return the words of each call of foretell in a shell's block, without its name."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["foretell"]:
            ends = [k for k, word in enumerate(words) if _OF_THE_SHELL.match(word)]
            yield words[1 : min(ends, default=len(words))]


def check_command(words):
    """Refuse a command whose name or options are not those of the command line."""
    _commands()[words[0]].make_context(words[0], words[1:])


@functools.cache
def _commands():
    return get_command(app).commands


def check_names(code):
    """Refuse code that is no Python, or that takes from foretell what it does not have."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ft":
            getattr(ft, node.attr)
