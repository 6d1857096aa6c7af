"""All accuracy and speed tables, one after the other: python -m benchmarks"""

from __future__ import annotations

import subprocess
import sys

for name in ("events", "simulated", "speed", "read_events", "series", "series_speed", "series_methods"):
    print(f"\n# {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
