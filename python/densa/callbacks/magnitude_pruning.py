"""MagnitudePruning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densa._numbers import check_real_number, whole_number
from densa.constraints import Constraint
from densa.layers.dense import Dense
from densa.variables import Variable

from .callback import Callback


class _Masked(Constraint):
    """What a weight's own constraint allows, and zero where the mask is zero."""

    def __init__(self, inner: Any, mask: Variable) -> None:
        self.inner = inner
        self.mask = mask

    def __call__(self, w: Any) -> Any:
        return (w if self.inner is None else self.inner(w)) * self.mask


class MagnitudePruning(Callback):
    """Takes the smallest weights out of dense kernels while they train, more from epoch to epoch.

    Before epoch e from `begin_epoch` b to `end_epoch` d the share of zeros in each kernel becomes
    `final + (initial - final)·(1 - (e - b) / (d - b))³`; from then on it stays. What is zero stays
    zero: a mask acts behind every step, natively, until `fit` ends. With `block=16` the weights of
    one input to 16 neighbouring outputs go together, by their norm, which is what
    `model.freeze()` leaves out where that is faster.

    Weights of an earlier epoch that another callback brings back (`EarlyStopping` with
    `restore_best_weights`) have fewer zeros. A later `fit` without this callback trains all
    weights again.

    Args:
        final_sparsity: share of zeros at the end, from 0 to less than 1.
        initial_sparsity: share at `begin_epoch`, at most `final_sparsity`.
        begin_epoch: first epoch that begins with a look at the weights, from 0.
        end_epoch: epoch from which the share is the final one; None: two thirds of the way from
            `begin_epoch` to the end of `fit`, so that the rest of the epochs mends the network.
        block: neighbouring outputs whose weights go together.
        layers: names of the layers to prune; one that several models inside use means all of its
            layers. None: all dense ones.

    Raises:
        TypeError: a number is none.
        ValueError: a number is out of range. In `fit`: a layer that the model has not, or that is
            no dense one; epochs that end before the share is reached.

    Source: Han and others, 2015; the curve: Zhu and Gupta, 2017. Handbook A6-20, A17-02.

    Example:
        >>> model = densa.Sequential([densa.Input((8,)), densa.layers.Dense(4)])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.default_rng(0).normal(size=(32, 8))
        >>> prune = densa.callbacks.MagnitudePruning(0.75)
        >>> history = model.fit(x, x[:, :4], epochs=6, callbacks=[prune], verbose=0)
        >>> float((model.layers[0].kernel.numpy() == 0).mean())
        0.75
    """

    _wants_batches = False
    _ends_after_errors = True
    _needs_weights = True
    _state_names = ()  # a mask follows from the weights: what is zero is smallest

    def __init__(
        self,
        final_sparsity: float,
        initial_sparsity: float = 0.0,
        begin_epoch: int = 0,
        end_epoch: int | None = None,
        block: int = 1,
        layers: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("final_sparsity", final_sparsity),
            ("initial_sparsity", initial_sparsity),
        ):
            check_real_number(name, value, least=0)
            if value >= 1:
                raise ValueError(f"{name} must be less than 1; received {value!r}.")
        if initial_sparsity > final_sparsity:
            raise ValueError(
                f"initial_sparsity ({initial_sparsity}) must not be above final_sparsity "
                f"({final_sparsity}): weights that are zero stay zero."
            )
        self.final_sparsity = final_sparsity
        self.initial_sparsity = initial_sparsity
        self.begin_epoch = whole_number("begin_epoch", begin_epoch, least=0)
        if end_epoch is not None:
            end_epoch = whole_number("end_epoch", end_epoch, least=self.begin_epoch)
        self.end_epoch = end_epoch
        self.block = whole_number("block", block)
        if isinstance(layers, str):
            raise TypeError(f"layers must be a list of names; received {layers!r}: [{layers!r}]?")
        self.layers = None if layers is None else list(layers)
        self._end = 0
        self._masked: list[tuple[Any, _Masked]] = []

    # ---- when ------------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        epochs = (self.params or {}).get("epochs") or 1
        self._masked = []
        self._end = self.end_epoch  # type: ignore[assignment]
        if self._end is None:
            self._end = self.begin_epoch + max(2 * (epochs - self.begin_epoch) // 3, 0)
        if self._end >= epochs:
            raise ValueError(
                f"MagnitudePruning: the share of zeros is reached before epoch {self._end} "
                f"(counted from 0), and fit has {epochs} epochs. Train for longer, or begin or "
                "end earlier."
            )
        self._chosen()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch < self.begin_epoch:
            return
        share = self._share(epoch)
        if not self._masked:
            self._masked = [(kernel, _mask(kernel)) for kernel in self._chosen()]
            for kernel, masked in self._masked:
                kernel.constraint = masked
        for kernel, masked in self._masked:
            w = kernel.numpy()
            keep = kept(w, share, self.block)
            masked.mask.assign(keep)
            kernel.assign(w * keep)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for kernel, masked in self._masked:
            kernel.constraint = masked.inner
        self._masked = []

    def _share(self, epoch: int) -> float:
        length = self._end - self.begin_epoch
        left = 1 - min((epoch - self.begin_epoch) / length, 1.0) if length else 0.0
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * left**3

    # ---- which -----------------------------------------------------------------------------------

    def _chosen(self) -> list[Any]:
        """Return the kernels to prune."""
        every = self.model._flatten_layers()
        dense = [layer for layer in every if isinstance(layer, Dense)]
        # Models inside may use a name again: it means all layers that have it.
        known = {layer.name for layer in dense}
        for name in self.layers or ():
            if name not in known:
                inside = any(layer.name == name for layer in every)
                what = "is no Dense layer" if inside else "is not in the model"
                raise ValueError(
                    f"MagnitudePruning: layer {name!r} {what}; its dense layers are "
                    f"{list(dict.fromkeys(layer.name for layer in dense))}."
                )
        if self.layers is not None:
            dense = [layer for layer in dense if layer.name in self.layers]
        if not dense:
            raise ValueError(
                "MagnitudePruning: the model has no Dense layer, and nothing else is pruned."
            )
        return [
            x.kernel for x in dense if x.trainable and x.kernel is not None
        ]  # None: never called


def _mask(kernel: Any) -> _Masked:
    mask = Variable(
        np.ones(kernel.shape),
        dtype=kernel.dtype,
        trainable=False,
        autocast=False,
        name="mask",
        device=str(kernel.value.device),
    )
    return _Masked(kernel.constraint, mask)


def kept(w: Any, share: float, block: int) -> Any:
    """Return ones for what stays of a kernel (in, out) and zeros for the share that goes.

    Args:
        w: the kernel.
        share: share of its blocks that goes, those of the smallest norms; rounded down.
        block: neighbouring outputs of one block; the last one of an input may have fewer.
    """
    starts = np.arange(0, w.shape[1], block)
    norms = np.add.reduceat(w.astype(np.float64) ** 2, starts, axis=1)
    smallest = np.argsort(norms, axis=None, kind="stable")[: int(share * norms.size + 1e-9)]
    keep = np.ones(norms.size, dtype=w.dtype)
    keep[smallest] = 0
    return np.repeat(keep.reshape(norms.shape), block, axis=1)[:, : w.shape[1]]
