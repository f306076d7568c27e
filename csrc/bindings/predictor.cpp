// densa.Predictor: a plain C type, whose call goes from NumPy's memory to NumPy's memory.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>

#include "base/storage.h"
#include "base/threads.h"
#include "bindings/predictor.h"
#include "bindings/predictor_arrays.h"
#include "predict/call_threads.h"
#include "predict/file.h"

#include <structmember.h>  // after Python.h

namespace densa::bindings {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostArrays = 64;

// Calls that take longer than a few microseconds let other Python threads run.
constexpr double kLongFlops = 4e5;

PyTypeObject* predictor_type = nullptr;

struct PyPredictor {
  PyObject_HEAD;
  vectorcallfunc call;
  PyObject *dict, *weak_references;
  PyObject* flatten;  // (args) -> a tuple of arrays, one for each input; None: they come flat
  PyObject* pack;     // (list of results) -> what a call returns; None: the only result
  std::shared_ptr<const Predictor> predictor;
  std::unique_ptr<CallThreads> threads;
  std::vector<PyObject*> in_dtypes, out_dtypes;  // NumPy's own descriptions, borrowed for good
};

PyPredictor* self_of(PyObject* self) { return reinterpret_cast<PyPredictor*>(self); }

// Scratch memory of this thread, for all predictors.
std::byte* scratch_of_thread(std::size_t bytes) {
  thread_local std::shared_ptr<Storage> kept;
  if (kept == nullptr || kept->bytes() < bytes) kept = Storage::allocate(bytes);
  return static_cast<std::byte*>(kept->data());
}

void compute(const PyPredictor& self, const void* const* in, void* const* out, std::int64_t rows) {
  const Predictor& predictor = *self.predictor;
  const double flops = predictor.row_flops() * static_cast<double>(rows);
  const ThreadLimit limit = thread_limit();
  if (!limit.exact && flops < CallThreads::kLittle) {
    predictor.run(in, out, rows, scratch_of_thread(predictor.scratch_bytes(rows)));
    return;
  }
  const int threads = limit.exact ? limit.threads : self.threads->pick(rows, limit.threads);
  std::byte* const scratch = scratch_of_thread(predictor.scratch_bytes(rows, threads));
  const auto timed = [&] {
    const Clock::time_point start = Clock::now();
    predictor.run(in, out, rows, scratch, threads);
    self.threads->record(rows, threads,
                         std::chrono::duration<double>(Clock::now() - start).count());
  };
  if (flops < kLongFlops) return timed();
  const py::gil_scoped_release release;
  timed();
}

// The arrays of a call's results, as many as there are.
class Results {
 public:
  explicit Results(std::size_t count) : count_(count) {
    std::fill_n(arrays_.begin(), count_, nullptr);
  }
  ~Results() {
    for (std::size_t k = 0; k < count_; ++k) Py_XDECREF(arrays_[k]);
  }
  Results(const Results&) = delete;
  Results& operator=(const Results&) = delete;
  PyObject*& operator[](std::size_t k) { return arrays_[k]; }
  PyObject* take(std::size_t k) { return std::exchange(arrays_[k], nullptr); }

 private:
  std::size_t count_;
  std::array<PyObject*, kMostArrays> arrays_;
};

PyObject* call_with(const PyPredictor& self, PyObject* const* args, std::size_t count,
                    PyObject* outs, bool flat = false) {
  const Net& net = self.predictor->net();
  const std::size_t results = net.outputs.size();
  if (count != net.inputs.size())
    throw TypeError(cat("predictor: ", net.inputs.size(), " inputs expected, got ", count));
  std::array<const void*, kMostArrays> in;
  std::array<void*, kMostArrays> out;
  std::vector<py::object> held;
  std::int64_t rows = -1;
  for (std::size_t i = 0; i < count; ++i)
    in[i] =
        input_of(net.inputs[i].name, net.inputs[i].type, self.in_dtypes[i], args[i], &rows, held);
  Results made(results);
  const bool into = outs != nullptr && outs != Py_None;
  std::span<PyObject* const> given;
  if (into) given = outs_of(outs, py::isinstance<py::array>(outs), results);
  for (std::size_t k = 0; k < results; ++k) {
    const TypeInfo& type = net.values[static_cast<std::size_t>(net.outputs[k].value)].type;
    if (into) {
      made[k] = Py_NewRef(given[k]);
      check_out(net.outputs[k].name, type, self.out_dtypes[k], rows, made[k]);
    } else {
      made[k] = new_result(self.out_dtypes[k], type.shape, rows).release().ptr();
    }
    out[k] = py::detail::array_proxy(made[k])->data;
  }
  if (into) {
    const auto times = static_cast<std::size_t>(rows);
    const auto input = [&](std::size_t i) {
      return CallArray{net.inputs[i].name, {in[i], self.predictor->input_row_bytes()[i] * times}};
    };
    const auto output = [&](std::size_t k) {
      return CallArray{net.outputs[k].name,
                       {out[k], self.predictor->output_row_bytes()[k] * times}};
    };
    check_apart(count, input, results, output);
  }
  compute(self, in.data(), out.data(), rows);
  if (!flat && self.pack == Py_None && results == 1) return made.take(0);
  py::list list(results);
  for (std::size_t k = 0; k < results; ++k)
    list[k] = py::reinterpret_steal<py::object>(made.take(k));
  if (flat || self.pack == Py_None) return list.release().ptr();
  return py::reinterpret_borrow<py::object>(self.pack)(list).release().ptr();
}

// predictor(x, ..., out=None)
PyObject* vectorcall(PyObject* object, PyObject* const* args, std::size_t nargsf,
                     PyObject* names) noexcept {
  try {
    const PyPredictor& self = *self_of(object);
    const auto count = static_cast<std::size_t>(PyVectorcall_NARGS(nargsf));
    PyObject* out = nullptr;
    if (names != nullptr) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), "out") != 0)
          throw TypeError(cat("predictor: unknown argument '",
                              py::str(PyTuple_GET_ITEM(names, i)).cast<std::string>(),
                              "'; inputs come by position, results go to out"));
        out = args[count + static_cast<std::size_t>(i)];
      }
    }
    if (self.flatten == Py_None) return call_with(self, args, count, out);
    py::tuple given(count);
    for (std::size_t i = 0; i < count; ++i) given[i] = py::reinterpret_borrow<py::object>(args[i]);
    const py::tuple flat = py::reinterpret_borrow<py::object>(self.flatten)(given);
    std::vector<PyObject*> arrays;
    for (const py::handle& array : flat) arrays.push_back(array.ptr());
    return call_with(self, arrays.data(), arrays.size(), out);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

// The same where somebody asks for the method itself.
PyObject* call_method(PyObject* object, PyObject* const* args, Py_ssize_t count,
                      PyObject* names) noexcept {
  return vectorcall(object, args, static_cast<std::size_t>(count), names);
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  PyPredictor* self = self_of(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->dict);
  Py_VISIT(self->flatten);
  Py_VISIT(self->pack);
  return 0;
}

int clear(PyObject* object) {
  PyPredictor* self = self_of(object);
  Py_CLEAR(self->dict);
  Py_CLEAR(self->flatten);
  Py_CLEAR(self->pack);
  return 0;
}

void deallocate(PyObject* object) {
  PyPredictor* self = self_of(object);
  PyObject_GC_UnTrack(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  clear(object);
  self->predictor.~shared_ptr();
  self->threads.~unique_ptr();
  self->in_dtypes.~vector();
  self->out_dtypes.~vector();
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* refuse_new(PyTypeObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_TypeError,
                  "Predictor has no constructor; use model.freeze() or densa.Predictor.load(path)");
  return nullptr;
}

const PyMemberDef kMembers[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PyPredictor, call), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(PyPredictor, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PyPredictor, weak_references), READONLY, nullptr},
    {"_flatten", T_OBJECT, offsetof(PyPredictor, flatten), 0, nullptr},
    {"_pack", T_OBJECT, offsetof(PyPredictor, pack), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
constexpr const char* kDoc =
    R"(A frozen network: immutable, called from any number of threads, arrays in and arrays out.

`model.freeze()` makes one and `Predictor.load` reads one from a file. `certificate` says how right
and how fast it is, `inputs` and `outputs` what it takes and gives. A row's answer does not depend
on the other rows of the call, nor on the number of threads.

Example:
    >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(2)])
    >>> predictor = model.freeze()
    >>> predictor(np.ones((3, 4), "float32")).shape
    (3, 2)
)";

// What `help` and type checkers see in place of the slot's own words: tp_call has none.
constexpr const char* kCallDoc =
    R"(__call__($self, /, *inputs, out=None)
--

Return the answers for rows: y[i] = network(x[i]).

Args:
    inputs: an array for each of `inputs`, in that order, or one structure like that of the model's
        inputs. Each has shape (rows, ...) and the dtype of its spec, in native byte order; nothing
        is cast but numbers and lists of them. All have as many rows, 0 or more. Arrays that are not
        C-contiguous and aligned are copied first, read-only ones are fine, and what has `__array__`
        is asked for it.
    out: where the answers go: an array, or a list of one for each of `outputs` in that order; None
        makes new ones. They must be writable, C-contiguous arrays of exactly the outputs' shapes
        and dtypes, and share no memory with each other or with inputs.

Returns:
    An array of shape (rows, ...) for each output, structured like the model's output; those of
    `out` themselves if they were given. They belong to the caller.

Raises:
    TypeError: for another dtype or number of inputs, and for an `out` that cannot be written as it
        lies there. Nothing has been written then.
    ValueError: for another shape or number of rows, and for memory that is shared. Nothing has been
        written then.
    IndexError: for an id of an embedding out of range; `out` may be half written.

Example:
    >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(2, "softmax")])
    >>> predictor = model.freeze()
    >>> x, y = np.ones((3, 4), "float32"), np.empty((3, 2), "float32")
    >>> predictor(x, out=y) is y
    True
    >>> predictor([[1, 2, 3, 4]]).dtype
    dtype('float32')
)";

// Without METH_COEXIST the slot's wrapper, which says nothing, would stay.
const PyMethodDef kMethods[] = {
    {"__call__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call_method)),
     METH_FASTCALL | METH_KEYWORDS | METH_COEXIST, kCallDoc},
    {nullptr, nullptr, 0, nullptr},
};
const PyGetSetDef kGetSet[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

py::object to_python(std::shared_ptr<const Predictor> predictor) {
  auto object = py::reinterpret_steal<py::object>(predictor_type->tp_alloc(predictor_type, 0));
  if (!object) throw py::error_already_set();
  PyPredictor* self = self_of(object.ptr());
  self->call = &vectorcall;
  self->flatten = Py_NewRef(Py_None);
  self->pack = Py_NewRef(Py_None);
  new (&self->predictor) std::shared_ptr<const Predictor>(std::move(predictor));
  new (&self->threads) std::unique_ptr<CallThreads>(std::make_unique<CallThreads>());
  new (&self->in_dtypes) std::vector<PyObject*>();
  new (&self->out_dtypes) std::vector<PyObject*>();
  const Net& net = self->predictor->net();
  for (const NetInput& input : net.inputs)
    self->in_dtypes.push_back(numpy_description(input.type.dtype));
  for (const NetOutput& output : net.outputs)
    self->out_dtypes.push_back(
        numpy_description(net.values[static_cast<std::size_t>(output.value)].type.dtype));
  return object;
}

const Predictor& predictor_of(const py::handle& object) {
  if (Py_TYPE(object.ptr()) != predictor_type)
    throw TypeError(cat("a Predictor is expected, got ", Py_TYPE(object.ptr())->tp_name));
  return *self_of(object.ptr())->predictor;
}

void bind_predictor(py::module_& m) {
  PyType_Slot slots[] = {
      {Py_tp_dealloc, slot(&deallocate)},
      {Py_tp_traverse, slot(&traverse)},
      {Py_tp_clear, slot(&clear)},
      {Py_tp_new, slot(&refuse_new)},
      {Py_tp_call, slot(&PyVectorcall_Call)},
      {Py_tp_members, const_cast<PyMemberDef*>(kMembers)},
      {Py_tp_getset, const_cast<PyGetSetDef*>(kGetSet)},
      {Py_tp_methods, const_cast<PyMethodDef*>(kMethods)},
      {Py_tp_doc, const_cast<char*>(kDoc)},
      {0, nullptr},
  };
  PyType_Spec type_spec{"densa._core.Predictor", sizeof(PyPredictor), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
                        slots};
  predictor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&type_spec));
  if (predictor_type == nullptr) throw py::error_already_set();
  m.attr("Predictor") =
      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(predictor_type));

  m.def(
      "predictor_specs",
      [](const py::object& object) {
        const Net& net = predictor_of(object).net();
        py::list in, out;
        for (const NetInput& input : net.inputs) in.append(spec_tuple(input.name, input.type));
        for (const NetOutput& output : net.outputs)
          out.append(
              spec_tuple(output.name, net.values[static_cast<std::size_t>(output.value)].type));
        return py::make_tuple(in, out);
      },
      py::arg("predictor"), "(name, shape, dtype) of its inputs and of its outputs.");
  m.def(
      "predictor_run",
      [](const py::object& object, const py::list& arrays) {
        predictor_of(object);
        std::vector<PyObject*> args;
        for (const py::handle& array : arrays) args.push_back(array.ptr());
        return py::reinterpret_steal<py::list>(
            call_with(*self_of(object.ptr()), args.data(), args.size(), nullptr, true));
      },
      py::arg("predictor"), py::arg("arrays"), "One result for each output.");
  m.def(
      "predictor_text",
      [](const py::object& object) {
        const Predictor& predictor = predictor_of(object);
        return py::make_tuple(to_string(predictor.net()), predictor.explain());
      },
      py::arg("predictor"), "Its nodes, and the steps that run them.");
  m.def(
      "predictor_file",
      [](const py::object& object, const std::map<std::string, std::string>& notes) {
        const Net& net = predictor_of(object).net();
        const auto bytes = static_cast<py::ssize_t>(net.arena_bytes);
        const py::capsule keeper(new std::shared_ptr<const void>(net.owner), [](void* p) {
          delete static_cast<std::shared_ptr<const void>*>(p);
        });
        py::array_t<std::uint8_t> arena({bytes}, {py::ssize_t{1}},
                                        reinterpret_cast<const std::uint8_t*>(net.arena), keeper);
        arena.attr("flags").attr("writeable") = false;
        return py::make_tuple(py::bytes(net_file_header(net, notes)), arena);
      },
      py::arg("predictor"), py::arg("notes"), "The two parts of its file.");
  const auto loaded = [](NetFile file) {
    std::map<std::string, std::string> notes = std::move(file.notes);
    return py::make_tuple(to_python(std::make_shared<const Predictor>(std::move(file.net))),
                          std::move(notes));
  };
  m.def(
      "load_predictor",
      [loaded](const std::string& path, bool mmap, bool check) {
        FileBytes bytes = open_file(path, mmap);
        try {
          return loaded(read_net_file(bytes.data, bytes.bytes, std::move(bytes.owner), check));
        } catch (const ValueError& error) {
          throw ValueError(cat(path, ": ", error.what()));
        }
      },
      py::arg("path"), py::arg("mmap"), py::arg("check"), "A predictor, and the file's notes.");
  m.def(
      "read_predictor",
      [loaded](const py::bytes& bytes, bool check) {
        const std::string_view text = bytes;
        const auto storage = Storage::allocate(std::max<std::size_t>(text.size(), 1));
        std::memcpy(storage->data(), text.data(), text.size());
        return loaded(read_net_file(static_cast<const std::byte*>(storage->data()), text.size(),
                                    storage, check));
      },
      py::arg("data"), py::arg("check") = true, "The same from the bytes of a file.");
  m.def(
      "predictor_size",
      [](const py::object& object) {
        const Predictor& predictor = predictor_of(object);
        return py::make_tuple(predictor.weight_bytes(), predictor.row_flops());
      },
      py::arg("predictor"), "Bytes of its constants, and multiplications and additions of a row.");
}

}  // namespace densa::bindings
