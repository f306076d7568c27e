// Program and Plan, and the eager use of the optimizer kernels.
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "bindings/predictor.h"
#include "bindings/program.h"
#include "bindings/python.h"
#include "graph/any_plan.h"
#include "graph/compile.h"
#include "graph/freezable.h"
#include "graph/freeze.h"
#include "graph/logits.h"
#include "graph/to_net.h"
#include "ops/optimizer/loss_scale.h"
#include "tensor/optimizer_step.h"

namespace densa::bindings {
namespace {

TypeInfo input_type(const py::sequence& shape, const py::object& dtype) {
  TypeInfo type{to_dtype(dtype), {}};
  for (const py::handle& d : shape)
    type.shape.push_back(d.is_none() ? kRows : d.cast<std::int64_t>());
  return type;
}

// The Program as plain data, for what reads it in Python (an exporter): see "contents" below.
py::tuple contents(const Program& program) {
  py::list values, nodes;
  for (const ProgramValue& value : program.values) {
    py::object what = py::none();
    if (value.source == Source::kInput) what = py::str(value.name);
    if (value.source == Source::kVariable) what = py::cast(value.variable);
    if (value.source == Source::kConstant)
      what = value.constant ? to_python(value.constant) : py::object(py::float_(value.number));
    values.append(py::make_tuple(py::reinterpret_borrow<py::object>(dtype_string(value.type.dtype)),
                                 shape_tuple(value.type.shape), what));
  }
  for (const ProgramNode& node : program.nodes) {
    py::dict attributes;
    for (const auto& [name, attribute] : node.attrs.items())
      attributes[py::str(name)] = py::cast(attribute);
    const char* op = node.kind == NodeKind::kAssign   ? "assign"
                     : node.kind == NodeKind::kUpdate ? "update"
                                                      : node.op->name;
    nodes.append(py::make_tuple(op, node.in, node.out, attributes));
  }
  return py::make_tuple(values, nodes, program.outputs);
}

Attrs hyper_from(const py::dict& hyper) {
  Attrs attrs;
  for (const auto& [key, value] : hyper)
    if (!value.is_none()) {
      const std::string name = py::cast<std::string>(key);
      attrs.set(name, to_attribute(name, value.ptr()));
    }
  return attrs;
}

template <class T>
T* number_in(const Variable& variable, DType dtype) {
  if (variable.type().dtype != dtype || !variable.type().shape.empty())
    throw TypeError(cat("plan: '", variable.name(), "' must be one number of ", dtype_name(dtype),
                        " but is ", dtype_name(variable.type().dtype),
                        to_string(variable.type().shape)));
  return static_cast<T*>(variable.data());
}

// {"kind", "hyper", "targets": [(variable, [slots], decay)], "clipnorm", "global_clipnorm",
//  "loss_scale_factor": number, "loss_scale": (scale, good steps, growth steps)}
// or {"variables": [...], "gradients": [...]}: a step then leaves the gradients in these variables.
std::unique_ptr<OptimizerPlan> optimizer_from(const py::object& spec) {
  if (spec.is_none()) return nullptr;
  const auto dict = spec.cast<py::dict>();
  auto plan = std::make_unique<OptimizerPlan>();
  if (dict.contains("gradients")) {
    plan->gradients = dict["gradients"].cast<std::vector<std::shared_ptr<Variable>>>();
    for (const auto& variable : dict["variables"].cast<std::vector<std::shared_ptr<Variable>>>())
      plan->targets.push_back({variable, {}, false, -1});
    if (plan->gradients.size() != plan->targets.size())
      throw ValueError(cat("plan: ", plan->targets.size(), " variables, but ",
                           plan->gradients.size(), " places for gradients"));
    return plan;
  }
  plan->kind = dict["kind"].cast<std::string>();
  plan->hyper = hyper_from(dict["hyper"].cast<py::dict>());
  for (const py::handle& item : dict["targets"].cast<py::sequence>()) {
    const auto target = item.cast<py::tuple>();
    plan->targets.push_back({target[0].cast<std::shared_ptr<Variable>>(),
                             target[1].cast<std::vector<std::shared_ptr<Variable>>>(),
                             target[2].cast<bool>(), -1});
  }
  const auto limit = [&](const char* key) {
    return dict.contains(key) && !dict[key].is_none() ? dict[key].cast<double>() : 0.0;
  };
  plan->clip_norm = limit("clipnorm");
  plan->global_clip_norm = limit("global_clipnorm");
  if (const double factor = limit("loss_scale_factor"); factor != 0) {
    if (!(factor > 0 && std::isfinite(factor)))
      throw ValueError(cat("plan: loss_scale_factor must be above 0; it is ", factor));
    plan->loss_scale_factor = factor;
  }
  if (dict.contains("loss_scale")) {
    const auto scale = dict["loss_scale"].cast<py::tuple>();
    plan->loss_scale = scale[0].cast<std::shared_ptr<Variable>>();
    plan->good_steps = scale[1].cast<std::shared_ptr<Variable>>();
    plan->growth_steps = scale[2].cast<std::int64_t>();
    number_in<float>(*plan->loss_scale, DType::kFloat32);
    number_in<std::int32_t>(*plan->good_steps, DType::kInt32);
  }
  return plan;
}

class Counting {
 public:
  Counting(AnyPlan& plan, Variable* counter) : plan_(plan), counter_(counter) {
    if (counter_ != nullptr)
      plan_.step = *(number_ = number_in<std::int64_t>(*counter_, DType::kInt64));
  }
  ~Counting() {
    if (number_ == nullptr) return;
    *number_ = plan_.step;
    counter_->bump_version();
  }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

 private:
  AnyPlan& plan_;
  Variable* counter_;
  std::int64_t* number_ = nullptr;
};

// A plan with the Python objects whose memory it reads and writes.
struct PyPlan {
  std::unique_ptr<AnyPlan> plan;
  std::vector<py::object> held;

  // Whether rows of output k fit into the array that they are to be written to.
  void check_result(const py::array& array, std::size_t k, std::int64_t rows) const {
    const auto& outputs = plan->program().outputs;
    if (k >= outputs.size()) throw ValueError("plan: more results than outputs");
    const TypeInfo& type = plan->program().values[outputs[k].second].type;
    const DType dtype = to_dtype(array.dtype());
    const std::int64_t size =
        array.ndim() > 0 ? array.size() / std::max<py::ssize_t>(1, array.shape(0)) : 0;
    if (dtype != type.dtype || array.ndim() != type.shape.rank() || array.shape(0) < rows ||
        size != element_count(with_rows(type.shape, 1)))
      throw ValueError(cat("plan: output '", outputs[k].first, "' is ", dtype_name(type.dtype),
                           to_string(type.shape), " for ", rows, " rows, but the result is ",
                           dtype_name(dtype), " with ", array.ndim(), " dimensions and ",
                           array.ndim() > 0 ? array.shape(0) : 0, " rows"));
  }

  void begin(const py::sequence& sources, const py::object& order, std::int64_t first,
             std::int64_t last, std::int64_t batch, const py::sequence& results, bool unchanged) {
    DataSpan span;
    std::vector<py::object> keep;
    const auto& program = plan->program();
    std::size_t k = 0;
    for (const py::handle& item : sources) {
      const auto array = py::array::ensure(item);
      if (!array) throw py::error_already_set();
      if (k >= program.inputs.size()) break;
      const ProgramValue& input = program.values[program.inputs[k++]];
      SourceArray source{static_cast<const std::byte*>(array.data()), to_dtype(array.dtype()),
                         array.ndim() > 0 ? array.shape(0) : 0,
                         array.ndim() > 0 ? array.strides(0) : 0};
      if (source.dtype != input.type.dtype || array.ndim() != input.type.shape.rank())
        throw ValueError(cat("plan: input '", input.name, "' was recorded as ",
                             dtype_name(input.type.dtype), to_string(input.type.shape),
                             " but the array is ", dtype_name(source.dtype), " with ", array.ndim(),
                             " dimensions"));
      py::ssize_t step = array.itemsize();
      for (py::ssize_t axis = array.ndim() - 1; axis > 0; --axis) {
        if (array.shape(axis) != input.type.shape[static_cast<int>(axis)])
          throw ShapeError(cat("plan: input '", input.name, "' needs ", to_string(input.type.shape),
                               ", axis ", axis, " of the array has ", array.shape(axis)));
        if (array.size() != 0 && array.shape(axis) != 1 && array.strides(axis) != step)
          throw ValueError(cat("plan: rows of input '", input.name, "' must be contiguous"));
        step *= array.shape(axis);
      }
      if (order.is_none() && last > source.rows)
        throw ValueError(
            cat("plan: input '", input.name, "' has ", source.rows, " rows, ", last, " asked for"));
      span.sources.push_back(source);
      keep.push_back(array);
    }
    if (!order.is_none()) {
      const auto rows = py::array_t<std::int64_t, py::array::c_style>::ensure(order);
      if (!rows) throw py::error_already_set();
      if (last > rows.size()) throw ValueError("plan: the order is shorter than the span");
      std::int64_t least = 0;
      for (const SourceArray& source : span.sources)
        least = least == 0 ? source.rows : std::min(least, source.rows);
      for (std::int64_t i = first; i < last; ++i)
        if (rows.data()[i] < 0 || rows.data()[i] >= least)
          throw ValueError(
              cat("plan: row ", rows.data()[i], " in the order, the arrays have ", least));
      span.order = rows.data();
      keep.push_back(rows);
    }
    for (const py::handle& item : results) {
      auto array = item.cast<py::array>();
      check_result(array, span.results.size(), last);
      span.results.push_back({static_cast<std::byte*>(array.mutable_data()), array.strides(0)});
      keep.push_back(array);
    }
    span.begin = first;
    span.end = last;
    span.batch = batch;
    span.unchanged = unchanged;
    plan->begin(std::move(span));
    held = std::move(keep);
  }

  // Runs until max_steps, the end of the span or `seconds`; looks for Ctrl-C about every 50 ms.
  // `counter` holds the number of optimizer steps before and behind it, whatever happens.
  std::int64_t run(std::int64_t max_steps, double seconds, const py::object& rate,
                   const std::optional<std::shared_ptr<Variable>>& counter,
                   const std::optional<std::int64_t>& draw) {
    std::vector<double> rates;
    if (PyFloat_Check(rate.ptr()) || PyLong_Check(rate.ptr()))
      rates.push_back(rate.cast<double>());
    else if (py::isinstance<Variable>(rate))
      rates.push_back(*number_in<double>(rate.cast<const Variable&>(), DType::kFloat64));
    else if (!rate.is_none())
      rates = rate.cast<std::vector<double>>();
    const Counting counting(*plan, counter ? counter->get() : nullptr);
    plan->first_draw = draw ? *draw - plan->step : 0;
    constexpr double kSlice = 0.05;
    std::int64_t done = 0;
    double left = seconds;
    while (done < max_steps && !plan->done()) {
      {
        const py::gil_scoped_release release;
        done += plan->run(max_steps - done, seconds > 0 ? std::min(left, kSlice) : kSlice,
                          rates.data(), rates.size());
      }
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      left -= kSlice;
      if (seconds > 0 && left <= 0) break;
    }
    return done;
  }
};

// Gradients as values of the recording, for code that records more behind them.
std::vector<Value> gradients(PyProgram& self, const Value& loss,
                             const std::vector<std::shared_ptr<Variable>>& variables) {
  std::vector<int> wanted;
  wanted.reserve(variables.size());
  for (const auto& variable : variables) wanted.push_back(self.program.add_variable(variable));
  std::vector<Value> found;
  for (int id : differentiate(self.program, self.recorder.id_of(loss), wanted))
    found.push_back(id < 0 ? nullptr : self.recorder.symbol(id));
  return found;
}

void drop_assignments(PyProgram& self) {
  std::erase_if(self.program.nodes,
                [](const ProgramNode& node) { return node.kind == NodeKind::kAssign; });
  for (std::size_t i = 0; i < self.program.nodes.size(); ++i)
    for (int id : self.program.nodes[i].out) self.program.values[id].node = static_cast<int>(i);
}

py::tuple frozen(const PyProgram& self, const std::vector<std::string>& outputs,
                 const py::object& dtype, bool fold, bool merge, bool prune,
                 const std::vector<std::pair<std::shared_ptr<Variable>, std::string>>& names,
                 const std::string& device, const std::map<std::string, std::string>& keep) {
  Program program = self.program;
  for (const auto& [variable, name] : names)
    for (ProgramValue& value : program.values)
      if (value.variable == variable) value.name = name;
  std::erase_if(program.outputs, [&](const auto& output) {
    return std::find(outputs.begin(), outputs.end(), output.first) == outputs.end();
  });
  FreezeReport report;
  const Device where = checked_device(device);
  program.remove_unused();
  lower_for_net(program);
  check_freezable(program);
  Program made = freeze(std::move(program), {to_dtype(dtype), fold, merge, prune, keep}, &report);
  auto predictor = std::make_shared<const Predictor>(to_net(made));
  return py::make_tuple(where.is_cpu() ? to_python(std::move(predictor))
                                       : to_gpu_predictor(std::move(made), where, *predictor),
                        report_lines(report));
}

}  // namespace

py::dict report_lines(const FreezeReport& report) {
  py::dict lines;
  lines["folded"] = report.folded;
  lines["merged"] = report.merged;
  lines["removed"] = report.removed;
  lines["kept"] = report.kept;
  return lines;
}

void bind_program(py::module_& m) {
  py::class_<PyProgram>(m, "Program", "A recorded list of ops; a context that records.")
      .def(py::init<const py::object&>(), py::arg("where") = py::none(),
           "`where`: gives the path of the layer that is at work, for messages.")
      .def("__enter__",
           [](py::object self) {
             push_builder(self.cast<PyProgram&>().recorder);
             return self;
           })
      .def("__exit__", [](PyProgram& self, const py::args&) { pop_builder(self.recorder); })
      .def(
          "input",
          [](PyProgram& self, std::string name, const py::sequence& shape,
             const py::object& dtype) {
            return self.recorder.symbol(
                self.program.add_input(std::move(name), input_type(shape, dtype)));
          },
          py::arg("name"), py::arg("shape"), py::arg("dtype") = "float32")
      .def(
          "output",
          [](PyProgram& self, std::string name, const Value& value) {
            self.program.outputs.emplace_back(std::move(name), self.recorder.id_of(value));
          },
          py::arg("name"), py::arg("value"))
      .def("gradients", &gradients, py::arg("loss"), py::arg("variables"),
           "The gradient of a recorded number with respect to each variable, None where nothing "
           "flows; to be called while this program records.")
      .def("drop_assignments", &drop_assignments,
           "Takes out the assignments recorded so far: a run leaves those variables alone.")
      .def("freeze", &frozen, py::arg("outputs"), py::kw_only(), py::arg("dtype") = "float32",
           py::arg("fold") = true, py::arg("merge") = true, py::arg("prune") = true,
           py::arg("names") = py::list(), py::arg("device") = "cpu", py::arg("keep") = py::dict(),
           "A Predictor, or on a GPU a GpuNet, of the present values of all variables, and what "
           "was folded and kept. `keep`: names of the report that are not folded or merged, and "
           "why.")
      .def(
          "free_rows", [](PyProgram& self, std::int64_t rows) { free_rows(self.program, rows); },
          py::arg("rows"),
          "Make a recording of so many rows one of any number; ValueError where it cannot be.")
      .def(
          "places",
          [](const PyProgram& self) {
            std::vector<std::string> places;
            for (const ProgramNode& node : self.program.nodes) places.push_back(node.place);
            return places;
          },
          "The path of each node's layer, as in contents.")
      .def("__len__", [](const PyProgram& self) { return self.program.nodes.size(); })
      .def(
          "contents", [](const PyProgram& self) { return contents(self.program); },
          "Values as (dtype, shape, source: an input's name, a Variable, a constant or None), "
          "nodes "
          "as (op, inputs, outputs, attributes), outputs as (name, value).")
      .def("__str__", [](const PyProgram& self) { return self.program.text(); });

  py::class_<PyPlan>(m, "Plan", "A Program bound to kernels and memory.")
      .def(py::init([](const PyProgram& program, std::int64_t capacity, const std::string& loss,
                       const py::object& optimizer, const std::vector<std::string>& collect) {
             auto spec = optimizer_from(optimizer);
             Program compiled = compile_program(program.program, loss, collect, spec.get());
             if (spec && !spec->gradients.empty()) spec = nullptr;  // nothing to update
             return PyPlan{make_plan(std::move(compiled), capacity, std::move(spec), collect), {}};
           }),
           py::arg("program"), py::arg("capacity"), py::kw_only(), py::arg("loss") = "loss",
           py::arg("optimizer") = py::none(), py::arg("collect") = std::vector<std::string>{})
      .def("begin", &PyPlan::begin, py::arg("sources"), py::arg("order"), py::arg("first"),
           py::arg("last"), py::arg("batch"), py::arg("results") = py::tuple(),
           py::arg("unchanged") = false)
      .def("run", &PyPlan::run, py::arg("max_steps") = std::numeric_limits<std::int64_t>::max(),
           py::arg("seconds") = 0.0, py::arg("rate") = 0.0, py::arg("counter") = py::none(),
           py::arg("draw") = py::none())
      .def_property_readonly("done", [](const PyPlan& self) { return self.plan->done(); })
      .def_property_readonly(
          "assigned",
          [](const PyPlan& self) {
            py::list variables;
            for (const ProgramNode& node : self.plan->program().nodes)
              if (node.kind == NodeKind::kAssign) variables.append(py::cast(node.variable));
            return variables;
          },
          "The variables that a step assigns to.")
      .def_property_readonly("position", [](const PyPlan& self) { return self.plan->position(); })
      .def_property(
          "step", [](const PyPlan& self) { return self.plan->step; },
          [](PyPlan& self, std::int64_t step) { self.plan->step = step; })
      .def_property_readonly(
          "draw", [](const PyPlan& self) { return self.plan->first_draw + self.plan->step; },
          "The number of the next random draw.")
      .def_property_readonly("capacity", [](const PyPlan& self) { return self.plan->capacity(); })
      .def_property_readonly("threads",
                             [](const PyPlan& self) { return self.plan->last_threads(); })
      .def_property_readonly("nonfinite",
                             [](const PyPlan& self) -> py::object {
                               const NonFinite bad = self.plan->nonfinite();
                               if (bad.input < 0) return py::none();
                               const auto& program = self.plan->program();
                               return py::make_tuple(program.values[program.inputs[bad.input]].name,
                                                     bad.row);
                             })
      .def(
          "profile",
          [](PyPlan& self, std::int64_t steps, double rate) {
            return self.plan->profile(steps, rate);
          },
          py::arg("steps"), py::arg("rate") = 0.0)
      .def_property_readonly("program_text",
                             [](const PyPlan& self) { return self.plan->program().text(); })
      .def("__str__", [](const PyPlan& self) { return self.plan->explain(); });

  m.def(
      "before",
      [](const Value& value, const std::string& op) -> Value {
        const auto* symbol = dynamic_cast<const Symbol*>(value.get());
        auto* recorder = dynamic_cast<Recorder*>(&current_builder());
        if (recorder == nullptr && is_tensor(value.get())) return before(value, op);
        if (symbol == nullptr || recorder == nullptr) return nullptr;
        return before(*recorder, *symbol->program, value, op);
      },
      py::arg("value"), py::arg("op"),
      "What `op`, a softmax or an elementwise op, has made a recorded value or a tensor on the "
      "tape "
      "of, also inside of dense and behind casts; None where it has not.");

  m.def(
      "after_loss_scale_step",
      [](float scale, std::int32_t good_steps, bool finite, std::int64_t growth_steps) {
        const LossScale next = after_step({scale, good_steps}, finite, growth_steps);
        return py::make_tuple(next.scale, next.good_steps);
      },
      py::arg("scale"), py::arg("good_steps"), py::arg("finite"), py::arg("growth_steps"),
      "The loss scale and its good steps after a step whose gradients were finite or not.");

  m.def(
      "_step_kernel",
      [](const std::string& kind, const py::dict& hyper) {
        const StepMaker maker(kind, hyper_from(hyper));
        py::list slots;
        for (int i = 0; i < maker.kernel().slot_count; ++i)
          slots.append(py::make_tuple(maker.kernel().slot_names[i], maker.slot_start(i)));
        return slots;
      },
      py::arg("kind"), py::arg("hyper"), "Names and first values of an optimizer's slots.");

  m.def(
      "optimizer_step",
      [](const std::string& kind, const py::dict& hyper,
         const std::vector<std::shared_ptr<Variable>>& variables, const std::vector<Value>& grads,
         const std::vector<std::vector<std::shared_ptr<Variable>>>& slots,
         const std::vector<bool>& decay, std::int64_t iteration, double rate, double clip_norm,
         double global_clip_norm) {
        if (variables.size() != grads.size() || variables.size() != slots.size() ||
            variables.size() != decay.size())
          throw ValueError(
              "optimizer_step: variables, gradients, slots and decay differ in length");
        StepMaker maker(kind, hyper_from(hyper));
        std::vector<StepTarget> targets;
        for (std::size_t i = 0; i < variables.size(); ++i)
          targets.push_back({variables[i], grads[i], slots[i], decay[i]});
        optimizer_step(maker, targets, iteration, rate, {clip_norm, global_clip_norm});
      },
      py::arg("kind"), py::arg("hyper"), py::arg("variables"), py::arg("grads"), py::arg("slots"),
      py::arg("decay"), py::arg("iteration"), py::arg("rate"), py::arg("clip_norm") = 0.0,
      py::arg("global_clip_norm") = 0.0);
}

}  // namespace densa::bindings
