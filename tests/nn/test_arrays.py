"""Formulas for numpy and JAX: products on one thread, and threads given back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
import threadpoolctl

from foretell.nn.arrays import one_thread, to_device

np.linalg.norm(np.eye(2))  # BLAS is loaded


def threads():
    return max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")


def test_products_run_on_one_thread_and_threads_are_given_back():
    before = threads()
    with one_thread():
        assert threads() == 1
        with one_thread():
            assert threads() == 1
        assert threads() == 1
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert threads() == before


def test_threads_are_given_back_by_several_at_once():
    before = threads()

    def work():
        with one_thread():
            time.sleep(0.01)

    with ThreadPoolExecutor(8) as pool, one_thread():
        for job in [pool.submit(work) for _ in range(16)]:
            job.result()
        assert threads() == 1
    assert threads() == before


def test_numbers_reach_compiled_programs_as_a_copy_and_compile_nothing(caplog):
    numbers = np.arange(1237)
    with jax.log_compiles():
        there = to_device(numbers)
    assert "Compiling" not in caplog.text
    numbers[:] = 0
    assert (there.dtype, int(np.asarray(there)[-1])) == ("int32", 1236)
