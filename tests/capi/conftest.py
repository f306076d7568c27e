"""The C library as a user gets it: the installed package's, or what the build folder installs."""

import ctypes
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import densa
from capi_tools import run


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Folders `include` and `lib` of the C library."""
    build = os.environ.get("DENSA_BUILD_DIR")
    if build is None:
        try:
            return SimpleNamespace(include=Path(densa.get_include()), lib=Path(densa.get_lib()))
        except FileNotFoundError as error:
            pytest.skip(f"{error} Or name a build folder in DENSA_BUILD_DIR.")
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake, to install from the build folder")
    prefix = tmp_path_factory.mktemp("installed")
    run(["cmake", "--install", build, "--component", "capi", "--prefix", prefix])
    (header,) = prefix.rglob("densa.h")
    include = header.parent
    return SimpleNamespace(include=include, lib=include.parent / "lib")


@pytest.fixture(scope="session")
def library(installed):
    """The path of the shared library."""
    (path,) = [p for p in installed.lib.iterdir() if p.name.startswith("libdensa_predict.so.")]
    return path


@pytest.fixture(scope="session")
def c(library):
    """The library's functions."""
    loaded = ctypes.CDLL(str(library))
    for name in ("densa_version", "densa_status_name", "densa_last_error"):
        getattr(loaded, name).restype = ctypes.c_char_p
    for name in ("densa_model_inputs", "densa_model_outputs"):
        getattr(loaded, name).restype = ctypes.c_size_t
        getattr(loaded, name).argtypes = [ctypes.c_void_p]
    loaded.densa_model_free.restype = loaded.densa_session_free.restype = None
    loaded.densa_model_free.argtypes = loaded.densa_session_free.argtypes = [ctypes.c_void_p]
    return loaded
