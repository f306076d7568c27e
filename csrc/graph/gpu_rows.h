// The rows of the user's arrays on their way to a GPU: all at once where they fit, else part by
// part, in the order of the epoch.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "graph/program.h"
#include "graph/span.h"
#include "ops/backend.h"

namespace densa {

using Storages = std::vector<std::shared_ptr<Storage>>;

// Whether all rows of the sources and of the results may stay on the GPU: half of its free memory
// at most, or DENSA_GPU_RESIDENT_BYTES. `held` may be used again, so it counts as free.
bool rows_fit(Backend& gpu, Device device, const Program& program, const DataSpan& span,
              const Storages& held, const std::vector<int>& results);
// Rows of one part: whole batches of about 32 MiB, or DENSA_GPU_PART_BYTES.
std::int64_t staged_rows(const Program& program, const DataSpan& span);

// All rows, as they lie in the user's arrays.
void load_all(Backend& gpu, Device device, const Program& program, const DataSpan& span,
              Storages& sources);
// The rows of one source at positions [first, last) of the epoch, one behind the other.
void gather_rows(const Program& program, const DataSpan& span, std::size_t input,
                 std::int64_t first, std::int64_t last, std::byte* to);

}  // namespace densa
