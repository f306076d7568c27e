"""`Discretization`: numbers as the bins that they fall into."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._numbers import finite_number, whole_number
from densa._symbolic import KerasTensor
from densa.device import beside
from densa.layers._adapting import batches_of
from densa.layers._encoding import MODES, encode, encoded_shape
from densa.layers._helpers import as_float, one_of
from densa.layers.layer import Layer


class Discretization(Layer):
    """The number of boundaries that are <= x: bin i holds boundaries[i - 1] <= x < boundaries[i].

    Args:
        bin_boundaries: the boundaries between bins, rising; or
        num_bins: how many bins `adapt` makes, each with about as many values of its data.
        epsilon: accepted for Keras; the boundaries are exact quantiles.
        output_mode: `"int"` for the number of the bin, else as `CategoryEncoding`: `"one_hot"`,
            `"multi_hot"` or `"count"`.
        sparse: accepted for Keras; True raises.

    Raises:
        ValueError: unless one of bin_boundaries and num_bins is given; for boundaries that are not
            finite or fall.

    Example:
        >>> layer = densa.layers.Discretization(bin_boundaries=[0.0, 1.0])
        >>> layer(np.array([[-1.0, 0.0, 0.5, 3.0]], "float32")).numpy()
        array([[0, 1, 1, 2]], dtype=int32)
        >>> layer = densa.layers.Discretization(num_bins=2)
        >>> layer.adapt(np.array([1.0, 2.0, 3.0, 4.0]))
        >>> layer.bin_boundaries
        [2.0]
    """

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                "Discretization needs either `num_bins` or `bin_boundaries`. Received: "
                f"num_bins={num_bins!r} and bin_boundaries={bin_boundaries!r}"
            )
        if sparse:
            raise ValueError("Discretization: sparse=True is not supported; leave it out.")
        self.bin_boundaries: list[float] | None = None
        if bin_boundaries is not None:
            self.bin_boundaries = _boundaries(bin_boundaries)
        self.num_bins = None if num_bins is None else whole_number("num_bins", num_bins)
        self.epsilon = finite_number("Discretization: `epsilon`", epsilon, least=0)
        self.output_mode = one_of(output_mode, ("int", *MODES), "output_mode", "Discretization")
        self.sparse = False
        self.built = True

    @property
    def input_dtype(self) -> str:
        """Type that floating inputs are cast to: not 16 bits, which would move them over bounds."""
        return str(self.variable_dtype)

    @property
    def _output_dtype(self) -> str:
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Put the boundaries at the quantiles 1/num_bins, 2/num_bins, … of all values of the data.

        Args:
            data: an array, a Tensor or a table, or batches of them: a list, a generator, a
                PyDataset. Of batches (x, y) the x is taken.
            steps: batches to look at, where `data` yields batches; None is all.

        Raises:
            TypeError: for other data.
            ValueError: for data without a value, or with NaN or infinity; if the boundaries were
                given.
        """
        if self.num_bins is None:
            raise ValueError(
                f"Layer '{self.name}' was made with `bin_boundaries`; make it with `num_bins` to "
                "adapt it."
            )
        values = np.concatenate([b.ravel() for b in batches_of(data, steps, self.name)])
        values = values.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(
                f"Layer '{self.name}': the data of adapt() holds NaN or infinity; clean it, for "
                "instance with numpy.nan_to_num."
            )
        shares = np.arange(1, self.num_bins) / self.num_bins
        quantiles = np.quantile(values, shares, method="interpolated_inverted_cdf")
        self.bin_boundaries = [float(q) for q in quantiles.astype(self.variable_dtype)]

    def call(self, inputs: Any) -> Any:
        bounds = self._bounds()
        x = as_float(inputs, self.variable_dtype)
        shape = [-1 if d is None else int(d) for d in x.shape]
        if not bounds:
            ids = _core.apply("cast", _core.apply("multiply", x, 0.0), dtype="int32")
        else:
            edges = _core.to_tensor(np.array(bounds, dtype=self.variable_dtype))
            column = _core.apply("reshape", x, shape=[*shape, 1])
            # Not "x >= bound", so that NaN falls into the last bin, as in NumPy's digitize.
            above = _core.apply("logical_not", _core.apply("less", column, beside(edges, x)))
            above = _core.apply("cast", above, dtype="float32")
            ids = _core.apply("cast", _core.apply("sum", above, axis=[len(shape)]), dtype="int32")
        if self.output_mode == "int":
            return ids
        return encode(ids, self.output_mode, len(bounds) + 1, self.compute_dtype)

    def _bounds(self) -> list[float]:
        if self.bin_boundaries is None:
            raise ValueError(
                f"Layer '{self.name}' has no boundaries yet: call its adapt(data) first, or make "
                "it with `bin_boundaries`."
            )
        return self.bin_boundaries

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return tuple(input_shape)
        found = self.bin_boundaries
        depth = self.num_bins if found is None else len(found) + 1
        return encoded_shape(tuple(input_shape), self.output_mode, int(depth or 1))

    def compute_output_spec(self, inputs: Any) -> Any:
        return KerasTensor(self.compute_output_shape(inputs.shape), self._output_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        found = config.get("bin_boundaries")
        if config.get("num_bins") is None or found is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer.bin_boundaries = _boundaries(found)
        return layer


def _boundaries(given: Any) -> list[float]:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.ndim != 1 or not np.isfinite(array).all() or (np.diff(array) < 0).any():
        raise ValueError(
            "`bin_boundaries` must be a list of finite numbers that do not fall. Received: "
            f"{given!r}"
        )
    return [float(b) for b in array]
