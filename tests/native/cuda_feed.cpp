// What a plan calls on a GPU around its ops, in the emulation: feed against the CPU's kernels, bit
// for bit, and how emit and advance follow the step in device memory.
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include "check.h"
#include "ops/feed/feed.cu"
#include "ops/feed/feed.h"

namespace densa::inline DENSA_ISA {
namespace {

cuda::Stream stream;
constexpr DType kFloats[] = {DType::kFloat32, DType::kFloat64};

// Bytes in device memory, `shift` bytes behind an address that fits everything.
class OnDevice {
 public:
  explicit OnDevice(const std::vector<std::byte>& host, std::size_t shift = 0)
      : bytes_(host.size()), p_(cuda::allocate(0, bytes_ + shift)), shift_(shift) {
    cuda::copy(stream, data(), host.data(), bytes_, cuda::Direction::kToDevice);
  }
  template <class T>
  explicit OnDevice(const std::vector<T>& host)
      : OnDevice(std::vector<std::byte>(
            reinterpret_cast<const std::byte*>(host.data()),
            reinterpret_cast<const std::byte*>(host.data() + host.size()))) {}
  ~OnDevice() { cuda::release(0, p_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  void* data() const { return static_cast<std::byte*>(p_) + shift_; }
  std::vector<std::byte> host() const {
    std::vector<std::byte> out(bytes_);
    cuda::copy(stream, out.data(), data(), bytes_, cuda::Direction::kToHost);
    return out;
  }

 private:
  std::size_t bytes_;
  void* p_;
  std::size_t shift_;
};

void run(std::string_view name, std::initializer_list<View> in, std::initializer_list<View> out,
         const Attrs& attrs, const OnDevice* step, const OnDevice* status) {
  const std::vector<View> ins(in), outs(out);
  for (const DeviceOp& op : cuda_ops::feed())
    if (op.name == name)
      op.eval({ins, outs, attrs, nullptr,
               status == nullptr ? nullptr : static_cast<long long*>(status->data()), stream,
               step == nullptr ? nullptr : static_cast<const DeviceStep*>(step->data())});
}

View matrix(const OnDevice& memory, DType dtype, std::int64_t rows, std::int64_t cols) {
  return {memory.data(), dtype, {rows, cols}, {cols, 1}};
}

// Numbers of every size; a bool is 0 or 1.
std::vector<std::byte> numbers(DType dtype, std::int64_t count, std::mt19937& random) {
  std::vector<std::byte> out(static_cast<std::size_t>(count) * item_size(dtype));
  visit_dtype(dtype, [&](auto zero) {
    using S = decltype(zero);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint64_t bits = (std::uint64_t{random()} << 32 | random()) >> (random() % 64);
      S number;
      if constexpr (std::is_floating_point_v<S>) {
        number = static_cast<S>(std::normal_distribution<double>(0, 3)(random));
      } else if constexpr (std::is_same_v<S, bool>) {
        number = bits % 2 == 1;
      } else {
        number = static_cast<S>(random() % 2 == 1 ? bits : ~bits);
      }
      std::memcpy(out.data() + static_cast<std::size_t>(i) * sizeof(S), &number, sizeof(S));
    }
  });
  return out;
}

constexpr std::int64_t kSource = 12, kFirst = 2, kRowsTaken = 7;

// The rows from position kFirst on, by the CPU.
std::vector<std::byte> by_cpu(DType from, DType to, const std::vector<std::byte>& x,
                              std::int64_t cols, const std::int64_t* order, double scale,
                              double offset, std::int64_t* bad) {
  Feed feed;
  feed.data = x.data();
  feed.row_bytes = cols * static_cast<std::ptrdiff_t>(item_size(from));
  feed.order = order;
  feed.first = kFirst;
  feed.row_end = kRowsTaken;
  feed.cols = cols;
  feed.stride = cols;
  feed.affine = scale != 1 || offset != 0;
  feed.scale = scale;
  feed.offset = offset;
  std::vector<std::byte> y(static_cast<std::size_t>(kRowsTaken * cols) * item_size(to));
  feed.y = y.data();
  const FeedKernels& kernels = feed_kernels();
  *bad = (to == DType::kFloat32 ? kernels.to_f32 : kernels.to_f64)[static_cast<int>(from)](feed);
  return y;
}

void check_feed(DType from, DType to, std::int64_t cols, bool shuffled, bool affine,
                std::size_t shift) {
  std::mt19937 random(static_cast<unsigned>(cols));
  std::vector<std::byte> x = numbers(from, kSource * cols, random);
  std::vector<std::int64_t> order(kFirst + kRowsTaken);
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = (static_cast<std::int64_t>(i) * 5 + 11) % kSource;
  const double scale = affine ? 1.0 / 255 : 1, offset = affine ? -0.3 : 0;
  Attrs attrs;
  if (affine) attrs = {{"scale", scale}, {"offset", offset}};
  const OnDevice step(std::vector<std::int64_t>{5, kFirst, 1, 0});
  const OnDevice device_order(order);
  const View order_view{device_order.data(), DType::kInt64, {kFirst + kRowsTaken}, {1}};
  // One round as it is, one with numbers that are not finite in two rows.
  for (bool spoilt : {false, true}) {
    if (spoilt && !is_floating(from)) continue;
    if (spoilt)
      visit_dtype(from, [&](auto zero) {
        using S = decltype(zero);
        if constexpr (std::is_floating_point_v<S>) {
          const S bad[] = {std::numeric_limits<S>::infinity(), std::numeric_limits<S>::quiet_NaN()};
          std::memcpy(x.data() + sizeof(S) * static_cast<std::size_t>(8 * cols - 1), &bad[0],
                      sizeof(S));
          std::memcpy(x.data() + sizeof(S) * static_cast<std::size_t>(4 * cols), &bad[1],
                      sizeof(S));
        }
      });
    std::int64_t bad = -1;
    const auto want =
        by_cpu(from, to, x, cols, shuffled ? order.data() : nullptr, scale, offset, &bad);
    const OnDevice source(x, shift), y(std::vector<std::byte>(want.size()));
    const OnDevice status(std::vector<long long>{LLONG_MAX});
    const View in = matrix(source, from, kSource, cols), out = matrix(y, to, kRowsTaken, cols);
    if (shuffled) {
      run("feed", {in, order_view}, {out}, attrs, &step, &status);
    } else {
      run("feed", {in}, {out}, attrs, &step, &status);
    }
    const auto got = y.host();
    std::size_t differ = 0;
    const std::size_t item = item_size(to);
    for (std::size_t i = 0; i < got.size(); i += item)
      if (std::memcmp(&got[i], &want[i], item) != 0) {
        double a = 0, b = 0;
        visit_dtype(to, [&](auto zero) {
          std::memcpy(&zero, &got[i], item), a = static_cast<double>(zero);
          std::memcpy(&zero, &want[i], item), b = static_cast<double>(zero);
        });
        if (!(a != a && b != b)) ++differ;  // every NaN is alike
      }
    CHECK(differ == 0,
          "%zu of %zu differ: type %d to %d, cols %lld, shuffled %d, affine %d, at %zu", differ,
          got.size() / item, static_cast<int>(from), static_cast<int>(to),
          static_cast<long long>(cols), shuffled, affine, shift);
    long long least = LLONG_MAX;
    for (std::int64_t r = 0; spoilt && r < kRowsTaken; ++r) {
      const std::int64_t row = shuffled ? order[static_cast<std::size_t>(kFirst + r)] : kFirst + r;
      if (row == 7 || row == 4) least = std::min<long long>(least, row);
    }
    long long told = 0;
    std::memcpy(&told, status.host().data(), sizeof told);
    CHECK(told == least, "status %lld, not %lld", told, least);
    CHECK((told == LLONG_MAX) == (bad < 0), "the CPU says row %lld", static_cast<long long>(bad));
  }
}

void test_feed() {
  for (int from = 0; from < kFeedSources; ++from)
    for (DType to : kFloats)
      for (std::int64_t cols : {1, 4, 7, 16, 31, 48, 240})
        for (bool shuffled : {false, true})
          for (bool affine : {false, true})
            for (std::size_t shift : {std::size_t{0}, item_size(static_cast<DType>(from))})
              check_feed(static_cast<DType>(from), to, cols, shuffled, affine, shift);
}

// Labels and the like: the same type on both sides.
void test_copies() {
  std::mt19937 random(3);
  for (DType dtype : {DType::kBool, DType::kInt16, DType::kInt32, DType::kInt64})
    for (std::int64_t cols : {1, 3, 16, 33}) {
      const auto x = numbers(dtype, kSource * cols, random);
      const OnDevice source(x);
      const OnDevice order(std::vector<std::int64_t>{3, 11, 0, 3});
      const std::size_t row = static_cast<std::size_t>(cols) * item_size(dtype);
      const OnDevice y(std::vector<std::byte>(4 * row));
      const View order_view{order.data(), DType::kInt64, {4}, {1}};
      run("feed", {matrix(source, dtype, kSource, cols), order_view}, {matrix(y, dtype, 4, cols)},
          {}, nullptr, nullptr);
      const auto got = y.host();
      int at = 0;
      for (std::size_t from : {3, 11, 0, 3})
        CHECK(std::memcmp(&got[row * static_cast<std::size_t>(at++)], &x[row * from], row) == 0,
              "type %d, cols %lld, row %d", static_cast<int>(dtype), static_cast<long long>(cols),
              at - 1);
    }
}

// A replayed graph: each round writes the next rows, the last of what there is.
void test_replay() {
  constexpr std::int64_t kAll = 9, kBatch = 3;
  for (std::int64_t cols : {1, 5, 8}) {
    std::vector<float> x(static_cast<std::size_t>(kAll * cols));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
    const OnDevice source(x), batch(std::vector<float>(static_cast<std::size_t>(kBatch * cols)));
    const OnDevice all(std::vector<float>(x.size()));
    const OnDevice step(std::vector<std::int64_t>{100, 0, 0, 0});
    const View rows = matrix(batch, DType::kFloat32, kBatch, cols);
    cuda::begin_capture(stream);
    run("feed", {matrix(source, DType::kFloat32, kAll, cols)}, {rows}, {{"offset", 1.0}}, &step,
        nullptr);
    run("emit", {rows}, {matrix(all, DType::kFloat32, kAll, cols)}, {}, &step, nullptr);
    run("advance", {}, {{step.data(), DType::kInt64, {4}, {1}}}, {{"batch", kBatch}}, nullptr,
        nullptr);
    cuda::Graph* graph = cuda::end_capture(stream);
    for (int i = 0; i < 3; ++i) cuda::launch_graph(stream, graph);
    cuda::destroy_graph(graph);
    for (float& number : x) number += 1;
    CHECK(std::memcmp(all.host().data(), x.data(), x.size() * sizeof(float)) == 0, "cols %lld",
          static_cast<long long>(cols));
    std::int64_t at[3];
    std::memcpy(at, step.host().data(), sizeof at);
    CHECK(at[0] == 103 && at[1] == 9 && at[2] == 3, "%lld, %lld, %lld",
          static_cast<long long>(at[0]), static_cast<long long>(at[1]),
          static_cast<long long>(at[2]));
  }
}

void test_nothing() {
  const OnDevice x(std::vector<float>(1));
  for (auto [rows, cols] : {std::pair{0, 4}, {4, 0}}) {
    const View empty = matrix(x, DType::kFloat32, rows, cols);
    run("feed", {empty}, {empty}, {}, nullptr, nullptr);
    run("emit", {empty}, {empty}, {}, nullptr, nullptr);
  }
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  stream = cuda::create_stream(0);
  for (std::uint64_t order : {0, 1, 2}) {
    emulation::set_order(order);
    test_feed();
    test_copies();
    test_replay();
    test_nothing();
  }
  cuda::destroy_stream(stream);
  std::printf(failures == 0 ? "cuda_feed: passed\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
