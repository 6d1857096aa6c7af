"""A job that was accepted is done, failed with a reason, cancelled, or waits again."""

import pytest

from foretell.errors import ParameterError
from foretell.serve.jobs import MOST_TRIES, Jobs
from foretell.serve.store import NotThereError


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path / "jobs.sqlite")


def accepted(jobs, model="shop"):
    return jobs.add("fit", model, {"source": "x"}, most=3)


def test_jobs_are_begun_in_the_order_in_which_they_came(jobs):
    first, second = accepted(jobs), accepted(jobs, "other")
    assert jobs.take().key == first.key
    assert jobs.take().key == second.key
    assert jobs.take() is None
    assert jobs.counts() == {"running": 2}


def test_how_far_a_job_is_and_how_it_ended_outlives_the_process(jobs, tmp_path):
    job = accepted(jobs)
    jobs.take()
    jobs.tell(job.key, 0.5, "training")
    seen = Jobs(tmp_path / "jobs.sqlite").get(job.key)
    assert (seen.state, seen.progress, seen.message, seen.asked) == (
        "running",
        0.5,
        "training",
        {"source": "x"},
    )
    jobs.finish(job.key, "done", "fine")
    jobs.put_back(job.key)
    done = jobs.get(job.key)
    assert (done.state, done.progress, done.message, done.over) == ("done", 1.0, "fine", True)


def test_a_job_that_is_interrupted_waits_again_but_not_for_ever(jobs):
    job = accepted(jobs)
    for _ in range(MOST_TRIES):
        assert jobs.take().key == job.key
        jobs.put_all_back()
    failed = jobs.get(job.key)
    assert failed.state == "failed"
    assert "was ended 3 times" in failed.message


def test_stopping_the_service_is_not_counted_against_a_job(jobs):
    job = accepted(jobs)
    for _ in range(MOST_TRIES + 1):
        jobs.take()
        jobs.put_back(job.key, counted=False)
    assert jobs.get(job.key).state == "waiting"


def test_a_job_is_cancelled_whether_it_waits_or_runs(jobs):
    waiting, running = accepted(jobs), accepted(jobs)
    assert jobs.cancel(waiting.key).state == "cancelled"
    assert jobs.take().key == running.key
    assert jobs.cancel(running.key).cancel
    jobs.put_back(running.key)
    assert jobs.get(running.key).state == "cancelled"


def test_old_jobs_that_are_over_are_forgotten(jobs):
    old, running, last = accepted(jobs), accepted(jobs), accepted(jobs)
    jobs.take()
    jobs.finish(old.key, "done")
    jobs.take()
    jobs.take()
    jobs.finish(last.key, "failed", "no")
    assert jobs.forget(1) == [old.key]
    assert [job.key for job in jobs.last()] == [last.key, running.key]


def test_too_many_that_wait_are_refused_and_what_is_not_there_is_said(jobs):
    for _ in range(3):
        accepted(jobs)
    with pytest.raises(ParameterError, match="3 jobs are waiting already"):
        accepted(jobs)
    with pytest.raises(NotThereError, match="there is no job 'x'"):
        jobs.get("x")
