// GpuPredictor: arrays in, arrays out; tensors of its GPU in, tensors out.
#include <pybind11/stl.h>

#include <utility>

#include "bindings/predictor.h"
#include "bindings/predictor_arrays.h"
#include "graph/gpu_predictor.h"

namespace densa::bindings {
namespace {

struct PyGpuPredictor {
  PyGpuPredictor(Program program, Device device, const Predictor& same)
      : net(std::make_unique<GpuPredictor>(std::move(program), device)),
        bytes(same.weight_bytes()),
        flops(same.row_flops()) {
    for (const GpuPredictor::Spec& one : net->inputs())
      in_dtypes.push_back(numpy_description(one.type.dtype));
    for (const GpuPredictor::Spec& one : net->outputs())
      out_dtypes.push_back(numpy_description(one.type.dtype));
  }
  std::unique_ptr<GpuPredictor> net;
  std::size_t bytes;
  double flops;
  std::vector<PyObject*> in_dtypes, out_dtypes;
};

// The tensor that an object is, if it lies on a GPU; else null.
TensorPtr tensor_on_gpu(const py::handle& object) {
  if (!is_py_tensor(object.ptr())) return nullptr;
  TensorPtr tensor = as_tensor_ptr(value_of(object.ptr()), "predictor");
  return tensor->device().is_cpu() ? nullptr : tensor;
}

CallArray call_array(const GpuPredictor::Spec& spec, const void* data, std::int64_t rows) {
  const std::size_t item = item_size(spec.type.dtype);
  return {spec.name, {data, byte_count(with_rows(spec.type.shape, rows), item)}};
}

void check_apart(const GpuPredictor& net, const std::vector<const void*>& in,
                 const std::vector<void*>& out, std::int64_t rows) {
  const auto input = [&](std::size_t i) { return call_array(net.inputs()[i], in[i], rows); };
  const auto output = [&](std::size_t k) { return call_array(net.outputs()[k], out[k], rows); };
  bindings::check_apart(in.size(), input, out.size(), output);
}

// ---- arrays -------------------------------------------------------------------------------------

py::list call_here(PyGpuPredictor& self, const py::list& inputs, std::span<PyObject* const> outs) {
  GpuPredictor& net = *self.net;
  std::vector<const void*> in;
  std::vector<void*> out;
  std::vector<py::object> held;
  std::int64_t rows = -1;
  for (std::size_t i = 0; i < net.inputs().size(); ++i) {
    const auto& [name, type] = net.inputs()[i];
    in.push_back(input_of(name, type, self.in_dtypes[i], inputs[i].ptr(), &rows, held));
  }
  py::list made;
  for (std::size_t k = 0; k < net.outputs().size(); ++k) {
    const auto& [name, type] = net.outputs()[k];
    py::object y = outs.empty() ? new_result(self.out_dtypes[k], type.shape, rows)
                                : py::reinterpret_borrow<py::object>(outs[k]);
    if (!outs.empty()) check_out(name, type, self.out_dtypes[k], rows, y.ptr());
    out.push_back(py::detail::array_proxy(y.ptr())->data);
    made.append(std::move(y));
  }
  if (!outs.empty()) check_apart(net, in, out, rows);
  const py::gil_scoped_release release;
  net.run(in.data(), out.data(), rows);
  return made;
}

// ---- tensors of the GPU -------------------------------------------------------------------------

TensorPtr checked_input(const GpuPredictor& net, std::size_t i, const py::handle& object,
                        std::int64_t* rows) {
  const auto& [name, type] = net.inputs()[i];
  const TensorPtr tensor = tensor_on_gpu(object);
  if (tensor == nullptr)
    throw TypeError(cat("predictor: input '", name, "' does not lie on ", to_string(net.device()),
                        ", as other inputs do; move it with .to(\"cuda\"), or give arrays alone"));
  if (!(tensor->device() == net.device()))
    throw ValueError(cat("predictor: input '", name, "' lies on ", to_string(tensor->device()),
                         ", the predictor on ", to_string(net.device())));
  if (tensor->type.dtype != type.dtype)
    throw TypeError(cat("predictor: input '", name, "' must be ", dtype_name(type.dtype),
                        " but is ", dtype_name(tensor->type.dtype),
                        "; convert it with densa.ops.cast"));
  check_input_shape(name, type, tensor->type.shape, rows);
  return make_contiguous(tensor);
}

TensorPtr checked_out(const GpuPredictor& net, std::size_t k, const py::handle& object,
                      std::int64_t rows) {
  const auto& [name, type] = net.outputs()[k];
  const TypeInfo wanted{type.dtype, with_rows(type.shape, rows)};
  TensorPtr tensor = tensor_on_gpu(object);
  if (tensor == nullptr || !(tensor->device() == net.device()) || !(tensor->type == wanted) ||
      !tensor->contiguous || !tensor->storage->writable())
    throw TypeError(cat("predictor: out for '", name, "' must be a writable, row-major tensor of ",
                        dtype_name(wanted.dtype), to_string(wanted.shape), " on ",
                        to_string(net.device()), ", as the inputs lie there"));
  return tensor;
}

py::list call_there(PyGpuPredictor& self, const py::list& inputs, std::span<PyObject* const> outs) {
  GpuPredictor& net = *self.net;
  std::vector<TensorPtr> x, y;
  std::vector<const void*> in;
  std::vector<void*> out;
  std::int64_t rows = -1;
  for (std::size_t i = 0; i < net.inputs().size(); ++i) {
    x.push_back(checked_input(net, i, inputs[i], &rows));
    in.push_back(x.back()->data());
  }
  py::list made;
  for (std::size_t k = 0; k < net.outputs().size(); ++k) {
    const TypeInfo& type = net.outputs()[k].type;
    y.push_back(outs.empty() ? empty_tensor({type.dtype, with_rows(type.shape, rows)}, net.device())
                             : checked_out(net, k, outs[k], rows));
    out.push_back(y.back()->data());
    made.append(outs.empty() ? to_python(y.back()) : py::reinterpret_borrow<py::object>(outs[k]));
  }
  if (!outs.empty()) check_apart(net, in, out, rows);
  {
    const py::gil_scoped_release release;
    net.run_there(in.data(), out.data(), rows);
  }
  for (const TensorPtr& one : y) one->storage->bump_version();
  return made;
}

py::list call(PyGpuPredictor& self, const py::list& inputs, const py::object& out) {
  const GpuPredictor& net = *self.net;
  if (inputs.size() != net.inputs().size())
    throw TypeError(
        cat("predictor: ", net.inputs().size(), " inputs expected, got ", inputs.size()));
  const bool alone = py::isinstance<py::array>(out) || is_py_tensor(out.ptr());
  PyObject* const given = out.ptr();
  std::span<PyObject* const> outs;
  if (!out.is_none()) outs = outs_of(given, alone, net.outputs().size());
  for (const py::handle& one : inputs)
    if (tensor_on_gpu(one) != nullptr) return call_there(self, inputs, outs);
  return call_here(self, inputs, outs);
}

}  // namespace

py::object to_gpu_predictor(Program program, Device device, const Predictor& same) {
  return py::cast(std::make_unique<PyGpuPredictor>(std::move(program), device, same));
}

void bind_gpu_predictor(py::module_& m) {
  py::class_<PyGpuPredictor>(m, "GpuNet", "A frozen network on a GPU.")
      .def("run", &call, py::arg("inputs"), py::arg("out") = py::none(),
           "One result for each output: arrays for arrays, tensors for tensors of its GPU.")
      .def_property_readonly(
          "device", [](const PyGpuPredictor& self) { return to_string(self.net->device()); })
      .def_property_readonly(
          "size", [](const PyGpuPredictor& self) { return py::make_tuple(self.bytes, self.flops); })
      .def_property_readonly("most_rows",
                             [](const PyGpuPredictor& self) { return self.net->most_rows(); })
      .def_property_readonly(
          "specs",
          [](const PyGpuPredictor& self) {
            py::list in, out;
            for (const auto& [name, type] : self.net->inputs()) in.append(spec_tuple(name, type));
            for (const auto& [name, type] : self.net->outputs()) out.append(spec_tuple(name, type));
            return py::make_tuple(in, out);
          },
          "(name, shape, dtype) of its inputs and of its outputs.")
      .def(
          "seconds",
          [](PyGpuPredictor& self, std::int64_t rows, int repeats) {
            const py::gil_scoped_release release;
            return self.net->seconds(rows, repeats);
          },
          py::arg("rows"), py::arg("repeats"),
          "What a replay of the ops takes the GPU, in seconds: the mean of some.")
      .def("__str__", [](const PyGpuPredictor& self) { return self.net->explain(); });
}

}  // namespace densa::bindings
