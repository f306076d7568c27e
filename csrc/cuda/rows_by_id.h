// Rows of a table by their ids, and the sums that are the gradient of that.
//
// A table is [outer][size][width], what is looked up [outer][count][width], ids are integers of any
// type. Sums add in ascending order of the ids' positions, as on the CPU: no atomics, the same bits
// always. An id that is out of range gives zeros, and its position lowers `status`.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/launch.h"
#include "cuda/words.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {

struct Ids {
  const void* data;
  DType dtype;
  bool from_end;  // -1 is the last row
  std::int64_t count, size;

  Ids(const View& ids, std::int64_t rows, bool negative)
      : data(ids.data),
        dtype(ids.dtype),
        from_end(negative && ids.dtype != DType::kUInt64),
        count(element_count(ids.shape)),
        size(rows) {}

  template <class T>
  __device__ std::int64_t as(std::int64_t i) const {
    return static_cast<std::int64_t>(Global<const T>(static_cast<const T*>(data))[i]);
  }
  // A uint64 beyond int64 comes out negative.
  __device__ std::int64_t at(std::int64_t i) const {
    switch (dtype) {
      case DType::kInt8: return as<std::int8_t>(i);
      case DType::kInt16: return as<std::int16_t>(i);
      case DType::kInt32: return as<std::int32_t>(i);
      case DType::kUInt8: return as<std::uint8_t>(i);
      case DType::kUInt16: return as<std::uint16_t>(i);
      case DType::kUInt32: return as<std::uint32_t>(i);
      default: return as<std::int64_t>(i);
    }
  }
  // The row that element i means, or -1.
  __device__ std::int64_t row(std::int64_t i) const {
    std::int64_t id = at(i);
    if (id < 0 && from_end) id += size;
    return id >= 0 && id < size ? id : -1;
  }
};

__device__ inline void tell(Global<long long> status, std::int64_t position) {
  if (status != nullptr) atomic_min(status, static_cast<long long>(position));
}

// ---- looking up ---------------------------------------------------------------------------------

template <class AnyIds>
__global__ void check_ids(AnyIds ids, Global<long long> status) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < ids.count; i += GridStride::step())
    if (ids.row(i) < 0) tell(status, i);
}

// One word per thread, so that short rows and long ones keep all threads busy.
template <class Word>
__global__ void gather_rows(std::int64_t n, std::int64_t width, Ids ids, Global<const Word> x,
                            Global<Word> y, Global<long long> status) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t rows = i / width, word = i - rows * width;
    const std::int64_t outer = rows / ids.count, position = rows - outer * ids.count;
    const std::int64_t row = ids.row(position);
    if (row < 0 && word == 0) tell(status, position);
    y[i] = row < 0 ? Word{} : x[(outer * ids.size + row) * width + word];
  }
}

inline void launch_gather(const DeviceCall& call, std::int64_t outer, const Ids& ids,
                          std::int64_t row_bytes, const void* x, void* y) {
  if (outer * row_bytes == 0) {
    cuda::launch(call.stream, cuda::grid_for(ids.count), check_ids<Ids>, ids, call.status);
    return;
  }
  const std::int64_t bytes = widest_word({bits_of(x), bits_of(y), row_bytes});
  visit_word_of(bytes, [&](auto zero) {
    using Word = decltype(zero);
    const std::int64_t width = row_bytes / bytes, n = outer * ids.count * width;
    cuda::launch(call.stream, cuda::grid_for(n), gather_rows<Word>, n, width, ids,
                 static_cast<const Word*>(x), static_cast<Word*>(y), call.status);
  });
}

// ---- adding up, few ids -------------------------------------------------------------------------

inline constexpr int kFewIds = static_cast<int>(cuda::kThreads);

// One thread per number of the table; it looks at every id.
template <class T>
__global__ void sum_of_few(std::int64_t n, std::int64_t width, Ids ids, Global<const T> dy,
                           Global<T> dx, Global<long long> status) {
  __shared__ Shared<std::int64_t, kFewIds> row_of;
  const auto count = static_cast<int>(ids.count), t = static_cast<int>(threadIdx.x);
  if (t < count) {
    row_of.set(t, ids.row(t));
    if (blockIdx.x == 0 && row_of[t] < 0) tell(status, t);
  }
  __syncthreads();
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t rows = i / width, column = i - rows * width;
    const std::int64_t outer = rows / ids.size, row = rows - outer * ids.size;
    T sum = 0;
    for (int k = 0; k < count; ++k)
      if (row_of[k] == row) sum += dy[(outer * count + k) * width + column];
    dx[i] = sum;
  }
}

// ---- adding up, any number of ids ---------------------------------------------------------------

inline constexpr int kSumWarps = static_cast<int>(cuda::kThreads) / kWarp;
inline constexpr int kIdsPerLane = 8;
inline constexpr int kIdChunk = kSumWarps * kWarp * kIdsPerLane;  // that a block sifts at once
inline constexpr int kPerLane = 4;
inline constexpr int kSumColumns = kWarp * kPerLane;

struct SumPlan {
  std::int64_t rows;  // of the table per block
  std::int64_t row_blocks, column_blocks, tasks;
  std::int64_t width;
};

// A block owns some rows of the table and 128 columns. It sifts the ids in chunks: those of its
// rows go to a list in shared memory, in order. Then each warp takes its rows one by one, finds
// their entries in the list and adds what they name, in order, in registers.
template <class T>
__global__ void sum_by_id(SumPlan plan, Ids ids, Global<const T> dy, Global<T> dx,
                          Global<long long> status) {
  __shared__ Shared<int, kIdChunk> list;  // row of the block << 16 | position in the chunk
  __shared__ Shared<int, kSumWarps> counts;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const unsigned lanes_before = (1u << lane) - 1;
  for (std::int64_t task = blockIdx.x; task < plan.tasks; task += gridDim.x) {
    const std::int64_t outer = task / plan.column_blocks / plan.row_blocks;
    const std::int64_t first = task / plan.column_blocks % plan.row_blocks * plan.rows;
    const std::int64_t column = task % plan.column_blocks * kSumColumns + lane;
    const std::int64_t rows = ids.size - first < plan.rows ? ids.size - first : plan.rows;
    for (std::int64_t chunk = 0; chunk == 0 || chunk < ids.count; chunk += kIdChunk) {
      const int begin = warp * kWarp * kIdsPerLane + lane;
      int row[kIdsPerLane];
      unsigned found[kIdsPerLane];
      int mine = 0;
      for (int k = 0; k < kIdsPerLane; ++k) {
        const std::int64_t position = chunk + begin + k * kWarp;
        const bool inside = position < ids.count;
        const std::int64_t id = inside ? ids.row(position) : -1;
        if (inside && id < 0 && task == 0) tell(status, position);
        const bool ours = id >= first && id < first + rows;
        row[k] = ours ? static_cast<int>(id - first) : -1;
        found[k] = lanes_where(ours);
        mine += count_lanes(found[k]);
      }
      if (lane == 0) counts.set(warp, mine);
      __syncthreads();
      int at = 0, total = 0;
      for (int w = 0; w < kSumWarps; ++w) {
        if (w < warp) at += counts[w];
        total += counts[w];
      }
      for (int k = 0; k < kIdsPerLane; ++k) {
        if (row[k] >= 0)
          list.set(at + count_lanes(found[k] & lanes_before), row[k] << 16 | (begin + k * kWarp));
        at += count_lanes(found[k]);
      }
      __syncthreads();
      for (int r = warp; r < rows; r += kSumWarps) {
        const std::int64_t to = (outer * ids.size + first + r) * plan.width + column;
        T sum[kPerLane] = {};
        bool changed = chunk == 0;
        for (int base = 0; base < total; base += kWarp) {
          const int entry = base + lane < total ? list[base + lane] : -1;
          for (unsigned hits = lanes_where(entry >> 16 == r); hits != 0; hits &= hits - 1) {
            const int position = shuffle(entry, first_lane(hits)) & 0xffff;
            const std::int64_t from = (outer * ids.count + chunk + position) * plan.width + column;
            for (int k = 0; k < kPerLane; ++k) {
              if (column + k * kWarp >= plan.width) break;
              if (!changed) sum[k] = dx[to + k * kWarp];
              sum[k] += dy[from + k * kWarp];
            }
            changed = true;
          }
        }
        if (changed)
          for (int k = 0; k < kPerLane; ++k)
            if (column + k * kWarp < plan.width) dx[to + k * kWarp] = sum[k];
      }
      __syncthreads();
    }
  }
}

template <class T>
void launch_sum(const DeviceCall& call, std::int64_t outer, const Ids& ids, std::int64_t width,
                const T* dy, T* dx) {
  const std::int64_t n = outer * ids.size * width;
  if (n == 0) {
    cuda::launch(call.stream, cuda::grid_for(ids.count), check_ids<Ids>, ids, call.status);
    return;
  }
  if (ids.count <= kFewIds && width < kWarp) {
    cuda::launch(call.stream, cuda::grid_for(n), sum_of_few<T>, n, width, ids, dy, dx, call.status);
    return;
  }
  // Many rows per block share the sifting of the ids; few rows make more blocks.
  SumPlan plan;
  plan.rows = std::clamp<std::int64_t>(ids.size / 1024, kSumWarps, 64);
  plan.row_blocks = (ids.size + plan.rows - 1) / plan.rows;
  plan.column_blocks = (width + kSumColumns - 1) / kSumColumns;
  plan.tasks = outer * plan.row_blocks * plan.column_blocks;
  plan.width = width;
  cuda::launch(call.stream, cuda::grid_for(plan.tasks * cuda::kThreads), sum_by_id<T>, plan, ids,
               dy, dx, call.status);
}

// ---- errors -------------------------------------------------------------------------------------

// Element i of ids in device memory, as a tensor of one element in `room`. Waits.
inline View fetch_id(const DeviceCall& call, const View& ids, std::int64_t i, std::uint64_t* room) {
  const std::size_t item = item_size(ids.dtype);
  cuda::copy(call.stream, room, ids.as<const std::byte>() + i * static_cast<std::int64_t>(item),
             item, cuda::Direction::kToHost);
  cuda::synchronize(call.stream);
  return {room, ids.dtype, {1}, {1}};
}

}  // namespace densa::inline DENSA_ISA
