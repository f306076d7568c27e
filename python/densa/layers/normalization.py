"""`Normalization`: standardise features by the mean and variance of data."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core, config
from densa._numbers import check_axis
from densa.device import beside
from densa.layers._adapting import batches_of
from densa.layers._helpers import along, as_float, axes_of, sizes_of
from densa.layers._moments import Moments
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class Normalization(Layer):
    """y = (x - mean) / max(sqrt(variance), 1e-7), for each index of `axis`.

    Mean and variance are given, or learned from data by `adapt` before training. A frozen network
    has them in its first dense layer, but for a shift that would cost digits there. Under a mixed
    policy the input is read and standardised in float32.

    Args:
        axis: the axis (or axes) that keep their own mean and variance; None means one of each for
            everything, and inputs of any rank: a column of a table may be adapted to as `(rows,)`
            and come as `(rows, 1)`.
        mean: the mean, a number or an array that broadcasts to the kept axes.
        variance: the variance, in the same shape.
        invert: whether to go back instead: x · max(sqrt(variance), 1e-7) + mean.

    Raises:
        ValueError: if only one of mean and variance is given, they do not fit, or the variance is
            negative; for an axis that the input does not have, or whose size is unknown.

    Example:
        >>> layer = densa.layers.Normalization()
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer(np.array([[2.0, 40.0]], "float32")).numpy()
        array([[0., 2.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = [] if axis is None else check_axis(axis)
        self.invert = bool(invert)
        self.input_mean: Any = None
        self.input_variance: Any = None
        self.adapt_mean: Any = None
        self.adapt_variance: Any = None
        self._built_rank = 0
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. Received: "
                f"mean={mean!r} and variance={variance!r}"
            )
        if mean is not None:
            self.input_mean, self.input_variance = self._given(mean), self._given(variance)
            if self.input_mean.shape != self.input_variance.shape:
                raise ValueError(
                    "When setting values directly, `mean` and `variance` must have the same shape. "
                    f"Received: shapes {self.input_mean.shape} and {self.input_variance.shape}."
                )
            if not (np.isfinite(self.input_mean).all() and (self.input_variance >= 0).all()):
                raise ValueError("`mean` must be finite and `variance` at least 0.")
            kept = 1 if isinstance(self.axis, int) else len(self.axis)
            if self.input_mean.ndim > kept:
                raise ValueError(
                    f"The rank of `mean` must not exceed the number of axes ({kept}). Received: "
                    f"mean of shape {self.input_mean.shape} for axis {self.axis}."
                )

    def _given(self, value: Any) -> Any:
        return np.array(value, dtype=np.float64)

    @property
    def input_dtype(self) -> str:
        """Type that floating inputs are cast to: not 16 bits, which raw features rarely survive."""
        return str(self.variable_dtype)

    def _kept(self, rank: int) -> list[int]:
        return axes_of(self.axis, rank, self.name) if self.axis != [] else []

    def build(self, input_shape: Any) -> None:
        axes = self._kept(len(input_shape))
        shape = sizes_of(input_shape, axes, self.axis, self.name)
        if self.input_mean is not None:
            try:
                np.broadcast_to(self.input_mean, shape)
            except ValueError:
                raise ValueError(
                    f"Layer '{self.name}': mean of shape {self.input_mean.shape} does not fit "
                    f"axis {self.axis} of an input of shape {tuple(input_shape)}."
                ) from None
        else:
            names = ("mean", "zeros"), ("variance", "ones")
            self.adapt_mean, self.adapt_variance = (
                self.add_weight(
                    shape=shape,
                    name=name,
                    initializer=initializer,
                    trainable=False,
                    autocast=False,
                    rows=True,
                )
                for name, initializer in names
            )
        self._built_rank = len(input_shape)
        if axes:  # one mean for everything fits any rank
            kept = {a: input_shape[a] for a in axes}
            self.input_spec = InputSpec(ndim=len(input_shape), axes=kept)

    @property
    def mean(self) -> Any:
        """The mean as a Tensor that broadcasts to the input: (1, …) around the kept axes; None
        before the layer is built."""
        return self._shown(self.input_mean, self.adapt_mean)

    @property
    def variance(self) -> Any:
        """The variance in the shape of `mean`."""
        return self._shown(self.input_variance, self.adapt_variance)

    def _shown(self, given: Any, learnt: Any) -> Any:
        if not self.built:
            return None
        axes = self.input_spec.axes if self.input_spec is not None else {}
        value = learnt.numpy() if given is None else np.broadcast_to(given, list(axes.values()))
        shape = [axes.get(a, 1) for a in range(self._built_rank)]
        return _core.from_numpy(np.reshape(value, shape).astype(self.variable_dtype))

    def adapt(self, data: Any, *, steps: int | None = None) -> None:
        """Learn mean and variance from data, anew each time, in float64.

        Args:
            data: an array, a Tensor or a table, or batches of them: a list, a generator, a
                PyDataset. Of batches (x, y) the x is taken.
            steps: batches to look at, where `data` yields batches; None is all.

        Raises:
            TypeError: for other data.
            ValueError: for data without rows, of another shape than the layer's input or with
                values that are no finite numbers; if mean and variance were given.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"Layer '{self.name}' was given its mean and variance; make it without them to "
                "adapt it."
            )
        moments, first, axes = Moments(), None, []
        for batch in batches_of(data, steps, self.name):
            if first is None:
                first = batch.shape
                axes = self._kept(batch.ndim)
                self._check_fits(first, axes)
            if batch.ndim != len(first) or any(batch.shape[a] != first[a] for a in axes):
                raise ValueError(
                    f"Layer '{self.name}': adapt() was given batches that do not fit each other, "
                    f"of shapes {first} and {batch.shape}."
                )
            moments.add(batch, axes)
        mean, variance = moments.result(f"Layer '{self.name}': the data of adapt()")
        if not self.built:
            self.build(first if 0 in axes else (None, *first[1:]))  # type: ignore[index]
        self.adapt_mean.assign(np.asarray(mean).astype(self.variable_dtype))
        self.adapt_variance.assign(np.asarray(variance).astype(self.variable_dtype))

    def _check_fits(self, shape: Any, axes: list[int]) -> None:
        """Raise ValueError unless data of this shape fits what the layer was built for."""
        spec = self.input_spec if self.built else None
        if spec is not None and (
            len(shape) != spec.ndim or any(shape[a] != spec.axes[a] for a in axes)
        ):
            raise ValueError(
                f"Layer '{self.name}' was built for inputs of rank {spec.ndim} with the sizes "
                f"{spec.axes} (axis: size); adapt() was given data of shape {tuple(shape)}."
            )

    def call(self, inputs: Any) -> Any:
        x = as_float(inputs, self.variable_dtype)
        axes = self._kept(len(x.shape))
        mean, variance = self._moments(axes, x)
        deviation = _core.apply("maximum", _core.apply("sqrt", variance), config.epsilon())
        if self.invert:
            y = _core.apply("add", _core.apply("multiply", x, deviation), mean)
        else:
            y = _core.apply("divide", _core.apply("subtract", x, mean), deviation)
        return as_float(y, self.compute_dtype)

    def _moments(self, axes: list[int], x: Any) -> Any:
        """Return mean and variance as they broadcast to x."""
        if self.input_mean is None:
            return along(self.adapt_mean, axes, x), along(self.adapt_variance, axes, x)
        shape = [int(x.shape[a]) for a in axes]
        arrays = (
            np.broadcast_to(value, shape).astype(self.variable_dtype)
            for value in (self.input_mean, self.input_variance)
        )
        return tuple(
            along(beside(_core.to_tensor(np.ascontiguousarray(a)), x), axes, x) for a in arrays
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._kept(len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        given = self.input_mean is not None
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": self.input_mean.tolist() if given else None,
            "variance": self.input_variance.tolist() if given else None,
        }
