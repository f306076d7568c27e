# libdensa_predict, shared and static: frozen networks from C (csrc/capi/densa.h), without Python,
# tensors and programs.

file(GLOB densa_capi_sources CONFIGURE_DEPENDS csrc/capi/*.cpp)
# The version of the ABI, which is the library's soname, is written once, in the header.
file(STRINGS csrc/capi/densa.h densa_abi_line REGEX "^#define DENSA_ABI_VERSION ")
string(REGEX REPLACE "^.* " "" DENSA_ABI_VERSION "${densa_abi_line}")

# A registry of its own, without the ops that only training has, stands in for that of densa_ops.
add_library(densa_capi OBJECT ${densa_capi_sources} csrc/ops/registry.cpp)
target_include_directories(densa_capi PRIVATE csrc)
target_compile_definitions(densa_capi PRIVATE DENSA_PREDICT_ONLY)
target_link_libraries(densa_capi PRIVATE densa_options)

add_library(densa_predict SHARED $<TARGET_OBJECTS:densa_capi>)
target_include_directories(densa_predict INTERFACE csrc/capi)
target_link_libraries(densa_predict PRIVATE densa_ops)
set_target_properties(densa_predict PROPERTIES
  SOVERSION ${DENSA_ABI_VERSION} VERSION ${DENSA_ABI_VERSION} LINKER_LANGUAGE CXX)
if(NOT APPLE)
  target_link_options(densa_predict PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL
    -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/csrc/capi/exports.map)
  set_target_properties(densa_predict PROPERTIES
    LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/capi/exports.map)
endif()
