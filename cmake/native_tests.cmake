# tests/native: plain main() programs, free of Python so that sanitizers see only our own code.
#
# simd_*.cpp are compiled once per CPU level, with its flags, as <name>_<level>; cuda_*.cpp hold
# kernels for a GPU, or include a .cu file, and run in the emulation; predict_*.cpp link
# libdensa_predict, too. All link the ops; what a program needs of programs and tensors is compiled
# into it by name, for the rest takes longer to build than all of these together. A program exits 0
# if it passed and 77 if this machine cannot run it.

enable_testing()
add_custom_target(native_tests) # these programs and what they need, no more
file(GLOB native_tests CONFIGURE_DEPENDS tests/native/*.cpp)
if(DENSA_NATIVE_TESTS_EXCEPT) # a regular expression
  list(FILTER native_tests EXCLUDE REGEX "${DENSA_NATIVE_TESTS_EXCEPT}")
endif()

file(GLOB densa_emulation CONFIGURE_DEPENDS csrc/cuda/emulation/*.cpp)
add_library(densa_emulation STATIC ${densa_emulation} csrc/cuda/launch.cpp
  csrc/cuda/trouble.cpp)
target_include_directories(densa_emulation PUBLIC csrc)
target_compile_definitions(densa_emulation PUBLIC DENSA_EMULATED DENSA_ISA=gpu)
target_compile_options(densa_emulation PUBLIC -fno-math-errno -fno-trapping-math)
target_link_libraries(densa_emulation PUBLIC densa_ops)

set(densa_sources_of_cuda_parts csrc/graph/gpu_parts.cpp csrc/graph/gpu_rows.cpp)
set(densa_sources_of_thread_choice csrc/graph/thread_choice.cpp)
set(densa_sources_of_types_of_ops csrc/tensor/half.cpp)

function(densa_native_test target source)
  add_executable(${target} ${source} ${densa_sources_of_${target}})
  target_include_directories(${target} PRIVATE csrc tests/native)
  target_link_libraries(${target} PRIVATE densa_ops ${ARGN})
  add_dependencies(native_tests ${target})
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
target_link_libraries(dense_bench PRIVATE densa_ops)
add_dependencies(native_tests dense_bench)
