"""`Swish`: SiLU with a factor that can be learned."""

from __future__ import annotations

from typing import Any

from densa import _core, constraints, initializers, regularizers
from densa.layers._helpers import as_float
from densa.layers.layer import Layer


class Swish(Layer):
    """x · sigmoid(beta · x), with one beta for all units or one for each.

    beta 0 gives x / 2, 1 gives SiLU, and large beta comes close to ReLU.

    Args:
        beta_initializer: first value of beta; a number stands for Constant.
        trainable_beta: whether `fit` changes beta.
        per_unit: one beta for each index of the last axis instead of one for all.
        beta_regularizer: penalty on beta.
        beta_constraint: what beta is put back to after each update.

    Example:
        >>> layer = densa.layers.Swish()
        >>> layer(np.zeros((1, 2), "float32")).numpy()
        array([[0., 0.]], dtype=float32)
        >>> layer.count_params()
        1
    """

    _passes_masks = True

    def __init__(
        self,
        beta_initializer: Any = "ones",
        *,
        trainable_beta: bool = True,
        per_unit: bool = False,
        beta_regularizer: Any = None,
        beta_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(beta_initializer, (int, float)):
            beta_initializer = initializers.Constant(beta_initializer)
        self.beta_initializer = initializers.get(beta_initializer)
        self.trainable_beta = trainable_beta
        self.per_unit = per_unit
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        self.beta = self.add_weight(
            shape=(input_shape[-1],) if self.per_unit else (1,),
            name="beta",
            initializer=self.beta_initializer,
            regularizer=self.beta_regularizer,
            constraint=self.beta_constraint,
            trainable=self.trainable_beta,
        )

    def call(self, inputs: Any) -> Any:
        x = as_float(inputs, self.compute_dtype)
        gate = _core.apply("sigmoid", _core.apply("multiply", x, self.beta))
        return _core.apply("multiply", x, gate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "trainable_beta": self.trainable_beta,
            "per_unit": self.per_unit,
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
        }
