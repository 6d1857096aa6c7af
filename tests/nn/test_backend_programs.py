"""Compiled programs in the user's cache folder: found by the next process, never in the way."""

import os
import subprocess
import sys

import jax
import pytest

from foretell.nn.backend import keep_programs, programs_folder

ANSWER = """
import jax
counts = {}
jax.monitoring.register_event_listener(lambda name, **_: counts.update({name: counts.get(name, 0) + 1}))
import numpy as np
import foretell as ft
panel = ft.Panel.from_arrays([np.sin(np.arange(60) * 2 * np.pi / 7)])
network = ft.NetworkConfig(layers=1, units=4, dense=4)
quick = ft.TrainConfig(epochs=1)
model = ft.SeriesForecaster(3, network=network, model="network", training=quick, ensemble=1).fit(panel)
names = ("hits", "misses")
print(*(counts.get(f"/jax/compilation_cache/cache_{name}", 0) for name in names), model.predict().rows())
"""


def answer(folder):
    """Fit and predict in a process of its own; return programs found and compiled, and the answer."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    given |= {"FORETELL_CACHE": str(folder), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ANSWER], env=given, capture_output=True, text=True, check=True, timeout=300
    )
    assert "cache" not in done.stderr
    found, compiled, rows = done.stdout.split(" ", 2)
    return int(found), int(compiled), rows


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return folder, answer(folder)


def test_a_second_process_compiles_nothing_and_answers_the_same(first):
    folder, (_, compiled, rows) = first
    assert compiled > 5
    found, again, same = answer(folder)
    assert (again, same) == (0, rows)
    assert found >= compiled


def test_programs_are_for_the_user_alone(first):
    (programs,) = first[0].iterdir()
    assert programs.name.startswith("programs-")
    assert programs.stat().st_mode & 0o077 == 0


def test_where_the_folder_cannot_be_made_nothing_is_kept_and_nothing_fails(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("FORETELL_CACHE", str(blocked))
    assert programs_folder() is None
    assert blocked.read_text() == "no folder"


def test_it_can_be_switched_off_and_leaves_a_folder_of_the_users_own_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORETELL_CACHE", "off")
    assert programs_folder() is None
    assert list(tmp_path.iterdir()) == []
    assert jax.config.jax_compilation_cache_dir is not None  # the tests' own
    assert keep_programs() is None
