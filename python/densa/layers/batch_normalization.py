"""`BatchNormalization`: standardise by batch in training, by moving averages afterwards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core, config, initializers, ops
from densa._numbers import check_axis, check_share, finite_number
from densa._scope import in_symbolic_scope
from densa.layers._helpers import along, as_float, axes_of, reshape_rows, sizes_of
from densa.layers._scaled import ScaledAndCentered
from densa.layers.input_spec import InputSpec


class BatchNormalization(ScaledAndCentered):
    """y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, for each index of `axis`.

    While training, mean and (biased) variance are those of the batch, and the moving averages
    follow them: m ← m · momentum + batch · (1 - momentum). Otherwise, and whenever
    `trainable` is False, the moving averages are used. Masked places are normalized, but have no
    part in mean and variance.

    Args:
        axis: the axis (or axes) that keep their own mean and variance.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer: first value of beta.
        gamma_initializer: first value of gamma.
        moving_mean_initializer: first value of the moving mean.
        moving_variance_initializer: first value of the moving variance.
        beta_regularizer: penalty on beta.
        gamma_regularizer: penalty on gamma.
        beta_constraint: what beta is put back to after each update.
        gamma_constraint: the same for gamma.
        synchronized: accepted for Keras.

    Raises:
        ValueError: for an axis that the input does not have, or whose size is unknown.

    Example:
        >>> layer = densa.layers.BatchNormalization()
        >>> layer(np.ones((4, 3), "float32"), training=True).shape
        (4, 3)
    """

    _passes_masks = True

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = check_axis(axis)
        check_share("BatchNormalization: `momentum`", momentum)
        self.momentum = float(momentum)
        self.epsilon = finite_number("BatchNormalization: `epsilon`", epsilon, least=0)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.synchronized = synchronized
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: Any) -> None:
        axes = axes_of(self.axis, len(input_shape), self.name)
        shape = sizes_of(input_shape, axes, self.axis, self.name)
        self._add_gamma_and_beta(shape)
        self.moving_mean = self.add_weight(
            shape=shape,
            name="moving_mean",
            initializer=self.moving_mean_initializer,
            trainable=False,
            autocast=False,
            rows=True,
        )
        self.moving_variance = self.add_weight(
            shape=shape,
            name="moving_variance",
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
            rows=True,
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={a: input_shape[a] for a in axes})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize; of masked places `training` takes no moments."""
        # In the variables' type, also where 16 bits go in and out: sums need more.
        x = as_float(inputs, self.variable_dtype)
        return as_float(self._normalize_axes(x, bool(training), mask), self.compute_dtype)

    def _normalize_axes(self, x: Any, training: bool, mask: Any) -> Any:
        axes = axes_of(self.axis, len(x.shape), self.name)
        if mask is not None and training and self.trainable:
            return self._normalize_kept(x, axes, mask)
        if len(axes) == 1:
            return self._normalize(x, axes[0], training)
        # Several axes: put them last, as one, and back afterwards.
        others = [a for a in range(len(x.shape)) if a not in axes]
        perm = others + axes
        moved = _core.apply("transpose", x, perm=perm) if perm != sorted(perm) else x
        sizes = [-1 if d is None else int(d) for d in moved.shape]
        count = math.prod(self.moving_mean.shape)
        flat = _core.apply("reshape", moved, shape=[*sizes[: len(others)], count])
        y = self._normalize(flat, len(others), training)
        y = _core.apply("reshape", y, shape=sizes)
        back = [perm.index(a) for a in range(len(perm))]
        return _core.apply("transpose", y, perm=back) if perm != sorted(perm) else y

    def _normalize(self, x: Any, axis: int, training: bool) -> Any:
        count = math.prod(self.moving_mean.shape)

        def flat(v: Any) -> Any:
            return v if len(v.shape) == 1 else _core.apply("reshape", v, shape=[count])

        def constant(fill: float) -> Any:
            return _core.from_numpy(np.full(count, fill, dtype=self.variable_dtype))

        gamma = constant(1.0) if self.gamma is None else flat(self.gamma)
        beta = constant(0.0) if self.beta is None else flat(self.beta)
        attributes = {"axis": [axis], "epsilon": self.epsilon}
        mean, variance = flat(self.moving_mean), flat(self.moving_variance)
        if not (training and self.trainable):
            return _core.apply(
                "batch_norm", x, gamma, beta, mean, variance, training=False, **attributes
            )
        y, batch_mean, batch_variance = _core.apply(
            "batch_norm", x, gamma, beta, mean, variance, training=True, **attributes
        )
        self._follow_both(mean, variance, batch_mean, batch_variance)
        return y

    def _normalize_kept(self, x: Any, axes: list[int], mask: Any) -> Any:
        # With moments of the places that count; by many ops, where `_normalize` has one.
        rank = len(x.shape)
        if len(mask.shape) != rank - 1:
            raise ValueError(
                f"Layer '{self.name}': a mask must have one axis less than the input, "
                f"{tuple(x.shape)}. Received: mask of shape {tuple(mask.shape)}."
            )
        kept = reshape_rows(mask, (*mask.shape[1:], 1))
        others = [a for a in range(rank) if a not in axes]

        def total(values: Any) -> Any:
            return ops.sum(ops.where(kept, values, 0.0), axis=others)

        def wide(values: Any) -> Any:
            return along(values, axes, x)

        count = total(ops.ones_like(x)) + config.epsilon()
        mean = total(x) / count
        variance = total(ops.square(x - wide(mean))) / count
        y = (x - wide(mean)) * wide(ops.rsqrt(variance + self.epsilon))
        self._follow_both(self.moving_mean, self.moving_variance, mean, variance)
        return self._scale_and_center(y, axes)

    def _follow_both(self, mean: Any, variance: Any, batch_mean: Any, batch_variance: Any) -> None:
        if not in_symbolic_scope():
            with _core.no_grad():
                self._follow(self.moving_mean, mean, batch_mean)
                self._follow(self.moving_variance, variance, batch_variance)

    def _follow(self, moving: Any, old: Any, batch: Any) -> None:
        new = _core.apply(
            "add",
            _core.apply("multiply", old, self.momentum),
            _core.apply("multiply", batch, 1.0 - self.momentum),
        )
        if len(moving.shape) != 1:
            new = _core.apply("reshape", new, shape=[int(d) for d in moving.shape])
        moving.assign(new)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes_of(self.axis, len(input_shape), self.name)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "synchronized": self.synchronized,
        }
