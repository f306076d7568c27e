# tests/native: plain main() programs, free of Python so that sanitizers see only our own code.
#
# simd_*.cpp are compiled once per CPU level, with its flags, as <name>_<level>; cuda_*.cpp hold
# kernels for a GPU, or include a .cu file, and run in the emulation; predict_*.cpp link
# libdensa_predict, too; the others link the engine. A program exits 0 if it passed and 77 if this machine cannot run it.

enable_testing()
file(GLOB native_tests CONFIGURE_DEPENDS tests/native/*.cpp)

file(GLOB densa_emulation CONFIGURE_DEPENDS csrc/cuda/emulation/*.cpp)
add_library(densa_emulation STATIC ${densa_emulation} csrc/cuda/launch.cpp
  csrc/cuda/trouble.cpp)
target_include_directories(densa_emulation PUBLIC csrc)
target_compile_definitions(densa_emulation PUBLIC DENSA_EMULATED DENSA_ISA=gpu)
target_compile_options(densa_emulation PUBLIC -fno-math-errno -fno-trapping-math)
target_link_libraries(densa_emulation PUBLIC densa_engine)

function(densa_native_test target source)
  add_executable(${target} ${source})
  target_include_directories(${target} PRIVATE csrc tests/native)
  target_link_libraries(${target} PRIVATE densa_engine ${ARGN})
  # simd_math walks through the bit patterns with this stride; slow machines take a longer one.
  if(target MATCHES "^simd_math" AND (DENSA_SANITIZE OR CMAKE_CROSSCOMPILING))
    add_test(NAME ${target} COMMAND ${target} 49999)
  else()
    add_test(NAME ${target} COMMAND ${target})
  endif()
  set_tests_properties(${target} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endfunction()

foreach(source IN LISTS native_tests)
  get_filename_component(name ${source} NAME_WE)
  if(name MATCHES "^simd_")
    foreach(level IN LISTS DENSA_ISAS)
      densa_native_test(${name}_${level} ${source} densa_level_${level})
    endforeach()
  elseif(name MATCHES "^cuda_")
    # The thread sanitizer would have to be told of each switch between fibres.
    if(NOT DENSA_SANITIZE STREQUAL "thread")
      densa_native_test(${name} ${source} densa_emulation)
    endif()
  elseif(name MATCHES "^predict_") # through the C ABI
    densa_native_test(${name} ${source} densa_predict)
  else()
    densa_native_test(${name} ${source})
  endif()
endforeach()

# The benchmark of the dense and optimizer kernels: built here so that it keeps compiling, run by
# hand.
add_executable(dense_bench benchmarks/native/dense_bench.cpp)
target_link_libraries(dense_bench PRIVATE densa_engine)
