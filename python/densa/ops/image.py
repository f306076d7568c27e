"""Images resized, cut and recoloured: `densa.ops.image`, as far as small dense networks use it.

Images have shape (height, width, channels) or (batch, height, width, channels), with
`data_format="channels_first"` the channels before height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from densa import _core
from densa._names import suggesting
from densa.device import beside
from densa.ops._public import apply, floating, made, reshaped, scalar, tensor
from densa.ops.picking import take
from densa.ops.shapes import concatenate, moveaxis

__all__ = [
    "affine_transform",
    "crop_images",
    "extract_patches",
    "hsv_to_rgb",
    "pad_images",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
]


def _public(function: Any) -> Any:
    from densa._symbolic import op

    function.__module__ = "densa.ops.image"
    return op(function)


def _images(name: str, images: Any, data_format: str | None) -> tuple[Any, int]:
    """Return the images and their first axis of space."""
    x = tensor(images)
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"{name}: data_format must be 'channels_last' or 'channels_first'; got {data_format!r}."
        )
    if x.ndim not in (3, 4):
        raise ValueError(
            f"{name}: expected images (height, width, channels), or a batch of them; got shape "
            f"{tuple(x.shape)}."
        )
    return x, x.ndim - (2 if data_format == "channels_first" else 3)


def _axis(x: Any, data_format: str | None) -> int:
    return int(x.ndim) - (3 if data_format == "channels_first" else 1)


def _pair(name: str, what: str, size: Any, least: int = 1) -> tuple[int, int]:
    both = (size, size) if isinstance(size, (int, np.integer)) else tuple(size)
    whole = all(isinstance(s, (int, np.integer)) and s >= least for s in both)
    if len(both) != 2 or not whole:
        raise ValueError(
            f"{name}: {what} must be (height, width), whole numbers of at least {least}; got "
            f"{size!r}."
        )
    return int(both[0]), int(both[1])


def _cubic(t: Any) -> Any:
    """Keys' cubic with a = -0.5."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _lanczos(radius: int, t: Any) -> Any:
    return np.where(np.abs(t) < radius, np.sinc(t) * np.sinc(t / radius), 0.0)


_KERNELS: dict[str, Callable[[Any], Any]] = {
    "bilinear": lambda t: np.maximum(0.0, 1 - np.abs(t)),
    "bicubic": _cubic,
    "lanczos3": lambda t: _lanczos(3, t),
    "lanczos5": lambda t: _lanczos(5, t),
}


def _weights(size: int, wanted: int, how: str, antialias: bool) -> Any:
    """Return the matrix (size, wanted) that resizes a line of pixels."""
    scale = size / wanted
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    if how == "nearest":
        picked = np.clip(np.floor((np.arange(wanted) + 0.5) * scale), 0, size - 1).astype(int)
        return np.eye(size)[:, picked]
    width = max(1.0, scale) if antialias else 1.0
    found = _KERNELS[how]((centres[None, :] - np.arange(size)[:, None]) / width)
    total = found.sum(0, keepdims=True)
    found = np.where(np.abs(total) > 1e-7, found / np.where(total == 0, 1, total), 0.0)
    # Beyond the outermost centres of the image there is nothing to read between.
    inside = (centres >= -0.5) & (centres <= size - 0.5)
    return np.where(inside, found, 0.0)


@_public
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Return images in another size: each line is a sum of pixels, weighted by their distance.

    Args:
        images: images, or a batch of them.
        size: `(height, width)` to have.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        antialias: whether to take in more pixels where an image gets smaller.
        crop_to_aspect_ratio: cut away what is too wide or too high first.
        pad_to_aspect_ratio: put a border around first.
        fill_mode: of the border: "constant".
        fill_value: the border's value.
        data_format: "channels_last" (None) or "channels_first".

    Returns:
        The images, floats; whole numbers stay such, rounded.

    Raises:
        ValueError: for other shapes, sizes or names, or both of crop and pad.

    Example:
        >>> densa.ops.image.resize(np.ones((8, 8, 1), "float32"), (4, 4)).shape
        (4, 4, 1)
    """
    x, first = _images("resize", images, data_format)
    height, width = _pair("resize", "size", size)
    if interpolation not in ("nearest", *_KERNELS):
        known = ["nearest", *_KERNELS]
        raise ValueError(f"resize: interpolation must be one of {known}; got {interpolation!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: choose one of crop_to_aspect_ratio and pad_to_aspect_ratio.")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode must be 'constant'; got {fill_mode!r}.")
    rows, columns = (int(d) for d in x.shape[first : first + 2])
    if crop_to_aspect_ratio:
        high = max(1, min(rows, int(columns * height / width)))
        wide = max(1, min(columns, int(rows * width / height)))
        top, left = (rows - high) // 2, (columns - wide) // 2
        x = _boxed(x, first, (top, left), (high, wide))
    elif pad_to_aspect_ratio:
        high = max(rows, int(columns * height / width))
        wide = max(columns, int(rows * width / height))
        x = _bordered(x, first, (high - rows) // 2, (wide - columns) // 2, high, wide, fill_value)
    kind = x.dtype
    y = floating(x)
    for axis, wanted in ((first, height), (first + 1, width)):
        had = int(y.shape[axis])
        if had == wanted:
            continue
        weights = beside(made(_weights(had, wanted, interpolation, antialias), y.dtype), y)
        y = moveaxis(apply("matmul", moveaxis(y, axis, -1), weights), -1, axis)
    if kind == y.dtype:
        return y
    from densa.ops.bits import saturate_cast

    return saturate_cast(apply("round", y), kind)


def _boxed(x: Any, first: int, begin: tuple[int, int], size: tuple[int, int]) -> Any:
    key = (*(np.s_[:],) * first, *(slice(b, b + s) for b, s in zip(begin, size, strict=True)))
    return x[key]


def _bordered(
    x: Any, first: int, top: int, left: int, height: int, width: int, value: float = 0.0
) -> Any:
    begin, shape = [0] * x.ndim, [-1 if d is None else int(d) for d in x.shape]
    begin[first : first + 2], shape[first : first + 2] = [top, left], [height, width]
    how = {"begin": begin, "step": [1] * x.ndim, "shape": shape}
    if not value:
        return apply("pad_slice", x, **how)
    inside = apply("pad_slice", apply("add", apply("multiply", x, 0), 1), **how)
    border = apply("where", apply("equal", inside, 0), scalar(value, x), scalar(0, x))
    return apply("add", apply("pad_slice", x, **how), border)


@_public
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Return a part of images; of what is cut away on two sides and what is left, two are given.

    Args:
        images: images, or a batch of them.
        top_cropping: rows to cut away above.
        left_cropping: columns to cut away on the left.
        bottom_cropping: rows to cut away below.
        right_cropping: columns to cut away on the right.
        target_height: rows that are left.
        target_width: columns that are left.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: unless two of three numbers are given for each direction, and fit.

    Example:
        >>> densa.ops.image.crop_images(np.ones((6, 6, 1)), 1, 1, 1, 1).shape
        (4, 4, 1)
    """
    x, first = _images("crop_images", images, data_format)
    top, high = _cut("crop_images", x.shape[first], top_cropping, bottom_cropping, target_height)
    left, wide = _cut(
        "crop_images", x.shape[first + 1], left_cropping, right_cropping, target_width
    )
    return _boxed(x, first, (top, left), (high, wide))


def _cut(name: str, size: Any, before: Any, after: Any, wanted: Any) -> tuple[int, int]:
    if sum(v is None for v in (before, after, wanted)) != 1:
        raise ValueError(
            f"{name}: give exactly two of the numbers before, behind and in between for each "
            f"direction; got {before!r}, {after!r} and {wanted!r}."
        )
    begin = size - after - wanted if before is None else before
    left = size - before - after if wanted is None else wanted
    if begin < 0 or left < 1 or begin + left > size or (after or 0) < 0:
        raise ValueError(
            f"{name}: {left} pixels from {begin} on do not lie within an image of {size}."
        )
    return int(begin), int(left)


@_public
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Return images with a border of zeros; of the border's two sides and the size, two are given.

    Args:
        images: images, or a batch of them.
        top_padding: rows above.
        left_padding: columns on the left.
        bottom_padding: rows below.
        right_padding: columns on the right.
        target_height: rows of the result.
        target_width: columns of the result.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: unless two of three numbers are given for each direction, and fit.

    Example:
        >>> densa.ops.image.pad_images(np.ones((4, 4, 1)), 1, 1, 1, 1).shape
        (6, 6, 1)
    """
    x, first = _images("pad_images", images, data_format)
    places = []
    sides = (
        (top_padding, bottom_padding, target_height),
        (left_padding, right_padding, target_width),
    )
    for size, (before, after, wanted) in zip(x.shape[first : first + 2], sides, strict=True):
        if sum(v is None for v in (before, after, wanted)) != 1:
            raise ValueError(
                "pad_images: give exactly two of the numbers before, behind and in all for each "
                f"direction; got {before!r}, {after!r} and {wanted!r}."
            )
        begin: Any = wanted - after - size if before is None else before  # type: ignore[operator]
        whole = size + before + after if wanted is None else wanted
        if begin < 0 or whole - begin - size < 0:
            raise ValueError(f"pad_images: an image of {size} does not fit at {begin} of {whole}.")
        places.append((int(begin), int(whole)))
    (top, height), (left, width) = places
    return _bordered(x, first, top, left, height, width)


@_public
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """Return the brightness of colours: 0.2989 r + 0.5870 g + 0.1140 b (ITU-R BT.601).

    Args:
        images: images of 3 channels, or a batch of them.
        data_format: "channels_last" (None) or "channels_first".

    Returns:
        Images of 1 channel; whole numbers stay such.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> densa.ops.image.rgb_to_grayscale(np.ones((2, 2, 3), "float32")).shape
        (2, 2, 1)
    """
    x, _ = _images("rgb_to_grayscale", images, data_format)
    y = floating(x)
    r, g, b = _channels("rgb_to_grayscale", y, data_format)
    out = r * 0.2989 + g * 0.5870 + b * 0.1140
    return out if x.dtype == y.dtype else apply("cast", out, dtype=x.dtype)


def _channels(name: str, x: Any, data_format: str | None) -> list[Any]:
    axis = _axis(x, data_format)
    if x.shape[axis] != 3:
        raise ValueError(f"{name}: expected 3 channels; got shape {tuple(x.shape)}.")
    return [x[(*(np.s_[:],) * axis, slice(i, i + 1))] for i in range(3)]


@_public
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Any:
    """Return colours in [0, 1] as hue, saturation and value, each in [0, 1].

    Args:
        images: floating images of 3 channels, or a batch of them.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: for other shapes.

    Example:
        >>> densa.ops.image.rgb_to_hsv(np.float32([[[1, 0, 0]]])).numpy().tolist()
        [[[0.0, 1.0, 1.0]]]
    """
    x, _ = _images("rgb_to_hsv", floating(images), data_format)
    r, g, b = _channels("rgb_to_hsv", x, data_format)
    value = apply("maximum", apply("maximum", r, g), b)
    spread = value - apply("minimum", apply("minimum", r, g), b)
    zero, one = scalar(0.0, x), scalar(1.0, x)
    some = apply("greater", spread, 0.0)
    safe = apply("where", some, spread, one)
    lit = apply("greater", value, 0.0)
    saturation = apply("where", lit, spread / apply("where", lit, value, one), zero)
    sixth = apply("where", apply("equal", value, g), (b - r) / safe + 2.0, (r - g) / safe + 4.0)
    sixth = apply("where", apply("equal", value, r), (g - b) / safe, sixth)
    hue = apply("where", some, sixth / 6.0, zero)
    hue = apply("where", apply("less", hue, 0.0), hue + 1.0, hue)
    return concatenate([hue, saturation, value], axis=_axis(x, data_format))


@_public
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Any:
    """Return colours of hue, saturation and value in [0, 1] as red, green and blue.

    Args:
        images: floating images of 3 channels, or a batch of them.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: for other shapes.

    Example:
        >>> densa.ops.image.hsv_to_rgb(np.float32([[[0, 1, 1]]])).numpy().tolist()
        [[[1.0, 0.0, 0.0]]]
    """
    x, _ = _images("hsv_to_rgb", floating(images), data_format)
    hue, saturation, value = _channels("hsv_to_rgb", x, data_format)
    parts = []
    for shift in (5.0, 3.0, 1.0):
        k = apply("mod", hue * 6.0 + shift, 6.0)
        weight = apply("minimum", apply("minimum", k, 4.0 - k), 1.0)
        parts.append(value - value * saturation * apply("maximum", weight, 0.0))
    return concatenate(parts, axis=_axis(x, data_format))


@_public
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Return images read at other places: (x, y) at (a·x + b·y + c, d·x + e·y + f).

    Args:
        images: images, or a batch of them.
        transform: the 8 numbers a, b, c, d, e, f, 0, 0, or a row of them for each image. The last
            two, of a perspective, must be 0.
        interpolation: "bilinear" or "nearest".
        fill_mode: beyond the edges: "constant", "nearest", "wrap" or "reflect".
        fill_value: the constant.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: for other shapes or names, or a perspective.

    Example:
        >>> x = np.arange(4, dtype="float32").reshape(1, 4, 1)
        >>> shift = np.float32([1, 0, 1, 0, 1, 0, 0, 0])
        >>> densa.ops.image.affine_transform(x, shift).numpy().ravel().tolist()
        [1.0, 2.0, 3.0, 0.0]
    """
    x, _ = _images("affine_transform", floating(images), data_format)
    for given, known, what in (
        (interpolation, ("bilinear", "nearest"), "interpolation"),
        (fill_mode, ("constant", "nearest", "wrap", "reflect"), "fill_mode"),
    ):
        if given not in known:
            raise ValueError(f"affine_transform: {what} must be one of {known}; got {given!r}.")
    numbers = tensor(transform)
    alone = x.ndim == 3
    if numbers.shape[-1] != 8 or numbers.ndim not in ((1,) if alone else (1, 2)):
        raise ValueError(
            f"affine_transform: expected 8 numbers, or a row of 8 for each image; got shape "
            f"{tuple(numbers.shape)}."
        )
    if not numbers.is_symbolic and np.any(numbers.numpy()[..., 6:]):
        raise ValueError("affine_transform: the last two numbers, of a perspective, must be 0.")
    numbers = apply("cast", numbers[..., :6], dtype=x.dtype)
    if alone:
        x = reshaped(x, [1, *x.shape])
    if numbers.ndim == 1:
        numbers = apply("add", reshaped(numbers, [1, 6]), _zeros_of_rows(x))
    out = _core.apply(
        "affine_transform", x, beside(numbers, x), channels_first=data_format == "channels_first",
        interpolation=interpolation, fill_mode=fill_mode, fill_value=float(fill_value),
        height=int(x.shape[2 if data_format == "channels_first" else 1]),
        width=int(x.shape[3 if data_format == "channels_first" else 2]),
    )  # fmt: skip
    return reshaped(out, out.shape[1:]) if alone else out


def _zeros_of_rows(x: Any) -> Any:
    rows = apply("reshape", x, shape=[-1, int(np.prod(x.shape[1:]))])[:, :1]
    return apply("cast", apply("isnan", rows), dtype=x.dtype) * 0.0


@_public
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Return the patches of images, each as one vector: rows, columns, then channels.

    Args:
        images: images, or a batch of them.
        size: `(height, width)` of a patch, or one number for both.
        strides: from one patch to the next; None is the size, so that they do not overlap.
        dilation_rate: from one pixel of a patch to the next.
        padding: "valid": patches lie within the image; "same": zeros around it are read, too.
        data_format: "channels_last" (None) or "channels_first".

    Returns:
        Shape (…, patches down, patches across, height·width·channels), or with channels first.

    Raises:
        ValueError: for other shapes, sizes or names, or where no patch fits.

    Example:
        >>> densa.ops.image.extract_patches(np.ones((4, 6, 3), "float32"), 2).shape
        (2, 3, 12)
    """
    x, first = _images("extract_patches", images, data_format)
    high, wide = _pair("extract_patches", "size", size)
    down, across = _pair("extract_patches", "strides", (high, wide) if strides is None else strides)
    apart = _pair("extract_patches", "dilation_rate", dilation_rate)
    if padding not in ("valid", "same"):
        raise ValueError(f"extract_patches: padding must be 'valid' or 'same'; got {padding!r}.")
    if data_format == "channels_first":
        x = moveaxis(x, x.ndim - 3, x.ndim - 1)
        first = x.ndim - 3
    for axis, patch, step, gap in (
        (first, high, down, apart[0]),
        (first + 2, wide, across, apart[1]),
    ):
        reach, length = (patch - 1) * gap + 1, int(x.shape[axis])
        count = -(-length // step) if padding == "same" else (length - reach) // step + 1
        if count < 1:
            raise ValueError(
                f"extract_patches: a patch of {reach} pixels does not fit into {length}."
            )
        missing = max(0, (count - 1) * step + reach - length) if padding == "same" else 0
        if missing:
            begin, shape = [0] * x.ndim, [-1 if d is None else int(d) for d in x.shape]
            begin[axis], shape[axis] = missing // 2, length + missing
            x = apply("pad_slice", x, begin=begin, step=[1] * x.ndim, shape=shape)
        places = np.arange(count)[:, None] * step + np.arange(patch) * gap
        x = take(x, places, axis=axis)  # the axis becomes two: which patch, and where in it
    # (…, down, height, across, width, channels)
    lead = list(range(first))
    order = [first, first + 2, first + 1, first + 3, first + 4]
    x = apply("transpose", x, perm=[*lead, *order])
    shape = [*x.shape[: first + 2], high * wide * int(x.shape[-1])]
    x = reshaped(x, shape)
    return moveaxis(x, x.ndim - 1, x.ndim - 3) if data_format == "channels_first" else x


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
