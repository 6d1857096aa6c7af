"""Runs exported programs, as who has no foretell would."""

import numpy as np
import pytest


def run(path, inputs):
    """Return the answers of a file by name."""
    if path.suffix == ".stablehlo":
        import jax.export

        exported = jax.export.deserialize(bytearray(path.read_bytes()))
        return {name: np.asarray(part) for name, part in exported.call(**inputs).items()}
    session = session_of(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def session_of(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options)
