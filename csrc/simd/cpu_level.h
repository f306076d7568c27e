// The CPU levels that kernels are compiled for, and which one this process runs.
#pragma once

#include <string_view>

namespace densa {

// Ascending: an x86 machine that runs a level runs every lower one. `baseline` is aarch64, Neon.
enum class CpuLevel { baseline, v2, v3, v4, v4x };

std::string_view cpu_level_name(CpuLevel level);

// The highest level whose every instruction set this machine and its operating system support,
// built or not. Throws std::runtime_error on an x86 machine below v2.
CpuLevel detected_cpu_level();

// The level that runs, decided at the first call: the highest one that was built (DENSA_HAVE_V2,
// DENSA_HAVE_V3, DENSA_HAVE_V4, DENSA_HAVE_V4X, DENSA_HAVE_BASELINE) and that this machine
// supports, or the one that DENSA_FORCE_ISA names. Throws ValueError, with the choices, if that
// name is unknown, not built or not supported.
CpuLevel cpu_level();

// cpu_level_name(cpu_level())
std::string_view cpu_level_name();

}  // namespace densa
