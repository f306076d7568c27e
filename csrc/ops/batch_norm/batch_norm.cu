// Batch normalisation on a GPU. Where channels are the columns of a matrix of at most kMostRows
// rows, a block keeps 8 columns in registers: one launch, each element read once. All else sums
// with cuda/fold.h and walks the elements.
#include "cuda/fold.h"
#include "ops/backend.h"
#include "ops/batch_norm/axes.h"
#include "ops/batch_norm/formula.h"

namespace densa::inline DENSA_ISA {
namespace {

// ---- one launch: thread t has column t % kColumns, and every kDeep-th row from t / kColumns on
// ----

constexpr int kThreads = 256, kColumns = 8, kDeep = kThreads / kColumns, kKept = 32;
constexpr std::int64_t kMostRows = kDeep * kKept;

template <class T>
using ColumnRoom = Shared<T, kThreads / kWarp * kColumns>;

// The sum over the threads of a column, in each of them.
template <class T>
__device__ T column_sum(T x, ColumnRoom<T>& room) {
  for (int mask = kColumns; mask < kWarp; mask *= 2) x += shuffle_xor(x, mask);
  const int t = static_cast<int>(threadIdx.x), column = t % kColumns;
  if (t % kWarp < kColumns) room.set(t / kWarp * kColumns + column, x);
  __syncthreads();
  T total = room[column];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) total += room[warp * kColumns + column];
  __syncthreads();
  return total;
}

// The threads' share of a tile of columns.
struct Share {
  std::int64_t column, rows, columns;
  __device__ Share(std::int64_t tile, std::int64_t row_count, std::int64_t column_count)
      : column(tile * kColumns + threadIdx.x % kColumns),
        rows(column < column_count ? row_count : 0),
        columns(column_count) {}
  __device__ static std::int64_t row(int k) {
    return static_cast<int>(threadIdx.x) / kColumns + k * kDeep;
  }
  __device__ bool has(int k) const { return row(k) < rows; }
  __device__ std::int64_t at(int k) const { return row(k) * columns + column; }
  __device__ bool first() const { return threadIdx.x < kColumns && column < columns; }
};

template <class T>
struct TrainCall {
  std::int64_t rows, columns;
  T epsilon;
  Global<const T> x, gamma, beta;
  Global<T> y, mean, variance;
};

template <class T>
__global__ void __launch_bounds__(kThreads) train_columns(TrainCall<T> a) {
  __shared__ ColumnRoom<T> room;
  const T n = static_cast<T>(a.rows);
  for (std::int64_t tile = blockIdx.x; tile * kColumns < a.columns; tile += gridDim.x) {
    const Share share(tile, a.rows, a.columns);
    T x[kKept];
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k) x[k] = share.has(k) ? a.x[share.at(k)] : T{0};
    T sum{}, squares{};
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k) sum += x[k];
    const T mean = column_sum(sum, room) / n;
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k) {
      const T d = share.has(k) ? x[k] - mean : T{0};
      squares = mul_add(d, d, squares);
    }
    const T variance = column_sum(squares, room) / n;
    if (share.first()) {
      a.mean[share.column] = mean;
      a.variance[share.column] = variance;
    }
    if (!share.has(0)) continue;
    const T scale = BatchNormOf::scale(a.gamma[share.column], variance, a.epsilon);
    const T beta = a.beta[share.column];
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k)
      if (share.has(k)) a.y[share.at(k)] = BatchNormOf::value(x[k], mean, scale, beta);
  }
}

template <class T>
struct GradCallOf {
  std::int64_t rows, columns;
  T epsilon;
  Global<const T> x, gamma, mean, variance, dy;
  Global<T> dx, dgamma, dbeta;
};

template <class T>
__global__ void __launch_bounds__(kThreads) grad_columns(GradCallOf<T> a) {
  __shared__ ColumnRoom<T> room;
  for (std::int64_t tile = blockIdx.x; tile * kColumns < a.columns; tile += gridDim.x) {
    const Share share(tile, a.rows, a.columns);
    const bool inside = share.column < a.columns;
    const T mean = inside ? a.mean[share.column] : T{0};
    T x[kKept], dy[kKept];
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k) {
      x[k] = share.has(k) ? a.x[share.at(k)] : mean;
      dy[k] = share.has(k) ? a.dy[share.at(k)] : T{0};
    }
    T sum{}, dot{};
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k) {
      sum += dy[k];
      dot = mul_add(dy[k], x[k] - mean, dot);
    }
    const T dbeta = column_sum(sum, room);
    dot = column_sum(dot, room);
    if (!inside) continue;
    const T s = BatchNormSlope<T>::inverse(a.variance[share.column], a.epsilon);
    const auto slope =
        BatchNormSlope<T>::of(a.gamma[share.column], s, dbeta, dot, static_cast<T>(a.rows));
    if (share.first()) {
      a.dgamma[share.column] = slope.dgamma;
      a.dbeta[share.column] = dbeta;
    }
    DENSA_UNROLL
    for (int k = 0; k < kKept; ++k)
      if (share.has(k)) a.dx[share.at(k)] = slope.dx(x[k], mean, dy[k]);
  }
}

cuda::Grid column_grid(std::int64_t columns) {
  const std::int64_t tiles = (columns + kColumns - 1) / kColumns;
  return {{static_cast<unsigned>(std::min<std::int64_t>(tiles, 1 << 14))}, {kThreads}};
}

// ---- any shape: sums, then a walk over the elements ----

template <class T>
struct MeanFold {
  using Acc = T;
  struct Local {};
  T n;
  Global<const T> x;
  Global<T> mean;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ T load(std::int64_t at, std::int64_t, Local) const { return x[at]; }
  __device__ T neutral() const { return 0; }
  __device__ T join(T a, T b) const { return a + b; }
  __device__ void store(std::int64_t c, T sum) const { mean[c] = sum / n; }
};

template <class T>
struct VarianceFold {
  using Acc = T;
  using Local = T;
  T n, epsilon;
  Global<const T> x, mean, gamma;
  Global<T> variance, scale;
  __device__ T local(std::int64_t c) const { return mean[c]; }
  __device__ T load(std::int64_t at, std::int64_t, T m) const { return (x[at] - m) * (x[at] - m); }
  __device__ T neutral() const { return 0; }
  __device__ T join(T a, T b) const { return a + b; }
  __device__ void store(std::int64_t c, T sum) const {
    variance[c] = sum / n;
    scale[c] = BatchNormOf::scale(gamma[c], sum / n, epsilon);
  }
};

template <class T>
struct GradFold {
  using Acc = Pair<T, T>;  // sum dy, sum dy (x - mean)
  using Local = T;
  T n, epsilon;
  Global<const T> x, dy, mean, variance, gamma;
  Global<T> dgamma, dbeta;
  Global<BatchNormSlope<T>> slope;
  __device__ T local(std::int64_t c) const { return mean[c]; }
  __device__ Acc load(std::int64_t at, std::int64_t, T m) const {
    return {dy[at], dy[at] * (x[at] - m)};
  }
  __device__ Acc neutral() const { return {0, 0}; }
  __device__ Acc join(const Acc& a, const Acc& b) const {
    return {a.first + b.first, a.second + b.second};
  }
  __device__ void store(std::int64_t c, const Acc& sums) const {
    const T s = BatchNormSlope<T>::inverse(variance[c], epsilon);
    slope[c] = BatchNormSlope<T>::of(gamma[c], s, sums.first, sums.second, n);
    dgamma[c] = slope[c].dgamma;
    dbeta[c] = sums.first;
  }
};

template <class T>
struct Normalise {
  __device__ T operator()(T x, T mean, T scale, T beta) const {
    return BatchNormOf::value(x, mean, scale, beta);
  }
};
template <class T>
struct Infer {
  T epsilon;
  __device__ T operator()(T x, T gamma, T beta, T mean, T variance) const {
    return BatchNormOf::value(x, mean, BatchNormOf::scale(gamma, variance, epsilon), beta);
  }
};
template <class T>
struct Slope {
  __device__ T operator()(T x, T dy, T mean, const BatchNormSlope<T>& slope) const {
    return slope.dx(x, mean, dy);
  }
};

// ---- the ops ----

std::array<bool, kMaxRank> reduced_axes(const Dims& x, const Attrs& attrs) {
  const Ints channels = channel_axes(attrs, x.rank());
  std::array<bool, kMaxRank> out{};
  for (int axis = 0; axis < x.rank(); ++axis) out[axis] = !is_channel(channels, axis);
  return out;
}

// Scratch: what the walk needs for each channel, then the folds' room.
constexpr std::size_t kAlign = 256;

template <bool kGrad>
std::size_t channel_bytes(std::int64_t channels, DType dtype) {
  const std::size_t numbers = kGrad ? sizeof(BatchNormSlope<float>) / sizeof(float) : 1;
  const std::size_t bytes = static_cast<std::size_t>(channels) * numbers * item_size(dtype);
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

template <bool kGrad>
std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs& attrs) {
  const std::size_t acc = (kGrad ? 2 : 1) * item_size(in[0].dtype);
  return channel_bytes<kGrad>(element_count(in[1].shape), in[0].dtype) +
         FoldShape::scratch_bytes(in[0].shape, reduced_axes(in[0].shape, attrs), acc);
}

// What eval and its gradient share.
template <class T, bool kGrad>
struct NormCall {
  const DeviceCall& call;
  const View& x = call.in[0];
  FoldShape shape = FoldShape::of(x.shape, reduced_axes(x.shape, call.attrs));
  T epsilon = static_cast<T>(call.attrs.get_double("epsilon", 1e-3));
  T n = static_cast<T>(shape.count);
  void* room = call.scratch;  // for each channel
  void* fold_room =
      static_cast<std::byte*>(call.scratch) + channel_bytes<kGrad>(shape.results, x.dtype);

  bool is_small_matrix() const {
    return !shape.rows && shape.kept.flat() && shape.reduced.flat() && shape.count <= kMostRows;
  }
  Global<const T> in(int i) const { return Global<const T>(call.in[i].as<const T>()); }
  Global<T> out(int i) const { return Global<T>(call.out[i].as<T>()); }
  // One number (or more) per channel, as an array that broadcasts against x.
  View spread(void* data) const {
    const Ints channels = channel_axes(call.attrs, x.shape.rank());
    Dims dims;
    for (int axis = 0; axis < x.shape.rank(); ++axis)
      dims.push_back(is_channel(channels, axis) ? x.shape[axis] : 1);
    return {data, x.dtype, dims, contiguous_strides(dims)};
  }
};

template <class T>
void eval_as(const DeviceCall& call) {
  const NormCall<T, false> norm{call};
  if (!call.attrs.get_bool("training", false))
    return launch_map<T, T, T, T, T, T>(call.stream, Infer<T>{norm.epsilon}, call.out[0], norm.x,
                                        norm.spread(call.in[1].data), norm.spread(call.in[2].data),
                                        norm.spread(call.in[3].data), norm.spread(call.in[4].data));
  if (norm.is_small_matrix()) {
    const TrainCall<T> train{norm.shape.count, norm.shape.results, norm.epsilon,
                             norm.in(0),       norm.in(1),         norm.in(2),
                             norm.out(0),      norm.out(1),        norm.out(2)};
    return cuda::launch(call.stream, column_grid(train.columns), train_columns<T>, train);
  }
  T* const mean = call.out[1].as<T>();
  T* const scale = static_cast<T*>(norm.room);
  launch_fold(call.stream, MeanFold<T>{norm.n, norm.in(0), norm.out(1)}, norm.shape,
              norm.fold_room);
  launch_fold(call.stream,
              VarianceFold<T>{norm.n, norm.epsilon, norm.in(0), Global<const T>(mean), norm.in(1),
                              norm.out(2), Global<T>(scale)},
              norm.shape, norm.fold_room);
  launch_map<T, T, T, T, T>(call.stream, Normalise<T>{}, call.out[0], norm.x, norm.spread(mean),
                            norm.spread(scale), norm.spread(call.in[2].data));
}

template <class T>
void eval_grad_as(const DeviceCall& call) {
  const NormCall<T, true> norm{call};
  if (norm.is_small_matrix()) {
    const GradCallOf<T> grad{norm.shape.count, norm.shape.results, norm.epsilon, norm.in(0),
                             norm.in(1),       norm.in(2),         norm.in(3),   norm.in(4),
                             norm.out(0),      norm.out(1),        norm.out(2)};
    return cuda::launch(call.stream, column_grid(grad.columns), grad_columns<T>, grad);
  }
  auto* const slope = static_cast<BatchNormSlope<T>*>(norm.room);
  launch_fold(call.stream,
              GradFold<T>{norm.n, norm.epsilon, norm.in(0), norm.in(4), norm.in(2), norm.in(3),
                          norm.in(1), norm.out(1), norm.out(2), Global<BatchNormSlope<T>>(slope)},
              norm.shape, norm.fold_room);
  launch_map<T, T, T, T, BatchNormSlope<T>>(call.stream, Slope<T>{}, call.out[0], norm.x,
                                            call.in[4], norm.spread(call.in[2].data),
                                            norm.spread(slope));
}

void eval(const DeviceCall& call) {
  (call.in[0].dtype == DType::kFloat64 ? eval_as<double> : eval_as<float>)(call);
}
void eval_grad(const DeviceCall& call) {
  (call.in[0].dtype == DType::kFloat64 ? eval_grad_as<double> : eval_grad_as<float>)(call);
}

constexpr DeviceOp kOps[] = {
    {.name = "batch_norm", .eval = &eval, .scratch_bytes = &scratch_bytes<false>},
    {.name = "batch_norm_grad", .eval = &eval_grad, .scratch_bytes = &scratch_bytes<true>},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> batch_norm() { return kOps; }

}  // namespace densa::cuda_ops
