# The extension module densa._core from csrc/bindings.

set(PYBIND11_FINDPYTHON ON)
set(Python_FIND_VIRTUALENV FIRST)
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
if(NOT pybind11_DIR)
  execute_process(COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
    OUTPUT_VARIABLE pybind11_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(pybind11_dir)
    set(pybind11_DIR ${pybind11_dir} CACHE PATH "Where pybind11's CMake files are")
  endif()
endif()
find_package(pybind11 2.13.6 CONFIG REQUIRED)

file(GLOB densa_bindings CONFIGURE_DEPENDS csrc/bindings/*.cpp)
if(NOT densa_bindings)
  message(FATAL_ERROR "csrc/bindings has no sources; pass -DDENSA_PYTHON=OFF for the engine alone")
endif()

# NO_EXTRAS: pybind11's default would switch link-time optimisation on.
pybind11_add_module(_core MODULE NO_EXTRAS ${densa_bindings})
# The ops are in libdensa_predict, which lies in the package, so that it has them once.
target_link_libraries(_core PRIVATE densa_graph densa_predict)
if(APPLE)
  set_target_properties(_core PROPERTIES INSTALL_RPATH "@loader_path/lib")
else()
  set_target_properties(_core PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
  target_compile_options(_core PRIVATE -fno-plt) # a predictor's call crosses over several times
  target_link_options(_core PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL -Wl,-z,now)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DENSA_SANITIZE)
  pybind11_strip(_core)
endif()
install(TARGETS _core LIBRARY DESTINATION densa COMPONENT python)
