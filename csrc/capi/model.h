// What stands behind the handles of densa.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/storage.h"
#include "capi/densa.h"
#include "predict/predictor.h"

namespace densa::capi {

// A model, and what a call checks of its arguments.
struct Frozen {
  struct Array {
    const char* name;
    TypeInfo type;
    std::size_t row_bytes, alignment;
  };
  explicit Frozen(Net net);

  Predictor predictor;
  std::vector<Array> inputs, outputs;
  std::int64_t most_rows = 0;  // whose bytes can be counted

  // Throws Failure unless these can be the arguments of a call.
  void check(const void* const* in, void* const* out, std::int64_t rows) const;
  // ... and unless they lie apart from the call's scratch memory.
  void check_scratch(const void* const* in, void* const* out, std::int64_t rows,
                     const void* scratch, std::size_t bytes) const;
};

}  // namespace densa::capi

struct densa_model {
  std::shared_ptr<const densa::capi::Frozen> frozen;
};

struct densa_session {
  std::shared_ptr<const densa::capi::Frozen> frozen;
  std::shared_ptr<densa::Storage> scratch;
  std::int64_t max_rows;
  int threads;
};
