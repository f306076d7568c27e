// The NumPy arrays that predictors take and give.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bindings/python.h"

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

// (name, shape, dtype)
py::tuple spec_tuple(const std::string& name, const TypeInfo& type);

}  // namespace densa::bindings
