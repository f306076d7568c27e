// A narrow network in one launch: a block takes a tile of rows through all layers. Their values
// stay in shared memory, in two halves that layers read and write in turn; weights come coalesced
// through the caches, a column for a thread, which multiplies it with its rows. In float32 every
// input, and y, may lie in 16 bits.
#include "ops/network/network.h"

#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/batch_norm/formula.h"
#include "ops/elementwise/numbered.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kBlock = static_cast<int>(cuda::kThreads);
constexpr int kStride = static_cast<int>(kWidestLayer) + 4;  // two rows begin in different banks

template <class T>
struct Layer {
  typename FloatMemory<T>::In w, b, gamma, beta, mean, variance;
  bool product = false, bias = false, norm = false;
  int in = 0, out = 0;
  T epsilon = 0;
  Formula formula = Formula::kNone;
  double parameter = 0;
};

template <class T>
struct NetworkCall {
  std::int64_t rows = 0;
  int count = 0;
  typename FloatMemory<T>::In x;
  typename FloatMemory<T>::Out y;
  Layer<T> layers[kMostLayers];
};

// Rows of a block: many where there are enough rows for many blocks.
template <class T>
inline constexpr int kMostTile = sizeof(T) == 4 ? 16 : 8;
constexpr int kLeastTile = 4, kEach = 4;  // kEach: rows of a thread in the large tile

template <class T>
using Values = Shared<T, 2 * kMostTile<T> * kStride>;

template <class T>
__device__ T finished(const Layer<T>& layer, int column, T scale, T z) {
  if (layer.norm) z = BatchNormOf::value(z, layer.mean[column], scale, layer.beta[column]);
  return layer.formula == Formula::kNone ? z : any_formula(layer.formula, layer.parameter, z);
}

// One layer for the tile: thread after thread takes a column of kHeld rows. Loads of x are
// broadcasts, of four k at once.
template <int kHeld, class T>
__device__ void run_layer(const Layer<T>& layer, Values<T>& values, int from, int to, int tile) {
  constexpr int kAhead = kHeld == 1 ? 16 : 4;  // weights on their way at once: few threads wait
  const int work = tile / kHeld * layer.out;
  for (int i = static_cast<int>(threadIdx.x); i < work; i += kBlock) {
    const int column = i % layer.out, row = i / layer.out * kHeld;
    const int x = from + row * kStride;
    T z[kHeld];
    if (!layer.product) {
      DENSA_UNROLL
      for (int r = 0; r < kHeld; ++r) z[r] = values[x + r * kStride + column];
    } else {
      const T start = layer.bias ? T{layer.b[column]} : T{};
      DENSA_UNROLL
      for (int r = 0; r < kHeld; ++r) z[r] = start;
      int k = 0;
      for (; k + kAhead <= layer.in; k += kAhead) {
        T w[kAhead];
        DENSA_UNROLL
        for (int j = 0; j < kAhead; ++j) w[j] = layer.w[(k + j) * layer.out + column];
        DENSA_UNROLL
        for (int r = 0; r < kHeld; ++r) {
          DENSA_UNROLL
          for (int j = 0; j < kAhead; j += 4) {
            const Four<T> four = values.four(x + r * kStride + k + j);
            DENSA_UNROLL
            for (int q = 0; q < 4; ++q) z[r] = mul_add(four.x[q], w[j + q], z[r]);
          }
        }
      }
      for (; k < layer.in; ++k) {
        const T w = layer.w[k * layer.out + column];
        DENSA_UNROLL
        for (int r = 0; r < kHeld; ++r) z[r] = mul_add(values[x + r * kStride + k], w, z[r]);
      }
    }
    const T scale =
        layer.norm ? BatchNormOf::scale(layer.gamma[column], layer.variance[column], layer.epsilon)
                   : T{};
    DENSA_UNROLL
    for (int r = 0; r < kHeld; ++r)
      values.set(to + (row + r) * kStride + column, finished(layer, column, scale, z[r]));
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock) run_network(NetworkCall<T> a, int tile) {
  __shared__ Values<T> values;
  constexpr int kHalf = kMostTile<T> * kStride;
  const int t = static_cast<int>(threadIdx.x);
  for (std::int64_t first = std::int64_t{blockIdx.x} * tile; first < a.rows;
       first += std::int64_t{gridDim.x} * tile) {
    const std::int64_t left = a.rows - first;
    const int rows = left < tile ? static_cast<int>(left) : tile;
    const int in = a.layers[0].in;
    // Rows past the end are zeros: their results go nowhere.
    for (int i = t; i < tile * in; i += kBlock)
      values.set(i / in * kStride + i % in, i < rows * in ? T{a.x[first * in + i]} : T{});
    __syncthreads();
    int from = 0;
    for (int l = 0; l < a.count; ++l) {
      if (tile == kLeastTile) {
        run_layer<1>(a.layers[l], values, from, kHalf - from, tile);
      } else {
        run_layer<kEach>(a.layers[l], values, from, kHalf - from, tile);
      }
      __syncthreads();
      from = kHalf - from;
    }
    const int out = a.layers[a.count - 1].out;
    for (int i = t; i < rows * out; i += kBlock)
      put(a.y, first * out + i, values[from + i / out * kStride + i % out]);
    __syncthreads();
  }
}

Formula formula_of(const std::string& name) {
  for (int i = 0; const NumberedFormula& one : kNumberedFormulas) {
    if (name == one.name) return static_cast<Formula>(i);
    ++i;
  }
  return Formula::kNone;
}

template <class T>
void eval_as(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  NetworkCall<T> network;
  network.rows = x.shape[0];
  network.x = FloatMemory<T>::in(x);
  network.y = FloatMemory<T>::out(y);
  auto width = static_cast<int>(x.shape[1]);
  std::size_t next = 1;
  const auto input = [&] { return FloatMemory<T>::in(call.in[next++]); };
  for (const NetworkLayer& from : parse_layers(call.attrs.get_string("layers", ""))) {
    Layer<T>& layer = network.layers[network.count++];
    layer.in = width;
    if (from.dense) {
      width = static_cast<int>(call.in[next].shape[1]);
      layer.product = true;
      layer.w = input();
    }
    layer.bias = from.bias;
    if (from.bias) layer.b = input();
    layer.norm = from.norm;
    if (from.norm) {
      layer.gamma = input();
      layer.beta = input();
      layer.mean = input();
      layer.variance = input();
    }
    layer.out = width;
    layer.epsilon = static_cast<T>(from.epsilon);
    layer.formula = formula_of(from.activation);
    layer.parameter = from.parameter;
  }
  constexpr std::int64_t kManyRows = 128 * kMostTile<T>;
  const int tile = network.rows < kManyRows ? kLeastTile : kMostTile<T>;
  const std::int64_t tiles = (network.rows + tile - 1) / tile;
  cuda::launch(call.stream,
               {{static_cast<unsigned>(std::min<std::int64_t>(tiles, 1 << 14))}, {kBlock}},
               run_network<T>, network, tile);
}

void eval(const DeviceCall& call) {
  (call.in[0].dtype == DType::kFloat64 ? eval_as<double> : eval_as<float>)(call);
}

constexpr DeviceOp kOps[] = {{.name = "network", .eval = &eval, .half_in = ~0u, .half_out = 1}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> network();
std::span<const DeviceOp> network() { return kOps; }

}  // namespace densa::cuda_ops
