// What a native test's main() counts: CHECK prints the line and what it was told of a condition
// that does not hold.
#pragma once
#include <cstdio>

namespace densa {

inline int failures = 0;

}  // namespace densa

#define CHECK(condition, ...)                                         \
  do {                                                                \
    if (!(condition)) {                                               \
      std::printf("line %d, %s: ", __LINE__, #condition);             \
      std::printf(__VA_ARGS__), std::printf("\n"), ++densa::failures; \
    }                                                                 \
  } while (0)
