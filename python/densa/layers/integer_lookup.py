"""`IntegerLookup`: numbers that are names, such as those of shops, as numbers from 0 on."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa.device import beside
from densa.layers._helpers import one_of
from densa.layers._lookup import Lookup
from densa.ops._public import whole


class IntegerLookup(Lookup):
    """Whole numbers as the places of a vocabulary, or as vectors of those places; and back.

    It computes with ops, so that it may stand in a model that is trained, frozen and exported. Each
    number is compared with the whole vocabulary.

    Args:
        max_tokens: the most places, special ones among them; None for no limit.
        num_oov_indices: how many places there are for unknown numbers: number n takes place n
            modulo so many. With 0 they are an error, or -1 in a model.
        mask_token: a number whose place is 0, with output_mode "int"; None for none.
        oov_token: what unknown places are called when inverted.
        vocabulary: numbers, or the name of a file with one on each line; None to `adapt`.
        vocabulary_dtype: "int64" or "int32".
        idf_weights: with "tf_idf" and a vocabulary, a weight for each number.
        invert: turn places into numbers.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf" (counts times weights).
        sparse: accepted for Keras; True raises.
        pad_to_max_tokens: whether vectors have `max_tokens` numbers.
        oov_method: "floormod"; Keras' "farmhash" is not available.
        salt: accepted for Keras; belongs to "farmhash".
        name: its name; made up if None.

    Raises:
        ValueError: for arguments that do not fit each other, a layer without a vocabulary, or
            unknown numbers where there is no place for them.

    Example:
        >>> lookup = densa.layers.IntegerLookup()
        >>> lookup.adapt([30, 12, 30])
        >>> lookup.get_vocabulary(), lookup([[12, 30, 7]]).numpy().tolist()
        ([-1, 30, 12], [[2, 1, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kinds = ("int64", "int32")
        self.vocabulary_dtype = one_of(vocabulary_dtype, kinds, "vocabulary_dtype", "IntegerLookup")
        self.oov_method = one_of(oov_method, ("floormod",), "oov_method", "IntegerLookup")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, pad_to_max_tokens, sparse, name=name, **kwargs,
        )  # fmt: skip

    def _token(self, given: Any) -> Any:
        try:
            token = int(given)
        except (TypeError, ValueError, OverflowError):
            token = None
        if (
            token is None
            or isinstance(given, bool)
            or not (isinstance(given, str) or token == given)
        ):
            raise TypeError(f"IntegerLookup: a vocabulary holds whole numbers; got {given!r}.")
        return token

    def _array(self, inputs: Any) -> Any:
        given = inputs.to_numpy() if hasattr(inputs, "to_numpy") else inputs
        array = np.asarray(given)
        if array.dtype.kind == "f" and np.array_equal(array, np.round(array)):
            array = array.astype(np.int64)
        if array.dtype.kind not in "iub":
            raise TypeError(
                f"Layer '{self.name}' takes whole numbers; received an array of {array.dtype}."
            )
        return array.astype(np.int64)

    def call(self, inputs: Any) -> Any:
        known = np.array(self._known(), np.int64)
        ids = _core.apply("cast", whole(inputs, f"Numbers of layer {self.name!r}"), dtype="int64")
        column = _core.apply(
            "reshape", ids, shape=[*(-1 if d is None else d for d in ids.shape), 1]
        )
        if self.invert:
            known = np.array([*self._special, *known], np.int64)
            places = np.arange(len(known))
            return self._picked(column, places, known - self.oov_token, self.oov_token)
        start = int(self._masks)
        if self.num_oov_indices == 0:
            if not ids.is_symbolic and not np.isin(ids.numpy(), [*known, self.mask_token]).all():
                raise ValueError(
                    f"Layer '{self.name}': there are numbers that are not in the vocabulary, and "
                    "num_oov_indices=0 has no place for them."
                )
            unknown: Any = -1
        elif self.num_oov_indices == 1:
            unknown = start
        else:
            unknown = _core.apply("add", _core.apply("mod", ids, self.num_oov_indices), start)
        names, places = known, np.arange(len(known)) + self._begin
        if self.mask_token is not None:
            names = np.append(names, self.mask_token)
            places = np.append(places, 0 if self._masks else -1)
        offset = unknown if isinstance(unknown, int) else 0
        return self.encoded(self._picked(column, names, places - offset, unknown))

    def _picked(self, column: Any, names: Any, numbers: Any, missing: Any) -> Any:
        """Return the number beside the name that each id equals; `missing` where it equals none."""
        same = _core.apply("equal", column, beside(_core.to_tensor(names), column))
        hit = _core.apply("cast", same, dtype="int64")
        axis = len(column.shape) - 1
        weights = beside(_core.to_tensor(numbers), column)
        found = _core.apply("sum", _core.apply("multiply", hit, weights), axis=[axis])
        if isinstance(missing, int):
            return _core.apply("add", found, missing)
        return _core.apply("where", _core.apply("any", same, axis=[axis]), found, missing)

    def get_config(self) -> dict[str, Any]:
        kept = {"vocabulary_dtype": self.vocabulary_dtype, "oov_method": self.oov_method}
        return {**super().get_config(), **kept}
