"""`SpatialDropout1D`: dropout of whole features of a sequence."""

from __future__ import annotations

from typing import Any

from densa.layers.dropout import Dropout


class SpatialDropout1D(Dropout):
    """While training, zero whole features of a sequence with probability `rate`, in all its steps.

    Args:
        rate: share to drop, from 0 to below 1; the others are scaled by 1/(1-rate).
        seed: integer for the mask; None takes one from the global generator.
        name: its name; made up if None.
        dtype: type of computation; None means the package's policy.

    Raises:
        ValueError: for a rate outside of [0, 1), or inputs that are no (batch, steps, features).

    Example:
        >>> x = np.ones((2, 3, 4), "float32")
        >>> y = densa.layers.SpatialDropout1D(0.5, seed=1)(x, training=True).numpy()
        >>> bool((y == y[:, :1]).all())
        True
    """

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if len(inputs.shape) != 3:
            raise ValueError(
                f"Layer '{self.name}': expected (batch, steps, features); received "
                f"{tuple(inputs.shape)}."
            )
        self.noise_shape = (None, 1, None)
        return super().call(inputs, training)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "noise_shape"}
