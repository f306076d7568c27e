// DENSA_PICK: how ordinary code reaches the kernels of the CPU level that runs.
//
// A kernel file leaves one constant table in its level's namespace:
//
//   // ops/elementwise/elementwise.kernel.cpp
//   namespace densa::inline DENSA_ISA {
//   extern const UnaryKernels unary_table;
//   constinit const UnaryKernels unary_table = {...};
//   }
//
// The op's ordinary .cpp says once, at namespace densa scope, which type the table has:
//
//   // ops/elementwise/elementwise.cpp
//   namespace densa {
//   DENSA_PICK(UnaryKernels, unary_table)
//   const UnaryKernels& unary_kernels() { return *pick_unary_table(); }
//   }
//
// That declares the table of every level that was built and defines, private to the file,
// `const UnaryKernels* pick_unary_table()`. An array works too: with
// DENSA_PICK(UnaryKernel[kUnaryCount], unary), (*pick_unary())[i] is a kernel. A type whose name
// holds a comma needs an alias. The pick is made once; like cpu_level() it may throw.
//
// At v4x that is v4's table, where both levels are built. The few files with a form of their own
// for v4x stand in cmake/levels.cmake; their tables are picked by DENSA_PICK_WITH_V4X. A file that
// is missing there, or a table picked by the wrong one of the two, does not link.
#pragma once

#include <cstdlib>

#include "simd/cpu_level.h"

namespace densa::detail {

template <class T>
struct Identity {
  using Same = T;
};

}  // namespace densa::detail

#ifdef DENSA_V4X_SHARES_V4
#define DENSA_V4X_TABLES v4
#else
#define DENSA_V4X_TABLES v4x
#endif

// use(level, from, Type, name): at `level` the table of level `from` runs.
#ifdef DENSA_HAVE_V2
#define DENSA_PICK_V2(use, Type, name) use(v2, v2, Type, name)
#else
#define DENSA_PICK_V2(use, Type, name)
#endif
#ifdef DENSA_HAVE_V3
#define DENSA_PICK_V3(use, Type, name) use(v3, v3, Type, name)
#else
#define DENSA_PICK_V3(use, Type, name)
#endif
#ifdef DENSA_HAVE_V4
#define DENSA_PICK_V4(use, Type, name) use(v4, v4, Type, name)
#else
#define DENSA_PICK_V4(use, Type, name)
#endif
#ifdef DENSA_HAVE_V4X
#define DENSA_PICK_V4X(use, from, Type, name) use(v4x, from, Type, name)
#else
#define DENSA_PICK_V4X(use, from, Type, name)
#endif
#ifdef DENSA_HAVE_BASELINE
#define DENSA_PICK_BASELINE(use, Type, name) use(baseline, baseline, Type, name)
#else
#define DENSA_PICK_BASELINE(use, Type, name)
#endif
#define DENSA_PICK_EACH(use, v4x_from, Type, name) \
  DENSA_PICK_V2(use, Type, name)                   \
  DENSA_PICK_V3(use, Type, name)                   \
  DENSA_PICK_V4(use, Type, name)                   \
  DENSA_PICK_V4X(use, v4x_from, Type, name)        \
  DENSA_PICK_BASELINE(use, Type, name)

// A plain namespace here, an inline one in the kernel file: the symbol is the same, and the names
// of two levels do not collide.
#define DENSA_PICK_DECLARE(level, from, Type, name)        \
  namespace from {                                         \
  extern const ::densa::detail::Identity<Type>::Same name; \
  }
#define DENSA_PICK_CASE(level, from, Type, name) \
  case CpuLevel::level:                          \
    return &from::name;

#define DENSA_PICK(Type, name) DENSA_PICK_FROM(DENSA_V4X_TABLES, Type, name)
#define DENSA_PICK_WITH_V4X(Type, name) DENSA_PICK_FROM(v4x, Type, name)
#define DENSA_PICK_FROM(v4x_from, Type, name)                                      \
  DENSA_PICK_EACH(DENSA_PICK_DECLARE, v4x_from, Type, name)                        \
  static const ::densa::detail::Identity<Type>::Same* pick_##name() {              \
    using Table = const ::densa::detail::Identity<Type>::Same;                     \
    static Table* const chosen = [](CpuLevel running) -> Table* {                  \
      switch (running) {                                                           \
        DENSA_PICK_EACH(DENSA_PICK_CASE, v4x_from, Type, name)                     \
        default: std::abort(); /* cpu_level() gives only levels that were built */ \
      }                                                                            \
    }(cpu_level());                                                                \
    return chosen;                                                                 \
  }
