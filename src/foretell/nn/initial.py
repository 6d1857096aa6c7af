"""Initial weights, drawn by numpy: Keras' own initializers compile for each shape, which takes seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from foretell.nn.backend import keras

register = keras.saving.register_keras_serializable("foretell")


class _Drawn(keras.initializers.Initializer):  # type: ignore[misc]
    """An initializer that draws from a seed of its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds it."""
        return {"seed": self.seed}


@register
class GlorotUniform(_Drawn):
    """Uniform between ±√(6 / (n_in + n_out)) (Glorot & Bengio 2010).

    Examples
    --------
    >>> GlorotUniform(0)((2, 4)).shape
    (2, 4)
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return weights, shape (…, n_in, n_out)."""
        limit = np.sqrt(6.0 / (shape[-2] + shape[-1]))
        return np.random.default_rng(self.seed).uniform(-limit, limit, shape).astype(dtype or "float32")


@register
class Orthogonal(_Drawn):
    """Rows, or columns where they are fewer, that are orthonormal (Saxe, McClelland & Ganguli 2013).

    Examples
    --------
    >>> weights = Orthogonal(0)((2, 4))
    >>> np.allclose(weights @ weights.T, np.eye(2), atol=1e-6)
    True
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return weights, shape (n_in, n_out)."""
        tall = (max(shape), min(shape))
        q, r = np.linalg.qr(np.random.default_rng(self.seed).normal(size=tall))
        q *= np.sign(np.diag(r))
        return (q if tall == tuple(shape) else q.T).astype(dtype or "float32")


class Initializers:
    """Hands out initializers, each with a seed of its own.

    Parameters
    ----------
    seed : int

    Examples
    --------
    >>> init = Initializers(0)
    >>> init("kernel").seed != init("recurrent").seed
    True
    """

    def __init__(self, seed: int) -> None:
        self._seeds = np.random.default_rng(seed)

    def __call__(self, kind: str) -> Any:
        """Return the initializer of a ``"kernel"`` or of a ``"recurrent"`` matrix."""
        kinds = {"kernel": GlorotUniform, "recurrent": Orthogonal}
        return kinds[kind](int(self._seeds.integers(2**31 - 1)))
