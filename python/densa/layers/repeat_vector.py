"""`RepeatVector`: each row several times."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa._numbers import whole_number
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class RepeatVector(Layer):
    """Repeat each row n times: (rows, features) becomes (rows, n, features).

    Args:
        n: how often, at least 1.

    Raises:
        TypeError: if n is no whole number.
        ValueError: if n is less than 1.

    Example:
        >>> densa.layers.RepeatVector(2)(np.array([[1.0, 2.0]], "float32")).numpy().tolist()
        [[[1.0, 2.0], [1.0, 2.0]]]
    """

    _keeps_dtype = True

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = whole_number("RepeatVector: n", n)
        self.input_spec = InputSpec(ndim=2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        features = inputs.shape[1]
        x = _core.apply("reshape", inputs, shape=[-1, 1, features])
        return _core.apply("concatenate", *[x] * self.n, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
