// densa._cuda, or densa._cuda_emulated: hands its Backend to densa._core.
#include <pybind11/pybind11.h>

#include "cuda/backend.h"

PYBIND11_MODULE(DENSA_CUDA_MODULE, m) {
  m.doc() = "densa on a GPU: kernels, memory and streams for densa._core.";
  m.def("backend", [] {
    return pybind11::capsule(static_cast<void*>(&densa::cuda::cuda_backend()), "densa.Backend");
  });
  m.attr("__version__") = DENSA_VERSION;
}
