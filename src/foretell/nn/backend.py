"""Keras on JAX: chosen before Keras is first imported, checked where somebody else was first."""

from __future__ import annotations

import os
import sys
from typing import Any

from foretell.errors import BackendError


def _import_keras() -> Any:
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "jax"
    import keras  # noqa: PLC0415  # the backend has to be chosen first

    if keras.config.backend() != "jax":
        raise BackendError(
            f"Keras is already loaded on the {keras.config.backend()!r} backend; foretell needs 'jax'. "
            "Set KERAS_BACKEND=jax in the environment, or import foretell's forecasters before Keras."
        )
    return keras


keras = _import_keras()
