"""Partition by partition the answers are those of one machine, whatever befalls a worker."""

import os
import signal

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal
from tests.conftest import small_events
from tests.distributed.conftest import READING
from typer.testing import CliRunner

import foretell as ft
from foretell import distributed
from foretell.baselines import EVENT_BASELINES, MBGNBD
from foretell.cli.commands import app
from foretell.distributed import scoring
from foretell.errors import DataError, ParameterError

ASKED = {"horizons": ["7d", "30d"], "levels": [80]}


def answers(place):
    return pl.read_parquet(place / "*.parquet").sort("unique_id")


@pytest.fixture(scope="module")
def statistic(visits):
    return MBGNBD().fit(visits.log())


@pytest.mark.parametrize("kind", sorted(set(EVENT_BASELINES.values()), key=lambda kind: kind.name))
def test_each_statistic_answers_for_partitions_as_for_all_to_the_last_bit(visits, kind):
    model = kind().fit(visits.log())
    without = scoring.bare(model)
    parts = [scoring._standing(without, visits, k)[0].predict(**ASKED) for k in range(visits.count)]
    assert_frame_equal(pl.concat(parts).sort("unique_id"), model.predict(**ASKED), check_exact=True)
    assert scoring.fingerprint(without) == scoring.fingerprint(model)


def test_a_network_is_asked_by_two_workers_and_answers_to_the_last_bit(
    visits, small_model, cluster, tmp_path
):
    expected = small_model.predict(**ASKED)
    for whose in (visits, 3):  # the customers of the partitions; the model's own
        done = distributed.predict(small_model, tmp_path, visits=whose, **ASKED, cluster=cluster)
        assert (done.rows, done.before) == (len(expected), 0)
        assert_frame_equal(answers(tmp_path), expected, check_exact=True)


def test_a_worker_that_is_killed_while_it_writes_costs_a_retry(visits, statistic, cluster, tmp_path):
    marker = tmp_path / "killed"

    class Mortal(MBGNBD):
        def predict_blocks(self, **asked):
            for table in super().predict_blocks(**asked, size=7):
                yield table
                if "c001" in self.log_.ids and not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

    model = Mortal().fit(visits.log())
    done = distributed.predict(model, tmp_path / "scores", visits=visits, **ASKED, cluster=cluster)
    assert marker.exists()
    assert done.rows == statistic.log_.n_customers
    assert_frame_equal(answers(tmp_path / "scores"), statistic.predict(**ASKED), check_exact=True)
    assert list((tmp_path / "scores").glob(".*")) == []


def test_a_run_that_was_cut_short_goes_on_where_it_stopped(visits, statistic, cluster, tmp_path):
    shown = []

    def interrupt(done, total):
        shown.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    url, expected = f"sqlite:///{tmp_path / 'scores.db'}", statistic.predict(**ASKED)
    run = distributed.Cluster(workers=2, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        distributed.predict(statistic, url, "scores", visits=visits, **ASKED, cluster=run)
    done = distributed.predict(statistic, url, "scores", visits=visits, **ASKED, cluster=cluster)
    assert shown == [(1, 4), (2, 4)]
    assert (done.rows, done.before) == (len(expected), 2)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT unique_id, p_return_30d FROM scores ORDER BY 1")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == expected.select("unique_id", "p_return_30d").rows()


def test_states_are_kept_and_moved_forward_by_new_visits_alone(statistic, cluster, tmp_path, monkeypatch):
    early = distributed.partition(small_events(), tmp_path / "visits", partitions=3, **READING)
    distributed.update(statistic, early, cluster=cluster)
    both = early.add(small_events(), **READING | {"as_of": "2023-12-31"})
    assert distributed.update(statistic, both, cluster=cluster).rows == both.log().n_customers
    expected = scoring.bare(statistic).attach(both.log()).predict(**ASKED)
    read = []
    monkeypatch.setattr(distributed.Partitions, "log", lambda *given, **how: read.append(given))
    kept = [scoring._standing(scoring.bare(statistic), both, k)[0].predict(**ASKED) for k in range(3)]
    assert read == []
    assert_frame_equal(pl.concat(kept).sort("unique_id"), expected)


def test_what_goes_wrong_in_a_worker_is_raised_as_it_is(visits, statistic, cluster, tmp_path):
    class Broken(MBGNBD):
        def predict_blocks(self, **asked):
            raise DataError("these visits are none")

    with pytest.raises(DataError, match="these visits are none"):
        distributed.predict(Broken().fit(visits.log()), tmp_path, visits=visits, cluster=cluster)


def test_series_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="expected a forecaster of visits"):
        distributed.predict(ft.baselines.Naive(), tmp_path)


def test_the_command_line_asks_the_workers_and_shows_how_far_they_are(small_model, cluster, tmp_path):
    small_model.save(tmp_path / "model")
    call = ["predict", str(tmp_path / "model"), "--horizon", "7d", "--horizon", "30d", "--level", "80"]
    ray = [*call, "--on", "ray", "--workers", "2"]
    done = CliRunner().invoke(app, [*ray, "--partitions", "3", "--out", str(tmp_path / "scores")])
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert "3 of 3 partitions" in done.stderr
    assert_frame_equal(answers(tmp_path / "scores"), small_model.predict(**ASKED), check_exact=True)
    for wrong, message in [
        (ray, "--on ray needs --out"),
        ([*ray, "--out", "a", "--id", "c001"], "--on ray goes with none of --id"),
        ([*call, "--workers", "2"], "go with --on ray"),
    ]:
        refused = CliRunner().invoke(app, wrong)
        assert refused.exit_code == 2
        assert message in refused.stderr
