"""Which badge comes next on StackOverflow: python -m benchmarks.next_group [--members N]

4,468 users, 22 badges, five folds of users: trained on four, every badge of the fifth is foreseen from those
before it. Accuracy beside that of the most frequent badge.
"""

from __future__ import annotations

import argparse
import time

import polars as pl
from benchmarks.series_data import SHARED

import foretell as ft
from foretell.next_group import NextGroup


def badges() -> tuple[ft.EventLog, ft.EventLog]:
    """Return the badges of the users to learn from, and of those of the first fold."""
    frame = pl.read_csv(SHARED / "tpp_stackoverflow_4468.csv.gz").with_columns(
        ds=pl.from_epoch(pl.col("time").round().cast(pl.Int64), time_unit="s")
    )
    parts = (frame.filter((pl.col("first_test_fold") == 1) == test) for test in (False, True))
    train, test = (
        ft.read_events(part, id="seq_id", time="ds", group="mark", unit="hour", merge=None, duplicates="keep")
        for part in parts
    )
    return train, test


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=3)
    train, test = badges()
    began = time.process_time()
    model = NextGroup(ensemble=parser.parse_args().members).fit(train)
    seconds = time.process_time() - began
    scores = model.score(test)
    print("| accuracy | most frequent | log loss | CPU seconds of the fit |\n|---|---|---|---|")
    print(
        f"| {scores['accuracy']:.2%} | {scores['majority']:.2%} | {scores['log_loss']:.3f} | {seconds:.0f} |"
    )


if __name__ == "__main__":
    main()
