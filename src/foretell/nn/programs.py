"""Compiled programs are kept in the user's cache folder: the next process finds them instead of compiling."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import Any, Final

import jax
import platformdirs

FOLDER_VARIABLE: Final = "FORETELL_CACHE"
"""Environment variable: another folder, or ``off``."""

# The least recently used programs are deleted beyond this; a fit and its forecasts take some 10 MB.
_MOST_BYTES = 512 * 2**20


def keep_programs() -> Path | None:
    """Let JAX keep what it compiles, unless a folder is set for it already; return the folder, if any.

    Processes share the folder under a lock. Where it cannot be written, nothing is kept.
    """
    config: Any = jax.config  # JAX gives its settings no types
    if config.jax_compilation_cache_dir is not None:
        return None
    folder = programs_folder()
    if folder is None:
        return None
    config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_compilation_cache_dir", str(folder))
    return folder


def programs_folder() -> Path | None:
    """Return the folder of this machine's programs; None where it is switched off or cannot be written."""
    chosen = os.environ.get(FOLDER_VARIABLE, "").strip()
    if chosen.lower() in {"off", "0", "false", "no"}:
        return None
    folder = Path(chosen or platformdirs.user_cache_dir("foretell")) / f"programs-{_processor()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else None


def _processor() -> str:
    """Return a name for what programs are compiled for: processors may differ that share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    features = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"
