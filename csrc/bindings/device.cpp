// Devices: taking over the backend of densa._cuda, and where new tensors go.
#include <pybind11/stl.h>

#include "bindings/python.h"
#include "ops/backend.h"

namespace densa::bindings {

Device checked_device(const std::string& name) {
  const Device device = device_from_name(name);
  if (device.is_cpu()) return device;
  std::string why;
  if (backend().device_count(&why) == 0) throw std::runtime_error(cat("no GPU can be used: ", why));
  backend().check(device);
  return device;
}

namespace {

py::dict facts(const std::string& name) {
  const Device device = checked_device(name);
  if (device.is_cpu()) throw ValueError("device_facts: the CPU is described by show_config()");
  const cuda::DeviceFacts known = backend().facts(device);
  py::dict out;
  out["name"] = known.name;
  out["capability"] = py::make_tuple(known.major, known.minor);
  out["multiprocessors"] = known.multiprocessors;
  out["memory_bytes"] = known.memory_bytes;
  out["runtime_version"] = known.runtime_version;
  out["driver_version"] = known.driver_version;
  out["emulated"] = backend().emulated();
  return out;
}

}  // namespace

void bind_device(py::module_& m) {
  m.def(
      "set_backend",
      [](const py::capsule& capsule) {
        if (std::string_view(capsule.name()) != "densa.Backend")
          throw TypeError("set_backend takes what densa._cuda.backend() gives");
        set_backend(capsule.get_pointer<Backend>());
      },
      py::arg("backend"), "Take over the GPU's side from densa._cuda.");
  m.def("has_backend", &has_backend, "Whether densa._cuda has been taken over.");
  m.def(
      "device_count",
      [] {
        std::string why;
        const int count = has_backend() ? backend().device_count(&why) : 0;
        return py::make_tuple(count, why);
      },
      "Number of usable GPUs, and why there is none.");
  m.def("device_facts", &facts, py::arg("device"), "What a GPU is.");
  m.def(
      "set_default_device",
      [](const std::string& name) { set_default_device(checked_device(name)); }, py::arg("device"),
      "Where new tensors and variables go.");
  m.def("default_device", [] { return to_string(default_device()); });
  m.def(
      "synchronize",
      [](const std::string& name) {
        const Device device = checked_device(name);
        if (device.is_cpu()) return;
        const py::gil_scoped_release release;
        backend().synchronize(device);
      },
      py::arg("device"), "Wait until a GPU has done all it was told.");
  m.def("has_gpu_kernel", [](const std::string& op) { return backend().find(op) != nullptr; });
}

}  // namespace densa::bindings
