"""Formulas for numpy and JAX: products on one thread, and threads given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl

from foretell.nn.arrays import one_thread

np.linalg.norm(np.eye(2))  # BLAS is loaded


def threads():
    return max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")


def test_products_run_on_one_thread_until_the_last_one_has_left():
    before = threads()
    with one_thread():
        with one_thread():
            assert threads() == 1
        assert threads() == 1
    assert threads() == before


def test_threads_are_given_back_after_a_failure_and_by_several_at_once():
    before = threads()

    def work(fails):
        with one_thread():
            assert threads() == 1
            if fails:
                raise KeyError

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(work, k % 2) for k in range(32)]
    for k, job in enumerate(jobs):
        if k % 2:
            with pytest.raises(KeyError):
                job.result()
        else:
            job.result()
    assert threads() == before
