"""`StringLookup`: words as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa.layers._hashing import bins_of, key_of
from densa.layers._lookup import Lookup, refuse_symbols, text_array


class StringLookup(Lookup):
    """Words as the numbers of a vocabulary, or as vectors of those numbers; and back.

    Tensors hold numbers alone, so that the layer is called on arrays of text before the model, not
    in it: `x = lookup(words)`. It is saved and made again with its vocabulary like any layer.

    Args:
        max_tokens: the most numbers, special ones among them; None for no limit.
        num_oov_indices: how many numbers there are for unknown words; several are chosen between by
            SipHash (Keras uses FarmHash, and chooses others). With 0 they are an error.
        mask_token: a word whose number is 0, with output_mode "int"; None for none.
        oov_token: what unknown words are called.
        vocabulary: words, or the name of a file with one on each line; None to `adapt`.
        idf_weights: with "tf_idf" and a vocabulary, a weight for each word.
        invert: turn numbers into words.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf" (counts times weights).
        pad_to_max_tokens: whether vectors have `max_tokens` numbers.
        sparse: accepted for Keras; True raises.
        encoding: of bytes.
        name: its name; made up if None.
        salt: key of the hash of unknown words, a whole number or two of them.

    Raises:
        ValueError: for arguments that do not fit each other, symbolic inputs, a layer without a
            vocabulary, or unknown words where there is no number for them.
        TypeError: for what is no text.

    Example:
        >>> lookup = densa.layers.StringLookup()
        >>> lookup.adapt(["b", "a", "b"])
        >>> lookup.get_vocabulary(), lookup([["a", "b", "z"]]).numpy().tolist()
        (['[UNK]', 'b', 'a'], [[2, 1, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        self.encoding, self.salt = encoding, salt
        self._key = key_of(salt, "StringLookup")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, pad_to_max_tokens, sparse, name=name, **kwargs,
        )  # fmt: skip

    def _token(self, given: Any) -> Any:
        token = given.decode(self.encoding) if isinstance(given, bytes) else given
        if not isinstance(token, str):
            raise TypeError(f"StringLookup: a vocabulary holds text; got {given!r}.")
        return token

    def _array(self, inputs: Any) -> Any:
        return text_array(inputs, self.encoding, type(self).__name__)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self.invert:
            words = np.array([*self._special, *self._known()], dtype=str)
            ids = np.asarray(inputs)
            if ids.dtype.kind not in "iu":
                raise TypeError(
                    f"Layer '{self.name}' turns whole numbers into words; got {ids.dtype}."
                )
            inside = (ids >= 0) & (ids < len(words))
            return np.where(inside, words[np.where(inside, ids, 0)], self.oov_token)
        refuse_symbols(self, inputs)
        return self.encoded(_core.to_tensor(self.numbers_of(self._array(inputs))))

    def numbers_of(self, words: Any) -> Any:
        """Return the number of each word, an int64 array in the shape of an array of str."""
        self._known()
        array = np.asarray(words, dtype=str)
        different, where = np.unique(array, return_inverse=True)
        ids = np.array([self._number(token) for token in different.tolist()], np.int64)
        return ids[where].reshape(array.shape) if array.size else np.zeros(array.shape, np.int64)

    def _number(self, token: str) -> int:
        found = self._numbers.get(token)
        if found is not None:
            return found
        if token == self.mask_token:
            return 0 if self._masks else -1  # which no vector has
        start = 1 if self._masks else 0
        if self.num_oov_indices == 0:
            raise ValueError(
                f"Layer '{self.name}': {token!r} is not in the vocabulary, and num_oov_indices=0 "
                "has no number for it."
            )
        if self.num_oov_indices == 1:
            return start
        return start + int(bins_of([token], self.num_oov_indices, self._key)[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding, "salt": self.salt}
