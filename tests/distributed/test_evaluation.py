"""A backtest in partitions is that of one machine, where its models are fitted to the same visits."""

from polars.testing import assert_frame_equal

import foretell as ft
from foretell import distributed


def test_figures_are_those_of_one_machine(visits, cluster):
    asked = {"horizon": "60d", "cutoffs": 2}
    here = ft.backtest(visits.log(), ["bg/nbd", "median gap"], **asked)
    there = distributed.backtest(
        visits, ["bg/nbd", "median gap"], sample=visits.log(), **asked, cluster=cluster
    )
    assert_frame_equal(there.rows(), here.rows(), check_exact=True)
    seconds = ["fit_s", "predict_s"]
    assert_frame_equal(there.table().drop(seconds), here.table().drop(seconds))
    assert there.headline == here.headline
    assert there.folds.summary() == here.folds.summary()
