// matmul and dense as ops: strides, transposes, broadcast batches, against a double loop; the same
// bits with one thread and with three, and for a row alone and among others.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "base/threads.h"
#include "kernel_levels.h"
#include "ops/op.h"

namespace {

using densa::Dims;
using densa::TypeInfo;
using densa::View;

std::uint64_t seed = 99;
double random_number() {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(seed >> 11) * 0x1p-53 * 2 - 1;
}

// A strided array: axes stored in the order `order`, each stretched by `step`.
template <class T>
struct Array {
  Array(Dims shape, std::vector<int> order, std::int64_t step) {
    view.shape = shape;
    view.strides = shape;
    view.dtype = densa::dtype_of<T>;
    std::int64_t stride = step;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      const int axis = order.empty() ? i : order[static_cast<std::size_t>(i)];
      view.strides[axis] = stride;
      stride *= shape[axis];
    }
    store.resize(static_cast<std::size_t>(stride) + 1);
    for (T& v : store) v = static_cast<T>(random_number());
    view.data = store.data();
  }
  std::vector<T> store;
  View view;
};

template <class T>
std::vector<T> run(const char* name, const std::vector<View>& in, const densa::Attrs& attrs,
                   Dims& shape) {
  const densa::Op& op = densa::find_op(name);
  std::vector<TypeInfo> types;
  types.reserve(in.size());
  for (const View& v : in) types.push_back({v.dtype, v.shape});
  const TypeInfo out = op.infer(types, attrs)[0];
  shape = out.shape;
  std::vector<T> y(static_cast<std::size_t>(element_count(out.shape)) + 1, T(-5));
  const std::size_t bytes = op.scratch_bytes(types, attrs);
  void* scratch = std::aligned_alloc(64, (bytes + 127) / 64 * 64);
  std::memset(scratch, 0xff, bytes);  // NaN
  const View out_view{y.data(), out.dtype, out.shape, contiguous_strides(out.shape)};
  op.eval({in, std::span(&out_view, 1), attrs, scratch});
  std::free(scratch);
  CHECK(y.back() == T(-5), "%s: past the end", name);
  y.pop_back();
  return y;
}

template <class T>
double at(const View& v, const Dims& batch, std::int64_t index, std::int64_t r, std::int64_t c,
          bool transposed) {
  const int rank = v.shape.rank(), skipped = batch.rank() - (rank - 2);
  std::ptrdiff_t offset = 0;
  for (int i = batch.rank() - 1; i >= 0; --i) {
    const std::int64_t k = index % batch[i];
    index /= batch[i];
    if (i >= skipped && v.shape[i - skipped] != 1) offset += k * v.strides[i - skipped];
  }
  if (transposed) std::swap(r, c);
  return static_cast<double>(v.as<T>()[offset + r * v.strides[rank - 2] + c * v.strides[rank - 1]]);
}

template <class T>
void test_matmul(Dims a_shape, Dims b_shape, bool ta, bool tb, std::vector<int> order_a,
                 std::vector<int> order_b, std::int64_t step) {
  if (ta) std::swap(a_shape[a_shape.rank() - 1], a_shape[a_shape.rank() - 2]);
  if (tb) std::swap(b_shape[b_shape.rank() - 1], b_shape[b_shape.rank() - 2]);
  Array<T> a(a_shape, order_a, step), b(b_shape, order_b, step);
  const densa::Attrs attrs{{"transpose_a", ta}, {"transpose_b", tb}};
  Dims shape;
  densa::set_thread_limit({1, true});
  const std::vector<T> y = run<T>("matmul", {a.view, b.view}, attrs, shape);
  densa::set_thread_limit({3, true});
  Dims again;
  const std::vector<T> y3 = run<T>("matmul", {a.view, b.view}, attrs, again);
  const std::string text =
      to_string(a_shape) + (ta ? "T" : "") + to_string(b_shape) + (tb ? "T" : "");
  CHECK(y.empty() || std::memcmp(y.data(), y3.data(), y.size() * sizeof(T)) == 0, "%s: threads",
        text.c_str());
  const std::int64_t n = shape.back(), m = shape[shape.rank() - 2];
  const std::int64_t k = ta ? a_shape[a_shape.rank() - 2] : a_shape.back();
  Dims batch;
  for (int i = 0; i + 2 < shape.rank(); ++i) batch.push_back(shape[i]);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t at_i = static_cast<std::int64_t>(i), r = at_i / n % m, c = at_i % n;
    double sum = 0, size = 0;
    for (std::int64_t s = 0; s < k; ++s) {
      const double p = at<T>(a.view, batch, at_i / (m * n), r, s, ta) *
                       at<T>(b.view, batch, at_i / (m * n), s, c, tb);
      sum += p;
      size += std::fabs(p);
    }
    const double bound = size * static_cast<double>(k + 1) * (sizeof(T) == 4 ? 6e-8 : 1.2e-16);
    CHECK(std::fabs(static_cast<double>(y[i]) - sum) <= bound, "%s at %zu: %g, not %g",
          text.c_str(), i, static_cast<double>(y[i]), sum);
  }
}

template <class T>
void test_all() {
  for (int flags = 0; flags < 4; ++flags) {
    const bool ta = flags & 1, tb = flags & 2;
    for (std::int64_t step : {1, 2}) {
      test_matmul<T>({5, 7}, {7, 3}, ta, tb, {}, {}, step);
      test_matmul<T>({1, 1}, {1, 1}, ta, tb, {}, {}, step);
      test_matmul<T>({0, 4}, {4, 3}, ta, tb, {}, {}, step);
      test_matmul<T>({3, 0}, {0, 20}, ta, tb, {}, {}, step);
      test_matmul<T>({33, 47}, {47, 65}, ta, tb, {1, 0}, {1, 0}, step);
      test_matmul<T>({300, 200}, {200, 100}, ta, tb, {}, {}, step);
      test_matmul<T>({4, 17, 9}, {9, 21}, ta, tb, {}, {}, step);
      test_matmul<T>({4, 17, 9}, {4, 9, 21}, ta, tb, {1, 0, 2}, {}, step);
      test_matmul<T>({17, 9}, {5, 9, 2}, ta, tb, {}, {2, 1, 0}, step);
      test_matmul<T>({2, 1, 6, 4}, {3, 4, 5}, ta, tb, {}, {}, step);
      test_matmul<T>({2, 1, 6, 4}, {1, 3, 4, 5}, ta, tb, {3, 2, 1, 0}, {}, step);
      test_matmul<T>({40, 1, 8}, {8, 6}, ta, tb, {}, {}, step);
      test_matmul<T>({50, 30, 40}, {50, 40, 30}, ta, tb, {}, {}, step);
    }
  }
  test_matmul<T>({2100, 30}, {30, 18}, false, false, {}, {}, 1);
  test_matmul<T>({2, 900}, {900, 1500}, false, false, {}, {}, 1);
  test_matmul<T>({2, 150, 800}, {2, 800, 300}, false, false, {}, {}, 1);
}

template <class T>
void test_dense() {
  Array<T> x({2, 40, 70}, {}, 1), w({70, 37}, {}, 1), b({37}, {}, 1);
  Dims shape;
  const auto all = run<T>("dense", {x.view, w.view, b.view}, {{"activation", "relu"}}, shape);
  CHECK((shape == Dims{2, 40, 37}), "shape %s", to_string(shape).c_str());
  for (std::int64_t r = 0; r < 80; ++r) {
    View row = x.view;
    row.shape = {1, 70};
    row.strides = {70, 1};
    row.data = x.store.data() + r * 70;
    const auto alone = run<T>("dense", {row, w.view, b.view}, {{"activation", "relu"}}, shape);
    CHECK(std::memcmp(alone.data(), all.data() + r * 37, 37 * sizeof(T)) == 0, "row %ld", long(r));
    for (std::int64_t n = 0; n < 37; ++n) {
      double sum = static_cast<double>(b.store[n]);
      for (std::int64_t k = 0; k < 70; ++k)
        sum += static_cast<double>(x.store[r * 70 + k]) * static_cast<double>(w.store[k * 37 + n]);
      const double want = sum > 0 ? sum : 0;
      CHECK(std::fabs(static_cast<double>(alone[n]) - want) < (sizeof(T) == 4 ? 2e-5 : 1e-13),
            "dense %g, not %g", static_cast<double>(alone[n]), want);
    }
  }
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  test_dense<float>();
  test_dense<double>();
  std::printf("kernels_matmul: %d failures\n", failures);
  return failures > 0;
}
