#include "bindings/predictor_arrays.h"

#include <algorithm>
#include <array>
#include <utility>

namespace densa::bindings {
namespace {

std::string shape_text(const Dims& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.rank(); ++i)
    text += (i > 0 ? ", " : "") + (shape[i] == kRows ? "rows" : std::to_string(shape[i]));
  return text + (shape.rank() == 1 ? ",)" : ")");
}

Dims shape_of(const py::detail::PyArray_Proxy& array) {
  Dims shape;
  for (int i = 0; i < std::min(array.nd, kMaxRank); ++i) shape.push_back(array.dimensions[i]);
  return shape;
}

bool fits(const py::detail::PyArray_Proxy& array, const Dims& shape) {
  if (array.nd != shape.rank()) return false;
  for (int i = 1; i < array.nd; ++i)
    if (array.dimensions[i] != shape[i]) return false;
  return true;
}

bool fits(const Dims& found, const Dims& shape) {
  return found.rank() == shape.rank() &&
         std::equal(found.begin() + 1, found.end(), shape.begin() + 1);
}

[[noreturn]] void wrong_shape(const std::string& name, const Dims& wanted, const Dims& found) {
  throw ShapeError(cat("predictor: input '", name, "' must have shape ", shape_text(wanted),
                       " but has shape ", shape_text(found)));
}

void check_rows(const std::string& name, std::int64_t found, std::int64_t* rows) {
  if (*rows >= 0 && found != *rows)
    throw ShapeError(
        cat("predictor: input '", name, "' has ", found, " rows, the inputs before it ", *rows));
  *rows = found;
}

constexpr int kPlain =
    py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

bool same_dtype(const py::detail::PyArray_Proxy& array, PyObject* dtype) {
  // Arrays that were pickled have descriptions of their own.
  return array.descr == dtype || py::reinterpret_borrow<py::dtype>(array.descr)
                                     .equal(py::reinterpret_borrow<py::object>(dtype));
}

py::object plain_array(PyObject* object) {
  auto array = py::reinterpret_steal<py::object>(
      py::detail::npy_api::get().PyArray_FromAny_(object, nullptr, 0, 0, kPlain, nullptr));
  if (!array) throw py::error_already_set();
  return array;
}

// Lists of numbers, and numbers, in the dtype that is wanted; NumPy alone would read texts, take
// None for NaN, and cut fractions off.
py::object array_of_numbers(const std::string& name, const TypeInfo& type, PyObject* dtype,
                            PyObject* object) {
  const std::string wanted =
      cat("predictor: input '", name, "' must be an array or numbers of ", dtype_name(type.dtype));
  py::object found;
  try {
    found = plain_array(object);
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_ValueError)) throw;
    throw ValueError(cat(wanted, ": ", py::str(error.value()).cast<std::string>()));
  }
  const py::dtype given = py::reinterpret_borrow<py::array>(found).dtype();
  const std::string kinds = is_floating(type.dtype) ? "biuf" : "biu";
  const bool empty = py::reinterpret_borrow<py::array>(found).size() == 0;
  if (!empty && kinds.find(given.kind()) == std::string::npos)
    throw TypeError(cat(wanted, "; got ", Py_TYPE(object)->tp_name, " of ",
                        py::str(given).cast<std::string>()));
  py::object made = found.attr("astype")(py::handle(dtype));
  if (!is_floating(type.dtype) &&
      !py::module_::import("numpy").attr("array_equal")(made, found).cast<bool>())
    throw ValueError(cat(wanted, "; some are beyond its range"));
  return made;
}

}  // namespace

PyObject* numpy_description(DType dtype) { return numpy_dtype(dtype).release().ptr(); }

const void* input_of(const std::string& name, const TypeInfo& type, PyObject* dtype,
                     PyObject* object, std::int64_t* rows, std::vector<py::object>& held) {
  const auto& api = py::detail::npy_api::get();
  if (!api.PyArray_Check_(object) || py::detail::array_proxy(object)->descr != dtype ||
      (py::detail::array_proxy(object)->flags & kPlain) != kPlain) {
    const bool is_array =
        api.PyArray_Check_(object) || PyObject_HasAttrString(object, "__array__") != 0;
    py::object array = is_array ? plain_array(object) : array_of_numbers(name, type, dtype, object);
    const py::dtype given = py::reinterpret_borrow<py::array>(array).dtype();
    if (!given.equal(py::reinterpret_borrow<py::object>(dtype)))
      throw TypeError(cat("predictor: input '", name, "' must be ", dtype_name(type.dtype),
                          " but is ", py::str(given).cast<std::string>(),
                          "; convert it with astype"));
    if (!given.attr("isnative").cast<bool>())
      throw TypeError(cat("predictor: input '", name, "' is not in native byte order"));
    object = array.ptr();
    held.push_back(std::move(array));
  }
  const py::detail::PyArray_Proxy& array = *py::detail::array_proxy(object);
  if (!fits(array, type.shape)) wrong_shape(name, type.shape, shape_of(array));
  check_rows(name, array.dimensions[0], rows);
  return array.data;
}

void check_input_shape(const std::string& name, const TypeInfo& type, const Dims& shape,
                       std::int64_t* rows) {
  if (!fits(shape, type.shape)) wrong_shape(name, type.shape, shape);
  check_rows(name, shape[0], rows);
}

py::object new_result(PyObject* dtype, const Dims& shape, std::int64_t rows) {
  const auto& api = py::detail::npy_api::get();
  std::array<Py_intptr_t, kMaxRank> sizes{};
  for (int i = 0; i < shape.rank(); ++i) sizes[static_cast<std::size_t>(i)] = shape[i];
  sizes[0] = rows;
  Py_INCREF(dtype);  // taken over
  auto array = py::reinterpret_steal<py::object>(api.PyArray_NewFromDescr_(
      api.PyArray_Type_, dtype, shape.rank(), sizes.data(), nullptr, nullptr, 0, nullptr));
  if (!array) throw py::error_already_set();
  return array;
}

void check_out(const std::string& name, const TypeInfo& type, PyObject* dtype, std::int64_t rows,
               PyObject* object) {
  const auto& api = py::detail::npy_api::get();
  if (!api.PyArray_Check_(object))
    throw TypeError(cat("predictor: out for '", name, "' must be a NumPy array"));
  const py::detail::PyArray_Proxy& array = *py::detail::array_proxy(object);
  constexpr int kWanted = kPlain | py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  if (!same_dtype(array, dtype) || (array.flags & kWanted) != kWanted)
    throw TypeError(cat("predictor: out for '", name,
                        "' must be a writable, C-contiguous array of ", dtype_name(type.dtype)));
  if (!fits(array, type.shape) || array.dimensions[0] != rows)
    throw ShapeError(cat("predictor: out for '", name, "' must have shape ",
                         shape_text(with_rows(type.shape, rows)), " but has shape ",
                         shape_text(shape_of(array))));
}

std::span<PyObject* const> outs_of(PyObject* const& out, bool alone, std::size_t results) {
  if (!alone && PyList_Check(out) == 0 && PyTuple_Check(out) == 0)
    throw TypeError(cat("predictor: out is an array, or a list of one for each of the ", results,
                        " outputs in their order; got ", Py_TYPE(out)->tp_name));
  const std::span<PyObject* const> given =
      alone ? std::span(&out, 1)
            : std::span(PySequence_Fast_ITEMS(out),
                        static_cast<std::size_t>(PySequence_Fast_GET_SIZE(out)));
  if (given.size() != results)
    throw ValueError(cat("predictor: out must hold ", results, " arrays, got ", given.size()));
  return given;
}

py::tuple spec_tuple(const std::string& name, const TypeInfo& type) {
  return py::make_tuple(name, shape_tuple(type.shape), std::string(dtype_name(type.dtype)));
}

}  // namespace densa::bindings
