// One block of memory for many buffers, each of which lives for a while.
#pragma once
#include <cstddef>
#include <vector>

namespace densa {

// Gives each buffer a place in one arena. Buffers that live at the same time do not overlap.
struct BufferLife {
  std::size_t bytes = 0;
  int first = 0, last = -1;  // when, both included; last < first: never used
};
struct ArenaPlan {
  std::vector<std::size_t> offsets;
  std::size_t bytes = 0;
};
ArenaPlan place_buffers(const std::vector<BufferLife>& buffers);

}  // namespace densa
