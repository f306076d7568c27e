"""The base of initializers."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core, config
from densa._names import Named
from densa._symbolic import standardize_shape


class Initializer(Named):
    """Makes the first value of a variable.

    Subclasses may override `__call__(shape, dtype=None)`, as in Keras, and `get_config`.

    Example:
        >>> class Half(densa.initializers.Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return densa.ops.full(shape, 0.5, dtype=dtype)
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a Tensor of the given shape and type (floatx if None)."""
        kind = config.dtype_name(dtype)
        array = self.array(standardize_shape(shape), config.numpy_float(kind))
        return _core.to_tensor(np.asarray(array), kind)

    def array(self, shape: tuple[int, ...] | Any, dtype: str) -> Any:
        """Return the value as a NumPy array."""
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Make an initializer from `get_config`'s answer."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Return an equal initializer."""
        return type(self).from_config(self.get_config())

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Return the first value of a variable as an array, without touching the engine."""
        if type(self).__call__ is Initializer.__call__:
            return self.array(shape, dtype)
        value = self(shape, dtype=dtype)
        return value.numpy() if isinstance(value, _core.Tensor) else np.asarray(value)
