"""`Wrapper`: base of layers around another layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densa.layers.layer import Layer
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object


class Wrapper(Layer):
    """Base of layers that hold one layer and change what it does.

    A subclass writes `call`; weights, building and configuration of the layer inside are seen to.

    Args:
        layer: the layer inside, kept as `layer`.

    Raises:
        TypeError: if that is no layer.

    Example:
        >>> class Twice(densa.layers.Wrapper):
        ...     def call(self, inputs):
        ...         return self.layer(self.layer(inputs))
        >>> twice = Twice(densa.layers.Dense(2, kernel_initializer="ones"))
        >>> twice(np.ones((1, 2), "float32")).numpy().tolist()
        [[4.0, 4.0]]
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{type(self).__name__} goes around a layer: `layer` must be a densa.layers.Layer; "
                f"received {layer!r} of type {type(layer).__name__}."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        config = dict(config)
        config["layer"] = deserialize_keras_object(config["layer"], custom_objects)
        return cls(**config)
