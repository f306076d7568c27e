// Calls through the C ABI allocate nothing and give the bits of other cuts of the same rows.
//
// malloc and its kin are counted here; operator new goes through them.
#include <cstdlib>

#include "base/sanitizers.h"

#if defined(__GLIBC__) && !DENSA_ASAN && !DENSA_TSAN
#define DENSA_COUNTS 1
#else
#define DENSA_COUNTS 0  // a sanitizer has these functions itself
#endif

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include "capi/densa.h"
#include "check.h"
#include "nets.h"

namespace {

std::atomic<long> allocations{0};

}  // namespace

#if DENSA_COUNTS
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): glibc's own names
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t bytes) { return ++allocations, __libc_malloc(bytes); }
void* calloc(std::size_t n, std::size_t bytes) { return ++allocations, __libc_calloc(n, bytes); }
void* realloc(void* p, std::size_t bytes) { return ++allocations, __libc_realloc(p, bytes); }
void* aligned_alloc(std::size_t a, std::size_t n) { return ++allocations, __libc_memalign(a, n); }
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
#endif

namespace {

// Memory for a call: rows of zeros and ones that every input takes, ids included.
struct Call {
  Call(const densa_model* model, std::int64_t rows) : rows(rows) {
    const auto add = [&](const densa_tensor_info& info, auto& arrays) {
      arrays.emplace_back(static_cast<std::size_t>(rows) * info.row_bytes + 1);
      for (std::size_t i = 0; i + 8 <= arrays.back().size(); i += 8)
        if (info.dtype == DENSA_FLOAT32) {
          const float pair[] = {static_cast<float>(i % 7), -1.0F};
          std::memcpy(arrays.back().data() + i, pair, 8);
        }
    };
    densa_tensor_info info = DENSA_TENSOR_INFO_INIT;
    for (std::size_t i = 0; i < densa_model_inputs(model); ++i)
      densa_model_input(model, i, &info), add(info, x);
    for (std::size_t k = 0; k < densa_model_outputs(model); ++k)
      densa_model_output(model, k, &info), add(info, y);
    for (const auto& array : x) in.push_back(array.data());
    for (auto& array : y) out.push_back(array.data());
    std::size_t bytes = 0;
    densa_scratch_bytes(model, rows, &bytes);
    scratch.resize(bytes);
  }
  std::int64_t rows;
  std::vector<std::vector<std::byte>> x, y;
  std::vector<const void*> in;
  std::vector<void*> out;
  std::vector<std::byte> scratch;
};

densa_model* load(densa::NetBuilder net) {
  const std::string file = net.file();
  densa_model* model = nullptr;
  const densa_status status = densa_model_load_memory(file.data(), file.size(), nullptr, &model);
  CHECK(status == DENSA_OK, "%s", densa_last_error());
  return model;
}

void count(densa_model* model, const char* name, int calls) {
  for (const std::int64_t rows : {1, 3, 17}) {
    Call call(model, rows);
    densa_session* session = nullptr;
    CHECK(densa_session_create(model, nullptr, &session) == DENSA_OK, "%s", densa_last_error());
    const long before = allocations;
    int wrong = 0;
    for (int i = 0; i < calls; ++i) {
      wrong += densa_run_with_scratch(model, call.in.data(), call.out.data(), rows,
                                      call.scratch.data(), call.scratch.size()) != DENSA_OK;
      if (i % 16 == 0)
        wrong += densa_run(session, call.in.data(), call.out.data(), rows) != DENSA_OK;
    }
    const long made = allocations - before;
    CHECK(wrong == 0, "%s: %s", name, densa_last_error());
    CHECK(made == 0, "%s: %ld allocations in %d calls of %d rows", name, made, calls,
          static_cast<int>(rows));
    densa_session_free(session);
  }
}

// Scratch of any alignment, and a byte less than is needed.
void scratch(densa_model* model) {
  Call call(model, 5);
  Call other(model, 5);
  std::size_t bytes = call.scratch.size();
  for (std::size_t shift : {0, 1, 63}) {
    std::vector<std::byte> memory(bytes + shift + 1, std::byte{0x5A});
    CHECK(densa_run_with_scratch(model, call.in.data(), call.out.data(), 5, memory.data() + shift,
                                 bytes) == DENSA_OK,
          "%s", densa_last_error());
    CHECK(memory.back() == std::byte{0x5A}, "written behind the scratch");
    if (shift > 0) CHECK(call.y == other.y, "alignment changed the answers");
    other.y = call.y;
  }
  CHECK(densa_run_with_scratch(model, call.in.data(), call.out.data(), 5, call.scratch.data(),
                               bytes - 1) == DENSA_INVALID_ARGUMENT,
        "too little scratch");
}

}  // namespace

int main() {
  const int calls = 100'000;
  densa_model* const dense = load(densa::dense_net());
  densa_model* const wide = load(densa::wide_net());
  densa_model* const reduce = load(densa::reduce_net());
  if (densa::failures > 0) return 1;
  scratch(dense), scratch(wide), scratch(reduce);
  if (DENSA_COUNTS) {
    const long before = allocations;
    std::free(std::malloc(1));
    CHECK(allocations > before, "allocations are not counted");
    count(dense, "dense", calls);
    count(wide, "wide", calls);
    count(reduce, "reduce", calls / 10);
  }
  for (densa_model* model : {dense, wide, reduce}) densa_model_free(model);
  return densa::failures > 0 ? 1 : 0;
}
