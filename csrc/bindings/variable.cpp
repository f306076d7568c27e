#include <pybind11/stl.h>

#include <optional>

#include "bindings/python.h"

namespace densa::bindings {
namespace {

using VariablePtr = std::shared_ptr<Variable>;

VariablePtr make_variable(const py::object& array, const std::string& name, bool trainable,
                          bool rows, const std::optional<std::string>& device) {
  const TensorPtr from =
      py::isinstance<py::array>(array)
          ? from_array(py::reinterpret_borrow<py::array>(array), false)
          : as_tensor_ptr(to_value(array.ptr(), eager_builder()), "the first value of a Variable");
  VariablePtr variable = Variable::create(from->type, name, trainable, rows,
                                          device ? device_from_name(*device) : default_device());
  variable->write(*from);
  return variable;
}

py::array copy_out(const Variable& variable) {
  const TypeInfo& type = variable.type();
  std::vector<py::ssize_t> shape(type.shape.begin(), type.shape.end());
  py::array out(numpy_dtype(type.dtype), std::move(shape));
  variable.read({out.mutable_data(), type.dtype, type.shape, contiguous_strides(type.shape)});
  py::detail::array_proxy(out.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return out;
}

void assign(const VariablePtr& variable, const py::object& x) {
  TensorBuilder& build = current_builder();
  // Straight from the CPU's memory to the variable, wherever new tensors go.
  if (!build.recording() && py::isinstance<py::array>(x))
    return build.assign_variable(variable, from_array(py::reinterpret_borrow<py::array>(x), false));
  const Operand operand = to_operand(x.ptr(), build);
  if (const Weak* number = std::get_if<Weak>(&operand)) {
    build.assign_variable(variable, constant(build, *number, variable->type().dtype));
  } else {
    build.assign_variable(variable, std::get<Value>(operand));
  }
}

py::list slot_list(const Arena& arena) {
  py::list out;
  for (const Arena::Slot& slot : arena.slots())
    out.append(py::make_tuple(slot.variable, slot.offset, slot.size));
  return out;
}

}  // namespace

void bind_variable(py::module_& m) {
  py::class_<Variable, VariablePtr>(m, "Variable", "A named value that training changes.")
      .def(py::init(&make_variable), py::arg("array"), py::kw_only(), py::arg("name") = "",
           py::arg("trainable") = true, py::arg("rows") = false, py::arg("device") = py::none())
      .def_property_readonly("shape",
                             [](const Variable& self) { return shape_tuple(self.type().shape); })
      .def_property_readonly(
          "dtype",
          [](const Variable& self) {
            return py::reinterpret_borrow<py::str>(dtype_string(self.type().dtype));
          })
      .def_property("name", &Variable::name, &Variable::set_name)
      .def_property("trainable", &Variable::trainable, &Variable::set_trainable)
      .def_property("autocast", &Variable::autocast, &Variable::set_autocast,
                    "Whether layers of mixed precision read it in 16 bits.")
      .def_property_readonly("device",
                             [](const Variable& self) { return to_string(self.device()); })
      .def_property_readonly("version", &Variable::version)
      .def_property_readonly(
          "layout",
          [](const Variable& self) { return self.layout() == Layout::kPanels ? "panels" : "rows"; })
      .def_property_readonly("_padded_size", &Variable::padded_size)
      .def_property_readonly(
          "_address",
          [](const Variable& self) { return reinterpret_cast<std::uintptr_t>(self.data()); })
      .def_property(
          "grad", [](const Variable& self) { return self.grad(); },
          [](Variable& self, const Value& grad) { self.set_grad(grad); })
      .def(
          "value", [](const VariablePtr& self) { return read_variable(self, current_builder()); },
          "The contents as a Tensor; a leaf that requires a gradient if the variable is trainable.")
      .def("assign", &assign, py::arg("x"),
           "Replace the contents; recorded as an op while a Program records.")
      .def("numpy", &copy_out, "A read-only copy, row-major.");

  m.def(
      "set_autocast",
      [](const std::optional<std::string>& dtype) {
        const std::optional<DType> before = autocast_dtype;
        autocast_dtype = dtype ? std::optional(dtype_from_name(*dtype)) : std::nullopt;
        return before ? std::optional(std::string(dtype_name(*before))) : std::nullopt;
      },
      py::arg("dtype"), "Have variables read as this type on this thread; what it was before.");

  py::class_<Arena, std::shared_ptr<Arena>>(m, "Arena", "Variables side by side in one allocation.")
      .def(py::init(
               [](const std::vector<VariablePtr>& variables) { return Arena::place(variables); }),
           py::arg("variables"))
      .def_property_readonly("slots", &slot_list, "(variable, offset, size) in elements.")
      .def_property_readonly("size", &Arena::size)
      .def_property_readonly(
          "dtype", [](const Arena& self) { return std::string(dtype_name(self.dtype())); })
      .def_property_readonly("holds_all", &Arena::holds_all);
}

}  // namespace densa::bindings
