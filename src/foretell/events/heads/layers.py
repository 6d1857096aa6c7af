"""The heads as layers of Keras: they hold the head's weights, and say what its formula says."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.events.heads.grid import log_chances
from foretell.events.heads.mixture import Anchor, DropOut, anchor_shapes, anchored
from foretell.events.heads.point import PARTS, shrunken
from foretell.nn import mixture as mix
from foretell.nn.backend import Array, Config, Tensor, jnp, keras, register


class _Head(keras.layers.Layer):  # type: ignore[misc]
    """A layer from [corrections, state] to the packed distribution; its weights start at zero."""

    def _create(self, shapes: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        self.parts = [self.add_weight(shape=size, initializer="zeros", name=name) for name, size in shapes]

    @property
    def _values(self) -> list[Array]:
        return [jnp.asarray(part.value) for part in self.parts]


@register
class MixtureHead(_Head):
    """Keras layer from [corrections, (count, age)] to the packed gap mixture; holds the anchor's weights."""

    def __init__(self, components: int, drop_out: DropOut = "mbg", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.components, self.drop_out = components, drop_out

    def build(self, input_shape: object) -> None:
        """Create the shared parameters."""
        del input_shape
        self._create(anchor_shapes(self.components))

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the packed mixture."""
        delta, state = inputs
        anchor = Anchor(*self._values)
        packed: Array = mix.pack(anchored(anchor, state[..., 0], state[..., 1], delta, self.drop_out))
        return packed

    def compute_output_shape(self, input_shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the packed mixture."""
        return (*input_shapes[0][:-1], mix.packed_width(self.components))

    def get_config(self) -> Config:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "components": self.components, "drop_out": self.drop_out}


@register
class GridHead(_Head):
    """Keras layer from [corrections, state] to log probabilities of the classes and of the tail.

    Parameters
    ----------
    n_classes : int
    hazard : bool
        The corrections move log odds of a class *given that it is reached*; else those of a softmax.
    """

    def __init__(self, n_classes: int, hazard: bool = False, **kwargs: object) -> None:  # noqa: FBT001, FBT002  # Keras' configuration
        super().__init__(**kwargs)
        self.n_classes, self.hazard = n_classes, hazard

    def build(self, input_shape: object) -> None:
        """Create the population's log odds."""
        del input_shape
        self._create([("base", (self.n_classes if self.hazard else self.n_classes + 1,))])

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the log probabilities."""
        chances: Array = log_chances(inputs[0], *self._values, hazard=self.hazard)
        return chances

    def compute_output_shape(self, input_shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the log probabilities."""
        return (*input_shapes[0][:-1], self.n_classes + 1)

    def get_config(self) -> Config:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "n_classes": self.n_classes, "hazard": self.hazard}


@register
class PointHead(_Head):
    """Keras layer from [correction, (count, mean gap)] to the forecast on the head's scale."""

    def build(self, input_shape: object) -> None:
        """Create m, log k and the shift."""
        del input_shape
        self._create([(name, ()) for name in PARTS])

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the forecast."""
        raw, state = inputs
        return raw + shrunken(state, *self._values)[..., None]

    def compute_output_shape(self, input_shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the forecast."""
        return (*input_shapes[0][:-1], 1)
