"""Torture foretell within a budget: python -m benchmarks.torture [parts] [--count N] [--seconds S] [--seed K]

Prints a table: trials, faults, what came of the others. A fault is an error outside of foretell's tree, or
an answer that is wrong; each is listed with the number of its trial, which --first K --count 1 repeats alone.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.torture import arguments, commands, hardships, kills, models, readers
from benchmarks.torture.harness import HANGS, HEADER, Budget, torture

_ROOMS = (readers, commands, arguments, models, hardships, kills)
PARTS = {room.__name__.rpartition(".")[2]: room.trial for room in _ROOMS}

_HANGS = {"kills": 400}  # seconds of processes that live long, and are prepared first


def main() -> None:
    """Run the parts that are named, by default all, and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS), choices=list(PARTS), metavar="part")
    parser.add_argument("--count", type=int, default=1_000, help="trials of each part")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each part at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    given = parser.parse_args()
    budget = Budget(given.count, given.seconds, given.seed, given.first)
    results = [torture(name, PARTS[name], budget, _HANGS.get(name, HANGS)) for name in given.parts]
    print(HEADER, *(result.row() for result in results), sep="\n")
    for result in results:
        for k, words in result.faults.items():
            print(f"{result.part} {k}: {words}")
    sys.exit(any(result.faults for result in results))


if __name__ == "__main__":
    main()
