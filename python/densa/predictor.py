"""`Predictor`: a frozen network, and how a model becomes one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from densa import _core
from densa._certificate import Certificate, certify, check_given, generate
from densa._core import Predictor
from densa._folding import within_bound
from densa._formats import LayerFormat, choose, layers_of
from densa._numbers import path_of
from densa._recording import record
from densa.device import load_backend
from densa.saving.file_format import strict_json, to_json, write_beside
from densa.utils import tree

__all__ = ["Certificate", "Predictor", "TensorSpec", "freeze"]


class TensorSpec(NamedTuple):
    """What a predictor takes or gives.

    Args:
        name: its name.
        shape: its sizes; None is the rows of a batch.
        dtype: name of its type.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def freeze(
    model: Any,
    dtype: str = "float32",
    *,
    calibration: Any = None,
    fold: bool = True,
    merge: bool = True,
    prune: bool = True,
    formats: Mapping[str, str] | None = None,
    budget: float | None = None,
    inputs: Any = None,
    device: str = "cpu",
) -> Any:
    """Return a Predictor of a model's present weights; see `Model.freeze`."""
    if dtype not in ("float32", "float64", "bfloat16", "int8"):
        raise ValueError(
            f"freeze: dtype must be 'float32', 'float64', 'bfloat16' or 'int8'; received {dtype!r}."
        )
    for name, value in (("fold", fold), ("merge", merge), ("prune", prune)):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"freeze: {name} must be True or False; received {value!r}.")
    if formats is not None and not isinstance(formats, Mapping):
        raise TypeError(
            "freeze: formats is a format for layers by name, such as {'dense': 'int8'}; received "
            f"{formats!r}. dtype='int8' is for all layers."
        )
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, Real)):
        raise TypeError(f"freeze: budget is a number such as 0.01; received {budget!r}.")
    _check_device(device, dtype, formats, budget)
    computed = "float64" if dtype == "float64" else "float32"
    program, names, structure, outputs = record(model, inputs)
    paths = [(variable, variable.path) for variable in model.variables]

    wished = {
        "dtype": computed,
        "device": device,
        "fold": fold,
        "merge": merge,
        "prune": prune,
    }
    unfrozen = {"fold": False, "merge": False, "prune": False}

    def made(**options: Any) -> tuple[Any, dict[str, list[str]]]:
        wanted = {**wished, **options}
        found, report = program.freeze(names, names=paths, **wanted)
        shapes = _shape_of(structure), _shape_of(outputs)
        if wanted["device"] == "cpu":
            _set_structure(found, *shapes)
            return found, report
        from densa.gpu_predictor import GpuPredictor

        return GpuPredictor(found, *shapes), report

    predictor, report = made()
    plain, _ = made(**unfrozen)
    exact, _ = made(dtype="float64", device="cpu", **unfrozen)
    if calibration is None:
        arrays, data = generate(predictor, exact), "generated"
    else:
        given = _flatten(structure, (calibration,)) if tree.is_nested(structure) else (calibration,)
        arrays, data = check_given(predictor, list(given)), "given"
    if computed == "float32":
        first = (predictor, report)
        predictor, report = within_bound(made, first, plain, exact, arrays)
    chosen: dict[str, str] = {}
    if device == "cpu":
        _check_layers(model, predictor, formats or {})
        wish, static = ("float32" if dtype == computed else dtype), calibration is not None
        predictor, chosen = choose(predictor, wish, arrays, static, formats or {}, budget)
        _set_structure(predictor, _shape_of(structure), _shape_of(outputs))
    sizes = (_size_of(predictor), _size_of(plain))
    vars(predictor)["certificate"] = certify(
        model,
        predictor,
        exact,
        report,
        arrays,
        data,
        structure=structure,
        sizes=sizes,
        formats=chosen,
    )
    return predictor


def _check_layers(model: Any, predictor: Any, formats: Mapping[str, str]) -> None:
    """Refuses a format for a layer of the model whose weights are no longer its own."""
    kept = [layer.name for layer in layers_of(predictor)]
    own = {layer.name for layer in model._flatten_layers()}
    for name in formats:
        if name not in kept and name in own:
            raise ValueError(
                f"freeze: formats names '{name}', which has no product of weights of its own in "
                "the predictor: it never had one, or it was merged with a dense layer beside it, "
                f"which merge=False prevents. The layers with formats are {kept}."
            )


def _check_device(device: Any, dtype: str, formats: Any, budget: Any) -> None:
    if not isinstance(device, str):
        raise TypeError(f"freeze: device is a name such as 'cuda'; received {device!r}.")
    if not device.startswith("cuda"):
        if device != "cpu":
            raise ValueError(f"freeze: device is 'cpu', 'cuda' or 'cuda:N'; received {device!r}.")
        return
    if dtype in ("bfloat16", "int8") or formats or budget is not None:
        raise ValueError(
            "freeze: a predictor on a GPU computes in float32 or float64; formats of weights "
            "(dtype='bfloat16' or 'int8', formats, budget) are for device='cpu'."
        )
    load_backend()


def _size_of(predictor: Any) -> tuple[int, float]:
    """Bytes of its constants, and multiplications and additions of a row."""
    if isinstance(predictor, Predictor):
        return _core.predictor_size(predictor)
    size: tuple[int, float] = predictor._net.size
    return size


# ---- structure -----------------------------------------------------------------------------------


def _shape_of(structure: Any) -> Any:
    """The structure with numbers for leaves, which JSON can hold; None: a single leaf."""
    if not tree.is_nested(structure):
        return None
    return tree.pack_like(structure, range(len(tree.flatten(structure))))


def _set_structure(predictor: Predictor, inputs: Any, outputs: Any) -> None:
    vars(predictor)["structure"] = (inputs, outputs)
    if inputs is not None:
        predictor._flatten = lambda given: _flatten(inputs, given)
    if outputs is not None:
        predictor._pack = lambda results: tree.pack_like(outputs, results)


def _flatten(structure: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    count = len(tree.flatten(structure))
    if len(given) == count and not (count == 1 and tree.is_nested(given[0])):
        return given
    if len(given) != 1 or not tree.is_nested(given[0]):
        raise TypeError(
            f"predictor: {count} inputs expected, one behind the other or structured like "
            f"{structure}; received {len(given)}."
        )
    return tuple(_leaves(structure, given[0], ""))


def _leaves(structure: Any, found: Any, place: str) -> Any:
    # Lists of numbers are arrays, so the structure says where to stop.
    inside = f" in {place}" if place else ""
    if isinstance(structure, dict):
        if not isinstance(found, dict) or found.keys() != structure.keys():
            keys = sorted(map(str, found)) if isinstance(found, dict) else type(found).__name__
            raise ValueError(
                f"predictor: inputs {sorted(structure)} expected{inside}; received {keys}."
            )
        for key in sorted(structure):
            yield from _leaves(structure[key], found[key], f"{place}[{key!r}]")
    elif isinstance(structure, (list, tuple)):
        if not isinstance(found, (list, tuple)):
            raise TypeError(
                f"predictor: a list of {len(structure)} inputs expected{inside}; received "
                f"{type(found).__name__}."
            )
        if len(structure) != len(found):
            raise TypeError(
                f"predictor: {len(structure)} inputs expected{inside}; received {len(found)}."
            )
        for k, (part, value) in enumerate(zip(structure, found, strict=True)):
            yield from _leaves(part, value, f"{place}[{k}]")
    elif isinstance(found, dict):
        raise TypeError(
            f"predictor: an array expected{inside}; received a dict with {sorted(map(str, found))}."
        )
    else:
        yield found


# ---- methods -------------------------------------------------------------------------------------


def _inputs(self: Predictor) -> tuple[TensorSpec, ...]:
    """What it takes, in order."""
    return tuple(TensorSpec(*spec) for spec in _core.predictor_specs(self)[0])


def _outputs(self: Predictor) -> tuple[TensorSpec, ...]:
    """What it gives, in order."""
    return tuple(TensorSpec(*spec) for spec in _core.predictor_specs(self)[1])


def _formats(self: Predictor) -> dict[str, str]:
    """The format of each dense layer's weights: "float32", "bfloat16", "int8" or "sparse".

    `freeze(formats=predictor.formats)` makes the same choice again. An int8 layer that was
    calibrated keeps its range, which these strings hold beside their letters: copied into plain
    ones, each row has its own.
    """
    return {layer.name: LayerFormat(*layer.format) for layer in layers_of(self)}


def _certificate(self: Predictor) -> Certificate | None:
    """How right it is, and how fast: what was measured when it was frozen.

    None for a file that holds none.
    """
    certificate: Certificate | None = vars(self).get("certificate")
    return certificate


def _run(self: Predictor, arrays: list[Any]) -> list[np.ndarray[Any, Any]]:
    """Results for inputs in the order of `inputs`, in the order of `outputs`.

    Args:
        arrays: one for each input.

    Returns:
        One array for each output.

    Raises:
        ValueError: for wrong shapes.
        IndexError: for an id of an embedding out of range.
        TypeError: for wrong dtypes or a wrong number of arrays.
    """
    return _core.predictor_run(self, list(arrays))


# ---- files ---------------------------------------------------------------------------------------


def _notes(predictor: Predictor) -> dict[str, str]:
    kept = vars(predictor)
    certificate: Certificate | None = kept.get("certificate")
    notes = {
        "structure": to_json(kept["structure"]),
        "certificate": to_json(None if certificate is None else certificate.to_dict()),
    }
    tuples = [flag for part in kept["structure"] for flag in _tuples_of(part)]
    if any(tuples):
        notes["tuples"] = to_json(tuples)
    return notes


def _tuples_of(structure: Any) -> list[bool]:
    """Of every list or tuple, from the outside in, whether it is a tuple: JSON has lists alone."""
    if not isinstance(structure, (dict, list, tuple)):
        return []
    parts = structure.values() if isinstance(structure, dict) else structure
    own = [] if isinstance(structure, dict) else [isinstance(structure, tuple)]
    return [*own, *(flag for part in parts for flag in _tuples_of(part))]


def _with_tuples(structure: Any, flags: Iterator[bool]) -> Any:
    """The structure with tuples where the flags say so; without flags it is as it was."""
    if isinstance(structure, dict):
        return {key: _with_tuples(part, flags) for key, part in structure.items()}
    if not isinstance(structure, list):
        return structure
    is_tuple = next(flags, False)
    parts = [_with_tuples(part, flags) for part in structure]
    return tuple(parts) if is_tuple else parts


def _with_notes(predictor: Predictor, notes: dict[str, str]) -> Predictor:
    structure = strict_json(notes.get("structure", "[null,null]"), "the predictor's structure")
    specs = _core.predictor_specs(predictor)
    if not isinstance(structure, list) or len(structure) != 2:
        raise ValueError("the predictor's structure is not that of inputs and outputs")
    for part, leaves in zip(structure, specs, strict=True):
        if part is not None and tree.flatten(part) != list(range(len(leaves))):
            raise ValueError("the predictor's structure does not fit its inputs and outputs")
    tuples = strict_json(notes.get("tuples", "[]"), "the predictor's tuples")
    if not isinstance(tuples, list):
        raise ValueError("the predictor's tuples are no list")
    flags = iter(flag is True for flag in tuples)
    _set_structure(predictor, *(_with_tuples(part, flags) for part in structure))
    certificate = strict_json(notes.get("certificate", "null"), "the predictor's certificate")
    vars(predictor)["certificate"] = (
        None if certificate is None else Certificate.from_dict(certificate)
    )
    return predictor


def _save(self: Predictor, path: Any) -> None:
    """Write the predictor to a file, from which `Predictor.load` and C make the same one.

    Args:
        path: where; by custom it ends in `.densa`. The file is written beside it and renamed once
            it is whole, so predictors that have the old one mapped keep it; of a symbolic link the
            target is replaced.

    Raises:
        ValueError: if the folder does not exist.
    """
    header, arena = _core.predictor_file(self, _notes(self))

    def write(file: BinaryIO) -> None:
        file.write(header)
        file.write(arena.data)

    write_beside(path_of("`path`", path), write)


def _load(path: Any, *, mmap: bool = True, check: bool = True) -> Predictor:
    """Return the predictor of a file.

    Args:
        path: the file.
        mmap: whether its constants are read from the file as they are needed, and shared with
            other processes that do. The file must then neither be cut nor written over in place
            while the predictor lives: that changes its answers or ends the process, and nothing
            notices. Write a new version beside it and rename that over it, as `save` does; or read
            the file at once, with False.
        check: whether to read all bytes and check their sum.

    Returns:
        A Predictor with the answers of the one that was saved.

    Raises:
        ValueError: for a file that does not exist, is damaged or holds no predictor.
    """
    return _with_notes(*_core.load_predictor(path_of("`path`", path), bool(mmap), bool(check)))


def _reduce(self: Predictor) -> tuple[Any, ...]:
    # The bytes of its file, for other processes; `copy` and `deepcopy` keep to them as well.
    header, arena = _core.predictor_file(self, _notes(self))
    return _from_bytes, (header + arena.tobytes(),)


def _from_bytes(data: bytes) -> Predictor:
    return _with_notes(*_core.read_predictor(data))


def _export_c(self: Predictor, path: Any, *, name: str | None = None) -> None:
    """Write the network as one C99 file that needs nothing but `math.h`.

    The file has the function `int NAME_predict(const float* x, float* y)`, for one row: an array
    for each input, then one for each output, of the type of its numbers, `x0, x1, …, y0, …` where
    there are several. Macros say how many numbers each has: `NAME_INPUTS` and `NAME_OUTPUTS`, or
    `NAME_INPUTS0`, …. It returns 0, 1 for NULL, and 2 for what `Predictor` raises an error for.

    Its answers differ from the predictor's by the roundings of sums, by those of the C library's
    functions, and by numbers under 1.2e-38, which count as zero in the predictor. Products in
    float32, and in bfloat16 on CPUs that have no instruction for it, have the predictor's bits
    with `-mfma` and the like, int8 products everywhere.

    Args:
        path: where; a file there is replaced.
        name: what NAME stands for; by default the file's name without its ending.

    Raises:
        TypeError: if `name` is no text.
        ValueError: if `name` is not one that C takes.

    Example:
        >>> import densa
        >>> from densa import layers
        >>> model = densa.Sequential([densa.Input((4,)), layers.Dense(3, "softmax")])
        >>> model.freeze().export_c("net.c")
        >>> with open("net.c") as file:
        ...     "int net_predict(const float* x, float* y);" in file.read()
        True
    """
    from densa.export_c import c_source

    if name is not None and not isinstance(name, str):
        raise TypeError(
            f"export_c: name must be a text such as 'net', or None; received {name!r} of type "
            f"{type(name).__name__}."
        )
    path = path_of("`path`", path)
    text = c_source(self, os.path.splitext(os.path.basename(path))[0] if name is None else name)

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    write_beside(path, write)


# ---- text ----------------------------------------------------------------------------------------


def _explain(self: Predictor) -> str:
    """The steps of a call, and the network that they run, as text."""
    net, steps = _core.predictor_text(self)
    return f"{steps}{net}"


def _repr(self: Predictor) -> str:
    return f"<Predictor {_text_of(_inputs(self), _outputs(self))}>"


def _text_of(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> str:
    def text(specs: tuple[TensorSpec, ...]) -> str:
        return ", ".join(f"{s.name} {s.dtype}{_shape_text(s.shape)}" for s in specs)

    return f"{text(inputs)} -> {text(outputs)}"


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("rows" if d is None else str(d) for d in shape) + ")"


def _attach() -> None:
    methods: dict[str, Any] = {
        "inputs": property(_inputs),
        "outputs": property(_outputs),
        "formats": property(_formats),
        "certificate": property(_certificate),
        "run": _run,
        "save": _save,
        "export_c": _export_c,
        "load": staticmethod(_load),
        "explain": _explain,
        "__repr__": _repr,
        "__reduce__": _reduce,
    }
    for name, value in methods.items():
        setattr(Predictor, name, value)


_attach()
