// densa._core.testing: the program that freezing makes of another, for tests.
#include <pybind11/stl.h>

#include "bindings/program.h"
#include "bindings/python.h"
#include "graph/freeze.h"

namespace densa::bindings {

void bind_testing_freeze(py::module_& testing) {
  testing.def(
      "freeze",
      [](const PyProgram& program, const py::object& dtype, bool fold, bool merge, bool prune) {
        FreezeReport report;
        auto frozen = std::make_unique<PyProgram>(densa::freeze(
            program.program,
            {.dtype = to_dtype(dtype), .fold = fold, .merge = merge, .prune = prune}, &report));
        return py::make_tuple(py::cast(std::move(frozen)), report_lines(report));
      },
      py::arg("program"), py::arg("dtype") = "float32", py::kw_only(), py::arg("fold") = true,
      py::arg("merge") = true, py::arg("prune") = true,
      "The frozen Program and what was done, as lines of text.");
}

}  // namespace densa::bindings
