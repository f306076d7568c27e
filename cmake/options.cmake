# Compiler settings shared by every target: the interface library `densa_options`.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
# Link-time optimisation would merge the code of different CPU levels.
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF)
# Ordinary code runs once per call or per plan; only the kernels gain from -O3 (levels.cmake).
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# The version is written once, in pyproject.toml.
file(STRINGS ${PROJECT_SOURCE_DIR}/pyproject.toml densa_version_line REGEX "^version = ")
string(REGEX REPLACE "^version = \"(.*)\"$" "\\1" DENSA_VERSION "${densa_version_line}")

add_library(densa_options INTERFACE)
target_compile_definitions(densa_options INTERFACE DENSA_VERSION="${DENSA_VERSION}")
# Contraction off: a fused multiply-add is written out, so every level rounds as the source says.
target_compile_options(densa_options INTERFACE -ffp-contract=off -Wall -Wextra
    -Wno-missing-field-initializers) # designated initialisers leave the rest to its defaults
if(DENSA_WERROR)
  target_compile_options(densa_options INTERFACE -Werror)
endif()

if(DENSA_SANITIZE)
  set(densa_sanitize_flags -fsanitize=${DENSA_SANITIZE} -fno-sanitize-recover=all)
  target_compile_options(densa_options INTERFACE
    ${densa_sanitize_flags} -fno-omit-frame-pointer -g1 -O1)
  target_link_options(densa_options INTERFACE ${densa_sanitize_flags})
  if(DENSA_FUZZ) # every branch counts what was reached
    target_compile_options(densa_options INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endif()
