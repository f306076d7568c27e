"""Tokens and their numbers: what `StringLookup` and `IntegerLookup` share."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from densa import _core
from densa._numbers import array_of, whole_number
from densa._symbolic import KerasTensor
from densa.device import beside
from densa.layers._encoding import MODES, encode, encoded_shape
from densa.layers._helpers import one_of, underscored
from densa.layers.layer import Layer


class Lookup(Layer):
    """A vocabulary of tokens, each with a number; a subclass says what tokens are.

    Numbers begin with that of the mask token, if there is one, and those of unknown tokens.
    """

    _keeps_dtype = True

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
        sparse: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.num_oov_indices = whole_number("num_oov_indices", num_oov_indices, least=0)
        self.max_tokens = None if max_tokens is None else whole_number("max_tokens", max_tokens)
        modes = ("int", *MODES, "tf_idf")
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = one_of(underscored(output_mode), modes, "output_mode", kind)
        self.mask_token, self.oov_token = mask_token, oov_token
        self.invert = bool(invert)
        self.pad_to_max_tokens = bool(pad_to_max_tokens)
        self.sparse = False
        if sparse:
            raise ValueError(f"{kind}: sparse=True is not supported; leave it out.")
        if self.invert and self.output_mode != "int":
            raise ValueError(f"{kind}: with invert=True, output_mode must be 'int'.")
        if self.pad_to_max_tokens and (self.max_tokens is None or self.output_mode == "int"):
            raise ValueError(
                f"{kind}: `pad_to_max_tokens` needs `max_tokens`, and another mode than 'int'."
            )
        if self.max_tokens is not None and self.max_tokens <= self._begin:
            raise ValueError(
                f"{kind}: max_tokens={max_tokens} leaves no place beside the {self._begin} numbers "
                "of masks and unknown tokens."
            )
        self.autocast = False
        self._tokens: list[Any] | None = None
        self._idf: list[float] | None = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        elif idf_weights is not None:
            raise ValueError(f"{kind}: `idf_weights` need the `vocabulary` that they belong to.")
        self.built = True

    # ---- what tokens are -------------------------------------------------------------------------

    def _token(self, given: Any) -> Any:
        """Return a token of the vocabulary in its plain form; TypeError for what is none."""
        raise NotImplementedError

    def _array(self, inputs: Any) -> Any:
        """Return inputs as an array of tokens."""
        raise NotImplementedError

    # ---- the vocabulary --------------------------------------------------------------------------

    @property
    def _special(self) -> list[Any]:
        masks = [self.mask_token] if self._masks else []
        return [*masks, *[self.oov_token] * self.num_oov_indices]

    @property
    def _masks(self) -> bool:
        return self.mask_token is not None and self.output_mode == "int"

    @property
    def _begin(self) -> int:
        """The number of the first token of the vocabulary."""
        return len(self._special)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these tokens, in this order.

        Args:
            vocabulary: tokens, with or without those for masks and unknown ones in front; or the
                name of a text file with one on each line.
            idf_weights: with output_mode "tf_idf", a weight for each token.

        Raises:
            ValueError: for none, too many, or one that occurs twice; for weights that do not fit.
        """
        if isinstance(vocabulary, str):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = file.read().splitlines()
        tokens = [self._token(t) for t in np.asarray(vocabulary, object).ravel().tolist()]
        special = [self._token(t) for t in self._special]
        with_special = bool(special) and tokens[: len(special)] == special
        idf = None if idf_weights is None else [float(w) for w in np.ravel(idf_weights)]
        if idf is not None and len(idf) != len(tokens):
            raise ValueError(
                f"Layer '{self.name}': {len(idf)} idf_weights do not fit {len(tokens)} tokens."
            )
        if with_special:
            tokens = tokens[len(special) :]
            idf = idf if idf is None else idf[len(special) :]
        kinds = {self.oov_token, self.mask_token} - {None}
        twice = [t for t, times in Counter(tokens).items() if times > 1 or t in kinds]
        if twice or not tokens:
            what = (
                f"token {twice[0]!r} twice, or a special one out of place" if twice else "no token"
            )
            raise ValueError(f"Layer '{self.name}': the vocabulary has {what}.")
        if (self.output_mode == "tf_idf") != (idf is not None):
            raise ValueError(
                f"Layer '{self.name}': give `idf_weights` with output_mode 'tf_idf', and only then."
            )
        self._keep(tokens, idf)

    def _keep(self, tokens: list[Any], idf: list[float] | None) -> None:
        if self.max_tokens is not None and len(tokens) + self._begin > self.max_tokens:
            raise ValueError(
                f"Layer '{self.name}': {len(tokens)} tokens and {self._begin} special ones are "
                f"more than max_tokens={self.max_tokens}."
            )
        self._tokens, self._idf = tokens, idf
        self._numbers = {token: i + self._begin for i, token in enumerate(tokens)}

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Return the tokens in order of their numbers.

        Args:
            include_special_tokens: whether those for masks and unknown tokens come first.
        """
        known = self._tokens or []
        return [*self._special, *known] if include_special_tokens else list(known)

    def vocabulary_size(self) -> int:
        """Return how many numbers there are, those of masks and unknown tokens among them."""
        return len(self._tokens or []) + self._begin

    def _known(self) -> list[Any]:
        if self._tokens is None:
            raise ValueError(
                f"Layer '{self.name}' has no vocabulary yet: call its adapt(data) first, or make "
                "it with `vocabulary`."
            )
        return self._tokens

    # ---- learning it -----------------------------------------------------------------------------

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Take the tokens of the data, the most frequent first, up to `max_tokens`.

        Tokens that are as frequent as others come in falling order, as Keras has them. With
        "tf_idf" the weight of a token is log(1 + rows / (1 + rows that hold it)).

        Args:
            data: an array, a list, a column of a table; or batches of them.
            steps: batches to look at, where `data` yields batches; None is all.

        Raises:
            TypeError: for other data.
            ValueError: for data without a token.
        """
        self.reset_state()
        for batch in itertools.islice(batches_of_tokens(data), steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget what `update_state` has counted."""
        self._counts: Counter[Any] = Counter()
        self._rows_with: Counter[Any] = Counter()
        self._rows = 0

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch."""
        array = self._array(data)
        special = {self.mask_token, self.oov_token}
        different, times = np.unique(array, return_counts=True)
        for token, count in zip(different.tolist(), times.tolist(), strict=True):
            if token not in special:
                self._counts[token] += count
        if self.output_mode == "tf_idf":
            rows = array.reshape(1 if array.ndim < 2 else len(array), -1)
            self._rows += len(rows)
            for row in rows:
                self._rows_with.update(set(np.unique(row).tolist()) - special)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        if not self._counts:
            raise ValueError(f"Layer '{self.name}': adapt() was given no token.")
        order = sorted(self._counts, reverse=True)
        order.sort(key=lambda token: -self._counts[token])
        if self.max_tokens is not None:
            order = order[: self.max_tokens - self._begin]
        idf = None
        if self.output_mode == "tf_idf":
            idf = [math.log(1 + self._rows / (1 + self._rows_with[token])) for token in order]
        self._keep(order, idf)
        self.reset_state()

    # ---- numbers to vectors ----------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """How many numbers a vector has."""
        return self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()  # type: ignore[return-value]

    def encoded(self, ids: Any) -> Any:
        """Return ids, an integer Tensor, as `output_mode` says."""
        if self.output_mode == "int":
            return ids
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        out = encode(ids, mode, self.depth, self.compute_dtype)
        if self.output_mode != "tf_idf":
            return out
        idf = self._idf or []
        unknown = [sum(idf) / max(1, len(idf))] * self._begin
        weights = np.array([*unknown, *idf, *[0.0] * (self.depth - len(idf) - self._begin)])
        made = _core.to_tensor(weights.astype(str(out.dtype)))
        return _core.apply("multiply", out, beside(made, out))

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return tuple(input_shape)
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(tuple(input_shape), mode, self.depth)

    def compute_output_spec(self, inputs: Any) -> Any:
        kind = "int64" if self.output_mode == "int" else self.compute_dtype
        return KerasTensor(self.compute_output_shape(inputs.shape), kind)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "mask_token": self.mask_token,
            "oov_token": self.oov_token,
            "vocabulary": self._tokens,
            "idf_weights": self._idf,
            "invert": self.invert,
            "output_mode": self.output_mode,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "sparse": self.sparse,
        }


def text_array(inputs: Any, encoding: str, layer: str) -> Any:
    """Return inputs as an array of str; TypeError for what is no text."""
    given = inputs.to_numpy() if hasattr(inputs, "to_numpy") else inputs
    array = array_of(f"Layer '{layer}'", given)
    if array.size == 0 and array.dtype.kind not in "US":
        return array.astype(str)
    if array.dtype.kind == "U" or array.dtype.kind == "T":
        return array.astype(str)
    if array.dtype.kind in "OS":
        flat = [t.decode(encoding) if isinstance(t, bytes) else t for t in array.ravel().tolist()]
        strange = [t for t in flat if not isinstance(t, str)]
        if not strange:
            return np.array(flat, dtype=str).reshape(array.shape)
        raise TypeError(
            f"Layer '{layer}' takes text; received {strange[0]!r} of type "
            f"{type(strange[0]).__name__}. Fill in what is missing and turn it into str first."
        )
    raise TypeError(
        f"Layer '{layer}' takes text; received an array of {array.dtype}. IntegerLookup and "
        "Hashing take whole numbers."
    )


def refuse_symbols(layer: Any, inputs: Any) -> None:
    """Raise ValueError where text would become part of a model: Tensors hold numbers alone."""
    if isinstance(inputs, (KerasTensor, _core.Tensor)):
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) takes arrays of text, and the inputs "
            "of a model are numbers: call it on the arrays before the model, x = layer(x), and "
            "begin the model with Input(shape, dtype='int64')."
        )


def _is_batch(part: Any) -> bool:
    first = part[0] if isinstance(part, tuple) and part else part
    return hasattr(first, "shape") and bool(first.shape)


def batches_of_tokens(data: Any) -> Iterator[Any]:
    if isinstance(data, (str, bytes, dict)) or not isinstance(data, Iterable):
        raise TypeError(f"adapt() takes arrays or batches of them; received {type(data).__name__}.")
    whole = hasattr(data, "__array__") or hasattr(data, "to_numpy")
    if whole or (isinstance(data, (list, tuple)) and not any(map(_is_batch, data))):
        yield data
        return
    for part in data:
        yield part[0] if isinstance(part, tuple) else part
