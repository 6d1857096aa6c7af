"""All accuracy and speed tables, one after the other: python -m benchmarks"""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "events", "simulated", "speed", "cold", "read_events", "databases", "series", "series_speed",
    "series_methods", "stores", "next_gap", "heads", "tutorial_speed", "tuning", "referee",
)  # fmt: skip
for name in NAMES:
    print(f"\n# {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
