"""`Embedding`: a table looked up by integers."""

from __future__ import annotations

from typing import Any, cast

from densa import _core, constraints, initializers, ops, regularizers
from densa._numbers import whole_number
from densa._symbolic import KerasTensor
from densa.layers._helpers import as_float
from densa.layers.layer import Layer
from densa.ops._public import whole


class Embedding(Layer):
    """Turn each integer i into row i of a trained table.

    Args:
        input_dim: number of rows; inputs go from 0 to input_dim - 1.
        output_dim: length of a row.
        embeddings_initializer: first value of the table.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: what the table is put back to after each update.
        mask_zero: whether id 0 is padding: the output's mask is False there, so that losses and
            metrics leave it out.
        weights: the table as an array, instead of an initializer.

    Raises:
        ValueError: for sizes that are not positive.

    Example:
        >>> densa.layers.Embedding(10, 4)(np.array([[1, 2, 3]])).shape
        (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        self.input_dim = whole_number("Embedding: `input_dim`", input_dim)
        self.output_dim = whole_number("Embedding: `output_dim`", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.autocast = False
        self.embeddings: Any = None
        if weights is not None:
            self.build()
            table = weights if hasattr(weights, "shape") else weights[0]
            cast(Any, self.embeddings).assign(table)

    def build(self, input_shape: Any = None) -> None:
        if self.embeddings is not None:
            return
        self.embeddings = self.add_weight(
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            rows=True,
        )

    def call(self, inputs: Any) -> Any:
        ids = whole(inputs, f"Ids of layer {self.name!r} (Embedding)")
        return as_float(_core.apply("embedding", self.embeddings, ids), self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return KerasTensor(self.compute_output_shape(args[0].shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }
