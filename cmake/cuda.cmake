# The GPU's side: densa._cuda where nvcc is found, and densa._cuda_emulated for the tests.
#
# DENSA_CUDA            AUTO (if nvcc is found), ON (an error if it is not) or OFF
# DENSA_CUDA_EMULATION  build the same sources with the host compiler against csrc/cuda/emulation
# DENSA_CUDA_ARCHITECTURES  machine code to build, such as 80;90a, and PTX of the lowest and the
#                       highest without a letter. The default: AUTO on a machine with GPUs builds
#                       for these, all else for every architecture below that nvcc knows

include(cmake/gpus_here.cmake)

set(DENSA_CUDA AUTO CACHE STRING "Build densa._cuda: AUTO, ON or OFF")
option(DENSA_CUDA_EMULATION "Build densa._cuda_emulated, for tests without a GPU" OFF)

file(GLOB densa_cuda_kernels CONFIGURE_DEPENDS csrc/ops/*/*.cu)
set(densa_cuda_host csrc/cuda/allocator.cpp csrc/cuda/backend.cpp csrc/cuda/launch.cpp
  csrc/cuda/module.cpp csrc/cuda/staging.cpp csrc/cuda/trouble.cpp
  csrc/base/device.cpp csrc/base/dtype.cpp csrc/base/near.cpp csrc/base/shape.cpp
  csrc/ops/op.cpp)

set(densa_nvcc "")
if(NOT DENSA_CUDA STREQUAL "OFF")
  find_program(DENSA_NVCC nvcc PATHS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
  if(DENSA_NVCC)
    set(densa_nvcc ${DENSA_NVCC})
  elseif(DENSA_CUDA STREQUAL "ON")
    message(FATAL_ERROR "DENSA_CUDA=ON, but nvcc was not found; put it on the PATH or set CUDA_HOME")
  endif()
endif()

if(densa_nvcc)
  set(CMAKE_CUDA_COMPILER ${densa_nvcc})
  set(CMAKE_CUDA_ARCHITECTURES OFF) # ours are given to nvcc as they are
  enable_language(CUDA)
  foreach(dialect STANDARD EXTENSION) # CMake 3.25 does not know that nvcc 13 has it
    if(NOT CMAKE_CUDA20_${dialect}_COMPILE_OPTION)
      set(CMAKE_CUDA20_${dialect}_COMPILE_OPTION "-std=c++20")
    endif()
  endforeach()
  find_package(CUDAToolkit REQUIRED)
  if(CUDAToolkit_VERSION VERSION_LESS 12.4)
    message(FATAL_ERROR "densa needs CUDA 12.4 or newer, found ${CUDAToolkit_VERSION}")
  endif()
  set(known 75 80 86 89 90a)
  if(CUDAToolkit_VERSION VERSION_LESS 13)
    list(PREPEND known 70)
  endif()
  if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND known 100 120)
  endif()
  set(wanted ${known})
  if(DENSA_CUDA STREQUAL "AUTO")
    densa_gpus_here("${known}" here)
    if(here)
      set(wanted ${here})
    endif()
  endif()
  set(DENSA_CUDA_ARCHITECTURES "${wanted}" CACHE STRING "Machine code to build for GPUs")
  message(STATUS "GPU code for ${DENSA_CUDA_ARCHITECTURES} (DENSA_CUDA_ARCHITECTURES)")
  set(targets "")
  set(plain ${DENSA_CUDA_ARCHITECTURES})
  list(TRANSFORM plain REPLACE "[a-z]" "")
  foreach(architecture IN LISTS DENSA_CUDA_ARCHITECTURES)
    list(APPEND targets "-gencode=arch=compute_${architecture},code=sm_${architecture}")
  endforeach()
  list(SORT plain COMPARE NATURAL)
  list(GET plain 0 lowest)
  list(GET plain -1 highest)
  foreach(architecture ${lowest} ${highest})
    list(APPEND targets "-gencode=arch=compute_${architecture},code=compute_${architecture}")
  endforeach()
  list(REMOVE_DUPLICATES targets)
  string(REPLACE ";" " " built "${DENSA_CUDA_ARCHITECTURES};ptx${lowest};ptx${highest}")

  set(compress -Xfatbin=-compress-all)
  if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
    set(compress --compress-mode=size)
  endif()
  pybind11_add_module(_cuda MODULE NO_EXTRAS ${densa_cuda_kernels} ${densa_cuda_host}
    csrc/cuda/runtime.cpp)
  set_target_properties(_cuda PROPERTIES CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static)
  target_include_directories(_cuda PRIVATE csrc)
  target_compile_definitions(_cuda PRIVATE DENSA_ISA=gpu DENSA_CUDA_MODULE=_cuda
    DENSA_VERSION="${DENSA_VERSION}" DENSA_CUDA_CODE="${built}")
  target_compile_options(_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-Wall;-Wextra;-Wno-missing-field-initializers>
    $<$<COMPILE_LANGUAGE:CUDA>:${targets};-fmad=false;--expt-relaxed-constexpr;${compress}>)
  target_link_libraries(_cuda PRIVATE CUDA::cudart_static Threads::Threads)
  if(NOT APPLE)
    target_link_options(_cuda PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL)
  endif()
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    pybind11_strip(_cuda)
  endif()
  install(TARGETS _cuda LIBRARY DESTINATION densa COMPONENT python)
endif()

if(DENSA_CUDA_EMULATION)
  # A source has one language per folder, so each .cu file gets a C++ file that includes it.
  set(emulated "")
  foreach(kernel IN LISTS densa_cuda_kernels)
    get_filename_component(name ${kernel} NAME_WE)
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/emulated/${name}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${kernel}\"\n")
    list(APPEND emulated ${wrapper})
  endforeach()
  file(GLOB emulation CONFIGURE_DEPENDS csrc/cuda/emulation/*.cpp)
  pybind11_add_module(_cuda_emulated MODULE NO_EXTRAS ${emulated} ${emulation} ${densa_cuda_host})
  target_include_directories(_cuda_emulated PRIVATE csrc)
  target_compile_definitions(_cuda_emulated PRIVATE DENSA_EMULATED DENSA_ISA=gpu
    DENSA_CUDA_MODULE=_cuda_emulated "DENSA_CUDA_CODE=\"75 80 86 89 90a ptx75 ptx90\"")
  # It runs where it was built, so it may use what this CPU has; without, fma is a call.
  target_compile_options(_cuda_emulated PRIVATE -fno-math-errno -fno-trapping-math -march=native)
  target_link_libraries(_cuda_emulated PRIVATE densa_options Threads::Threads)
endif()
