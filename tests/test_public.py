"""The public door: what it shows, that it opens fast, and that it says so when the engine cannot start."""

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest

import foretell as ft


def run(program, **environment):
    """Run a program in a fresh interpreter."""
    clean = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", program], env=clean | environment, capture_output=True, text=True, check=False
    )


def test_importing_it_imports_no_engine_no_tables_and_no_charts():
    heavy = ["jax", "keras", "polars", "altair", "sqlalchemy", "pandas", "scipy", "numpy"]
    done = run(f"import sys, foretell; print(sorted(set({heavy}) & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


def test_importing_it_takes_less_than_three_tenths_of_a_second():
    program = "import time; t = time.perf_counter(); import foretell; print(time.perf_counter() - t)"
    # The best of three: other programs run on this machine, too.
    assert min(float(run(program).stdout) for _ in range(3)) < 0.3


def test_all_that_it_names_is_there_sorted_and_found_by_dir():
    assert list(ft.__all__) == sorted(ft.__all__)
    assert len(set(ft.__all__)) == len(ft.__all__)
    assert dir(ft) == sorted(ft.__all__)
    for name in ft.__all__:
        assert getattr(ft, name) is not None


def test_all_names_what_the_lazy_door_knows():
    assert set(ft._HOMES) | {"__version__"} == set(ft.__all__)


def test_what_it_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'foretell' has no attribute 'forecast'"):
        _ = ft.forecast


def test_the_star_import_brings_all_of_it():
    brought = {}
    exec("from foretell import *", brought)
    assert set(ft.__all__) <= set(brought)
    assert brought["EventForecaster"]().ensemble == 3


def test_keras_on_another_backend_is_a_clear_error():
    done = run("import keras, foretell; foretell.EventForecaster", KERAS_BACKEND="numpy")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("foretell.errors.BackendError: Keras is already loaded on the 'numpy' backend")
    assert "Set KERAS_BACKEND=jax in the environment" in last


def test_another_backend_in_the_environment_does_not_matter_if_keras_comes_with_it():
    done = run("import foretell; foretell.EventForecaster; import keras; print(keras.config.backend())",
               KERAS_BACKEND="numpy")  # fmt: skip
    assert done.stdout.strip() == "jax", done.stderr


def test_reading_a_log_needs_no_engine():
    done = run("import sys, foretell as ft; ft.read_events; print({'jax', 'keras'} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr


def test_no_package_exports_what_one_of_its_modules_is_called():
    """The import of the module would put it in the place of what is exported."""
    for found in pkgutil.walk_packages(ft.__path__, "foretell."):
        if found.ispkg:
            package = importlib.import_module(found.name)
            modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
            assert not modules & set(getattr(package, "__all__", ())), found.name
