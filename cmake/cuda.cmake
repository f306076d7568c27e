# The GPU's side: densa._cuda where nvcc is found, and densa._cuda_emulated for the tests.
#
# DENSA_CUDA            AUTO (if nvcc is found), ON (an error if it is not) or OFF
# DENSA_CUDA_EMULATION  build the same sources with the host compiler against csrc/cuda/emulation
# DENSA_CUDA_ARCHITECTURES  machine code to build; the default is every one that nvcc knows

set(DENSA_CUDA AUTO CACHE STRING "Build densa._cuda: AUTO, ON or OFF")
option(DENSA_CUDA_EMULATION "Build densa._cuda_emulated, for tests without a GPU" OFF)

file(GLOB densa_cuda_kernels CONFIGURE_DEPENDS csrc/ops/*/*.cu)
set(densa_cuda_host csrc/cuda/allocator.cpp csrc/cuda/backend.cpp csrc/cuda/module.cpp
  csrc/base/device.cpp csrc/base/dtype.cpp csrc/base/near.cpp csrc/base/shape.cpp
  csrc/ops/op.cpp)

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
    DENSA_CUDA_MODULE=_cuda_emulated)
  target_compile_options(_cuda_emulated PRIVATE -fno-math-errno -fno-trapping-math)
  target_link_libraries(_cuda_emulated PRIVATE densa_options Threads::Threads)
endif()
