// densa._core.testing: parts of the core that only tests call.
#include "base/pack.h"
#include "base/philox.h"
#include "bindings/python.h"

namespace densa::bindings {
namespace {

using Matrix = py::array_t<float, py::array::forcecast>;

py::array_t<float> pack(const Matrix& x) {
  const std::int64_t rows = x.shape(0);
  const std::int64_t cols = x.shape(1);
  py::array_t<float> out(std::vector<py::ssize_t>{panel_count(cols), rows, kPanel});
  pack_panels<float>({out.mutable_data(), rows * kPanel}, x.data(), rows, cols,
                     x.strides(0) / static_cast<py::ssize_t>(sizeof(float)),
                     x.strides(1) / static_cast<py::ssize_t>(sizeof(float)));
  return out;
}

py::tuple philox_words(std::uint64_t key, std::uint64_t step, std::uint64_t block) {
  const PhiloxBlock out =
      philox({static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}, step, block);
  return py::make_tuple(out.word[0], out.word[1], out.word[2], out.word[3]);
}

}  // namespace

void bind_testing(py::module_& m) {
  py::module_ testing = m.def_submodule("testing", "Parts of the core that only tests call.");
  testing.def("pack_panels", &pack);
  bind_testing_plan(testing);
  bind_testing_freeze(testing);
  testing.def("philox", &philox_words, py::arg("key"), py::arg("step"), py::arg("block"));
}

}  // namespace densa::bindings
