"""What is learned of mailings, where the truth is known: python -m benchmarks.contacts [--seeds 10]

Simulated customers who come so many times as often in the week after a mailing. Mailings go to a half that is
drawn at random, to those who come often, to those who have been silent for long, or are coupons handed out
at a visit. Beside what comparing each customer with itself says, the plain ratio: visits a day after a
mailing by those of all other days.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import numpy.typing as npt
import polars as pl

import foretell as ft
from foretell.contacts import contact_effects, read_contacts

FloatArray = npt.NDArray[np.float64]

START, DAYS, WITHIN = np.datetime64("2023-01-02"), 420, 7
WHO = ("a random half", "those who come often", "the silent", "at a visit")
_WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7])


@dataclasses.dataclass(frozen=True)
class Mailed:
    """Visits, mailings, and the plain ratio.

    Attributes
    ----------
    visits, mailings : polars.DataFrame
        ``unique_id``, ``ds``.
    plain : float
    """

    visits: pl.DataFrame
    mailings: pl.DataFrame
    plain: float


def mailed(rng: np.random.Generator, who: str, times: float, n: int = 2_000) -> Mailed:
    """Draw visits day by day, and mailings by what customers did before."""
    rate = np.minimum(rng.gamma(1.0, 1 / 15, n), 0.3)
    joined = rng.integers(0, 120, n)
    left = joined + rng.exponential(600, n)
    last_mail, last_visit = np.full(n, -DAYS), joined.copy()
    came, sent = np.zeros((n, DAYS), dtype=bool), np.zeros((n, DAYS), dtype=bool)
    after = np.zeros((n, DAYS), dtype=bool)
    often = rate > np.median(rate)
    for day in range(DAYS):
        there = (day > joined) & (day < left)
        after[:, day] = (day > last_mail) & (day <= last_mail + WITHIN) & (day > joined)
        chance = rate * _WEEK[day % 7] * np.where(after[:, day], times, 1.0)
        came[:, day] = (there & (rng.random(n) < chance)) | (day == joined)
        mailing = day % 30 == 25
        sent[:, day] = (day >= joined) & {
            "a random half": mailing & (rng.random(n) < 0.5),
            "those who come often": mailing & (rng.random(n) < np.where(often, 0.8, 0.2)),
            "the silent": mailing & (day - last_visit > 21),
            "at a visit": came[:, day] & (rng.random(n) < 0.2),
        }[who]
        last_mail = np.where(sent[:, day], day, last_mail)
        last_visit = np.where(came[:, day], day, last_visit)
    again = came & (np.arange(DAYS) > joined[:, None])
    known = np.arange(DAYS) > joined[:, None]
    plain = (again & after).sum() / after.sum() / ((again & ~after).sum() / (known & ~after).sum())
    return Mailed(_rows(came), _rows(sent), float(plain))


def _rows(matrix: npt.NDArray[np.bool_]) -> pl.DataFrame:
    owner, day = np.nonzero(matrix)
    rows = pl.DataFrame({"unique_id": owner, "day": day})
    return rows.select("unique_id", ds=pl.lit(START.item()) + pl.duration(days="day"))


def main(seeds: int) -> None:
    """Print what is found of each way to choose whom to mail."""
    print("| mailed | truth | plain ratio | found | 80 % interval holds it | in the days before |")
    print("|---|---|---|---|---|---|")
    for who in WHO:
        for times in (1.0, 1.5):
            plain, found, holds, before = [], [], [], []
            for seed in range(seeds):
                drawn = mailed(np.random.default_rng((11, seed)), who, times)
                ends = {"start": str(START), "as_of": str(START + DAYS - 1)}
                effect = contact_effects(
                    ft.read_events(drawn.visits, **ends), read_contacts(drawn.mailings), WITHIN
                )
                row = effect.row(0, named=True)
                plain.append(drawn.plain)
                found.append(row["times"])
                holds.append(row["times-lo-80"] <= times <= row["times-hi-80"])
                before.append(row["before"])
            print(
                f"| {who} | {times} | {np.mean(plain):.2f} | {np.mean(found):.2f} ± {np.std(found):.2f} | "
                f"{np.mean(holds):.0%} | {np.mean(before):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    main(parser.parse_args().seeds)
