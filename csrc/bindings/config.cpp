#include "base/sanitizers.h"
#include "base/threads.h"
#include "bindings/python.h"
#include "ops/matmul/matmul_precision.h"
#if __has_include("simd/cpu_level.h")
#include "simd/cpu_level.h"
#define DENSA_KNOWS_LEVEL 1
#endif

namespace densa::bindings {
namespace {

const char* compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

const char* build_type() {
#if DENSA_ASAN
  return "address sanitizer";
#elif DENSA_TSAN
  return "thread sanitizer";
#elif defined(NDEBUG)
  return "release";
#else
  return "debug";
#endif
}

py::list compiled_levels() {
  py::list levels;
#ifdef DENSA_HAVE_BASELINE
  levels.append("baseline");
#endif
#ifdef DENSA_HAVE_V2
  levels.append("v2");
#endif
#ifdef DENSA_HAVE_V3
  levels.append("v3");
#endif
#ifdef DENSA_HAVE_V4
  levels.append("v4");
#endif
#ifdef DENSA_HAVE_V4X
  levels.append("v4x");
#endif
  return levels;
}

py::dict config() {
  py::dict out;
  out["version"] = DENSA_VERSION;
  out["compiled_levels"] = compiled_levels();
#ifdef DENSA_KNOWS_LEVEL
  out["cpu_level"] = std::string(cpu_level_name());
#endif
  out["threads"] = thread_limit().threads;
  out["available_threads"] = available_threads();
  out["compiler"] = compiler();
  out["build_type"] = build_type();
  out["floatx"] = std::string(dtype_name(floatx()));
  return out;
}

void set_threads(int threads, bool exact) {
  if (threads < 1 || threads > kMaxThreads)
    throw ValueError(cat("set_num_threads: got ", threads, "; expected 1 to ", kMaxThreads));
  set_thread_limit({threads, exact});
}

}  // namespace

void bind_config(py::module_& m) {
  m.def("config", &config, "What this build is and chose.");
  m.def("set_num_threads", &set_threads, py::arg("threads"), py::arg("exact") = false,
        "Use at most this many threads, or exactly this many.");
  m.def("get_num_threads", [] { return thread_limit().threads; });
  m.def("floatx", [] { return std::string(dtype_name(floatx())); });
  m.def(
      "set_floatx", [](const py::object& dtype) { set_floatx(to_dtype(dtype)); }, py::arg("dtype"));
  m.def("matmul_precision", [] { return std::string(name_of(matmul_precision())); });
  m.def(
      "set_matmul_precision",
      [](const std::string& name) { set_matmul_precision(matmul_precision_from_name(name)); },
      py::arg("precision"));
  m.attr("__version__") = DENSA_VERSION;
}

}  // namespace densa::bindings
