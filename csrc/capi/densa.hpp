// densa.h for C++11 and newer: handles that free themselves, errors as exceptions. All of it stands
// here, so any compiler's C++ goes with the library.
#ifndef DENSA_HPP
#define DENSA_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "densa.h"

namespace densa {

class Error : public std::runtime_error {
 public:
  Error(densa_status status, const std::string& text) : std::runtime_error(text), status_(status) {}
  densa_status status() const noexcept { return status_; }

 private:
  densa_status status_;
};

inline void check(densa_status status) {
  if (status != DENSA_OK)
    throw Error(status, std::string(densa_status_name(status)) + ": " + densa_last_error());
}

// Immutable; any number of threads may use one. Copies are the same model.
class Model {
 public:
  explicit Model(const std::string& path, const densa_load_options* options = nullptr) {
    densa_model* made = nullptr;
    check(densa_model_load(path.c_str(), options, &made));
    model_.reset(made, densa_model_free);
  }
  Model(const void* data, std::size_t bytes, const densa_load_options* options = nullptr) {
    densa_model* made = nullptr;
    check(densa_model_load_memory(data, bytes, options, &made));
    model_.reset(made, densa_model_free);
  }

  std::size_t inputs() const { return densa_model_inputs(get()); }
  std::size_t outputs() const { return densa_model_outputs(get()); }
  densa_tensor_info input(std::size_t index) const {
    densa_tensor_info info = DENSA_TENSOR_INFO_INIT;
    check(densa_model_input(get(), index, &info));
    return info;
  }
  densa_tensor_info output(std::size_t index) const {
    densa_tensor_info info = DENSA_TENSOR_INFO_INIT;
    check(densa_model_output(get(), index, &info));
    return info;
  }
  const densa_model* get() const noexcept { return model_.get(); }

 private:
  std::shared_ptr<densa_model> model_;
};

// Memory for calls of one thread at a time.
class Session {
 public:
  explicit Session(const Model& model, std::int64_t max_rows = 1024, std::int32_t threads = 1)
      : session_(nullptr, densa_session_free) {
    densa_session_options options = DENSA_SESSION_OPTIONS_INIT;
    options.max_rows = max_rows;
    options.threads = threads;
    densa_session* made = nullptr;
    check(densa_session_create(model.get(), &options, &made));
    session_.reset(made);
  }

  void run(const void* const* inputs, void* const* outputs, std::int64_t rows) {
    check(densa_run(session_.get(), inputs, outputs, rows));
  }
  // A model of one input and one output; x and y are of its dtypes.
  void run(const void* x, void* y, std::int64_t rows) { run(&x, &y, rows); }

 private:
  std::unique_ptr<densa_session, void (*)(densa_session*)> session_;
};

}  // namespace densa

#endif
