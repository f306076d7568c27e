"""Which device new tensors and variables go to: the CPU, or a GPU through `densa._cuda`."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any

from densa import __version__, _core
from densa._names import hinted


def _cuda() -> ModuleType:
    # Tests take the emulated GPU, which is never in a wheel: by the path of its file, or by its
    # name where it lies beside _core.
    emulated = os.environ.get("DENSA_CUDA_EMULATED", "")
    if not os.path.isfile(emulated):
        return importlib.import_module("densa._cuda_emulated" if emulated else "densa._cuda")
    spec = importlib.util.spec_from_file_location("densa._cuda_emulated", emulated)
    if spec is None or spec.loader is None:
        raise ImportError(f"{emulated} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_backend() -> None:
    """Loads the GPU's side once; a RuntimeError says why there is none."""
    if _core.has_backend():
        return
    try:
        module = _cuda()
    except ImportError as error:
        raise RuntimeError(
            f"this build of densa has no GPU part ({error}). "
            "Build it with CUDA's nvcc on the PATH: pip install . -C cmake.define.DENSA_CUDA=ON"
        ) from error
    version = str(getattr(module, "__version__", "unknown"))
    if version != __version__:
        raise RuntimeError(
            f"densa._cuda is of version {version}, densa._core of {__version__}; reinstall densa"
        )
    _core.set_backend(module.backend())


@hinted
def set_device(device: str) -> None:
    """Sets where new tensors and variables go.

    Args:
        device: `"cpu"` (the default), `"cuda"` (the first GPU) or `"cuda:N"`.

    Raises:
        ValueError: unknown name, or no GPU of that number.
        RuntimeError: no GPU can be used; the message says why (no GPU part in this build, no
            driver, a driver that is too old, no device, no code for its compute capability).

    Example:
        >>> densa.set_device("cpu")
        >>> densa.get_device()
        'cpu'
    """
    if not isinstance(device, str):
        raise TypeError(f"set_device expects a name such as 'cuda', got {type(device).__name__}")
    if device.startswith("cuda"):
        load_backend()
    _core.set_default_device(device)


def get_device() -> str:
    """Returns where new tensors and variables go: `"cpu"` or `"cuda:N"`."""
    return str(_core.default_device())


def beside(x: Any, other: Any) -> Any:
    """Return a new tensor x where `other` lies, and not where `set_device` says."""
    if not _core.has_backend() or x.is_symbolic or other.is_symbolic or x.device == other.device:
        return x
    return x.to(other.device)


def together(*xs: Any) -> list[Any]:
    """Return all as Tensors; arrays and numbers lie beside the Tensors and Variables among them."""
    made = [_core.to_tensor(x) for x in xs]
    if not _core.has_backend() or _core.recording():
        return made
    given = [isinstance(x, (_core.Tensor, _core.Variable)) for x in xs]
    lying = [t for t, is_given in zip(made, given, strict=True) if is_given]
    if not lying:
        return made
    home = next((t for t in lying if t.device != "cpu"), lying[0])
    return [t if there else beside(t, home) for t, there in zip(made, given, strict=True)]
