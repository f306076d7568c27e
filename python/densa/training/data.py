"""Where batches come from: arrays in memory, or anything that yields batches.

A source gives the batches of one pass, `batches()`; a `Feed` cuts them into epochs.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from densa._numbers import whole_number
from densa.utils import tree
from densa.utils.batches import unpack_x_y_sample_weight

from .arrays import (
    DataTypes,
    NonFinite,
    check_rows,
    class_weights,
    first_non_finite_of,
    is_data,
    leaf_names,
    to_arrays,
    warn_non_finite,
)

Batch = tuple[Any, Any, Any]
_LOOKED_AT = 1024  # rows at a time, where all of them are looked through


def permutation(rows: int) -> Any:
    """The next random order of rows; `densa.utils.set_random_seed` makes it repeatable."""
    from densa.random import global_seed_generator

    generator = global_seed_generator()
    seed, count = generator.next()
    rng = np.random.Generator(np.random.Philox(key=[seed, (generator.stream << 40) + count + 1]))
    return rng.permutation(rows)


class Source:
    """What a source is to the rest: steps and rows of one pass where known, and the batches."""

    steps: int | None = None
    rows: int | None = None
    batch_size: int | None = None
    restarts = True  # whether batches() can be called again for the same data
    met_non_finite = False  # whether a batch held a NaN or an infinity
    # The state of the random generator that the order of the pass was drawn from.
    drawn_from: list[int] | None = None
    skip = 0  # batches that the next pass leaves out, as they have been

    _draw_from: list[int] | None = None

    def batches(self) -> Iterator[Batch]:
        """One pass over the data: `(x, y, sample_weight)` with arrays as leaves."""
        raise NotImplementedError

    def go_on(self, drawn_from: list[int] | None, skip: int) -> None:
        """Makes the next pass the rest of one that was begun before.

        Args:
            drawn_from: What `drawn_from` was in that pass.
            skip: How many of its batches have been.
        """
        self._draw_from, self.skip = drawn_from, skip

    def non_finite(self) -> NonFinite | None:
        """What is not finite: in all rows of arrays, else in the first batch that held such."""
        return None

    def take_skip(self) -> int:
        """How many batches the pass that begins now leaves out."""
        skip, self.skip = self.skip, 0
        return skip

    def peek(self) -> Batch:
        """A batch to build things with, out of turn."""
        raise NotImplementedError

    def _permutation(self, count: int) -> Any:
        from densa.random import global_seed_generator

        generator = global_seed_generator()
        now = [int(n) for n in generator.state]
        state, self._draw_from = self._draw_from, None
        self.drawn_from = now if state is None else state
        if state is None:
            return permutation(count)
        generator.set_state(state)
        try:
            return permutation(count)
        finally:
            generator.set_state(now)

    def end_of_epoch(self) -> None:
        """Called after each epoch."""


class ArraySource(Source):
    """Rows of arrays in memory; a native loop reads the arrays itself.

    Args:
        x: Structure of arrays.
        y: Structure of arrays, or None.
        sample_weight: Structure of arrays, or None.
        batch_size: Rows in a batch; the last one may have fewer.
        shuffle: Whether each pass has a new order; `"batch"` keeps batches together.
        types: What floating numbers are cast to; None is float32.
        names: What the inputs are called in messages.

    Raises:
        ValueError: Numbers of rows differ, or there are none.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = 32,
        shuffle: bool | str = False,
        types: DataTypes | None = None,
        names: list[str] | None = None,
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.rows = check_rows(("x", x), ("y", y), ("sample_weight", sample_weight), names=names)
        if self.rows == 0:
            raise ValueError("The data has no rows: pass arrays with at least one row.")
        self.batch_size = int(batch_size)
        self._extent = (self.rows, self.batch_size)
        self.steps = -(-self.rows // self.batch_size)
        self.shuffle = shuffle
        self.types = types or DataTypes(dtype="float32")
        self.names = [
            *leaf_names(x, "x", names),
            *leaf_names(y, "y"),
            *leaf_names(sample_weight, "sample_weight"),
        ]
        self._unchecked = True
        self._non_finite: NonFinite | None = None
        self._looked_through = False

    @property
    def arrays(self) -> list[Any]:
        """All arrays, in the order of `names`."""
        parts = (self.x, self.y, self.sample_weight)
        return [leaf for part in parts if part is not None for leaf in tree.flatten(part)]

    def order(self) -> Any:
        """Row numbers of the next pass, None for the given order."""
        if not self.shuffle:
            return None
        rows, size = self._extent
        if self.shuffle == "batch":
            full = rows // size
            starts = self._permutation(full)[:, None] * size
            order = (starts + np.arange(size)).reshape(-1)
            return np.concatenate([order, np.arange(full * size, rows)])
        return self._permutation(rows)

    def peek(self) -> Batch:
        """The first row."""
        return self._take(slice(0, 1))

    def batches(self) -> Iterator[Batch]:
        """One pass, in a new order if shuffled."""
        order = self.order()
        count, size = self._extent
        for begin in range(self.take_skip() * size, count, size):
            end = min(begin + size, count)
            rows = slice(begin, end) if order is None else order[begin:end]
            batch = self._take(rows)
            if self._unchecked:
                self._check_finite(batch)
            yield batch
        self._unchecked = False

    def _take(self, rows: Any) -> Batch:
        def one(array: Any) -> Any:
            return None if array is None else array[rows]

        parts = (self.x, self.y, self.sample_weight)
        return self.types.cast(*(None if p is None else tree.map_structure(one, p) for p in parts))

    def _check_finite(self, batch: Batch) -> None:
        if first_non_finite_of(self.names, batch) is None:
            return
        # Batches come in any order; the row that is named is the smallest one, on every path.
        self._unchecked = False
        self.met_non_finite = True
        found = self.non_finite()
        if found is not None and found.row is not None:
            warn_non_finite(found.name, found.row)

    def non_finite(self) -> NonFinite | None:
        """What is not finite in all rows; they are looked through once."""
        if not self._looked_through:
            self._looked_through = True
            step = max(self._extent[1], _LOOKED_AT)
            for begin in range(0, self._extent[0], step):
                batch = self._take(slice(begin, begin + step))
                found = first_non_finite_of(self.names, batch)
                if found is not None:
                    here = NonFinite.of(found[0], begin + found[1], batch)
                    self._non_finite = here if self._non_finite is None else self._non_finite + here
        return self._non_finite


class StreamSource(Source):
    """A generator, or anything that can be iterated over, of batches.

    Args:
        stream: Yields `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        types: What floating numbers are cast to; None is float32.
        class_weight: `{class: weight}`, or None.
        names: What the inputs are called in messages.
        classes: How many classes the output has, None where that is not known.
    """

    def __init__(
        self,
        stream: Any,
        types: DataTypes | None = None,
        class_weight: Any = None,
        names: list[str] | None = None,
        classes: int | None = None,
    ) -> None:
        self.stream = stream
        self.classes = classes
        self.types = types or DataTypes(dtype="float32")
        self.class_weight = class_weight
        self.names = names
        self._non_finite: NonFinite | None = None
        self.restarts = iter(stream) is not stream
        if self.restarts and hasattr(stream, "__len__"):
            self.steps = len(stream)

    @property
    def kind(self) -> str:
        """Type of what yields the batches, for messages."""
        return type(self.stream).__name__

    def batches(self) -> Iterator[Batch]:
        """What is left of the stream, or all of it again."""
        start, skip = 0, self.take_skip()
        for number, item in enumerate(self.stream):
            if number < skip:
                continue
            batch = self.standardize(item, start, number)
            start += batch_rows(batch)
            yield batch

    def peek(self) -> Batch:
        """The first batch of what is left."""
        stream = iter(self.stream)
        first = next(stream)
        if not self.restarts:
            self.stream = itertools.chain([first], stream)
        return self.standardize(first)

    def standardize(self, item: Any, start: int = 0, number: int = 0) -> Batch:
        """A batch as arrays, checked.

        Args:
            item: What the stream gave.
            start: Rows of the batches before, for messages.
            number: Number of the batch, for messages.

        Raises:
            ValueError: It holds no numbers, numbers of rows differ, or there are none.
        """
        x, y, weight = unpack_x_y_sample_weight(item)
        x = to_arrays(x, "x", self.names)
        y = to_arrays(y, "y")
        weight = to_arrays(weight, "sample_weight")
        if self.class_weight is not None:
            if weight is not None:
                raise ValueError("Pass `class_weight` or sample weights in the batches, not both.")
            weight = class_weights(y, self.class_weight, self.classes)
        parts = (("x", x), ("y", y), ("sample_weight", weight))
        if check_rows(*parts, names=self.names) == 0:
            raise ValueError(
                f"Batch {number} (counted from 0) of `x` ({self.kind}) has no rows; expected at "
                "least one. Leave empty batches out."
            )
        cast = self.types.cast(x, y, weight)
        if not self.met_non_finite:
            names = [*leaf_names(x, "x", self.names), *leaf_names(y, "y")]
            found = first_non_finite_of(names, cast[:2])
            if found is not None:
                self.met_non_finite = True
                self._non_finite = NonFinite.of(found[0], start + found[1], cast)
                warn_non_finite(found[0], start + found[1])
        return cast

    def non_finite(self) -> NonFinite | None:
        """What is not finite in the first batch that held such."""
        return self._non_finite


class PyDatasetSource(StreamSource):
    """A `PyDataset`: batches by number, in a new order per epoch if shuffled."""

    def __init__(
        self,
        dataset: Any,
        types: DataTypes | None = None,
        class_weight: Any = None,
        shuffle: bool | str = False,
        names: list[str] | None = None,
        classes: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.classes = classes
        self.types = types or DataTypes(dtype="float32")
        self.class_weight = class_weight
        self.names = names
        self.shuffle = shuffle
        self.restarts = True
        count = getattr(dataset, "num_batches", None)
        count = count() if callable(count) else count
        self.steps = int(count) if count is not None else None
        self._non_finite: NonFinite | None = None

    @property
    def kind(self) -> str:
        """Type of the dataset, for messages."""
        return type(self.dataset).__name__

    def batches(self) -> Iterator[Batch]:
        """One pass; without end where the number of batches is unknown."""
        begin = getattr(self.dataset, "on_epoch_begin", None)
        if begin is not None:
            begin()
        if self.steps is None:
            numbers: Any = itertools.count()
        else:
            numbers = self._permutation(self.steps) if self.shuffle else range(self.steps)
        start = 0
        for number in itertools.islice(numbers, self.take_skip(), None):
            batch = self.standardize(self.dataset[int(number)], start, int(number))
            start += batch_rows(batch)
            yield batch

    def peek(self) -> Batch:
        """The first batch."""
        return self.standardize(self.dataset[0])

    def end_of_epoch(self) -> None:
        """Tells the dataset."""
        end = getattr(self.dataset, "on_epoch_end", None)
        if end is not None:
            end()


def batch_rows(batch: Batch) -> int:
    """The number of rows of a batch."""
    for part in batch:
        for leaf in tree.flatten(part) if part is not None else ():
            if leaf is not None:
                return int(leaf.shape[0])
    return 0


class Feed:
    """The batches of a source cut into epochs.

    Args:
        source: The source.
        steps_per_epoch: Steps of an epoch; None: one pass over the source. An epoch that is shorter
            than a pass goes on where the last one ended; none goes past the end of the source.

    Raises:
        TypeError: The number of steps is no whole number.
        ValueError: It is below 1.
    """

    def __init__(self, source: Source, steps_per_epoch: int | None = None) -> None:
        if steps_per_epoch is not None:
            steps_per_epoch = whole_number("The number of steps", steps_per_epoch)
        self.source = source
        self.steps_per_epoch = steps_per_epoch
        self.ran_out = False  # for good
        self.count = 0  # batches of this epoch so far
        self.first = 0  # number of the first batch of the next epoch: one that was begun before
        self.logs: dict[str, Any] = {}  # of the batches before
        self._in_pass = 0  # batches of this pass so far
        self._goes_on = False  # the pass that begins next was begun before
        self._going: Iterator[Batch] | None = None
        self._passes = 0
        self._empty = True  # until the first batch

    @property
    def steps(self) -> int | None:
        """Steps of an epoch where known."""
        return self.steps_per_epoch if self.steps_per_epoch is not None else self.source.steps

    @property
    def whole_passes(self) -> bool:
        """Whether an epoch is one pass over the source."""
        return self.steps_per_epoch is None or self.steps_per_epoch == self.source.steps

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch; warns where the source gives fewer than asked for.

        Raises:
            ValueError: There has never been a batch.
        """
        first = self.begin_epoch()
        if self.steps_per_epoch is None:
            self._in_pass = self.source.skip
            for batch in self.source.batches():
                self._got_one()
                yield batch
            if self.count == 0:
                self._say_ran_out()
            self._passes += 1
        else:
            for _ in range(first, self.steps_per_epoch):
                batch_or_none = self._next()
                if batch_or_none is None:
                    self._say_ran_out()
                    break
                self._got_one()
                yield batch_or_none
        self.source.end_of_epoch()

    def begin_epoch(self) -> int:
        """The number of the first batch of the epoch that begins now."""
        self.count, self.first = self.first, 0
        self._goes_on = self._goes_on and self.steps_per_epoch is not None
        return self.count

    def at(self, batch: int) -> None:
        """Told by what reads a source of arrays itself: how far it is."""
        self.count = self._in_pass = batch

    def get_state(self, epoch_is_over: bool) -> dict[str, Any]:
        """Where the data is, for `set_state`."""
        goes_on = self._going is not None or not epoch_is_over
        return {
            "count": 0 if epoch_is_over else self.count,
            "in_pass": self._in_pass if goes_on else 0,
            "passes": self._passes - (self._going is not None),
            "goes_on": goes_on,
            "drawn_from": self.source.drawn_from,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Makes a new feed go on where another one was; a generator begins at its first batch."""
        self.first = int(state["count"])
        self._passes = int(state["passes"])
        self._goes_on = bool(state["goes_on"])
        self._empty = False
        if self._goes_on:
            self.source.go_on(state["drawn_from"], int(state["in_pass"]))

    def has_more(self) -> bool:
        """Whether another epoch can have batches; where it is known that none can, says so once."""
        spent = (
            self._passes > 0
            and self._going is None
            and not self._goes_on
            and not self.source.restarts
        )
        if spent and not self.ran_out:
            self.count = 0
            self._say_ran_out()
        return not self.ran_out

    @property
    def gave_nothing(self) -> bool:
        """Whether the last epoch had no batch, as the one before it took the last."""
        return self.ran_out and self.count == 0

    def restart(self) -> None:
        """Begins at the first batch again, where the source can."""
        if self.source.restarts:
            self._going = None
            self._goes_on = False
            self.source.go_on(None, 0)

    def _got_one(self) -> None:
        self.count += 1
        self._in_pass += 1
        self._empty = False

    def _next(self) -> Batch | None:
        fresh = self._going is None and not self._goes_on
        if self._going is None:
            if self._passes and not self.source.restarts and not self._goes_on:
                return None
            self._goes_on = False
            self._in_pass = self.source.skip
            self._going = self.source.batches()
            self._passes += 1
        batch = next(self._going, None)
        if batch is None:
            self._going = None
            if self.count == 0 and not fresh:  # the epoch before took the last one
                return self._next()
        return batch

    def _say_ran_out(self) -> None:
        kind = type(getattr(self.source, "dataset", getattr(self.source, "stream", None))).__name__
        if self._empty:
            raise ValueError(
                f"`x` ({kind}) gave no batches. A generator yields each batch once: if "
                "this one was used before, make a new one, or pass an iterable or a PyDataset "
                "that starts again."
            )
        self.ran_out = not self.source.restarts or self.count == 0
        due = "more" if self.steps_per_epoch is None else self.steps_per_epoch
        warnings.warn(
            f"The input ran out of data: {self.count} batches came where {due} were due. "
            + ("It cannot begin again, so it ends here. " if self.ran_out else "")
            + "Pass data with enough batches for the steps of all epochs, or ask for fewer steps.",
            UserWarning,
            stacklevel=2,
        )


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: Any = None,
    types: DataTypes | None = None,
    names: list[str] | None = None,
    check: Callable[[Any], None] | None = None,
    classes: int | None = None,
) -> Source:
    """The source for whatever `fit`, `evaluate` and `predict` accept.

    Args:
        x: Arrays, Tensors, DataFrames, structures of them; or batches: a generator, an iterable,
            a PyDataset.
        y: Targets; None where `x` yields batches.
        sample_weight: Weights; None where `x` yields batches.
        batch_size: Rows in a batch of arrays; 32 by default.
        shuffle: See `ArraySource`.
        class_weight: `{class: weight}`, or None.
        types: What floating numbers are cast to; None is float32.
        names: Names of the model's inputs.
        check: Called with the arrays of `x`; raises where they do not fit the model.
        classes: How many classes the output has, None where that is not known.

    Raises:
        TypeError: `batch_size` is no whole number.
        ValueError: The arguments do not go together, or `x` is none of these.
    """
    if x is None:
        raise ValueError("There is no data: `x` is None.")
    # An empty list without targets may have been meant as one of batches.
    if isinstance(x, list | tuple | dict) and not x and (y is not None or isinstance(x, dict)):
        wanted = f" for the inputs {names}" if names else ""
        raise ValueError(
            f"There is no data: `x` is an empty {type(x).__name__}; pass arrays{wanted}."
        )
    if batch_size is not None:
        batch_size = whole_number("`batch_size`", batch_size)
    if is_data(x):
        x = to_arrays(x, "x", names)
        y = to_arrays(y, "y")
        sample_weight = to_arrays(sample_weight, "sample_weight")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "You cannot pass `class_weight` and `sample_weight` at the same time."
                )
            sample_weight = class_weights(y, class_weight, classes)
        if check is not None:
            check(x)
        return ArraySource(
            x,
            y,
            sample_weight,
            batch_size=32 if batch_size is None else batch_size,
            shuffle=shuffle,
            types=types,
            names=names,
        )
    kind = type(x).__name__
    if isinstance(x, str | bytes) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
        raise ValueError(
            f"`x` of type {kind} is no data. Expected arrays, Tensors, DataFrames, lists or dicts "
            "of these, or a generator, an iterable or a PyDataset of batches."
        )
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(
                f"When `x` yields batches ({kind}), `{name}` must not be given: the batches hold "
                f"it; received {name}={type(given).__name__}."
            )
    if hasattr(x, "num_batches") and hasattr(x, "__getitem__"):
        return PyDatasetSource(x, types, class_weight, shuffle, names, classes)
    return StreamSource(x, types, class_weight, names, classes)
