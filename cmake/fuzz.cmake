# tests/fuzz/NAME.cpp as the program fuzz_NAME, with libFuzzer: configure with clang++ and
# DENSA_SANITIZE=address,undefined.

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "DENSA_FUZZ needs clang++; pass -DCMAKE_CXX_COMPILER=clang++")
endif()
file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/*.cpp)
foreach(source IN LISTS fuzzers)
  get_filename_component(name ${source} NAME_WE)
  add_executable(fuzz_${name} ${source})
  target_link_libraries(fuzz_${name} PRIVATE densa_ops)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endforeach()
