"""A small share of the harnesses in benchmarks/: processes are killed, files damaged, the rest is read."""

import subprocess
import sys
import time

import numpy as np
import pytest
from benchmarks.torture.models import FIXTURES, damaged, outcome

import foretell as ft
from foretell.storage.directory import read

# Writes states that are all of one number, one after the other, to one place.
WRITER = """
import itertools, sys
import numpy as np, polars as pl
from foretell.core.contracts import State
from foretell.storage.directory import write

print("ready", flush=True)
for k in itertools.count():
    arrays = {f"a{i}": np.full(200_000, k) for i in range(5)}
    tables = {"rows": pl.DataFrame({"k": arrays["a0"]})}
    write(State({"k": k}, arrays, tables), sys.argv[1], kind="events", forecaster="nobody")
"""


def test_a_killed_save_leaves_one_whole_model(tmp_path):
    """Six kills of processes that do nothing but save; ``benchmarks.torture kills`` has the whole."""
    rng = np.random.default_rng(0)
    places = [tmp_path / str(k) for k in range(6)]
    words = [sys.executable, "-c", WRITER]
    for place in places:
        with subprocess.Popen([*words, str(place)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not place.exists():
                time.sleep(0.001)
            time.sleep(float(rng.uniform(0.0, 0.3)))
            process.kill()
        state = read(place).state
        numbers = {
            state.described["k"],
            *np.unique(list(state.arrays.values())),
            *state.tables["rows"]["k"].unique(),
        }
        assert len(numbers) == 1


@pytest.mark.parametrize(
    "name", ["v1/events_mixture", "v1/series_direct_shared", "v1/stores_similar", "v2/bg-nbd"]
)
@pytest.mark.parametrize("today", [False, True], ids=["its format", "today's"])
def test_a_damaged_model_is_refused_or_answers(name, today, tmp_path):
    """Twelve copies, each harmed in some way; the full harness is ``python -m benchmarks.torture models``."""
    model = FIXTURES / name / "model"
    if today:
        model = ft.load(model).save(tmp_path / "model")
    outcomes = set()
    for k in range(12):
        damaged(np.random.default_rng(k), model, tmp_path / str(k))
        outcomes.add(outcome(tmp_path / str(k)))
    assert outcomes <= {"refused", "answered"}
    assert "refused" in outcomes
