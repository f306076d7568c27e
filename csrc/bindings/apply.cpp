// apply(op, *inputs, **attributes): the call that everything goes through.
#include <algorithm>
#include <array>

#include "bindings/python.h"
#include "ops/backend.h"
#include "tensor/large_work.h"
#include "tensor/tape.h"

namespace densa::bindings {
namespace {

std::string_view text_of(PyObject* object) {
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == nullptr) throw py::error_already_set();
  return {text, static_cast<std::size_t>(size)};
}

PyObject* results(std::vector<Value> out) {
  if (out.size() == 1) return wrap(std::move(out[0]));
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(out.size()));
  if (tuple == nullptr) return nullptr;
  for (std::size_t i = 0; i < out.size(); ++i)
    PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), wrap(std::move(out[i])));
  return tuple;
}

// Asked for where there are GPUs only: elsewhere all is on the CPU.
Beside beside_what(std::span<PyObject* const> inputs) {
  const bool tensor = has_backend() && std::any_of(inputs.begin(), inputs.end(), [](PyObject* x) {
                        return is_py_tensor(x) || py::isinstance<Variable>(x);
                      });
  return tensor ? Beside::kTensor : Beside::kNothing;
}

// Python numbers alone become tensors on the default device; beside a tensor they go to its own.
void place_numbers(TensorBuilder& build, std::span<Operand> operands) {
  const auto is_number = [](const Operand& x) { return std::holds_alternative<Weak>(x); };
  if (default_device().is_cpu() || build.recording() ||
      !std::all_of(operands.begin(), operands.end(), is_number))
    return;
  for (Operand& x : operands) {
    const Value value = constant(build, std::get<Weak>(x), result_dtype({&x, 1}));
    x = Value(to_device(as_tensor_ptr(value, "apply"), default_device()));
  }
}

}  // namespace

PyObject* apply_objects(const Op& op, std::span<PyObject* const> inputs, const Attrs& attrs) {
  TensorBuilder& build = current_builder();
  const Beside beside = beside_what(inputs);
  const auto run = [&](std::span<Operand> operands) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      operands[i] = to_operand(inputs[i], build, beside);
    place_numbers(build, operands);
    return results(apply_promoted(build, op, operands, attrs));
  };
  constexpr std::size_t kFew = 4;
  if (inputs.size() <= kFew) {
    std::array<Operand, kFew> operands;
    return run({operands.data(), inputs.size()});
  }
  std::vector<Operand> operands(inputs.size());
  return run(operands);
}

namespace {

PyObject* apply(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  try {
    if (count < 1 || !PyUnicode_Check(arguments[0]))
      throw TypeError("apply: the first argument is the name of an op");
    const Op& op = find_op(text_of(arguments[0]));
    Attrs attrs;
    const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
    Py_ssize_t given = count;
    while (given > 1 && arguments[given - 1] == Py_None) --given;  // optional inputs left out
    for (Py_ssize_t i = 0; i < named; ++i) {
      PyObject* item = arguments[count + i];
      if (item == Py_None) continue;
      std::string name(text_of(PyTuple_GET_ITEM(names, i)));
      AttrValue value = to_attribute(name, item);
      attrs.set(std::move(name), std::move(value));
    }
    return apply_objects(op, {arguments + 1, static_cast<std::size_t>(given - 1)}, attrs);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyMethodDef methods[] = {
    {"apply", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&apply)),
     METH_FASTCALL | METH_KEYWORDS,
     "apply(op, *inputs, **attributes)\n--\n\n"
     "Run an op, or record it while a Program records. Inputs are promoted by Keras' rules."},
    {nullptr, nullptr, 0, nullptr},
};

class NoGrad {
 public:
  explicit NoGrad(bool enabled) : enabled_(enabled) {}
  void enter() {
    before_.push_back(grad_enabled());
    set_grad_enabled(enabled_);
  }
  void leave(const py::args&) {
    if (before_.empty()) return;
    set_grad_enabled(before_.back());
    before_.pop_back();
  }

 private:
  bool enabled_;
  std::vector<bool> before_;
};

std::vector<Value> list_of(const py::sequence& items) {
  std::vector<Value> out;
  for (py::handle item : items) out.push_back(py::cast<Value>(item));
  return out;
}

void* unlock_python() {
  return PyGILState_Check() ? static_cast<void*>(PyEval_SaveThread()) : nullptr;
}
void lock_python(void* state) { PyEval_RestoreThread(static_cast<PyThreadState*>(state)); }

}  // namespace

void bind_apply(py::module_& m) {
  set_large_work({&unlock_python, &lock_python});
  if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
  py::class_<NoGrad>(m, "_GradMode")
      .def("__enter__", &NoGrad::enter)
      .def("__exit__", &NoGrad::leave);
  m.def(
      "no_grad", [] { return NoGrad(false); }, "Keep ops inside `with` off the tape.");
  m.def(
      "enable_grad", [] { return NoGrad(true); }, "Put ops inside `with` on the tape again.");
  m.def("is_grad_enabled", &grad_enabled);
  m.def("keep_origins", &keep_origins, py::arg("keep"),
        "Whether this thread's sigmoids and softmaxes remember, off the tape, what they were made "
        "of; returns what it was.");
  m.def(
      "recording", [] { return current_builder().recording(); },
      "Whether this thread records a Program.");
  m.def(
      "gradients",
      [](const py::sequence& roots, const py::sequence& wanted, const py::object& dy,
         bool create_graph) {
        const std::vector<Value> from = list_of(roots);
        std::vector<Value> weights;
        if (!dy.is_none()) weights = list_of(py::cast<py::sequence>(dy));
        const std::vector<Value> to = list_of(wanted);
        py::list out;
        for (Value& value : gradients(from, weights, to, create_graph))
          out.append(to_python(std::move(value)));
        return out;
      },
      py::arg("roots"), py::arg("wanted"), py::arg("dy") = py::none(),
      py::arg("create_graph") = false,
      "Gradients of the roots, weighted with dy, with respect to the wanted tensors.");
  m.def("op_names", [] {
    std::vector<std::string> names;
    for (const Op* op : all_ops()) names.emplace_back(op->name);
    py::list out;
    for (const std::string& name : names) out.append(name);
    return out;
  });
  m.def("has_gradient", [](const std::string& name) { return find_op(name).grad != nullptr; });
}

}  // namespace densa::bindings
