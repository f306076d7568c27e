"""`CategoryEncoding`: class numbers as vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._symbolic import KerasTensor
from densa.layers._encoding import MODES, checked, encode, encoded_shape
from densa.layers._helpers import as_float, one_of
from densa.layers.layer import Layer
from densa.ops._public import whole


class CategoryEncoding(Layer):
    """Class numbers 0 … num_tokens - 1 as vectors of `num_tokens` numbers.

    With `"one_hot"` each number becomes a vector, and a last axis of one number is left out; with
    `"multi_hot"` the numbers along the last axis become one vector of which of them occur, with
    `"count"` one of how often.

    Args:
        num_tokens: how many classes there are.
        output_mode: `"multi_hot"`, `"one_hot"` or `"count"`.
        sparse: accepted for Keras; True raises.

    Raises:
        ValueError: for another mode or no number of classes; `IndexError` for a class number
            outside of 0 … num_tokens - 1.

    Example:
        >>> densa.layers.CategoryEncoding(4)(np.array([[0, 3, 3]])).numpy()
        array([[1., 0., 0., 1.]], dtype=float32)
        >>> count = densa.layers.CategoryEncoding(4, output_mode="count")
        >>> count(np.array([[0, 3, 3]]), count_weights=np.array([[1.0, 0.5, 2.0]])).numpy()
        array([[1. , 0. , 0. , 2.5]], dtype=float32)
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        whole = isinstance(num_tokens, (int, np.integer)) and not isinstance(num_tokens, bool)
        if num_tokens is None or not whole or num_tokens < 1:
            raise ValueError(
                "CategoryEncoding: `num_tokens` must be a whole number of at least 1, one more "
                f"than the largest class number. Received: num_tokens={num_tokens!r}."
            )
        if sparse:
            raise ValueError("CategoryEncoding: sparse=True is not supported; leave it out.")
        output_mode = "multi_hot" if output_mode == "binary" else output_mode  # as Keras 2 had it
        self.num_tokens = int(num_tokens)
        self.output_mode = one_of(output_mode, MODES, "output_mode", "CategoryEncoding")
        self.sparse = False
        self.autocast = False  # class numbers may come as floats; 16 bits would change them
        self.built = True

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not 'count'. Received: "
                f"output_mode={self.output_mode!r} (layer '{self.name}')."
            )
        ids = whole(inputs, f"Class numbers of layer {self.name!r} (CategoryEncoding)")
        if count_weights is not None:
            if tuple(count_weights.shape) != tuple(ids.shape):
                raise ValueError(
                    f"Layer '{self.name}': `count_weights` of shape {tuple(count_weights.shape)} "
                    f"do not fit class numbers of shape {tuple(ids.shape)}."
                )
            count_weights = as_float(count_weights, self.compute_dtype)
        ids = checked(ids, self.num_tokens, self.name)
        return encode(ids, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_tokens)

    def compute_output_spec(self, inputs: Any, count_weights: Any = None) -> Any:
        return KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }
