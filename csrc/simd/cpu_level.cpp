#include "simd/cpu_level.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace densa {

namespace {

constexpr CpuLevel kBuilt[] = {
#ifdef DENSA_HAVE_V4X
    CpuLevel::v4x,
#endif
#ifdef DENSA_HAVE_V4
    CpuLevel::v4,
#endif
#ifdef DENSA_HAVE_V3
    CpuLevel::v3,
#endif
#ifdef DENSA_HAVE_V2
    CpuLevel::v2,
#endif
    CpuLevel::baseline,  // built on aarch64 only, where the ones above are not
};

constexpr bool built(CpuLevel level) {
#ifndef DENSA_HAVE_BASELINE
  if (level == CpuLevel::baseline) return false;
#endif
  for (CpuLevel candidate : kBuilt)
    if (candidate == level) return true;
  return false;
}

#if defined(__x86_64__)

constexpr bool has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

// The register states that the operating system saves; asking needs OSXSAVE.
unsigned saved_states() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

CpuLevel detect() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  unsigned c1 = 0, b7 = 0, c7 = 0, a71 = 0, extended = 0;
  if (__get_cpuid(1, &a, &b, &c, &d)) c1 = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    const unsigned last_part = a;
    b7 = b;
    c7 = c;
    if (last_part >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) a71 = a;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) extended = c;

  constexpr unsigned kLahf = 1u << 0, kLzcnt = 1u << 5;  // in `extended`
  if (!has(c1, bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT) ||
      !has(extended, kLahf)) {
    throw std::runtime_error(
        "densa needs an x86-64-v2 processor (SSE4.2 and POPCNT); this one is older");
  }
  constexpr unsigned kVectors = 0x6, kMasksAndWideVectors = 0xe6;  // in saved_states()
  if (!has(c1, bit_OSXSAVE | bit_AVX | bit_F16C | bit_FMA | bit_MOVBE) ||
      !has(b7, bit_AVX2 | bit_BMI | bit_BMI2) || !has(extended, kLzcnt) ||
      !has(saved_states(), kVectors)) {
    return CpuLevel::v2;
  }
  if (!has(b7, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL) ||
      !has(saved_states(), kMasksAndWideVectors)) {
    return CpuLevel::v3;
  }
  constexpr unsigned kVnni = 1u << 11, kBf16 = 1u << 5;  // in c7, a71
  return has(c7, kVnni) && has(a71, kBf16) ? CpuLevel::v4x : CpuLevel::v4;
}

#else

CpuLevel detect() { return CpuLevel::baseline; }

#endif

bool runs(CpuLevel level) { return built(level) && level <= detected_cpu_level(); }

CpuLevel choose() {
  std::string choices;
  for (CpuLevel level : kBuilt)
    if (runs(level)) choices += cat(choices.empty() ? "" : ", ", cpu_level_name(level));
  if (choices.empty()) {
    throw std::runtime_error(cat("densa was built without kernels for this processor, which is ",
                                 cpu_level_name(detected_cpu_level()),
                                 "; build it with that level in DENSA_ISAS"));
  }
  const char* forced = std::getenv("DENSA_FORCE_ISA");
  for (CpuLevel level : kBuilt) {
    if (!runs(level)) continue;
    if (forced == nullptr || *forced == '\0' || cpu_level_name(level) == forced) return level;
  }
  throw ValueError(cat("DENSA_FORCE_ISA is '", forced, "'; this build on this machine runs ",
                       choices, ". Use one of these, or unset it for the first."));
}

}  // namespace

std::string_view cpu_level_name(CpuLevel level) {
  switch (level) {
    case CpuLevel::v2: return "v2";
    case CpuLevel::v3: return "v3";
    case CpuLevel::v4: return "v4";
    case CpuLevel::v4x: return "v4x";
    default: return "baseline";
  }
}

CpuLevel detected_cpu_level() {
  static const CpuLevel level = detect();
  return level;
}

CpuLevel cpu_level() {
  static const CpuLevel level = choose();
  return level;
}

std::string_view cpu_level_name() { return cpu_level_name(cpu_level()); }

}  // namespace densa
