# libdensa_predict, shared and static: frozen networks from C (csrc/capi/densa.h), without Python,
# tensors and programs.
#
# `cmake --install FOLDER --component capi --prefix WHERE` installs header, libraries, CMake package
# and pkg-config file; in a wheel they lie in the Python package.

file(GLOB densa_capi_sources CONFIGURE_DEPENDS csrc/capi/*.cpp)
# The version of the ABI, which is the library's soname, is written once, in the header.
file(STRINGS csrc/capi/densa.h densa_abi_line REGEX "^#define DENSA_ABI_VERSION ")
string(REGEX REPLACE "^.* " "" DENSA_ABI_VERSION "${densa_abi_line}")

add_library(densa_capi OBJECT ${densa_capi_sources})
target_link_libraries(densa_capi PRIVATE densa_headers)
# A registry without the ops that only training has.
add_library(densa_predict_registry OBJECT csrc/ops/registry.cpp)
target_compile_definitions(densa_predict_registry PRIVATE DENSA_PREDICT_ONLY)
target_link_libraries(densa_predict_registry PRIVATE densa_headers)

set(densa_objects $<TARGET_OBJECTS:densa_ops>)
foreach(level IN LISTS DENSA_ISAS)
  list(APPEND densa_objects $<TARGET_OBJECTS:kernels_${level}>)
endforeach()

if(DENSA_PYTHON)
  # densa._core runs on this library: it holds every op, and exports their C++ names under a version
  # that is no part of the ABI.
  add_library(densa_predict SHARED $<TARGET_OBJECTS:densa_capi> ${densa_objects})
  target_link_libraries(densa_predict PRIVATE densa_headers)
  set_target_properties(densa_ops PROPERTIES CXX_VISIBILITY_PRESET default)
  # Nobody replaces these names, so they may be inlined where they are.
  target_compile_options(densa_ops PRIVATE -fno-semantic-interposition)
  set(exports ${PROJECT_SOURCE_DIR}/csrc/capi/exports_python.map)
else()
  add_library(densa_predict SHARED
    $<TARGET_OBJECTS:densa_capi> $<TARGET_OBJECTS:densa_predict_registry>)
  target_link_libraries(densa_predict PRIVATE densa_ops)
  set(exports ${PROJECT_SOURCE_DIR}/csrc/capi/exports.map)
endif()
target_include_directories(densa_predict INTERFACE csrc/capi)
set_target_properties(densa_predict PROPERTIES
  SOVERSION ${DENSA_ABI_VERSION} VERSION ${DENSA_ABI_VERSION} LINKER_LANGUAGE CXX)
if(NOT APPLE)
  target_link_options(densa_predict PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL
    -Wl,-Bsymbolic -Wl,--version-script=${exports})
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DENSA_SANITIZE)
    target_link_options(densa_predict PRIVATE -Wl,--strip-all)
  endif()
  set_target_properties(densa_predict PROPERTIES LINK_DEPENDS ${exports})
endif()

# What only training links stays out of the archive; a linker takes the rest as it needs it.
set(densa_only_training "/ops/(registry|loss|dropout|random|affine_transform|optimizer|arithmetic|slope_sum)")
add_library(densa_predict_static STATIC EXCLUDE_FROM_ALL
  $<TARGET_OBJECTS:densa_capi> $<TARGET_OBJECTS:densa_predict_registry>
  "$<FILTER:${densa_objects},EXCLUDE,${densa_only_training}>")
set_target_properties(densa_predict_static PROPERTIES
  OUTPUT_NAME densa_predict LINKER_LANGUAGE CXX)

# --- install -------------------------------------------------------------------------------------
if(SKBUILD)
  set(densa_capi_prefix densa/)
else()
  set(densa_capi_prefix "")
  install(TARGETS densa_predict_static ARCHIVE DESTINATION lib COMPONENT capi OPTIONAL)
endif()
set(densa_predict_file "$<TARGET_SONAME_FILE_NAME:densa_predict>")
set(generated ${CMAKE_CURRENT_BINARY_DIR}/capi)
install(TARGETS densa_predict LIBRARY DESTINATION ${densa_capi_prefix}lib COMPONENT capi
  NAMELINK_SKIP)
if(NOT APPLE)
  # Wheels hold no links, so the name for -ldensa_predict is a script of the linker.
  file(GENERATE OUTPUT ${generated}/libdensa_predict.so
    CONTENT "INPUT(${densa_predict_file})\n")
  install(FILES ${generated}/libdensa_predict.so
    DESTINATION ${densa_capi_prefix}lib COMPONENT capi)
endif()
configure_file(cmake/densaConfig.cmake.in ${generated}/densaConfig.cmake.in @ONLY)
file(GENERATE OUTPUT ${generated}/densaConfig.cmake INPUT ${generated}/densaConfig.cmake.in)
configure_file(cmake/densa.pc.in ${generated}/densa.pc @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${generated}/densaConfigVersion.cmake
  VERSION ${DENSA_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${generated}/densaConfig.cmake ${generated}/densaConfigVersion.cmake
  DESTINATION ${densa_capi_prefix}lib/cmake/densa COMPONENT capi)
install(FILES ${generated}/densa.pc
  DESTINATION ${densa_capi_prefix}lib/pkgconfig COMPONENT capi)
install(FILES csrc/capi/densa.h csrc/capi/densa.hpp
  DESTINATION ${densa_capi_prefix}include COMPONENT capi)
