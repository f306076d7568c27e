"""`Hashing`: words and numbers as the numbers of bins, without a vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._numbers import whole_number
from densa.layers._encoding import MODES, encode, encoded_shape
from densa.layers._hashing import bins_of, key_of
from densa.layers._helpers import one_of
from densa.layers._lookup import refuse_symbols, text_array
from densa.layers.layer import Layer


class Hashing(Layer):
    """Words or whole numbers as one of `num_bins` numbers: their SipHash modulo num_bins.

    With a salt the bins are Keras'; without one Keras uses FarmHash64, and bins differ. A hash is
    computed from text, so that the layer is called on arrays before the model, not in it.

    Args:
        num_bins: how many bins, the one of the mask among them.
        mask_value: what falls into bin 0, and nothing else does; None for none.
        salt: the key, a whole number or two of them.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: accepted for Keras; True raises.

    Raises:
        ValueError: for no bin, another mode or salt, or symbolic inputs.
        TypeError: for what is neither text nor whole numbers.

    Example:
        >>> densa.layers.Hashing(3, salt=133)([["A"], ["B"], ["C"]]).numpy().tolist()
        [[0], [0], [2]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_bins = whole_number("num_bins", num_bins)
        if sparse:
            raise ValueError("Hashing: sparse=True is not supported; leave it out.")
        self.mask_value, self.salt, self.sparse = mask_value, salt, False
        self._key = key_of(salt, "Hashing")
        self.output_mode = one_of(output_mode, ("int", *MODES), "output_mode", "Hashing")
        self.built = True

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_symbols(self, inputs)
        ids = _core.to_tensor(self._bins(inputs))
        if self.output_mode == "int":
            return ids
        return encode(ids, self.output_mode, self.num_bins, self.compute_dtype)

    def _bins(self, inputs: Any) -> Any:
        array = np.asarray(inputs.to_numpy() if hasattr(inputs, "to_numpy") else inputs)
        if array.dtype.kind not in "iu":
            array = text_array(array, "utf-8", self.name)
        if self.mask_value is None:
            return bins_of(array, self.num_bins, self._key)
        if self.num_bins == 1:
            return np.zeros(array.shape, np.int64)
        found = bins_of(array, self.num_bins - 1, self._key) + 1
        return np.where(array == self.mask_value, 0, found)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return tuple(input_shape)
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "mask_value": self.mask_value,
            "salt": self.salt,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }


class HashedCrossing(Layer):
    """Combinations of several features as one of `num_bins` numbers, by their hash.

    Keras combines fingerprints of FarmHash64, so that its bins differ. The layer is called on
    arrays before the model, not in it.

    Args:
        num_bins: how many bins.
        output_mode: "int" or "one_hot".
        sparse: accepted for Keras; True raises.
        name: its name; made up if None.
        dtype: type of the vectors.

    Raises:
        ValueError: for no bin, another mode, symbolic inputs, or features whose shapes differ or
            are neither (rows,) nor (rows, 1).
        TypeError: for what is neither text nor whole numbers.

    Example:
        >>> cross = densa.layers.HashedCrossing(5, output_mode="one_hot")
        >>> cross((["a", "b"], [1, 2])).shape
        (2, 5)
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.num_bins = whole_number("num_bins", num_bins)
        if sparse:
            raise ValueError("HashedCrossing: sparse=True is not supported; leave it out.")
        self.sparse = False
        modes = ("int", "one_hot")
        self.output_mode = one_of(output_mode, modes, "output_mode", "HashedCrossing")
        self.built = True

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(
                f"Layer '{self.name}' crosses a list or tuple of two features or more; received "
                f"{type(inputs).__name__}."
            )
        columns = []
        for part in inputs:
            refuse_symbols(self, part)
            array = np.asarray(part.to_numpy() if hasattr(part, "to_numpy") else part)
            columns.append(
                array if array.dtype.kind in "iu" else text_array(array, "utf-8", self.name)
            )
        shapes = {c.shape for c in columns}
        shape = shapes.pop()
        if shapes or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            raise ValueError(
                f"Layer '{self.name}': features need one shape, (rows,) or (rows, 1); received "
                f"{[c.shape for c in columns]}."
            )
        # Length and text of each: "a", "bc" is another pair than "ab", "c".
        words = [
            "".join(f"{len(str(t))}:{t}" for t in row)
            for row in zip(*(c.ravel().tolist() for c in columns), strict=True)
        ]
        ids = bins_of(np.array(words, dtype=str), self.num_bins).reshape(shape)
        made = _core.to_tensor(ids)
        if self.output_mode == "int":
            return made
        return encode(made, "one_hot", self.num_bins, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = tuple(input_shape[0])
        return (
            shape if self.output_mode == "int" else encoded_shape(shape, "one_hot", self.num_bins)
        )

    def get_config(self) -> dict[str, Any]:
        kept = {"num_bins": self.num_bins, "output_mode": self.output_mode, "sparse": self.sparse}
        return {**super().get_config(), **kept}
