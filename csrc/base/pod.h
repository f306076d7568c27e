// The few plain definitions that kernel files, device code and ordinary code share.
//
// Kernel files are compiled once per CPU level, so nothing here may define a function or an object
// that a linker could take from the wrong level: macros, constants and plain structs only.
#pragma once

#include <cstddef>
#include <cstdint>

// Marks what runs on the host and on a CUDA device; empty for the host compiler.
#ifdef __CUDACC__
#define DENSA_HD __host__ __device__
#else
#define DENSA_HD
#endif

#define DENSA_ALWAYS_INLINE DENSA_HD inline __attribute__((always_inline))
