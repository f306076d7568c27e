// What a plan calls around its ops: "feed" gathers the rows of a batch, "emit" puts a result's rows
// to theirs, "check" ends a step whose ops failed, "store" writes a variable, "advance" goes to the
// next batch. Where that is stands in device memory (DeviceStep), so that captured launches can be
// replayed.
#include <climits>
#include <type_traits>

#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "cuda/words.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {
namespace {

// Row r of the batch is row source(r) of the data.
struct BatchRows {
  Global<const std::int64_t> order;
  Global<const DeviceStep> step;

  __device__ std::int64_t source(std::int64_t r) const {
    const std::int64_t at = (step == nullptr ? 0 : step->first) + r;
    return order == nullptr ? at : order[at];
  }
};

// y = cast(x) * scale + offset.
template <class T>
struct Affine {
  bool plain;  // scale 1, offset 0
  T scale, offset;

  __device__ T operator()(T x) const { return plain ? x : x * scale + offset; }
};

template <class S, int kWide>
struct alignas(kWide * sizeof(S) < 16 ? kWide * sizeof(S) : 16) Wide {
  S x[kWide];
};

// ---- the same type ------------------------------------------------------------------------------

template <class Word>
__global__ void copy_rows(std::int64_t n, std::int64_t width, BatchRows rows, Global<const Word> x,
                          Global<Word> y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t r = i / width;
    y[i] = x[rows.source(r) * width + i - r * width];
  }
}

// ---- to a floating type -------------------------------------------------------------------------

// kWide numbers per thread.
template <class S, class T, int kWide>
__global__ void feed_numbers(std::int64_t n, std::int64_t width, BatchRows rows,
                             Global<const Wide<S, kWide>> x, Affine<T> affine,
                             Global<Wide<T, kWide>> y, Global<long long> status) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t r = i / width, row = rows.source(r);
    const Wide<S, kWide> from = x[row * width + i - r * width];
    Wide<T, kWide> to;
    bool finite = true;
    for (int k = 0; k < kWide; ++k) {
      const T number = static_cast<T>(from.x[k]);
      if constexpr (std::is_floating_point_v<S>) finite = finite && number - number == T(0);
      to.x[k] = affine(number);
    }
    y[i] = to;
    if (!finite && status != nullptr) atomic_min(status, static_cast<long long>(row));
  }
}

inline constexpr int kBytes = sizeof(Word16);
inline constexpr int kParts = 4;  // of a Word16, of 4 bytes each

// Lane l of four neighbours has row l of a 4 x 4 matrix and gets column l.
__device__ void transpose_four(std::uint32_t (&part)[kParts]) {
  const int lane = static_cast<int>(threadIdx.x) % kParts;
  for (int mask = 1; mask < kParts; mask *= 2)
    for (int k = 0; k < kParts; ++k) {
      if ((k & mask) != 0) continue;
      const bool high = (lane & mask) != 0;
      const std::uint32_t got = shuffle_xor(high ? part[k] : part[k | mask], mask);
      (high ? part[k] : part[k | mask]) = got;
    }
}

// Bytes, 16 per thread. Four neighbours exchange them, so that together they write whole lines.
template <class S, class T>
__global__ void feed_bytes(std::int64_t n, std::int64_t width, BatchRows rows,
                           Global<const Word16> x, Affine<T> affine, Global<Wide<T, kParts>> y) {
  const std::int64_t lane = threadIdx.x % kWarp;
  for (std::int64_t first = GridStride::begin() - lane; first < n; first += GridStride::step()) {
    const std::int64_t i = first + lane, r = i / width;
    Word16 word{};
    if (i < n) word = x[rows.source(r) * width + i - r * width];
    transpose_four(word.part);
    for (int k = 0; k < kParts; ++k) {
      const std::int64_t whose = i - lane % kParts + k;
      if (whose >= n) break;
      Wide<T, kParts> to;
      for (int b = 0; b < kParts; ++b)
        to.x[b] = affine(static_cast<T>(static_cast<S>(word.part[k] >> (8 * b) & 0xff)));
      y[whose * kParts + lane % kParts] = to;
    }
  }
}

// ---- to 16 bits: one kernel, which is told the type that it reads -------------------------------

struct HalfFeed {
  std::int64_t n, width;  // in groups of `group` numbers, 1 or 4
  int group;
  BatchRows rows;
  Affine<float> affine;
  Numbers<float> y;
  Global<long long> status;
};

__device__ inline float load_number(DType from, const void* x, std::int64_t at) {
  switch (from) {
#define DENSA_CASE(name, python, From) \
  case DType::name: return static_cast<float>(Global<const From>(static_cast<const From*>(x))[at]);
    DENSA_DTYPES(DENSA_CASE)
#undef DENSA_CASE
    default: return 0;  // a data set has no 16-bit floats
  }
}

__global__ void feed_halves(HalfFeed feed, DType from, const void* x) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < feed.n; i += GridStride::step()) {
    const std::int64_t r = i / feed.width, row = feed.rows.source(r);
    const std::int64_t first = (row * feed.width + i - r * feed.width) * feed.group;
    bool finite = true;
    DENSA_ROLLED
    for (int k = 0; k < feed.group; ++k) {
      const float number = load_number(from, x, first + k);
      finite = finite && number - number == 0;
      put(feed.y, feed.group * i + k, feed.affine(number));
    }
    if (!finite && feed.status != nullptr) atomic_min(feed.status, static_cast<long long>(row));
  }
}

template <class T>
Affine<T> affine_of(const Attrs& attrs) {
  const double scale = attrs.get_double("scale", 1), offset = attrs.get_double("offset", 0);
  return {scale == 1 && offset == 0, static_cast<T>(scale), static_cast<T>(offset)};
}

struct FeedCall {
  const DeviceCall& call;
  std::int64_t rows, width;  // numbers per row
  BatchRows where;
  bool fits(int numbers) const {
    const auto wide = [&](const View& v) {
      const auto bytes = static_cast<std::int64_t>(item_size(v.dtype)) * numbers;
      return widest_word({bits_of(v.data)}) >= (bytes < 16 ? bytes : 16);
    };
    return width % numbers == 0 && wide(call.in[0]) && wide(call.out[0]);
  }
};

template <class S, class T, int kWide>
void launch_numbers(const FeedCall& feed, const Affine<T>& affine) {
  const DeviceCall& call = feed.call;
  const std::int64_t width = feed.width / kWide, n = feed.rows * width;
  cuda::launch(call.stream, cuda::grid_for(n), feed_numbers<S, T, kWide>, n, width, feed.where,
               call.in[0].as<const Wide<S, kWide>>(), affine, call.out[0].as<Wide<T, kWide>>(),
               call.status);
}

template <class S, class T>
void launch_feed(const FeedCall& feed) {
  const DeviceCall& call = feed.call;
  const auto affine = affine_of<T>(call.attrs);
  if constexpr (sizeof(S) == 1) {
    if (feed.fits(kBytes)) {
      const std::int64_t width = feed.width / kBytes, n = feed.rows * width;
      cuda::launch(call.stream, cuda::grid_for(n), feed_bytes<S, T>, n, width, feed.where,
                   call.in[0].as<const Word16>(), affine, call.out[0].as<Wide<T, kParts>>());
      return;
    }
  }
  if (feed.fits(4)) {
    launch_numbers<S, T, 4>(feed, affine);
  } else {
    launch_numbers<S, T, 1>(feed, affine);
  }
}

void launch_halves(const FeedCall& feed) {
  const DeviceCall& call = feed.call;
  const View &x = call.in[0], &y = call.out[0];
  const int group = feed.width % 4 == 0 ? 4 : 1;
  const std::int64_t width = feed.width / group, n = feed.rows * width;
  const HalfFeed halves{n,
                        width,
                        group,
                        feed.where,
                        affine_of<float>(call.attrs),
                        Numbers<float>::of(y),
                        Global<long long>(call.status)};
  cuda::launch(call.stream, cuda::grid_for(n), feed_halves, halves, x.dtype,
               static_cast<const void*>(x.data));
}

BatchRows rows_of(const DeviceCall& call) {
  const std::int64_t* order = call.in.size() > 1 ? call.in[1].as<const std::int64_t>() : nullptr;
  return {Global<const std::int64_t>(order), Global<const DeviceStep>(call.step)};
}

// in[0] is the data; in[1], if given, the order: int64 row numbers. A result that is not floating
// has the data's type. `status` falls to the row of in[0] with a number that is not finite in the
// type of the result, before scale and offset.
void feed(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const std::int64_t count = element_count(y.shape);
  if (count == 0) return;
  const std::int64_t rows = y.shape[0], width = count / rows;
  if (is_half(y.dtype)) return launch_halves({call, rows, width, rows_of(call)});
  if (is_floating(y.dtype)) {
    visit_dtype(x.dtype, [&](auto zero) {
      using S =
          std::conditional_t<std::is_same_v<decltype(zero), bool>, std::uint8_t, decltype(zero)>;
      const FeedCall one{call, rows, width, rows_of(call)};
      y.dtype == DType::kFloat32 ? launch_feed<S, float>(one) : launch_feed<S, double>(one);
    });
    return;
  }
  const std::int64_t row_bytes = width * static_cast<std::int64_t>(item_size(y.dtype));
  const std::int64_t bytes = widest_word({bits_of(x.data), bits_of(y.data), row_bytes});
  visit_word_of(bytes, [&](auto zero) {
    using Word = decltype(zero);
    const std::int64_t n = rows * row_bytes / bytes;
    cuda::launch(call.stream, cuda::grid_for(n), copy_rows<Word>, n, row_bytes / bytes,
                 rows_of(call), x.as<const Word>(), y.as<Word>());
  });
}

// ---- emit, check, store, advance ----------------------------------------------------------------

template <class Word>
__global__ void emit_rows(std::int64_t n, std::int64_t width, Global<const DeviceStep> step,
                          Global<const Word> x, Global<Word> y) {
  const std::int64_t first = (step == nullptr ? 0 : step->first) * width;
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) y[first + i] = x[i];
}

// The rows of in[0] become those of out[0] from the batch's position on.
void emit(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const std::int64_t count = element_count(x.shape);
  if (count == 0) return;
  const std::int64_t all_bytes = count * static_cast<std::int64_t>(item_size(x.dtype));
  const std::int64_t row_bytes = all_bytes / x.shape[0];
  const std::int64_t bytes = widest_word({bits_of(x.data), bits_of(y.data), row_bytes});
  visit_word_of(bytes, [&](auto zero) {
    using Word = decltype(zero);
    const std::int64_t n = all_bytes / bytes;
    cuda::launch(call.stream, cuda::grid_for(n), emit_rows<Word>, n, row_bytes / bytes, call.step,
                 x.as<const Word>(), y.as<Word>());
  });
}

__global__ void check_statuses(std::int64_t n, Global<const long long> status,
                               Global<DeviceStep> step) {
  for (std::int64_t i = 0; i < n; ++i)
    if (status[i] != LLONG_MAX) step->failed = 1;
}

// in[0] holds what ops lower when they fail, as int64; out[0] is the DeviceStep.
void check(const DeviceCall& call) {
  cuda::launch(call.stream, {{1}, {1}}, check_statuses, element_count(call.in[0].shape),
               call.in[0].as<const long long>(), call.out[0].as<DeviceStep>());
}

template <class Word>
__global__ void store_words(std::int64_t n, Global<const DeviceStep> step, Global<const Word> x,
                            Global<Word> y) {
  if (step->failed != 0) return;
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) y[i] = x[i];
}

// out[0] becomes in[0], unless the step failed.
void store(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const auto all_bytes = static_cast<std::int64_t>(byte_count(x.shape, item_size(x.dtype)));
  const std::int64_t bytes = widest_word({bits_of(x.data), bits_of(y.data), all_bytes});
  visit_word_of(bytes, [&](auto zero) {
    using Word = decltype(zero);
    const std::int64_t n = all_bytes / bytes;
    cuda::launch(call.stream, cuda::grid_for(n), store_words<Word>, n, call.step,
                 x.as<const Word>(), y.as<Word>());
  });
}

__global__ void advance_step(Global<DeviceStep> step, std::int64_t batch) {
  if (step->failed != 0) return;
  step->step += 1;
  step->first += batch;
  step->index += 1;
}

// out[0] is the DeviceStep, as int64 (4,).
void advance(const DeviceCall& call) {
  static_assert(sizeof(DeviceStep) == 4 * sizeof(std::int64_t));
  cuda::launch(call.stream, {{1}, {1}}, advance_step, call.out[0].as<DeviceStep>(),
               call.attrs.get_int("batch", 0));
}

template <class Word>
__global__ void fill_words(std::int64_t n, Word word, Global<Word> y) {
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) y[i] = word;
}

// out[0] is filled with an element of these bits.
void fill(const DeviceCall& call) {
  const View& y = call.out[0];
  const std::int64_t n = element_count(y.shape), bits = call.attrs.get_int("bits", 0);
  visit_word_of(static_cast<std::int64_t>(item_size(y.dtype)), [&](auto zero) {
    using Word = decltype(zero);
    if constexpr (sizeof(Word) <= sizeof bits)
      cuda::launch(call.stream, cuda::grid_for(n), fill_words<Word>, n, static_cast<Word>(bits),
                   y.as<Word>());
  });
}

constexpr DeviceOp kOps[] = {
    {.name = "fill", .eval = &fill},   {.name = "feed", .eval = &feed, .half_out = 1},
    {.name = "emit", .eval = &emit},   {.name = "check", .eval = &check},
    {.name = "store", .eval = &store}, {.name = "advance", .eval = &advance},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> feed();
std::span<const DeviceOp> feed() { return kOps; }

}  // namespace densa::cuda_ops
