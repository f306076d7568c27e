"""What Python adds to a call of a frozen network: the same tiny network from Python and from C."""

from __future__ import annotations

import statistics
import subprocess
import timeit
from pathlib import Path

import numpy as np

_CALLS, _REPEATS = 50_000, 21

_PROGRAM = r"""
#include <densa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
  densa_model* model;
  float x = 0.5f, y;
  const void* in[] = {&x};
  void* out[] = {&y};
  size_t bytes;
  struct timespec a, b;
  long calls = argc > 2 ? atol(argv[2]) : 0;
  if (densa_model_load(argv[1], NULL, &model) != DENSA_OK) return 1;
  if (densa_scratch_bytes(model, 1, &bytes) != DENSA_OK) return 1;
  void* scratch = malloc(bytes + 1);
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (long i = 0; i < calls; ++i)
    if (densa_run_with_scratch(model, in, out, 1, scratch, bytes) != DENSA_OK) return 1;
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.9f\n", ((b.tv_sec - a.tv_sec) + 1e-9 * (b.tv_nsec - a.tv_nsec)) / calls);
  return 0;
}
"""


def measure(folder: Path) -> dict[str, float]:
    """Medians in microseconds of a call from Python and from C, and of NumPy's negative.

    Raises:
        OSError, subprocess.CalledProcessError: there is no C compiler, or it fails.
    """
    import densa

    predictor = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)]).freeze()
    file, source, program = (folder / name for name in ("tiny.densa", "tiny.c", "tiny"))
    predictor.save(file)
    source.write_text(_PROGRAM)
    library = Path(densa.get_lib())
    command = ["cc", "-O2", str(source), "-o", str(program), f"-I{densa.get_include()}"]
    command += [str(library / "libdensa_predict.so.1"), f"-Wl,-rpath,{library}"]
    subprocess.run(command, check=True)
    x = np.full((1, 1), 0.5, np.float32)
    names = {"predictor": predictor, "negative": np.negative, "x": x}
    found: dict[str, list[float]] = {"tiny_us": [], "kernel_us": [], "numpy_us": []}
    for _ in range(_REPEATS):
        for name, call in (("tiny_us", "predictor(x)"), ("numpy_us", "negative(x)")):
            seconds = timeit.timeit(call, globals=names, number=_CALLS)
            found[name].append(seconds / _CALLS * 1e6)
        told = subprocess.run(
            [str(program), str(file), str(_CALLS)], check=True, capture_output=True, text=True
        )
        found["kernel_us"].append(float(told.stdout) * 1e6)
    return {name: statistics.median(values) for name, values in found.items()}
