"""`Lambda`: any function as a layer."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from types import NoneType
from typing import Any

from densa.layers.layer import Layer
from densa.saving.serialization import (
    deserialize_keras_object,
    is_nameable,
    serialize_keras_object,
    unregistered_function,
)


class Lambda(Layer):
    """Apply a function.

    A model with a Lambda is saved only if its function is registered
    (`densa.saving.register_keras_serializable`), since files hold data, never code.

    Args:
        function: takes the input, and `training` and `mask` if it has such parameters.
        output_shape: shape of one sample of the output, or a function of the input's shape; None
            finds it by trial.
        mask: the output's mask, or a function of input and mask that gives it; None: the layer does
            not support masks.
        arguments: further arguments of the function.

    Example:
        >>> densa.layers.Lambda(lambda x: x * 2.0)(np.ones((1, 2), "float32")).numpy()
        array([[2., 2.]], dtype=float32)
    """

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ValueError(f"Lambda needs a function; got {function!r}.")
        self.mask = mask
        self.supports_masking = mask is not None
        self.function = function
        if not isinstance(arguments, (Mapping, NoneType)):
            raise TypeError(
                "Lambda: `arguments` must be a dictionary of the function's further arguments; "
                f"received {arguments!r}."
            )
        self.arguments = dict(arguments or {})
        self._output_shape = output_shape
        self._wants = [n for n in ("mask", "training") if n in _parameters(function)]
        self.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        arguments = {**self.arguments, **{name: given[name] for name in self._wants}}
        return self.function(inputs, **arguments)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = input_shape[0] if input_shape else None
        return (batch, *self._output_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            from densa._symbolic import infer_outputs

            return infer_outputs(self._trial_call, args, kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        shape = self._output_shape
        for function in (self.function, shape, self.mask):
            named = hasattr(function, "get_config") or is_nameable(function)
            if callable(function) and not named:
                raise ValueError(f"Layer '{self.name}': {unregistered_function(function)}")
        return {
            **super().get_config(),
            "function": serialize_keras_object(self.function),
            "output_shape": serialize_keras_object(shape) if callable(shape) else shape,
            "mask": serialize_keras_object(self.mask),
            "arguments": serialize_keras_object(self.arguments),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        for name in ("function", "output_shape", "mask", "arguments"):
            if isinstance(config.get(name), Mapping):
                config[name] = deserialize_keras_object(config[name])
        return cls(**config)


def _parameters(function: Any) -> Any:
    if isinstance(function, types.BuiltinFunctionType):
        return ()
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ()
