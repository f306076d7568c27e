"""`Input` and `InputLayer`: where a graph starts."""

from __future__ import annotations

from typing import Any

from densa import config
from densa._names import hinted
from densa._symbolic import KerasTensor, Node, standardize_shape
from densa.layers.layer import Layer


class InputLayer(Layer):
    """The start of a graph: a symbolic tensor as a layer.

    Args:
        shape: shape of one sample.
        batch_size: number of rows; None leaves it open.
        dtype: type; None means floatx.
        sparse: accepted for Keras; True raises.
        ragged: accepted for Keras; True raises.
        batch_shape: shape with the batch, instead of the two above.
        input_tensor: a symbolic tensor to take instead of a new one.
        optional: whether None may be passed for it.
        name: its name.

    Raises:
        ValueError: if neither shape nor batch_shape is given, or both.

    Example:
        >>> densa.layers.InputLayer((4,)).output.shape
        (None, 4)
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        if kwargs.pop("input_shape", None) is not None and shape is None:
            raise ValueError("InputLayer takes `shape`, not `input_shape`.")
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to InputLayer: {kwargs}")
        if sparse or ragged:
            raise ValueError("densa has no sparse or ragged tensors.")
        if isinstance(input_tensor, KerasTensor):
            batch_shape, shape = input_tensor.shape, None
            dtype = dtype or input_tensor.dtype
        if shape is not None and batch_shape is not None:
            raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
        if shape is None and batch_shape is None:
            raise ValueError("You must pass a `shape` argument.")
        if batch_shape is None:
            batch_shape = (batch_size, *standardize_shape(shape))
        self._batch_shape = standardize_shape(batch_shape)
        self._input_dtype = config.dtype_name(dtype)
        self.optional = optional
        output = input_tensor
        if not isinstance(output, KerasTensor):
            output = KerasTensor(self._batch_shape, self._input_dtype, name=self.name)
        self.built = True
        Node(self, (), {}, output)

    @property
    def output(self) -> Any:
        """The symbolic tensor."""
        if not self._inbound_nodes:  # after a copy
            Node(self, (), {}, KerasTensor(self._batch_shape, self._input_dtype, name=self.name))
        return self._inbound_nodes[0].output_struct

    @property
    def batch_shape(self) -> Any:
        """Shape of the input with the batch."""
        return self._batch_shape

    @property
    def dtype(self) -> str:
        """Type of the input."""
        return self._input_dtype

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if args else None

    def get_build_config(self) -> dict[str, Any] | None:
        return None

    def get_config(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
        }
        if self.optional:
            out["optional"] = True
        return out


@hinted
def Input(  # Keras' name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """Return a symbolic tensor to start a functional model with.

    Args:
        shape: shape of one sample, without the batch.
        batch_size: number of rows; None leaves it open.
        dtype: type; None means floatx.
        sparse: accepted for Keras; True raises.
        ragged: accepted for Keras; True raises.
        batch_shape: shape with the batch, instead of the two above.
        name: its name.
        tensor: a symbolic tensor to take instead of a new one.
        optional: whether None may be passed for it.

    Returns:
        A `KerasTensor`.

    Raises:
        ValueError: if neither shape nor batch_shape is given, or both.

    Example:
        >>> x = densa.Input((4,))
        >>> densa.Model(x, densa.layers.Dense(2)(x)).output_shape
        (None, 2)
    """
    return InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    ).output
