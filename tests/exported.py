"""Networks as C files: written, compiled and called."""

import ctypes
import shutil

import numpy as np

import densa
from capi_tools import run

STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
COMPILERS = [name for name in ("gcc", "clang", "clang-14") if shutil.which(name)]


class Exported:
    """The function of a predictor's C file, for whole batches.

    Args:
        predictor: what is written.
        folder: where.
        compiler: what compiles it.
        flags: more of them.
    """

    def __init__(self, predictor, folder, compiler, *flags):
        assert isinstance(predictor, densa.Predictor)
        predictor.export_c(folder / "net.c")
        # A library that is loaded must not be written over.
        library = f"net{len(list(folder.iterdir()))}.so"
        command = [compiler, *STRICT, *flags, "-fPIC", "-shared", "net.c", "-o", library, "-lm"]
        run(command, cwd=folder)
        self.function = ctypes.CDLL(str(folder / library)).net_predict
        self.inputs, self.outputs = predictor.inputs, predictor.outputs
        assert self.function(*[None] * (len(self.inputs) + len(self.outputs))) == 1

    def call(self, rows, results):
        """One row, which is written into; returns the status."""
        return self.function(*(ctypes.c_void_p(a.ctypes.data) for a in (*rows, *results)))

    def run(self, arrays):
        """What Predictor.run gives."""
        for array, spec in zip(arrays, self.inputs, strict=True):
            assert array.dtype == spec.dtype
        results = [np.full((len(arrays[0]), *s.shape[1:]), 77, s.dtype) for s in self.outputs]
        for i in range(len(arrays[0])):
            assert self.call([a[i : i + 1] for a in arrays], [y[i : i + 1] for y in results]) == 0
        return results
