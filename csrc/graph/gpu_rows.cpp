#include "graph/gpu_rows.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/threads.h"

namespace densa {
namespace {

std::int64_t packed_bytes(const Program& program, std::size_t input) {
  const TypeInfo& type = program.values[program.inputs[input]].type;
  return static_cast<std::int64_t>(byte_count(with_rows(type.shape, 1), item_size(type.dtype)));
}

std::int64_t row_bytes(const Program& program, const DataSpan& span) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < span.sources.size(); ++i) total += packed_bytes(program, i);
  return total;
}

void* room(Device device, std::shared_ptr<Storage>& storage, std::size_t bytes) {
  if (storage == nullptr || storage->bytes() != bytes) {
    storage = nullptr;  // first give back what was there
    storage = allocate_on(device, bytes);
  }
  return storage->data();
}

}  // namespace

bool rows_fit(Backend& gpu, Device device, const Program& program, const DataSpan& span,
              const Storages& held, const std::vector<int>& results) {
  std::size_t bytes = 0, ours = 0;
  for (std::size_t i = 0; i < span.sources.size(); ++i)
    bytes += static_cast<std::size_t>(span.sources[i].rows * packed_bytes(program, i));
  if (span.order != nullptr) bytes += static_cast<std::size_t>(span.end) * sizeof(std::int64_t);
  for (int id : results) {
    const TypeInfo& type = program.values[id].type;
    bytes += byte_count(with_rows(type.shape, span.end), item_size(type.dtype));
  }
  for (const auto& storage : held)
    if (storage != nullptr) ours += storage->bytes();
  if (const char* limit = std::getenv("DENSA_GPU_RESIDENT_BYTES"))
    return bytes <= std::strtoull(limit, nullptr, 10);
  return bytes <= (gpu.free_memory(device) + ours) / 2;
}

std::int64_t staged_rows(const Program& program, const DataSpan& span) {
  std::int64_t bytes = std::int64_t{32} << 20;
  if (const char* text = std::getenv("DENSA_GPU_PART_BYTES")) bytes = std::atoll(text);
  const std::int64_t batch_bytes = std::max<std::int64_t>(1, span.batch * row_bytes(program, span));
  return std::max<std::int64_t>(1, bytes / batch_bytes) * span.batch;
}

void load_all(Backend& gpu, Device device, const Program& program, const DataSpan& span,
              Storages& sources) {
  sources.resize(span.sources.size());
  for (std::size_t i = 0; i < span.sources.size(); ++i) {
    const SourceArray& source = span.sources[i];
    const std::int64_t packed = packed_bytes(program, i);
    const auto bytes = static_cast<std::size_t>(source.rows * packed);
    void* const to = room(device, sources[i], bytes);
    if (source.row_bytes == packed || source.rows <= 1) {
      gpu.copy(device, to, source.data, bytes, cuda::Direction::kToDevice);
      continue;
    }
    const auto rows = Storage::allocate(bytes);
    auto* const line = static_cast<std::byte*>(rows->data());
    for (std::int64_t r = 0; r < source.rows; ++r)
      std::memcpy(line + r * packed, source.data + r * source.row_bytes,
                  static_cast<std::size_t>(packed));
    gpu.copy(device, to, line, bytes, cuda::Direction::kToDevice);
  }
}

void gather_rows(const Program& program, const DataSpan& span, std::size_t input,
                 std::int64_t first, std::int64_t last, std::byte* to) {
  const SourceArray& source = span.sources[input];
  const std::int64_t packed = packed_bytes(program, input);
  parallel_for(
      last - first, 1 + (1 << 16) / (packed + 1), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
          const std::int64_t at = span.order != nullptr ? span.order[first + r] : first + r;
          std::memcpy(to + r * packed, source.data + at * source.row_bytes,
                      static_cast<std::size_t>(packed));
        }
      });
}

}  // namespace densa
