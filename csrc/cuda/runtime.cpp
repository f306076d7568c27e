// The services of cuda/driver.h and the rest of cuda/launch.h on a GPU, by CUDA's runtime library.
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>
#include <stdexcept>

#include "base/error.h"
#include "cuda/driver.h"
#include "cuda/tensor_map.h"
#include "cuda/trouble.h"

namespace densa::cuda {

struct StreamState {
  cudaStream_t raw;
  int device;
};

namespace {

cudaStream_t raw(Stream stream) { return stream->raw; }

cudaEvent_t raw(const Event* event) {
  return reinterpret_cast<cudaEvent_t>(const_cast<Event*>(event));
}

// Errors of a kernel, which end all work of the process on its GPU.
bool stays(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable: return true;
    default: return false;
  }
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // forget it, unless it is one that stays
  if (stays(status))
    throw std::runtime_error(broken_gpu(
        what, cat(cudaGetErrorString(status), " (", cudaGetErrorName(status), ")").c_str()));
  throw std::runtime_error(
      cat("cuda: ", what, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")"));
}

}  // namespace

class Graph {
 public:
  cudaGraphExec_t exec = nullptr;
};

int count_devices(std::string* why_none) {
  Found found;
  (void)cudaDriverGetVersion(&found.driver);
  (void)cudaRuntimeGetVersion(&found.runtime);
  const cudaError_t status = cudaGetDeviceCount(&found.devices);
  if (status != cudaSuccess) {
    (void)cudaGetLastError();
    found.devices = 0;
    if (status != cudaErrorNoDevice) found.error = cudaGetErrorString(status);
  }
  return usable_devices(found, why_none);
}

DeviceFacts facts(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  DeviceFacts out;
  out.name = properties.name;
  out.major = properties.major;
  out.minor = properties.minor;
  out.multiprocessors = properties.multiProcessorCount;
  out.memory_bytes = properties.totalGlobalMem;
  out.shared_bytes_per_block = properties.sharedMemPerBlockOptin;
  check(cudaRuntimeGetVersion(&out.runtime_version), "cudaRuntimeGetVersion");
  check(cudaDriverGetVersion(&out.driver_version), "cudaDriverGetVersion");
  return out;
}

int device_of(const void* memory) {
  cudaPointerAttributes known{};
  if (cudaPointerGetAttributes(&known, memory) != cudaSuccess) {
    (void)cudaGetLastError();
    return -1;
  }
  return known.type == cudaMemoryTypeDevice || known.type == cudaMemoryTypeManaged ? known.device
                                                                                   : -1;
}

void release_pinned(void* memory) { (void)cudaFreeHost(memory); }

void destroy_stream(Stream stream) {
  (void)cudaStreamDestroy(raw(stream));
  delete stream;
}
void synchronize(Stream stream) {
  check(cudaStreamSynchronize(raw(stream)), "waiting for the GPU");
}
std::uintptr_t number_of(Stream stream) { return reinterpret_cast<std::uintptr_t>(raw(stream)); }
void synchronize_number(std::uintptr_t stream) {
  check(cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(stream)),
        "waiting for the stream of another library");
}

void destroy_event(Event* event) { (void)cudaEventDestroy(raw(event)); }
void wait(Stream stream, const Event* event) {
  check(cudaStreamWaitEvent(raw(stream), raw(event), 0), "cudaStreamWaitEvent");
}
void wait(const Event* event) { check(cudaEventSynchronize(raw(event)), "waiting for the GPU"); }
bool is_over(const Event* event) {
  const cudaError_t status = cudaEventQuery(raw(event));
  if (status == cudaErrorNotReady) {
    (void)cudaGetLastError();
    return false;
  }
  check(status, "cudaEventQuery");
  return true;
}

void destroy_graph(Graph* graph) {
  (void)cudaGraphExecDestroy(graph->exec);
  delete graph;
}

TensorMap tensor_map(const MatrixStack& stack) {
  // The driver is found when it is needed, never linked.
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static const Encode encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    constexpr unsigned kSince = 12000;
    const cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found,
                                                                kSince, cudaEnableDefault, &result);
#else
    const cudaError_t status =
        cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#endif
    check(status, "cudaGetDriverEntryPoint");
    if (result != cudaDriverEntryPointSuccess || found == nullptr)
      throw std::runtime_error("cuda: the driver has no cuTensorMapEncodeTiled");
    return reinterpret_cast<Encode>(found);
  }();
  const auto size = [](std::int64_t n) { return static_cast<cuuint64_t>(n); };
  const cuuint64_t sizes[] = {size(stack.near), size(stack.far), size(stack.count)};
  const cuuint64_t steps[] = {size(stack.pitch) * 2, size(stack.step) * 2};  // bytes
  constexpr cuuint32_t kBox[] = {kBoxSide, kBoxSide, 1}, kEach[] = {1, 1, 1};
  CUtensorMap map;
  const CUresult status =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 3, const_cast<void*>(stack.data), sizes, steps,
             kBox, kEach, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS)
    throw std::runtime_error(cat("cuda: cuTensorMapEncodeTiled: error ", static_cast<int>(status)));
  TensorMap out;
  static_assert(sizeof out == sizeof map && alignof(TensorMap) >= alignof(CUtensorMap));
  std::memcpy(&out, &map, sizeof out);
  return out;
}

// ---- cuda/driver.h ------------------------------------------------------------------------------

namespace driver {

int current_device() {
  int device = -1;
  return cudaGetDevice(&device) == cudaSuccess ? device : -1;
}
void set_device(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }
int device_of(Stream stream) { return stream->device; }

std::size_t free_memory() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  check(status, "cudaMalloc");
  return memory;
}

void release(void* memory) { (void)cudaFree(memory); }

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  check(status, "cudaMallocHost");
  return memory;
}

Stream create_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return new StreamState{stream, current_device()};
}
Event* create_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  return reinterpret_cast<Event*>(event);
}

void copy(Stream stream, void* to, const void* from, std::size_t bytes, Direction direction) {
  if (bytes == 0) return;
  const cudaMemcpyKind kind = direction == Direction::kToDevice ? cudaMemcpyHostToDevice
                              : direction == Direction::kToHost ? cudaMemcpyDeviceToHost
                                                                : cudaMemcpyDeviceToDevice;
  check(cudaMemcpyAsync(to, from, bytes, kind, raw(stream)), "cudaMemcpyAsync");
}

void fill_zero(Stream stream, void* memory, std::size_t bytes) {
  check(cudaMemsetAsync(memory, 0, bytes, raw(stream)), "cudaMemsetAsync");
}

void launch(Stream stream, const Grid& grid, const void* kernel, void** arguments) {
  const dim3 blocks(grid.blocks.x, grid.blocks.y, grid.blocks.z);
  const dim3 threads(grid.threads.x, grid.threads.y, grid.threads.z);
  constexpr std::size_t kWithoutAsking = 48 << 10;
  if (grid.shared_bytes > kWithoutAsking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(grid.shared_bytes)),
          "cudaFuncSetAttribute");
  check(cudaLaunchKernel(kernel, blocks, threads, arguments, grid.shared_bytes, raw(stream)),
        "a kernel launch");
}

void record(Stream stream, Event* event) {
  check(cudaEventRecord(raw(event), raw(stream)), "cudaEventRecord");
}

void begin_capture(Stream stream) {
  check(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture");
}

Graph* end_capture(Stream stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(raw(stream), &graph), "cudaStreamEndCapture");
  auto out = std::make_unique<Graph>();
  const cudaError_t status = cudaGraphInstantiate(&out->exec, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  return out.release();
}

void launch_graph(Stream stream, Graph* graph) {
  check(cudaGraphLaunch(graph->exec, raw(stream)), "cudaGraphLaunch");
}

}  // namespace driver

void mark_part(const void*, std::size_t) {}
void forget_parts(const void*, std::size_t) {}

}  // namespace densa::cuda
