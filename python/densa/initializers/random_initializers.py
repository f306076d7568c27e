"""Initializers that draw; the same seed gives the same bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa._numbers import check_real_number
from densa._philox import Philox
from densa.initializers.initializer import Initializer
from densa.random import SeedGenerator, make_default_seed


class RandomInitializer(Initializer):
    """The base of initializers with a seed.

    Args:
        seed: an integer, a `SeedGenerator` (each call then draws anew), or None for a seed from
            the global generator.

    Raises:
        ValueError: for a seed of another type.

    Example:
        >>> class Dice(densa.initializers.RandomInitializer): pass
        >>> Dice(seed=1).get_config()
        {'seed': 1}
    """

    def __init__(self, seed: int | SeedGenerator | None = None) -> None:
        self._init_seed = seed
        if seed is None:
            seed = make_default_seed()
        elif not isinstance(seed, (int, np.integer, SeedGenerator)) or isinstance(seed, bool):
            raise ValueError(
                "`seed` argument should be an instance of `densa.random.SeedGenerator()` or an "
                f"integer. Received: seed={seed!r}"
            )
        self.seed = seed

    def _source(self) -> Philox:
        if isinstance(self.seed, SeedGenerator):
            seed, count = self.seed.next()
            return Philox(seed, count)
        return Philox(int(self.seed))

    def get_config(self) -> dict[str, Any]:
        seed = self._init_seed
        return {"seed": seed.get_config() if isinstance(seed, SeedGenerator) else seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        if isinstance(config.get("seed"), dict):
            config = {
                **config,
                "seed": SeedGenerator(**config["seed"].get("config", config["seed"])),
            }
        return cls(**config)


class RandomNormal(RandomInitializer):
    """Draw from a normal distribution.

    Args:
        mean: its mean.
        stddev: its standard deviation.
        seed: see `RandomInitializer`.

    Example:
        >>> densa.initializers.RandomNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        check_real_number(f"{type(self).__name__}: `mean`", mean)
        check_real_number(f"{type(self).__name__}: `stddev`", stddev, least=0)
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def array(self, shape: Any, dtype: str) -> Any:
        draw = self._source().normal(math.prod(shape))
        return (self.mean + self.stddev * draw).astype(dtype).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomInitializer):
    """Draw from a normal distribution; samples beyond two deviations are drawn again.

    Args:
        mean: the mean.
        stddev: the standard deviation before truncation.
        seed: see `RandomInitializer`.

    Example:
        >>> w = densa.initializers.TruncatedNormal(seed=1)((100,)).numpy()
        >>> bool((abs(w) <= 0.1).all())
        True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        check_real_number(f"{type(self).__name__}: `mean`", mean)
        check_real_number(f"{type(self).__name__}: `stddev`", stddev, least=0)
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def array(self, shape: Any, dtype: str) -> Any:
        draw = self._source().truncated_normal(math.prod(shape))
        return (self.mean + self.stddev * draw).astype(dtype).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class RandomUniform(RandomInitializer):
    """Draw evenly from [minval, maxval).

    Args:
        minval: lower bound.
        maxval: upper bound.
        seed: see `RandomInitializer`.

    Example:
        >>> densa.initializers.RandomUniform(seed=1)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        check_real_number(f"{type(self).__name__}: `minval`", minval)
        check_real_number(f"{type(self).__name__}: `maxval`", maxval, least=minval)
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def array(self, shape: Any, dtype: str) -> Any:
        draw = self._source().uniform(math.prod(shape))
        return (self.minval + (self.maxval - self.minval) * draw).astype(dtype).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class VarianceScaling(RandomInitializer):
    """Draw with a variance of scale / n, where n counts inputs, outputs or their mean.

    Args:
        scale: factor above zero.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"`, `"untruncated_normal"` or `"uniform"`.
        seed: see `RandomInitializer`.
        input_axes: axes of the weight whose sizes multiply to the number of inputs.
        output_axes: those of the outputs; both or none. None: the last axis holds outputs, the one
            before it inputs, and what stands before them belongs to both.

    Raises:
        ValueError: for a scale not above zero, an unknown mode or distribution, one of the two
            lists of axes alone, or axes that a weight has not.

    Example:
        >>> init = densa.initializers.VarianceScaling(2.0, "fan_avg", "uniform", seed=1)
        >>> init((300, 100)).shape
        (300, 100)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ) -> None:
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                "`input_axes` and `output_axes` must be given together; received "
                f"input_axes={input_axes!r}, output_axes={output_axes!r}."
            )
        check_real_number("VarianceScaling: `scale`", scale)
        if scale <= 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        mode = str(mode).lower()
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                f"Invalid `mode` argument: {mode}. Please use one of 'fan_in', 'fan_out', "
                "'fan_avg'."
            )
        distribution = str(distribution).lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. Please use one of 'uniform', "
                "'truncated_normal', 'untruncated_normal'."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = None if input_axes is None else [int(a) for a in input_axes]
        self.output_axes = None if output_axes is None else [int(a) for a in output_axes]
        super().__init__(seed)

    def array(self, shape: Any, dtype: str) -> Any:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        source, count = self._source(), math.prod(shape)
        if self.distribution == "truncated_normal":
            # The constant is the deviation of a standard normal cut at two deviations.
            draw = math.sqrt(variance) / 0.87962566103423978 * source.truncated_normal(count)
        elif self.distribution == "untruncated_normal":
            draw = math.sqrt(variance) * source.normal(count)
        else:
            limit = math.sqrt(3.0 * variance)
            draw = limit * (2.0 * source.uniform(count) - 1.0)
        return draw.astype(dtype).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
            **self._axes(),
        }

    def _axes(self) -> dict[str, Any]:
        if self.input_axes is None:
            return {}
        return {"input_axes": self.input_axes, "output_axes": self.output_axes}


class _Fixed(VarianceScaling):
    """A variance scaling whose scale, mode and distribution are given by its name."""

    _fixed: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(*self._fixed, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {**RandomInitializer.get_config(self), **self._axes()}


class GlorotUniform(_Fixed):
    """Draw evenly from ±sqrt(6 / (fan_in + fan_out)).

    Args:
        seed: see `RandomInitializer`.
        input_axes: see `VarianceScaling`.
        output_axes: see `VarianceScaling`.

    Example:
        >>> densa.initializers.GlorotUniform(seed=1)((2, 3)).shape
        (2, 3)
    """

    _fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Fixed):
    """Draw from a truncated normal of variance 2 / (fan_in + fan_out).

    Args:
        seed: see `RandomInitializer`.
        input_axes: see `VarianceScaling`.
        output_axes: see `VarianceScaling`.

    Example:
        >>> densa.initializers.GlorotNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    _fixed = (1.0, "fan_avg", "truncated_normal")


class LecunNormal(_Fixed):
    """Draw from a truncated normal of variance 1 / fan_in.

    Args:
        seed: see `RandomInitializer`.
        input_axes: see `VarianceScaling`.
        output_axes: see `VarianceScaling`.

    Example:
        >>> densa.initializers.LecunNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    _fixed = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Fixed):
    """Draw evenly from ±sqrt(3 / fan_in).

    Args:
        seed: see `RandomInitializer`.
        input_axes: see `VarianceScaling`.
        output_axes: see `VarianceScaling`.

    Example:
        >>> densa.initializers.LecunUniform(seed=1)((2, 3)).shape
        (2, 3)
    """

    _fixed = (1.0, "fan_in", "uniform")


class HeNormal(_Fixed):
    """Draw from a truncated normal of variance 2 / fan_in.

    Args:
        seed: see `RandomInitializer`.
        input_axes: see `VarianceScaling`.
        output_axes: see `VarianceScaling`.

    Example:
        >>> densa.initializers.HeNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    _fixed = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Fixed):
    """Draw evenly from ±sqrt(6 / fan_in).

    Args:
        seed: see `RandomInitializer`.
        input_axes: see `VarianceScaling`.
        output_axes: see `VarianceScaling`.

    Example:
        >>> densa.initializers.HeUniform(seed=1)((2, 3)).shape
        (2, 3)
    """

    _fixed = (2.0, "fan_in", "uniform")


class Orthogonal(RandomInitializer):
    """Draw a matrix with orthogonal rows or columns, times `gain`.

    Args:
        gain: factor.
        seed: see `RandomInitializer`.

    Raises:
        ValueError: for a shape of less than two dimensions.

    Example:
        >>> w = densa.initializers.Orthogonal(seed=1)((3, 3)).numpy()
        >>> bool(abs(w @ w.T - np.eye(3)).max() < 1e-6)
        True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def array(self, shape: Any, dtype: str) -> Any:
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. Received: "
                f"shape={tuple(shape)} of rank {len(shape)}."
            )
        rows, cols = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, cols), min(rows, cols))
        q, r = np.linalg.qr(self._source().normal(math.prod(tall)).reshape(tall))
        q *= np.sign(np.diag(r))  # makes the factorisation, and so the draw, unique
        if rows < cols:
            q = q.T
        return (self.gain * q.reshape(shape)).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


def compute_fans(
    shape: Any, input_axes: Any = None, output_axes: Any = None
) -> tuple[float, float]:
    """Return the numbers of inputs and outputs of a weight of this shape."""
    dims = tuple(shape)
    if input_axes is not None:
        axes = [*input_axes, *output_axes]
        if not all(-len(dims) <= a < len(dims) for a in axes):
            raise ValueError(
                f"input_axes={input_axes} and output_axes={output_axes} do not fit a weight of "
                f"shape {dims}."
            )
        return math.prod(dims[a] for a in input_axes), math.prod(dims[a] for a in output_axes)
    if not dims:
        return 1, 1
    if len(dims) == 1:
        return dims[0], dims[0]
    field = math.prod(dims[:-2])
    return dims[-2] * field, dims[-1] * field
