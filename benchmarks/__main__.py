"""All accuracy and speed tables, one after the other: python -m benchmarks"""

from __future__ import annotations

import subprocess
import sys

for name in (
    "events",
    "simulated",
    "speed",
    "read_events",
    "series",
    "stores",
    "next_gap",
    "heads",
    "tutorial_speed",
):
    print(f"\n# {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
