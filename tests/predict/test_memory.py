"""A call reads no byte behind its inputs and writes none behind its results."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

# Arrays that end where a page ends, before a page that nobody may touch.
PROGRAM = textwrap.dedent(
    """
    import ctypes, mmap, sys
    import numpy as np
    sys.path.insert(0, sys.argv[1])
    import predict_nets
    import densa
    from densa import layers

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    kept = []

    def guarded(array):
        pages = -(-max(array.nbytes, 1) // mmap.PAGESIZE)
        memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
        whole = np.frombuffer(memory, "uint8")
        start = whole.ctypes.data
        assert libc.mprotect(start + pages * mmap.PAGESIZE, mmap.PAGESIZE, 0) == 0
        kept.append(whole)
        end = pages * mmap.PAGESIZE
        made = whole[end - array.nbytes : end].view(array.dtype).reshape(array.shape)
        made[...] = array
        return made

    def first(layer):
        return densa.Sequential([densa.Input((13,)), layer, layers.Dense(3)])

    makers = [*predict_nets.NETS]
    makers += [lambda: first(layers.Activation("tanh")), lambda: first(layers.Softmax())]
    makers += [lambda: densa.Sequential([densa.Input((13,)), layers.Activation("relu")])]
    x = densa.Input((13,))
    makers += [lambda: densa.Model(x, x * x), lambda: densa.Model(x, [x, layers.Dense(2)(x)])]
    for make in makers:
        for passes in ({}, {"fold": False, "merge": False, "prune": False}):
            predictor = make().freeze(**passes)
            for rows in (1, 2, 3, 17):
                arrays = [guarded(a) for a in predict_nets.data_for(predictor, rows)]
                wanted = predictor.run(arrays)
                out = [guarded(np.zeros_like(y)) for y in wanted]
                if predictor._flatten is None:
                    predictor(*arrays, out=out)
                    for y, t in zip(out, wanted, strict=True):
                        np.testing.assert_array_equal(y, t)
    print("fine")
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by Linux' numbers")
def test_pages_behind_arrays_are_not_touched():
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(TESTS)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "fine\n"
