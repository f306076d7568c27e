# CPU levels. Kernel files are compiled once per level, with DENSA_ISA naming the level's namespace.
#
# DENSA_ISAS              the levels to build; fewer build faster
# densa_level_<level>     interface library: the level's flags
# DENSA_LEVEL_DEFINITIONS DENSA_HAVE_<LEVEL> for each level, for the code that picks one
# densa_kernels_of(<level> <out>)  the kernel files that are compiled for the level

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(densa_all_levels v2 v3 v4 v4x)
  set(densa_flags_v2 -march=x86-64-v2)
  set(densa_flags_v3 -march=x86-64-v3)
  set(densa_flags_v4 -march=x86-64-v4)
  set(densa_flags_v4x -march=x86-64-v4 -mavx512bf16 -mavx512vnni)
else()
  set(densa_all_levels baseline) # aarch64: Neon is always there
  set(densa_flags_baseline "")
endif()

set(DENSA_ISAS "${densa_all_levels}" CACHE STRING "CPU levels to build kernels for")
if(NOT DENSA_ISAS)
  message(FATAL_ERROR "DENSA_ISAS is empty; levels of this machine: ${densa_all_levels}")
endif()

# With sanitizers -O1 compiles faster, but kernels then run tens of times slower.
if(DENSA_SANITIZE)
  set(densa_kernel_optimize -O2)
else()
  set(densa_kernel_optimize $<$<CONFIG:Release>:-O3>)
endif()

set(DENSA_LEVEL_DEFINITIONS "")
foreach(level IN LISTS DENSA_ISAS)
  if(NOT level IN_LIST densa_all_levels)
    message(FATAL_ERROR "DENSA_ISAS: unknown level '${level}'; known: ${densa_all_levels}")
  endif()
  add_library(densa_level_${level} INTERFACE)
  target_compile_definitions(densa_level_${level} INTERFACE DENSA_ISA=${level})
  # No errno and no traps to keep: sqrt and selects become plain instructions. Values are unchanged.
  # Nothing in a kernel throws, and no exception passes through one: no tables for unwinding.
  target_compile_options(densa_level_${level} INTERFACE
    ${densa_flags_${level}} -fno-math-errno -fno-trapping-math -fno-exceptions
    -fno-asynchronous-unwind-tables ${densa_kernel_optimize})
  if(level STREQUAL "v2")
    # Machines from before 2013: their code is to be small first.
    target_compile_options(densa_level_v2 INTERFACE $<$<CONFIG:Release>:-O2>)
  endif()
  string(TOUPPER ${level} upper)
  list(APPEND DENSA_LEVEL_DEFINITIONS DENSA_HAVE_${upper}=1)
endforeach()

# Few kernels use what v4x has beyond v4; at v4x all others are v4's, where v4 is built.
set(densa_kernels_v4x "/dense/(bfloat16|int8)\\.kernel\\.cpp$")
if("v4" IN_LIST DENSA_ISAS AND "v4x" IN_LIST DENSA_ISAS)
  list(APPEND DENSA_LEVEL_DEFINITIONS DENSA_V4X_SHARES_V4=1)
endif()
function(densa_kernels_of level out)
  set(kernels ${densa_kernels})
  if(level STREQUAL "v4x" AND "v4" IN_LIST DENSA_ISAS)
    list(FILTER kernels INCLUDE REGEX "${densa_kernels_v4x}")
  endif()
  set(${out} ${kernels} PARENT_SCOPE)
endfunction()
