"""Parts of layers: initial weights drawn by numpy, and a dropout whose rate is an input of the program."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foretell.nn.backend import Initializer, Layer, Tensor, jax, jnp, keras, register
from foretell.nn.optimizer import DROPOUT
from foretell.nn.plain import glorot_uniform, orthogonal


def make_dropout(rate: float, seed: int, name: str) -> Layer:
    """Return Keras' dropout, whose rate may be an input of the compiled step (see `dropping`).

    The layer stays Keras' own, so that Keras alone reads the architecture.
    """
    layer = keras.layers.Dropout(rate, seed=seed, name=name)
    by_keras = layer.call

    def call(inputs: Tensor, training: bool = False) -> Tensor:  # noqa: FBT001, FBT002  # as Keras calls it
        traced = DROPOUT.get()
        if not training or traced is None:
            unchanged: Tensor = by_keras(inputs, training=training)
            return unchanged
        key = jax.random.wrap_key_data(jnp.asarray(layer.seed_generator.next(), dtype=jnp.uint32))
        kept = jax.random.bernoulli(key, 1.0 - traced, inputs.shape)
        return jnp.where(kept, inputs / (1.0 - traced), 0.0)

    layer.call = call
    made: Layer = layer
    return made


class _Drawn(keras.initializers.Initializer):  # type: ignore[misc]
    """An initializer that draws from a seed of its own; Keras' own compile for each shape: seconds."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def get_config(self) -> dict[str, int]:
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

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> npt.NDArray[np.float32]:
        """Return weights, shape (…, n_in, n_out)."""
        return glorot_uniform(self.seed, shape).astype(dtype or "float32")


@register
class Orthogonal(_Drawn):
    """Rows, or columns where they are fewer, that are orthonormal (Saxe, McClelland & Ganguli 2013).

    Examples
    --------
    >>> weights = Orthogonal(0)((2, 4))
    >>> np.allclose(weights @ weights.T, np.eye(2), atol=1e-6)
    True
    """

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> npt.NDArray[np.float32]:
        """Return weights, shape (n_in, n_out)."""
        return orthogonal(self.seed, shape).astype(dtype or "float32")


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

    def seed(self) -> int:
        """Return a further seed."""
        return int(self._seeds.integers(2**31 - 1))

    def __call__(self, kind: str) -> Initializer:
        """Return the initializer of a ``"kernel"`` or of a ``"recurrent"`` matrix."""
        kinds: dict[str, type[_Drawn]] = {"kernel": GlorotUniform, "recurrent": Orthogonal}
        drawn: Initializer = kinds[kind](self.seed())
        return drawn
