#include "bindings/python.h"

namespace densa::bindings {

// Files that other areas own; a build without one still loads.
#define DENSA_AREA(area) void bind_##area(py::module_& m) __attribute__((weak));
#include "bindings/areas.inc"
#undef DENSA_AREA

}  // namespace densa::bindings

PYBIND11_MODULE(_core, m) {
  namespace b = densa::bindings;
  m.doc() = "densa's core: tensors, ops, variables, programs and plans.";
  b::bind_errors(m);
  b::bind_tensor(m);
  b::bind_apply(m);
  b::bind_variable(m);
  b::bind_config(m);
  b::bind_testing(m);
#define DENSA_AREA(area) \
  if (b::bind_##area != nullptr) b::bind_##area(m);
#include "bindings/areas.inc"
#undef DENSA_AREA
}
