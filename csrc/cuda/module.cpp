// densa._cuda, or densa._cuda_emulated: hands its Backend to densa._core.
#include <pybind11/pybind11.h>

#include "cuda/backend.h"
#if defined(DENSA_EMULATED)
#include "cuda/emulation/streams.h"
#endif

PYBIND11_MODULE(DENSA_CUDA_MODULE, m) {
  m.doc() = "densa on a GPU: kernels, memory and streams for densa._core.";
  m.def("backend", [] {
    return pybind11::capsule(static_cast<void*>(&densa::cuda::cuda_backend()), "densa.Backend");
  });
#if defined(DENSA_EMULATED)
  m.def("counts", [] {
    const densa::emulation::Counts now = densa::emulation::counts();
    pybind11::dict out;
    out["launches"] = now.launches;
    out["captures"] = now.captures;
    out["graphs"] = now.graphs;
    out["allocations"] = now.allocations;
    out["to_device"] = now.to_device;
    out["to_host"] = now.to_host;
    out["on_device"] = now.on_device;
    out["waits"] = now.waits;
    out["pinned_bytes"] = now.pinned_bytes;
    out["device_bytes"] = now.device_bytes;
    return out;
  });
#endif
  m.attr("__version__") = DENSA_VERSION;
}
