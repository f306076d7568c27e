"""`TimeDistributed`: a layer applied to each step of a sequence."""

from __future__ import annotations

from typing import Any

from densa import ops
from densa.layers.wrapper import Wrapper


class TimeDistributed(Wrapper):
    """y[:, t] = layer(x[:, t]) for each index t of the second axis, with the same weights.

    The layer is called once for each t, so that dropout inside draws anew and a batch norm sees
    one step at a time, as in Keras. A `Dense` needs no such help: it works along the last axis.

    Args:
        layer: the layer inside.

    Raises:
        TypeError: if that is no layer.
        ValueError: for inputs with less than three axes, or an unknown number of steps.

    Example:
        >>> layer = densa.layers.TimeDistributed(densa.layers.Dense(2))
        >>> layer(np.zeros((5, 7, 3), "float32")).shape
        (5, 7, 2)
    """

    _passes_masks = True

    def _step_shape(self, input_shape: Any) -> tuple[Any, ...]:
        shape = tuple(input_shape)
        if len(shape) < 3 or not shape[1]:
            raise ValueError(
                f"Layer '{self.name}': TimeDistributed wants inputs of at least three axes, "
                "(batch, steps, …), with a known number of steps above 0. "
                f"Received: input_shape={shape}."
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._step_shape(input_shape))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Call the layer for each step, with that step's part of the mask if it takes one."""
        self._step_shape(inputs.shape)
        masked = mask is not None and "mask" in self.layer._call_signature.parameters
        steps = range(inputs.shape[1])
        kwargs = [{"mask": mask[:, t]} if masked else {} for t in steps]
        return ops.stack([self.layer(inputs[:, t], **kwargs[t]) for t in steps], axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows, *rest = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (rows, input_shape[1], *rest)
