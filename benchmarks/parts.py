"""The command line of a benchmark that has several parts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path


def run_parts(parts: Mapping[str, Callable[[], object]], about: str | None) -> None:
    """Run the parts that are named, by default all, and write what they return where that is asked for."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = {name: parts[name]() for name in arguments.parts}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
