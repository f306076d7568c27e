// The services of cuda/launch.h on a GPU, by CUDA's runtime library.
#include <cuda_runtime.h>

#include <stdexcept>

#include "base/error.h"
#include "cuda/launch.h"

namespace densa::cuda {
namespace {

cudaStream_t raw(Stream stream) { return reinterpret_cast<cudaStream_t>(stream); }

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // forget it, unless it is one that stays
  throw std::runtime_error(
      cat("cuda: ", what, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")"));
}

void use(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

}  // namespace

class Graph {
 public:
  cudaGraphExec_t exec = nullptr;
};

int count_devices(std::string* why_none) {
  int driver = 0, runtime = 0, count = 0;
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  (void)cudaGetLastError();
  const auto version = [](int v) { return cat(v / 1000, '.', v % 1000 / 10); };
  if (driver == 0) {
    *why_none = "this machine has no NVIDIA driver (libcuda.so.1 was not found)";
  } else if (status == cudaErrorInsufficientDriver || driver / 1000 < runtime / 1000) {
    *why_none = cat("the NVIDIA driver knows CUDA ", version(driver), ", densa was built with ",
                    version(runtime), "; install a newer driver");
  } else if (status == cudaErrorNoDevice || status == cudaSuccess) {
    *why_none = "the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES set?)";
  } else {
    *why_none = cudaGetErrorString(status);
  }
  return 0;
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

std::size_t free_memory(int device) {
  use(device);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}

void* allocate(int device, std::size_t bytes) {
  use(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  check(status, "cudaMalloc");
  return memory;
}

void release(int device, void* memory) {
  // At exit the driver may be gone before the last tensor is.
  if (cudaSetDevice(device) == cudaSuccess) (void)cudaFree(memory);
}

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, bytes), "cudaMallocHost");
  return memory;
}
void release_pinned(void* memory) { (void)cudaFreeHost(memory); }

Stream create_stream(int device) {
  use(device);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return reinterpret_cast<Stream>(stream);
}
void destroy_stream(Stream stream) { (void)cudaStreamDestroy(raw(stream)); }
void synchronize(Stream stream) {
  check(cudaStreamSynchronize(raw(stream)), "waiting for the GPU");
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

void launch_raw(Stream stream, const Grid& grid, const void* kernel, void** arguments) {
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

void destroy_graph(Graph* graph) {
  (void)cudaGraphExecDestroy(graph->exec);
  delete graph;
}

void mark_part(const void*, std::size_t) {}
void forget_parts(const void*, std::size_t) {}

}  // namespace densa::cuda
