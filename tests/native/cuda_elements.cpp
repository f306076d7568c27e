// Elementwise kernels in the emulation where Python's tests do not reach: operands of any strides
// and alignment, more elements than a grid has threads, the pair of value and slope, and random ops
// whose step changes between replays.
#include <climits>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "check.h"

// Each file has its kOps.
// NOLINTBEGIN(readability-identifier-naming)
#define kOps kElementwiseOps
#include "ops/elementwise/elementwise.cu"
#undef kOps
#define kOps kPlainOps
#include "ops/elementwise/plain.cu"
#undef kOps
#define kOps kCastOps
#include "ops/cast/cast.cu"
#undef kOps
#define kOps kRandomOps
#include "ops/random/random.cu"
#undef kOps
#define kOps kDropoutOps
#include "ops/dropout/dropout.cu"
#undef kOps
// NOLINTEND(readability-identifier-naming)

namespace densa::inline DENSA_ISA {
namespace {

cuda::Stream stream;

// Numbers in device memory, the first one `shift` elements behind an address that fits everything.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& host, std::int64_t shift = 0)
      : size_(host.size()),
        p_(static_cast<T*>(
            cuda::allocate(0, (size_ + static_cast<std::size_t>(shift) + 1) * sizeof(T)))),
        shift_(shift) {
    cuda::copy(stream, data(), host.data(), size_ * sizeof(T), cuda::Direction::kToDevice);
  }
  explicit OnDevice(std::int64_t size, std::int64_t shift = 0)
      : OnDevice(std::vector<T>(static_cast<std::size_t>(size)), shift) {}
  ~OnDevice() { cuda::release(0, p_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  T* data() const { return p_ + shift_; }
  std::vector<T> host() const {
    std::vector<T> out(size_);
    cuda::copy(stream, out.data(), data(), size_ * sizeof(T), cuda::Direction::kToHost);
    return out;
  }
  View view(const Dims& shape, const Dims& strides, std::int64_t offset = 0) const {
    return {data() + offset, dtype_of<T>, shape, strides};
  }
  View view(const Dims& shape) const { return view(shape, contiguous_strides(shape)); }

 private:
  std::size_t size_;
  T* p_;
  std::int64_t shift_;
};

void run(std::string_view name, const std::vector<View>& in, const std::vector<View>& out,
         const Attrs& attrs = {}, const DeviceStep* step = nullptr) {
  for (const auto& folder :
       {cuda_ops::elementwise(), cuda_ops::cast(), cuda_ops::dropout(), cuda_ops::random()})
    for (const DeviceOp& op : folder)
      if (op.name == name) return op.eval({in, out, attrs, nullptr, nullptr, stream, step});
  CHECK(false, "no op %s", std::string(name).c_str());
}

template <class T>
std::vector<T> numbers(std::int64_t n) {
  std::vector<T> out;
  for (std::int64_t i = 0; i < n; ++i) out.push_back(static_cast<T>((i * 37 + 11) % 101));
  return out;
}

// ---- strides and alignment ----------------------------------------------------------------------

struct Case {
  const char* what;
  Dims shape, a, b;  // the result, and the strides of two operands
  std::int64_t first_a = 0, first_b = 0;
  std::int64_t shift_a = 0, shift_b = 0, shift_y = 0;
};

template <class T>
void test_case(const Case& one) {
  constexpr std::int64_t kSpan = 6000;
  const auto host_a = numbers<T>(kSpan), host_b = numbers<T>(kSpan + 5);
  const OnDevice<T> a(host_a, one.shift_a), b(host_b, one.shift_b);
  const std::int64_t n = element_count(one.shape);
  const OnDevice<T> sum(n, one.shift_y), copied(n, one.shift_y);
  run("add", {a.view(one.shape, one.a, one.first_a), b.view(one.shape, one.b, one.first_b)},
      {sum.view(one.shape)});
  run("copy", {a.view(one.shape, one.a, one.first_a)}, {copied.view(one.shape)});
  const auto got = sum.host(), same = copied.host();
  const Dims strides = contiguous_strides(one.shape);
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t at_a = one.first_a, at_b = one.first_b;
    for (int d = 0; d < one.shape.rank(); ++d) {
      const std::int64_t index = i / strides[d] % one.shape[d];
      at_a += index * one.a[d];
      at_b += index * one.b[d];
    }
    const auto k = static_cast<std::size_t>(i);
    const T x = host_a[static_cast<std::size_t>(at_a)];
    const T want = static_cast<T>(x + host_b[static_cast<std::size_t>(at_b)]);
    CHECK(got[k] == want && same[k] == x, "%s, %zu bytes, element %zu", one.what, sizeof(T), k);
    if (got[k] != want || same[k] != x) return;
  }
}

void test_strides() {
  std::vector<Case> cases{
      {"fours that begin in a later row", {5, 8}, {12, 1}, {8, 1}},
      {"rows that begin between fours", {5, 8}, {9, 1}, {8, 1}},
      {"rows of no whole fours", {5, 7}, {7, 1}, {0, 1}},
      {"a row for all", {33, 64}, {64, 1}, {0, 1}},
      {"a column for all", {33, 64}, {64, 1}, {1, 0}},
      {"a number for all", {33, 64}, {64, 1}, {0, 0}},
      {"turned", {31, 40}, {1, 31}, {40, 1}},
      {"backwards", {9, 16}, {-16, 1}, {16, -1}, 128, 15},
      {"three axes", {3, 5, 12}, {60, 12, 1}, {12, 0, 1}},
      {"every other", {100}, {2}, {1}},
      {"one element", {}, {}, {}},
      {"no element", {4, 0}, {0, 1}, {0, 1}},
  };
  for (std::int64_t n : {1, 2, 3, 4, 5, 31, 32, 33, 1000, 1023})
    for (std::int64_t shift : {0, 1, 2, 4}) {
      cases.push_back({"a run", {n}, {1}, {1}, 0, 0, shift, 0, 0});
      cases.push_back({"a run", {n}, {1}, {1}, 0, 0, 0, shift, 0});
      cases.push_back({"a run", {n}, {1}, {1}, 0, 0, shift, 0, shift});
    }
  for (const Case& one : cases) {
    test_case<std::uint8_t>(one);
    test_case<std::int16_t>(one);
    test_case<float>(one);
    test_case<double>(one);
  }
}

// A number beyond 32 bits; only its index is looked at.
void test_wide_index() {
  const Dims shape{std::int64_t{1} << 20, 3, 5000};
  const auto walk = Strided<2>::of(shape, {contiguous_strides(shape), Dims{0, 0, 1}});
  CHECK(!walk.narrow, "%d", walk.rank);
  const std::int64_t i = (std::int64_t{1} << 33) + 4321;
  std::int64_t at[2];
  walk.locate(i, at);
  CHECK(at[0] == i && at[1] == i % 5000, "%lld %lld", (long long)at[0], (long long)at[1]);
}

void test_small_grid() {
  constexpr std::int64_t kCount = 5003;
  const auto host = numbers<float>(kCount);
  const OnDevice<float> x(host), y(kCount), z(kCount);
  const auto walk = Strided<1>::of({kCount}, {Dims{1}});
  const cuda::Grid two{{2}, {cuda::kThreads}};
  cuda::launch(stream, two, map_elements<Same, float, float>, kCount, walk, Same{}, y.data(),
               x.data());
  cuda::launch(stream, two, map_fours<Same, float, float>, kCount, walk, Same{}, z.data(),
               x.data());
  CHECK(y.host() == host && z.host() == host, "a grid of two blocks");
}

// ---- value and slope ----------------------------------------------------------------------------

template <class T>
void test_pair(const Unary& one) {
  std::vector<T> z{-1e30f, -200, -20, -6, -3, -1, -0.5, 0, 0.25, 1, 3, 6, 20, 90, 1e30f};
  for (int i = 0; i < 50; ++i) z.push_back(static_cast<T>(i - 25) / T(7));
  const auto n = static_cast<std::int64_t>(z.size());
  const OnDevice<T> in(z), ones(std::vector<T>(z.size(), 1)), value(n), slope(n), y(n), dx(n);
  const Attrs named{{"fn", std::string(one.name)}};
  run("unary_pair", {in.view({n})}, {value.view({n}), slope.view({n})}, named);
  run(one.name, {in.view({n})}, {y.view({n})});
  run("unary_slope",
      {find_unary(named.get_string("fn", "").c_str())->saved == Saved::kOutput ? y.view({n})
                                                                               : in.view({n}),
       ones.view({n})},
      {dx.view({n})}, named);
  const auto same = [](const std::vector<T>& a, const std::vector<T>& b) {
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i] != b[i] && (a[i] == a[i] || b[i] == b[i])) return false;
    return true;
  };
  CHECK(same(value.host(), y.host()), "%s", std::string(one.name).c_str());
  CHECK(same(slope.host(), dx.host()), "%s", std::string(one.name).c_str());
}

void test_pairs() {
  for (const Unary& one : kUnary) {
    if (find_unary(std::string(one.name).c_str())->saved == Saved::kNone) continue;
    test_pair<float>(one);
    test_pair<double>(one);
  }
}

// ---- random ops in a replay ---------------------------------------------------------------------

template <class T>
void test_replay(const char* name, const Attrs& attrs, std::int64_t shift) {
  constexpr std::int64_t kCount = 1001;
  const auto dtype = std::string(dtype_name(dtype_of<T>));
  const OnDevice<T> x(std::vector<T>(kCount, 3), shift), y(kCount, shift), want(kCount);
  std::vector<View> in;
  if (name == std::string_view("dropout")) in.push_back(x.view({kCount}));
  const OnDevice<DeviceStep> step(1);
  Attrs every = attrs;
  every.set("dtype", dtype), every.set("every", std::int64_t{3}), every.set("use", std::int64_t{2});

  cuda::begin_capture(stream);
  run(name, in, {y.view({kCount})}, every, step.data());
  cuda::Graph* const graph = cuda::end_capture(stream);
  std::vector<T> before;
  for (std::int64_t at : {0, 1, 7}) {
    const DeviceStep now{at, 0, 0};
    cuda::copy(stream, step.data(), &now, sizeof now, cuda::Direction::kToDevice);
    cuda::launch_graph(stream, graph);
    Attrs plain = attrs;
    plain.set("dtype", dtype), plain.set("step", 3 * at + 2);
    run(name, in, {want.view({kCount})}, plain);
    CHECK(y.host() == want.host(), "%s, step %lld", name, (long long)at);
    CHECK(y.host() != before, "%s: step %lld is as the one before", name, (long long)at);
    before = y.host();
  }
  cuda::destroy_graph(graph);
  run(name, in, {y.view({kCount})}, every);
  Attrs first = attrs;
  first.set("dtype", dtype), first.set("step", std::int64_t{2});
  run(name, in, {want.view({kCount})}, first);
  CHECK(y.host() == want.host(), "%s without a plan", name);
}

void test_replays() {
  const Attrs attrs{{"seed", std::int64_t{5}}, {"stream", std::int64_t{9}}, {"rate", 0.3}};
  for (const char* name : {"dropout", "random_uniform", "random_normal"})
    for (std::int64_t shift : {0, 1}) {
      test_replay<float>(name, attrs, shift);
      test_replay<double>(name, attrs, shift);
    }
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  stream = cuda::create_stream(0);
  for (std::uint64_t order : {0, 1, 2}) {
    emulation::set_order(order);
    test_strides();
    test_small_grid();
    test_pairs();
    test_replays();
  }
  test_wide_index();
  cuda::destroy_stream(stream);
  std::printf(failures == 0 ? "cuda_elements: passed\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
