"""Environments of their own for peers that don't run on current libraries."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

REQUIREMENTS = {
    # The last lifetimes (2020) and the last versions of what it needs that it runs on.
    "lifetimes": ["lifetimes==0.11.3", "pandas<2.2", "numpy<2", "scipy<1.14"],
    # Keras as most people run it: on the TensorFlow backend.
    "tensorflow": ["tensorflow-cpu", "keras>=3.11"],
    "neuralforecast": ["torch==2.13.0", "neuralforecast==3.3.0"],
}


def peer_python(peer: str) -> Path:
    """Return the interpreter of a peer's environment under .peers/, made on first use."""
    folder = ROOT / ".peers" / peer
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.exists():
        print(f"making the environment of {peer} in {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[peer]], check=True)
        ready.touch()
    return python


def run_peer(peer: str, script: str, *arguments: object) -> dict[str, Any]:
    """Run a script of this folder in a peer's environment and return the JSON object that it prints."""
    command = [str(peer_python(peer)), str(Path(__file__).parent / script), *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result
