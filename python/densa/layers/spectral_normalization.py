"""`SpectralNormalization`: a layer whose kernel has the largest singular value 1."""

from __future__ import annotations

from typing import Any

from densa import _core, initializers, ops
from densa._numbers import whole_number
from densa._scope import in_symbolic_scope
from densa.layers._helpers import of_length_one
from densa.layers.input_spec import InputSpec
from densa.layers.wrapper import Wrapper


class SpectralNormalization(Wrapper):
    """Divide the kernel W of a layer by its largest singular value at each call in training.

    The value comes from `power_iterations` of `v ← u·Wᵀ / ‖u·Wᵀ‖`, `u ← v·W / ‖v·W‖`, where
    `vector_u` is kept from call to call: `W ← W / (v·W·uᵀ)`. The kernel itself is changed, so that
    gradients are those of the normalised kernel and nothing is left to do after training; a kernel
    of zeros stays as it is. W has the outputs in its last axis and all else in the other. Source:
    Miyato et al., 2018, https://arxiv.org/abs/1802.05957.

    Args:
        layer: the layer inside, which has a `kernel` or `embeddings`.
        power_iterations: how many iterations a call makes, at least 1.

    Raises:
        TypeError: if `layer` is no layer or `power_iterations` no integer.
        ValueError: if the layer has neither kernel nor embeddings, or for less than 1 iteration.

    Example:
        >>> layer = densa.layers.SpectralNormalization(densa.layers.Dense(2), 20)
        >>> y = layer(np.ones((4, 3), "float32"), training=True)
        >>> float(np.linalg.norm(layer.kernel.numpy(), 2).round(3))
        1.0
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = whole_number(
            "SpectralNormalization: power_iterations", power_iterations
        )
        self.kernel: Any = None
        self.vector_u: Any = None

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        for name in ("kernel", "embeddings"):
            self.kernel = getattr(self.layer, name, None) if self.kernel is None else self.kernel
        if self.kernel is None:
            raise ValueError(
                f"SpectralNormalization: {type(self.layer).__name__} {self.layer.name!r} has "
                "neither `kernel` nor `embeddings`, so that there is nothing to normalize."
            )
        self.vector_u = self.add_weight(
            shape=(1, int(self.kernel.shape[-1])),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
            dtype=str(self.kernel.dtype),
            autocast=False,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training and not in_symbolic_scope():
            with _core.no_grad():
                self._normalize()
        return self.layer(inputs)

    def _normalize(self) -> None:
        weights = ops.reshape(self.kernel.value, (-1, int(self.kernel.shape[-1])))
        turned = ops.transpose(weights)
        u = self.vector_u.value
        for _ in range(self.power_iterations):
            v = of_length_one(ops.matmul(u, turned), [0, 1])
            u = of_length_one(ops.matmul(v, weights), [0, 1])
        size = ops.sum(ops.matmul(v, weights) * u)
        some = ops.any(ops.not_equal(weights, 0.0))
        self.vector_u.assign(ops.where(some, u, self.vector_u.value))
        w = self.kernel.value
        self.kernel.assign(w + ops.stop_gradient(w / ops.where(some, size, 1.0) - w))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}
