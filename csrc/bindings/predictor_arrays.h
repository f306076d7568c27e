// The NumPy arrays that predictors take and give.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bindings/python.h"
#include "predict/overlap.h"

namespace densa::bindings {

// The description object that NumPy gives to every array of this dtype, for good.
PyObject* numpy_description(DType dtype);

// The memory of an argument, row-major; `held` keeps what had to be made for it. `dtype` is the
// description for type.dtype. *rows is the number of rows of the inputs before, or -1.
const void* input_of(const std::string& name, const TypeInfo& type, PyObject* dtype,
                     PyObject* object, std::int64_t* rows, std::vector<py::object>& held);
// Whether a shape with so many rows is that of `type`; throws ShapeError if not, or if the inputs
// before have another number of rows.
void check_input_shape(const std::string& name, const TypeInfo& type, const Dims& shape,
                       std::int64_t* rows);

py::object new_result(PyObject* dtype, const Dims& shape, std::int64_t rows);
// Throws unless the results of `type` can be written there.
void check_out(const std::string& name, const TypeInfo& type, PyObject* dtype, std::int64_t rows,
               PyObject* object);

// The objects of a call's `out`, one for each of `results`; `alone`: it is the only one itself.
// They live as `out` does. Throws TypeError for what is no list or tuple, ValueError for another
// number of them.
std::span<PyObject* const> outs_of(PyObject* const& out, bool alone, std::size_t results);

// An array of a call, by the name of its input or output.
struct CallArray {
  const std::string& name;
  Extent extent;
};
// Throws ValueError if an output shares memory with an input or another output; input(i) and
// output(k) are CallArrays.
template <class In, class Out>
void check_apart(std::size_t inputs, const In& input, std::size_t outputs, const Out& output) {
  const auto found = find_overlap(
      inputs, [&](std::size_t i) { return input(i).extent; }, outputs,
      [&](std::size_t k) { return output(k).extent; });
  if (!found) return;
  const CallArray other = found->with_input ? input(found->other) : output(found->other);
  throw ValueError(cat("predictor: out for '", output(found->output).name, "' shares memory with ",
                       found->with_input ? "input '" : "out for '", other.name,
                       "'; give it memory of its own"));
}

// (name, shape, dtype)
py::tuple spec_tuple(const std::string& name, const TypeInfo& type);

}  // namespace densa::bindings
