// Calls: with a session's memory, or the caller's.
#include <limits>

#include "base/alone.h"
#include "base/threads.h"
#include "capi/guard.h"
#include "capi/model.h"
#include "predict/overlap.h"

namespace densa::capi {
namespace {

constexpr std::size_t kLine = 64;
constexpr densa_session_options kDefaults = DENSA_SESSION_OPTIONS_INIT;

void run(const Frozen& frozen, const void* const* in, void* const* out, std::int64_t rows,
         void* scratch, int threads) {
  auto* const memory = static_cast<std::byte*>(scratch);
  if (threads > 1) return frozen.predictor.run(in, out, rows, memory, threads);
  const RunAlone alone;
  frozen.predictor.run(in, out, rows, memory);
}

}  // namespace

void Frozen::check(const void* const* in, void* const* out, std::int64_t rows) const {
  if (rows < 0 || rows > most_rows)
    refuse(DENSA_INVALID_ARGUMENT, rows, " rows; 0 to ", most_rows, " can be computed");
  if (rows == 0) return;
  if ((in == nullptr && !inputs.empty()) || out == nullptr)
    refuse(DENSA_INVALID_ARGUMENT, in == nullptr ? "inputs" : "outputs", " is NULL");
  const auto each = [](const std::vector<Array>& arrays, auto at, const char* what) {
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const void* const data = at(i);
      if (arrays[i].row_bytes == 0) continue;
      if (data == nullptr)
        refuse(DENSA_INVALID_ARGUMENT, what, " '", arrays[i].name, "' (", i, ") is NULL");
      if (reinterpret_cast<std::uintptr_t>(data) % arrays[i].alignment != 0)
        refuse(DENSA_INVALID_ARGUMENT, what, " '", arrays[i].name, "' (", i, ") is not aligned to ",
               arrays[i].alignment, " bytes");
    }
  };
  // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): called for inputs, which `in` then holds
  const auto input = [in](std::size_t i) { return in[i]; };
  each(inputs, input, "input");
  const auto output = [out](std::size_t i) { return out[i]; };
  each(outputs, output, "output");

  const auto extent = [rows](const Array& array, const void* data) {
    return Extent(data, array.row_bytes * static_cast<std::size_t>(rows));
  };
  const auto found = find_overlap(
      inputs.size(), [&](std::size_t i) { return extent(inputs[i], input(i)); }, outputs.size(),
      [&](std::size_t k) { return extent(outputs[k], output(k)); });
  if (found)
    refuse(DENSA_INVALID_ARGUMENT, "output '", outputs[found->output].name, "' (", found->output,
           ") shares memory with ", found->with_input ? "input '" : "output '",
           (found->with_input ? inputs : outputs)[found->other].name, "' (", found->other, ")");
}

void Frozen::check_scratch(const void* const* in, void* const* out, std::int64_t rows,
                           const void* scratch, std::size_t bytes) const {
  if (rows == 0) return;
  const Extent used(scratch, bytes);
  const auto apart = [&](const Array& array, std::size_t i, const void* data, const char* what) {
    if (overlap(used, Extent(data, array.row_bytes * static_cast<std::size_t>(rows))))
      refuse(DENSA_INVALID_ARGUMENT, what, " '", array.name, "' (", i,
             ") lies in the scratch memory");
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) apart(inputs[i], i, in[i], "input");
  for (std::size_t k = 0; k < outputs.size(); ++k) apart(outputs[k], k, out[k], "output");
}

}  // namespace densa::capi

using namespace densa::capi;  // NOLINT(google-build-using-namespace): the functions lie outside

extern "C" {

densa_status densa_session_create(const densa_model* model, const densa_session_options* options,
                                  densa_session** session) {
  if (session != nullptr) *session = nullptr;
  return guarded(DENSA_INTERNAL, [&] {
    need(session, "session");
    const auto& frozen = need(model, "model").frozen;
    const auto taken = options_of(options, kDefaults, sizeof kDefaults, "densa_session_options");
    if (taken.max_rows < 1 || taken.max_rows > frozen->most_rows)
      refuse(DENSA_INVALID_ARGUMENT, "max_rows is ", taken.max_rows, ", not 1 to ",
             frozen->most_rows);
    if (taken.threads < 1 || taken.threads > densa::kMaxThreads)
      refuse(DENSA_INVALID_ARGUMENT, "threads is ", taken.threads, ", not 1 to ",
             densa::kMaxThreads);
    if (taken.reserved != 0) refuse(DENSA_INVALID_ARGUMENT, "reserved is not 0");
    *session = new densa_session{
        frozen,
        densa::Storage::allocate(frozen->predictor.scratch_bytes(taken.max_rows, taken.threads)),
        taken.max_rows, taken.threads};
  });
}

void densa_session_free(densa_session* session) { delete session; }

densa_status densa_run(densa_session* session, const void* const* inputs, void* const* outputs,
                       int64_t rows) {
  return guarded(DENSA_BAD_INPUT, [&] {
    const densa_session& kept = need(session, "session");
    if (rows > kept.max_rows)
      refuse(DENSA_INVALID_ARGUMENT, rows, " rows; the session was made for ", kept.max_rows);
    kept.frozen->check(inputs, outputs, rows);
    run(*kept.frozen, inputs, outputs, rows, kept.scratch->data(), kept.threads);
  });
}

densa_status densa_scratch_bytes(const densa_model* model, int64_t rows, size_t* bytes) {
  return guarded(DENSA_INTERNAL, [&] {
    need(bytes, "bytes") = 0;
    const Frozen& frozen = *need(model, "model").frozen;
    if (rows < 0 || rows > frozen.most_rows)
      refuse(DENSA_INVALID_ARGUMENT, rows, " rows; 0 to ", frozen.most_rows, " can be computed");
    *bytes = frozen.predictor.scratch_bytes(rows) + kLine - 1;
  });
}

densa_status densa_run_with_scratch(const densa_model* model, const void* const* inputs,
                                    void* const* outputs, int64_t rows, void* scratch,
                                    size_t scratch_bytes) {
  return guarded(DENSA_BAD_INPUT, [&] {
    const Frozen& frozen = *need(model, "model").frozen;
    frozen.check(inputs, outputs, rows);
    const std::size_t wanted = frozen.predictor.scratch_bytes(rows) + kLine - 1;
    if (scratch_bytes < wanted)
      refuse(DENSA_INVALID_ARGUMENT, "scratch has ", scratch_bytes, " bytes; ", rows, " rows need ",
             wanted);
    if (scratch == nullptr) refuse(DENSA_INVALID_ARGUMENT, "scratch is NULL");
    frozen.check_scratch(inputs, outputs, rows, scratch, wanted);
    const auto at = reinterpret_cast<std::uintptr_t>(scratch);
    run(frozen, inputs, outputs, rows,
        static_cast<std::byte*>(scratch) + (kLine - at % kLine) % kLine, 1);
  });
}
}
