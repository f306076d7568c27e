"""`TextVectorization`: sentences as numbers of words."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core
from densa._numbers import whole_number
from densa.layers._helpers import one_of
from densa.layers._lookup import batches_of_tokens, refuse_symbols, text_array
from densa.layers.layer import Layer
from densa.layers.string_lookup import StringLookup

_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")
_STANDARDS: dict[Any, Callable[[str], str]] = {
    None: str,
    "lower": str.lower,
    "strip_punctuation": lambda text: _PUNCTUATION.sub("", text),
    "lower_and_strip_punctuation": lambda text: _PUNCTUATION.sub("", text.lower()),
}
_SPLITS: dict[Any, Callable[[str], list[str]]] = {
    None: lambda text: [text],
    "whitespace": str.split,
    "character": list,
}


class TextVectorization(Layer):
    """Sentences as the numbers of their words, or as one vector each: a bag of words.

    A sentence is standardized, split into words, these are joined to ngrams, and looked up. The
    layer is called on arrays of text before the model, not in it, like `StringLookup`.

    Args:
        max_tokens: the most numbers, special ones among them; None for no limit.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a
            function that takes and gives a str.
        split: "whitespace", "character", None for words that are split already, or a function that
            takes a str and gives a list of them.
        ngrams: n for runs of 1 to n words joined by spaces, or a tuple of sizes; None is 1.
        output_mode: "int", "multi_hot", "count" or "tf_idf" (counts times weights).
        output_sequence_length: with "int", how many numbers a row has; None is the longest row's.
        pad_to_max_tokens: whether vectors have `max_tokens` numbers.
        vocabulary: words, or the name of a file with one on each line; None to `adapt`.
        idf_weights: with "tf_idf" and a vocabulary, a weight for each word.
        sparse: accepted for Keras; True raises.
        ragged: accepted for Keras; True raises.
        encoding: of bytes.
        name: its name; made up if None.

    Raises:
        ValueError: for arguments that do not fit each other, symbolic inputs, or a layer without a
            vocabulary.
        TypeError: for what is no text.

    Example:
        >>> layer = densa.layers.TextVectorization(output_mode="multi_hot")
        >>> layer.adapt(["The cat sat.", "The dog"])
        >>> layer.get_vocabulary()
        ['[UNK]', 'the', 'sat', 'dog', 'cat']
        >>> layer(["A cat, the cat!"]).numpy().tolist()
        [[1.0, 1.0, 0.0, 0.0, 1.0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: Any = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        kind = "TextVectorization"
        if sparse or ragged:
            raise ValueError(
                f"{kind}: sparse and ragged outputs are not supported; leave them out."
            )
        self.sparse = self.ragged = False
        modes = ("int", "multi_hot", "count", "tf_idf")
        self.output_mode = one_of(output_mode.replace("-", "_"), modes, "output_mode", kind)
        for given, known, what in (
            (standardize, _STANDARDS, "standardize"),
            (split, _SPLITS, "split"),
        ):
            if given is not None and not callable(given):
                one_of(given, [k for k in known if k], what, kind)
        self.standardize, self.split, self.encoding = standardize, split, encoding
        sizes = (1,) if ngrams is None else ngrams
        if not isinstance(sizes, (list, tuple)):
            sizes = range(1, whole_number("ngrams", sizes) + 1)
        self._sizes = tuple(whole_number("ngrams", n) for n in sizes)
        self.ngrams = ngrams
        length = output_sequence_length
        if length is not None and self.output_mode != "int":
            raise ValueError(f"{kind}: `output_sequence_length` is for output_mode 'int'.")
        self.output_sequence_length = (
            None if length is None else whole_number("output_sequence_length", length)
        )
        self._lookup = StringLookup(
            max_tokens,
            mask_token="" if self.output_mode == "int" else None,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=self.output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            encoding=encoding,
            dtype=self.dtype_policy,
        )
        self.built = True

    def _rows(self, inputs: Any) -> list[list[str]]:
        """Return the words of each row."""
        array = text_array(inputs, self.encoding, self.name)
        if self.split is not None and array.ndim > 1:
            if array.ndim > 2 or array.shape[1] != 1:
                raise ValueError(
                    f"Layer '{self.name}': expected one text for each row, (rows,) or (rows, 1); "
                    f"received shape {array.shape}. With split=None rows hold words."
                )
            array = array[:, 0]
        clean = self.standardize if callable(self.standardize) else _STANDARDS[self.standardize]
        cut = self.split if callable(self.split) else _SPLITS[self.split]
        count = len(array) if array.ndim else 1
        rows = array.reshape(count, math.prod(array.shape[1:]))
        found = []
        for row in rows.tolist():
            words = [w for text in row for w in cut(clean(text)) if w]
            if self._sizes != (1,):
                words = [
                    " ".join(words[i : i + n])
                    for n in self._sizes
                    for i in range(len(words) - n + 1)
                ]
            found.append(words)
        return found

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Take the words of the texts, the most frequent first, up to `max_tokens`.

        Args:
            data: an array, a list, a column of a table; or batches of them.
            steps: batches to look at, where `data` yields batches; None is all.

        Raises:
            TypeError: for other data.
            ValueError: for data without a word.
        """
        self._lookup.reset_state()
        for batch in itertools.islice(batches_of_tokens(data), steps):
            for words in self._rows(batch):
                self._lookup.update_state(np.array([words], dtype=str))
        self._lookup.finalize_state()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these words, in this order: `StringLookup.set_vocabulary`."""
        self._lookup.set_vocabulary(vocabulary, idf_weights)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the words in order of their numbers."""
        return self._lookup.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Return how many numbers there are, those of filling and unknown words among them."""
        return self._lookup.vocabulary_size()

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_symbols(self, inputs)
        rows = self._rows(inputs)
        length = self.output_sequence_length or max((len(words) for words in rows), default=0)
        filling = 0 if self.output_mode == "int" else -1  # which no vector has
        ids = np.full((len(rows), length), filling, np.int64)
        for row, words in zip(ids, rows, strict=True):
            kept = words[:length]
            row[: len(kept)] = self._lookup.numbers_of(kept)
        alone = np.ndim(inputs) == 0 or isinstance(inputs, (str, bytes))
        out = self._lookup.encoded(_core.to_tensor(ids))
        return _core.apply("reshape", out, shape=list(out.shape[1:])) if alone else out

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return (input_shape[0], self.output_sequence_length)
        return (input_shape[0], self._lookup.depth)

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup.get_config()
        shared = ("max_tokens", "pad_to_max_tokens", "vocabulary", "idf_weights")
        return {
            **super().get_config(),
            **{name: lookup[name] for name in shared},
            "standardize": self.standardize,
            "split": self.split,
            "ngrams": self.ngrams,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "encoding": self.encoding,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextVectorization:
        """Make the layer of a configuration, its own functions among it."""
        from densa.saving.serialization import deserialize_keras_object

        made = {
            k: deserialize_keras_object(config[k])
            for k in ("standardize", "split")
            if isinstance(config.get(k), dict)
        }
        return cls(**{**config, **made})
