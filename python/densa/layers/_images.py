"""The base of layers that change images at random while a model trains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core, random
from densa._numbers import finite_number
from densa._symbolic import infer_outputs
from densa.device import beside
from densa.layers._helpers import as_float, data_format_of, one_of, uniform
from densa.layers.layer import Layer

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("bilinear", "nearest")


class ImageLayer(Layer):
    """Change each image of a batch by random numbers of its own; a subclass gives `_augment`.

    Images have shape (batch, height, width, channels), or without the batch. Of a dictionary only
    what is under `"images"` changes. Images are computed in the variables' type, also under a mixed
    policy.
    """

    def __init__(self, seed: int | None, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    @property
    def input_dtype(self) -> str:
        """Type that floating inputs are cast to: 16 bits would round places and colours."""
        return str(self.variable_dtype)

    def call(self, inputs: Any, training: bool = True) -> Any:
        if not isinstance(inputs, dict):
            return self._images(inputs, training)
        if "images" not in inputs or not set(inputs) <= {"images", "labels"}:
            raise ValueError(
                f"Layer '{self.name}' takes images or a dictionary of 'images' and 'labels'. "
                f"Received keys: {sorted(map(str, inputs))}."
            )
        return {**inputs, "images": self._images(inputs["images"], training)}

    def _images(self, images: Any, training: bool) -> Any:
        self._check_shape(tuple(images.shape))
        x = as_float(images, self.variable_dtype)
        alone = len(x.shape) == 3
        if alone:
            x = _core.apply("reshape", x, shape=[1, *x.shape])
        y = self._augment(x) if training else self._as_in_inference(x)
        if alone:
            y = _core.apply("reshape", y, shape=[int(d) for d in y.shape[1:]])
        return as_float(y, self.compute_dtype)

    def _augment(self, x: Any) -> Any:
        """Return the images of a batch, changed at random."""
        raise NotImplementedError

    def _as_in_inference(self, x: Any) -> Any:
        return x

    def _check_shape(self, shape: Any) -> None:
        if len(shape) not in (3, 4) or None in shape[-3:]:
            raise ValueError(
                f"Layer '{self.name}': expected images of shape (batch, height, width, channels) "
                f"or one of shape (height, width, channels). Received: {tuple(shape)}. For images "
                "without channels put Reshape((height, width, 1)) in front."
            )

    def _sides(self, shape: Any) -> tuple[int, int]:
        """Return height and width of images of this shape."""
        first = -3 if self.data_format == "channels_last" else -2
        return int(shape[first]), int(shape[first + 1])

    def _uniform(self, x: Any, ranges: Any) -> Any:
        """Draw a number from each range for each image: (batch, ranges)."""
        low, high = np.array(ranges, dtype=np.float64).T
        draw = uniform((x.shape[0], len(low)), 0.0, 1.0, self.seed_generator, x)
        return self._shifted(draw, high - low, low)

    def _shifted(self, x: Any, scale: Any, offset: Any) -> Any:
        y = _core.apply("multiply", x, self._constant(scale, x))
        return _core.apply("add", y, self._constant(offset, x))

    def _constant(self, value: Any, x: Any) -> Any:
        return beside(_core.to_tensor(np.array(value, dtype=str(x.dtype))), x)

    def _moved(self, x: Any, features: Any, matrix: Any, offset: Any, **how: Any) -> Any:
        """Return images sampled at places of their own.

        Pixel (column, row) of the result is read at (a · column + b · row + c, d · column +
        e · row + f) of the image, where (a, b, c, d, e, f) = features · matrix + offset.

        Args:
            x: (batch, height, width, channels) or with channels first.
            features: (batch, k).
            matrix: (k, 6).
            offset: (6,).
            **how: `interpolation`, `fill_mode`, `fill_value`, `height` and `width` of the result.
        """
        rows, k = features.shape
        column = _core.apply("reshape", features, shape=[-1 if rows is None else int(rows), k, 1])
        # Not a matmul, which a GPU may be asked to compute in fewer digits.
        terms = _core.apply("multiply", column, self._constant(matrix, x))
        numbers = _core.apply("sum", terms, axis=[1])
        numbers = _core.apply("add", numbers, self._constant(offset, x))
        first = self.data_format == "channels_first"
        return _core.apply("affine_transform", x, numbers, channels_first=first, **how)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, dict):
            shape = self.compute_output_shape(input_shape["images"])
            return {**input_shape, "images": shape}
        self._check_shape(input_shape)
        return input_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], dict):
            return infer_outputs(self._trial_call, args, kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed, "data_format": self.data_format}


class SampledImageLayer(ImageLayer):
    """The base of those that read images between pixels and beyond their edges."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        name = type(self).__name__
        self.fill_mode = one_of(fill_mode, FILL_MODES, "fill_mode", name)
        self.interpolation = one_of(interpolation, INTERPOLATIONS, "interpolation", name)
        self.fill_value = finite_number(f"{name}: `fill_value`", fill_value)

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "interpolation": self.interpolation,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._how}


def factor_range(
    factor: Any, argument: str, layer: str, low: float = -1.0, *, open_low: bool = False
) -> tuple[float, float]:
    """Return (lower, upper) of a factor: two numbers, or one f for (-f, f).

    Raises:
        ValueError: unless the numbers lie in [low, 1], in (low, 1] if `open_low`.
    """
    pair = isinstance(factor, (tuple, list))
    given = list(factor) if pair else [factor]
    fits = len(given) == (2 if pair else 1) and all(
        _is_number(f) and low <= f <= 1 and not (open_low and f == low) for f in given
    )
    if not fits:
        raise ValueError(
            f"{layer}: `{argument}` must be a number or two numbers in the range "
            f"{'(' if open_low else '['}{low:g}, 1]. Received: {argument}={factor!r}."
        )
    if not pair:
        given = [-abs(factor), abs(factor)]
    lower, upper = sorted(float(f) for f in given)
    return lower, upper


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.number)) and not isinstance(x, bool) and math.isfinite(x)


def value_range_of(value_range: Any, layer: str) -> tuple[float, float]:
    """Return (lowest, highest) of the values of images; ValueError for anything else."""
    pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    if not pair or not all(_is_number(v) for v in value_range):
        raise ValueError(
            f"{layer}: `value_range` must be two numbers, the lowest and the highest value of an "
            f"image. Received: value_range={value_range!r}."
        )
    low, high = sorted(float(v) for v in value_range)
    return low, high


def clipped(x: Any, bounds: tuple[float, float]) -> Any:
    """Return x within bounds."""
    return _core.apply("minimum", _core.apply("maximum", x, bounds[0]), bounds[1])
