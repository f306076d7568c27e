"""`GpuPredictor`: a frozen network on a GPU, made by `model.freeze(device="cuda")`."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._certificate import Certificate
from densa.predictor import TensorSpec, _flatten, _text_of
from densa.utils import tree

__all__ = ["GpuPredictor"]


class GpuPredictor:
    """A frozen network on a GPU; `model.freeze(device="cuda")` makes it.

    It is called as `densa.Predictor` is, with arrays, or with tensors on its GPU. The first call
    with a number of rows launches the network's ops one by one, the second captures them as a CUDA
    graph, and each one behind it is one replay: of the ops alone for tensors, of the copies to the
    GPU and back too for arrays. Any number of threads may call it.

    Its weights are those of the moment of freezing, and no gradient flows through it. It has no
    file: save the model, or freeze it for the CPU and save that.

    Args:
        net: the network, from `freeze`.
        inputs: how inputs are nested, with their numbers for leaves; None: one.
        outputs: the same of outputs.
    """

    certificate: Certificate

    def __init__(self, net: _core.GpuNet, inputs: Any, outputs: Any) -> None:
        self._net = net
        self._inputs_shape = inputs
        self._outputs_shape = outputs

    def __call__(self, *inputs: Any, out: Any = None) -> Any:
        """Results for inputs that come one behind the other or structured like the model's.

        Args:
            inputs: arrays of the dtypes of `inputs`, all with as many rows, or tensors on
                `device`. Tensors on the CPU count as arrays.
            out: where results go: an array or tensor, or a list of one for each output, of the
                inputs' kind. They share no memory with each other or with inputs.

        Returns:
            Arrays for arrays and tensors for tensors, structured like the model's output. Tensors
            may still be computed when they are returned, as those of all ops on a GPU.

        Raises:
            ValueError: for wrong shapes, another GPU, or memory that is shared.
            TypeError: for wrong dtypes, a wrong number of inputs, or arrays beside tensors.
            IndexError: for an id of an embedding out of range.
        """
        if self._inputs_shape is not None:
            inputs = _flatten(self._inputs_shape, inputs)
        results = self._net.run(list(inputs), out)
        if self._outputs_shape is not None:
            return tree.pack_like(self._outputs_shape, results)
        return results[0] if len(results) == 1 else results

    def run(self, arrays: list[Any]) -> list[np.ndarray[Any, Any]]:
        """Results for inputs in the order of `inputs`, in the order of `outputs`.

        Args:
            arrays: one for each input.

        Returns:
            One for each output, of the inputs' kind.

        Raises:
            ValueError: for wrong shapes.
            TypeError: for wrong dtypes or a wrong number of arrays.
            IndexError: for an id of an embedding out of range.
        """
        results: list[np.ndarray[Any, Any]] = self._net.run(list(arrays))
        return results

    @property
    def device(self) -> str:
        """The GPU that it lies on, `"cuda:N"`."""
        return str(self._net.device)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, in order."""
        return tuple(TensorSpec(*spec) for spec in self._net.specs[0])

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives, in order."""
        return tuple(TensorSpec(*spec) for spec in self._net.specs[1])

    def explain(self) -> str:
        """The launches of a call, for the numbers of rows that it has been called with, as text."""
        return str(self._net)

    def save(self, path: Any) -> None:
        """Raises ValueError: only a predictor on the CPU has a file.

        Args:
            path: of no use.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"a predictor on a GPU has no file, so '{path}' cannot be written: save the model, or "
            "what model.freeze() makes for the CPU"
        )

    def export_c(self, path: Any, *, name: str | None = None) -> None:
        """Raises ValueError: C code is of what `model.freeze()` makes for the CPU.

        Args:
            path: of no use.
            name: of no use.

        Raises:
            ValueError: always.
        """
        raise ValueError("a predictor on a GPU has no C code: export what model.freeze() makes")

    def __repr__(self) -> str:
        return f"<GpuPredictor on {self.device} {_text_of(self.inputs, self.outputs)}>"
