"""Random numbers that a seed repeats bit for bit.

A `SeedGenerator` counts its uses; the pair (seed, count) names a draw. `set_random_seed` fixes the
global generator, from which everything without a seed of its own takes one. Where a model is
recorded, `normal`, `uniform`, `randint` and `dropout` become ops of it and draw anew at each step.
"""

from __future__ import annotations

import math
import random as _python_random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from densa import _core, config
from densa._names import hinted, suggesting
from densa._numbers import finite_number, for_each, parameter_for_each
from densa._philox import Philox
from densa._scope import call_context
from densa.device import beside

_SEED_LIMIT = 2**31 - 1
_recording = threading.local()  # `uses`, while this thread records


class _Global:
    """Where seeds come from that nobody gave."""

    seed: int | None = None
    times_seeded = 0
    drawn = 0
    streams = 0
    generator: SeedGenerator | None = None


def make_default_seed() -> int:
    """Return the next seed of the global generator; a random one if no seed was ever set."""
    if _Global.seed is None:
        return _python_random.SystemRandom().randrange(1, _SEED_LIMIT)
    _Global.drawn += 1
    bits = int(Philox(_Global.seed, _Global.drawn).integers(1)[0])  # NumPy 1 would divide floats
    return bits % _SEED_LIMIT


def set_global_seed(seed: int) -> None:
    """Start the global generator anew."""
    _Global.seed = int(seed)
    _Global.times_seeded += 1
    _Global.drawn = 0
    _Global.streams = 0
    _Global.generator = None


def get_global_state() -> list[Any]:
    """What `set_global_state` needs to draw the same numbers again."""
    made = _Global.generator
    own = None if made is None else [made.seed, made.stream, made.count]
    return [_Global.seed, _Global.drawn, _Global.streams, own]


def set_global_state(state: list[Any]) -> None:
    """Go back to a state of the global generator read earlier."""
    _Global.seed, _Global.drawn, _Global.streams, own = state
    if own is None:
        _Global.generator = None
    else:
        global_seed_generator().set_state(own)


class OrdersOfModel:
    """What a loaded model draws its orders of rows from, until a seed is set.

    Args:
        state: Seed, stream and count of the generator that it was trained with.
    """

    def __init__(self, state: list[int]) -> None:
        self._own = SeedGenerator(0)
        self._own.set_state(state)
        self._seeded = _Global.times_seeded

    @property
    def generator(self) -> SeedGenerator | None:
        """The generator; None once `set_random_seed` has been called since."""
        return self._own if self._seeded == _Global.times_seeded else None


def next_stream() -> int:
    """Return a number that tells the random layers of a process apart."""
    _Global.streams += 1
    return _Global.streams


class SeedGenerator:
    """A seed with a counter: every use of it draws something else.

    Args:
        seed: non-negative integer; None takes one from the global generator.
        name: accepted for Keras.

    Raises:
        ValueError: for a seed that is not a non-negative integer.

    Example:
        >>> g = densa.random.SeedGenerator(7)
        >>> g.next(), g.next()
        ((7, 0), (7, 1))
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        self._initial_seed = seed
        if seed is None:
            self.stream = next_stream()
            seed = make_default_seed()
        else:
            self.stream = 0
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(
                f"Argument `seed` must be a non-negative integer. Received: seed={seed!r}"
            )
        self.name = name or "seed_generator"
        self.seed = int(seed)
        self.count = 0

    @property
    def state(self) -> Any:
        """Seed, stream and count as an array; assign with `set_state`."""
        return np.array([self.seed, self.stream, self.count], dtype=np.int64)

    def set_state(self, state: Any) -> None:
        """Go back to a state read earlier."""
        self.seed, self.stream, self.count = (int(x) for x in state)

    def next(self, ordered: bool = True) -> tuple[int, int]:
        """Return (seed, count) and count on."""
        count = self.count
        self.count += 1
        return self.seed, count

    def draw(self) -> dict[str, int]:
        """Return the attributes of a random op: which draw it makes.

        While a model is recorded that is told by the plan's own step, and, where a step uses this
        generator several times, by the number of the use.
        """
        place = {"seed": self.seed, "stream": self.stream}
        if not _core.recording():
            return {**place, "step": self.next()[1]}
        use, every = 0, 1
        uses: Uses | None = getattr(_recording, "uses", None)
        if uses is not None:
            use, every = uses.take(self)
        several = {"every": every, "use": use} if every > 1 else {}
        return {**place, "step": -1, **several}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal generator."""
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make a generator from `get_config`'s answer."""
        return cls(**config)


class Uses:
    """Counts the uses of each generator in a recording; a context.

    How many there are is known at the end only, so that a recording with a generator used several
    times is made twice.

    Args:
        before: the uses of the first recording.
    """

    def __init__(self, before: Uses | None = None) -> None:
        self._before = {} if before is None else before._counts
        self._counts: dict[SeedGenerator, int] = {}

    @property
    def counts(self) -> dict[SeedGenerator, int]:
        """How often each generator was used."""
        return dict(self._counts)

    @property
    def several(self) -> bool:
        """Whether a generator was used more than once."""
        return any(count > 1 for count in self._counts.values())

    def take(self, generator: SeedGenerator) -> tuple[int, int]:
        """Return the number of this use, and how many there are."""
        use = self._counts.get(generator, 0)
        self._counts[generator] = use + 1
        return use, max(self._before.get(generator, 1), use + 1)

    def __enter__(self) -> Uses:
        self._outer = getattr(_recording, "uses", None)
        _recording.uses = self
        return self

    def __exit__(self, *error: object) -> None:
        _recording.uses = self._outer


def global_seed_generator() -> SeedGenerator:
    """Return the generator that functions without a seed use."""
    if _Global.generator is None:
        _Global.generator = SeedGenerator()
    return _Global.generator


def _source(seed: Any) -> Philox:
    if seed is None:
        seed = global_seed_generator()
    if isinstance(seed, SeedGenerator):
        value, count = seed.next()
        return Philox(value, (seed.stream << 40) + count + 1)
    return Philox(int(seed), 1)


def _recorded(op: str, shape: Any, dtype: Any, seed: Any, **attributes: float) -> Any:
    """Return a draw in a layer's call as an op, which draws anew at each step that is recorded.

    The same op also where nothing is recorded, so that all paths give the same numbers. None
    outside of calls, or where the seed is a number: then each draw is the same.
    """
    if not (seed is None or isinstance(seed, SeedGenerator)):
        return None
    if not _core.recording() and call_context() is None:
        return None
    generator = global_seed_generator() if seed is None else seed
    kind = str(config.dtype_name(dtype))
    wide = kind if kind in ("float32", "float64") else "float32"
    sizes = [-1 if d is None else int(d) for d in shape]
    numbers = {name: float(number) for name, number in attributes.items()}
    made = _core.apply(op, shape=sizes, dtype=wide, **generator.draw(), **numbers)
    return made if kind == wide else _core.apply("cast", made, dtype=kind)


def _refuse_recording(function: str, seed: Any) -> None:
    if _core.recording() and (seed is None or isinstance(seed, SeedGenerator)):
        raise ValueError(
            f"random.{function} would draw once and for all while a model is recorded. Draw where "
            "call's argument `training` is true only, with random.normal, uniform, randint or "
            "dropout, which are recorded, or train with compile(run_eagerly=True)."
        )


def _tensor(array: Any, shape: Any, dtype: Any) -> Any:
    kind = config.dtype_name(dtype)
    made = np.ascontiguousarray(array.astype(config.numpy_float(kind))).reshape(tuple(shape))
    return _core.to_tensor(made, kind)


def _check(function: str, least: float = -math.inf, **given: Any) -> None:
    # Refuses numbers that cannot be meant; Tensors and arrays are taken as they are.
    for name, value in given.items():
        if not hasattr(value, "shape"):
            finite_number(f"random.{function}: {name}", value, least)


@hinted
def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Draw from a normal distribution.

    Args:
        shape: shape of the result.
        mean: its mean.
        stddev: its standard deviation.
        dtype: floating type; None means floatx.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor.

    Example:
        >>> densa.random.normal((2, 3), seed=1).shape
        (2, 3)
    """
    _check("normal", mean=mean)
    _check("normal", 0, stddev=stddev)
    drawn = _recorded("random_normal", shape, dtype, seed, mean=mean, stddev=stddev)
    if drawn is not None:
        return drawn
    draw = _source(seed).normal(math.prod(shape))
    return _tensor(mean + stddev * draw, shape, dtype)


@hinted
def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Draw from a normal distribution; what lies beyond two deviations is drawn again.

    Args and Returns: as for `normal`.

    Example:
        >>> densa.random.truncated_normal((2, 3), seed=1).shape
        (2, 3)
    """
    _check("truncated_normal", mean=mean)
    _check("truncated_normal", 0, stddev=stddev)
    _refuse_recording("truncated_normal", seed)
    draw = _source(seed).truncated_normal(math.prod(shape))
    return _tensor(mean + stddev * draw, shape, dtype)


@hinted
def uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Draw evenly from [minval, maxval); for an integer type, from the integers in it.

    Args:
        shape: shape of the result.
        minval: lower bound.
        maxval: upper bound, left out.
        dtype: None means floatx.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor.

    Example:
        >>> densa.random.uniform((2, 3), seed=1).shape
        (2, 3)
    """
    _check("uniform", minval=minval, maxval=maxval)
    if not config.is_float(config.dtype_name(dtype)):
        return randint(shape, int(minval), int(maxval), dtype, seed)
    drawn = _recorded("random_uniform", shape, dtype, seed, low=minval, high=maxval)
    if drawn is not None:
        return drawn
    draw = _source(seed).uniform(math.prod(shape))
    return _tensor(minval + (maxval - minval) * draw, shape, dtype)


@hinted
def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Draw integers from minval to maxval - 1.

    Args:
        shape: shape of the result.
        minval: lower bound.
        maxval: upper bound, left out.
        dtype: integer type.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor.

    Raises:
        ValueError: if there is no integer between the bounds.

    Example:
        >>> densa.random.randint((4,), 0, 10, seed=1).dtype
        'int32'
    """
    _check("randint", minval=minval, maxval=maxval)
    if not maxval > minval:
        raise ValueError(f"randint needs minval < maxval; got {minval} and {maxval}.")
    count = int(maxval) - int(minval)
    drawn = _recorded("random_uniform", shape, "float64", seed, low=0, high=count)
    if drawn is not None:
        whole = _core.apply("cast", _core.apply("floor", drawn), dtype="int64")
        return _core.apply("cast", whole + int(minval), dtype=str(config.dtype_name(dtype)))
    draw = np.floor(_source(seed).uniform(math.prod(shape)) * count)
    return _tensor(int(minval) + draw, shape, dtype)


@hinted
def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Draw from a gamma distribution of scale 1: a density of x^(alpha - 1)·e^(-x) / Γ(alpha).

    Args:
        shape: shape of the result.
        alpha: a number above 0, or an array of them that stretches to `shape`.
        dtype: floating type; None means floatx.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor.

    Raises:
        ValueError: for an alpha that is not above 0 or does not fit, and where a model is recorded.

    Example:
        >>> densa.random.gamma((2, 3), 0.5, seed=1).shape
        (2, 3)
    """
    _refuse_recording("gamma", seed)
    draw = _source(seed).log_gamma(parameter_for_each("gamma", "alpha", alpha, shape))
    return _tensor(np.exp(draw), shape, dtype)


@hinted
def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Draw from a beta distribution: a density in proportion to x^(alpha - 1)·(1 - x)^(beta - 1).

    Args:
        shape: shape of the result.
        alpha: a number above 0, or an array of them that stretches to `shape`.
        beta: the same for the other parameter.
        dtype: floating type; None means floatx.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor of numbers from 0 to 1.

    Raises:
        ValueError: for a parameter that is not above 0 or does not fit, and where a model is
            recorded.

    Example:
        >>> densa.random.beta((2, 3), 2.0, [1.0, 2.0, 3.0], seed=1).shape
        (2, 3)
    """
    _refuse_recording("beta", seed)
    a = parameter_for_each("beta", "alpha", alpha, shape)
    b = parameter_for_each("beta", "beta", beta, shape)
    return _tensor(_source(seed).beta(a, b), shape, dtype)


@hinted
def binomial(
    shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> Any:
    """Draw how many of `counts` independent trials succeed.

    Args:
        shape: shape of the result.
        counts: a whole number from 0, or an array of them that stretches to `shape`.
        probabilities: the probability of success, or an array of them that stretches to `shape`.
        dtype: floating type; None means floatx.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor of whole numbers.

    Raises:
        ValueError: for counts that are no whole numbers from 0, probabilities outside [0, 1],
            arrays that do not fit, and where a model is recorded.

    Example:
        >>> float(densa.random.binomial((), 10, 1.0, seed=1))
        10.0
    """
    _refuse_recording("binomial", seed)
    n, p = np.asarray(counts, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if not np.all((n >= 0) & (n < 2.0**53) & (n == np.floor(n))):
        raise ValueError(f"binomial: counts must be whole numbers from 0; got {counts!r}.")
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            f"binomial: probabilities must lie between 0 and 1; got {probabilities!r}."
        )
    n = for_each("binomial", "counts", n, shape).astype(np.int64)
    p = for_each("binomial", "probabilities", p, shape)
    return _tensor(_source(seed).binomial(n, p), shape, dtype)


@hinted
def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Draw class numbers with the probabilities softmax(logits).

    Args:
        logits: (batch, classes).
        num_samples: draws per row.
        dtype: integer type.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor (batch, num_samples).

    Example:
        >>> densa.random.categorical([[0.0, 0.0]], 5, seed=1).shape
        (1, 5)
    """
    _refuse_recording("categorical", seed)
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2:
        raise ValueError(f"categorical needs logits of shape (batch, classes); got {z.shape}.")
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    edges = np.cumsum(weights, axis=1)
    shape = (z.shape[0], int(num_samples))
    points = _source(seed).uniform(math.prod(shape)).reshape(shape) * edges[:, -1:]
    picks = (points[:, :, None] >= edges[:, None, :]).sum(axis=2)
    return _tensor(np.minimum(picks, z.shape[1] - 1), shape, dtype)


@hinted
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """Return x with its slices along an axis in random order.

    Args:
        x: array or Tensor.
        axis: the axis.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor like x, where x lies.

    Example:
        >>> sorted(densa.random.shuffle([3, 1, 2], seed=1).numpy().tolist())
        [1, 2, 3]
    """
    _refuse_recording("shuffle", seed)
    array = np.asarray(x)
    order = np.argsort(_source(seed).integers(array.shape[axis]), kind="stable")
    made = _core.to_tensor(np.take(array, order, axis=axis), getattr(x, "dtype", None))
    return beside(made, x) if isinstance(x, _core.Tensor) else made


def _ones(inputs: Any, noise_shape: Any) -> Any:
    """Return ones of the noise shape; where it says None, of the size of the inputs."""
    sizes = tuple(inputs.shape)
    if len(noise_shape) != len(sizes):
        raise ValueError(f"noise_shape={tuple(noise_shape)} does not fit inputs of shape {sizes}.")
    if None not in sizes:
        shape = tuple(n if m is None else int(m) for m, n in zip(noise_shape, sizes, strict=True))
        made = _core.full(list(shape), 1.0, str(inputs.dtype))
        return beside(made, inputs) if isinstance(inputs, _core.Tensor) else made
    # The number of rows is open while a model is recorded: cut the ones out of the inputs.
    ends = [
        2**63 - 1 if m is None or m == n else int(m)
        for m, n in zip(noise_shape, sizes, strict=True)
    ]
    rank = len(sizes)
    part = _core.apply("slice", inputs, begin=[0] * rank, end=ends, step=[1] * rank)
    return _core.apply("add", _core.apply("multiply", part, 0.0), 1.0)


@hinted
def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Set a share of the entries to zero and scale the others by 1 / (1 - rate).

    Args:
        inputs: floating Tensor.
        rate: share to drop, from 0 to below 1.
        noise_shape: shape of the mask, 1 where an axis shares it; None means that of `inputs`.
        seed: integer or `SeedGenerator`; None uses the global one.

    Returns:
        A Tensor like `inputs`.

    Example:
        >>> densa.random.dropout(np.ones((2, 3), "float32"), 0.5, seed=1).shape
        (2, 3)
    """
    _check("dropout", rate=rate)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout needs 0 <= rate < 1; got {rate}.")
    if seed is None:
        seed = global_seed_generator()
    if isinstance(seed, SeedGenerator):
        place = seed.draw()
    else:
        place = {"seed": int(seed), "stream": 0, "step": 0}
    attributes = {"rate": float(rate), **place}
    if noise_shape is None:
        return _core.apply("dropout", inputs, **attributes)
    return _core.apply(
        "multiply", inputs, _core.apply("dropout", _ones(inputs, noise_shape), **attributes)
    )


__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
