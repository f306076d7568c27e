// The kernel tables of every CPU level of this build, for tests that run each one the machine has.
#pragma once
#include <cstdio>
#include <cstdlib>

#if defined(DENSA_HAVE_V2)
#define DENSA_IF_V2(...) __VA_ARGS__
#else
#define DENSA_IF_V2(...)
#endif
#if defined(DENSA_HAVE_V3)
#define DENSA_IF_V3(...) __VA_ARGS__
#else
#define DENSA_IF_V3(...)
#endif
#if defined(DENSA_HAVE_V4)
#define DENSA_IF_V4(...) __VA_ARGS__
#else
#define DENSA_IF_V4(...)
#endif
// Tables that v4x shares with v4 are tested once. DENSA_OWN_V4X says that the file's have a form of
// their own.
#if defined(DENSA_HAVE_V4X) && (defined(DENSA_OWN_V4X) || !defined(DENSA_V4X_SHARES_V4))
#define DENSA_IF_V4X(...) __VA_ARGS__
#else
#define DENSA_IF_V4X(...)
#endif
#if defined(DENSA_HAVE_BASELINE)
#define DENSA_IF_BASELINE(...) __VA_ARGS__
#else
#define DENSA_IF_BASELINE(...)
#endif

// DENSA_DECLARE_TABLES(declaration): the declaration in each level's namespace.
#define DENSA_DECLARE_TABLES(...)                           \
  namespace densa {                                         \
  DENSA_IF_V2(inline namespace v2{__VA_ARGS__})             \
  DENSA_IF_V3(inline namespace v3{__VA_ARGS__})             \
  DENSA_IF_V4(inline namespace v4{__VA_ARGS__})             \
  DENSA_IF_V4X(inline namespace v4x{__VA_ARGS__})           \
  DENSA_IF_BASELINE(inline namespace baseline{__VA_ARGS__}) \
  }

// DENSA_EACH_LEVEL(run): run(level) as a macro, for each level that this machine can execute.
#if defined(__x86_64__)
#define DENSA_EACH_LEVEL(run)                                                                    \
  DENSA_IF_V2(run(v2);)                                                                          \
  DENSA_IF_V3(if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) run(v3);)     \
  DENSA_IF_V4(if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&    \
                  __builtin_cpu_supports("avx512bw")) run(v4);)                                  \
  DENSA_IF_V4X(if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")) \
                   run(v4x);)
#else
#define DENSA_EACH_LEVEL(run) DENSA_IF_BASELINE(run(baseline);)
#endif

inline int failures = 0;
#define CHECK(condition, ...)                                     \
  do {                                                            \
    if (!(condition) && ++failures <= 20) {                       \
      std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                   \
      std::printf("\n");                                          \
    }                                                             \
  } while (0)
