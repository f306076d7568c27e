// Every optimizer rule on every CPU level against a plain double loop written from Keras' update
// rules, over several steps; sizes around each vector width, canaries behind the last element.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernel_levels.h"
#include "ops/dense/dense.h"
#include "ops/optimizer/parts.h"
#include "ops/optimizer/step_maker.h"

DENSA_DECLARE_TABLES(extern const OptimizerTable optimizer_table;)

namespace {

std::uint64_t seed = 7;
double random_number() {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(seed >> 11) * 0x1p-53 * 2 - 1;
}

struct Case {
  const char* kind;
  densa::Attrs hyper;
  const char* kernel;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"sgd", {}, "sgd"},
      {"sgd", {{"clipvalue", 0.3}, {"weight_decay", 0.1}}, "sgd"},
      {"sgd", {{"momentum", 0.9}}, "sgd_momentum"},
      {"sgd", {{"momentum", 0.8}, {"nesterov", true}, {"weight_decay", 0.02}}, "sgd_nesterov"},
      {"rmsprop", {}, "rmsprop"},
      {"rmsprop", {{"momentum", 0.5}, {"rho", 0.8}}, "rmsprop_momentum"},
      {"rmsprop", {{"centered", true}, {"epsilon", 1e-3}}, "rmsprop_centered"},
      {"rmsprop",
       {{"centered", true}, {"momentum", 0.5}, {"epsilon", 1e-3}},
       "rmsprop_centered_momentum"},
      {"adagrad", {}, "adagrad"},
      {"adadelta", {{"rho", 0.9}}, "adadelta"},
      {"adam", {}, "adam"},
      {"adam", {{"amsgrad", true}, {"beta_2", 0.9}}, "adam_amsgrad"},
      {"adamw", {}, "adam"},
      {"adamax", {}, "adamax"},
      {"nadam", {{"beta_1", 0.95}}, "nadam"},
      {"lion", {{"weight_decay", 0.01}}, "lion"},
  };
  return all;
}

// One element's state, advanced in double as Keras' update_step reads.
struct Reference {
  double w, s[3] = {};

  void step(const Case& c, double g, long t, double lr, double scale) {
    const auto get = [&](const char* key, double missing) {
      return c.hyper.get_double(key, missing);
    };
    const std::string kind = c.kind;
    g *= scale;
    const double clip = get("clipvalue", INFINITY);
    g = std::fmin(std::fmax(g, -clip), clip);
    w -= w * get("weight_decay", kind == "adamw" ? 0.004 : 0) * lr;
    const double b1 = get("beta_1", 0.9), b2 = get("beta_2", kind == "lion" ? 0.99 : 0.999);
    const double eps = get("epsilon", 1e-7);
    const double rho = get("rho", kind == "adadelta" ? 0.95 : 0.9);
    const double momentum = get("momentum", 0);
    const double b1t = std::pow(b1, t), b2t = std::pow(b2, t);
    if (kind == "sgd") {
      if (momentum == 0) {
        w -= lr * g;
        return;
      }
      s[0] = momentum * s[0] - lr * g;
      w += c.hyper.get_bool("nesterov", false) ? momentum * s[0] - lr * g : s[0];
    } else if (kind == "rmsprop") {
      const bool centered = c.hyper.get_bool("centered", false);
      double& average = s[momentum > 0 ? 2 : 1];
      s[0] = rho * s[0] + (1 - rho) * g * g;
      double denominator = s[0] + eps;
      if (centered) {
        average = rho * average + (1 - rho) * g;
        denominator -= average * average;
      }
      const double move = lr * g / std::sqrt(denominator);
      if (momentum > 0) {
        s[1] = momentum * s[1] + move;
        w -= s[1];
      } else {
        w -= move;
      }
    } else if (kind == "adagrad") {
      s[0] += g * g;
      w -= lr * g / std::sqrt(s[0] + eps);
    } else if (kind == "adadelta") {
      s[0] = rho * s[0] + (1 - rho) * g * g;
      const double move = -std::sqrt(s[1] + eps) / std::sqrt(s[0] + eps) * g;
      s[1] = rho * s[1] + (1 - rho) * move * move;
      w += lr * move;
    } else if (kind == "adam" || kind == "adamw") {
      s[0] = b1 * s[0] + (1 - b1) * g;
      s[1] = b2 * s[1] + (1 - b2) * g * g;
      double v = s[1];
      if (c.hyper.get_bool("amsgrad", false)) v = s[2] = std::fmax(s[2], s[1]);
      w -= lr * std::sqrt(1 - b2t) / (1 - b1t) * s[0] / (std::sqrt(v) + eps);
    } else if (kind == "adamax") {
      s[0] = b1 * s[0] + (1 - b1) * g;
      s[1] = std::fmax(b2 * s[1], std::fabs(g));
      w -= lr / (1 - b1t) * s[0] / (s[1] + eps);
    } else if (kind == "nadam") {
      double product = 1, u = 0;
      for (long i = 1; i <= t; ++i) product *= u = b1 * (1 - 0.5 * std::pow(0.96, i));
      const double next = b1 * (1 - 0.5 * std::pow(0.96, t + 1));
      s[0] = b1 * s[0] + (1 - b1) * g;
      s[1] = b2 * s[1] + (1 - b2) * g * g;
      const double m = next * s[0] / (1 - product * next) + (1 - u) * g / (1 - product);
      w -= lr * m / (std::sqrt(s[1] / (1 - b2t)) + eps);
    } else {
      const double mix = b1 * s[0] + (1 - b1) * g;
      w -= lr * ((mix > 0) - (mix < 0));
      s[0] = b2 * s[0] + (1 - b2) * g;
    }
  }
};

const densa::OptimizerKernel& find(const densa::OptimizerTable& table, const std::string& name) {
  for (const densa::OptimizerKernel& kernel : table.kernels)
    if (name == kernel.name) return kernel;
  std::printf("no kernel %s\n", name.c_str());
  std::exit(1);
}

template <class T>
void test_rule(const densa::OptimizerTable& table, const char* level, const Case& c, long n) {
  constexpr double kTight = sizeof(T) == 8 ? 1e-12 : 2e-5;
  constexpr T kCanary = T(-777);
  densa::StepMaker maker(c.kind, c.hyper);
  CHECK(std::string(maker.kernel().name) == c.kernel, "%s: %s", c.kernel, maker.kernel().name);
  const densa::OptimizerKernel& kernel = find(table, c.kernel);
  std::vector<T> w(n + 1, kCanary), g(n + 1, kCanary), s[3];
  std::vector<Reference> want(n);
  for (auto& slot : s) slot.assign(n + 1, kCanary);
  for (long i = 0; i < n; ++i) {
    w[i] = static_cast<T>(random_number());
    want[i].w = static_cast<double>(w[i]);
    for (int j = 0; j < kernel.slot_count; ++j) {
      s[j][i] = static_cast<T>(maker.slot_start(j));
      want[i].s[j] = maker.slot_start(j);
    }
  }
  T* slots[3] = {s[0].data(), s[1].data(), s[2].data()};
  for (long t = 1; t <= 30; ++t) {
    const double lr = 0.01 + 0.001 * static_cast<double>(t % 3);
    const double scale = t % 5 == 0 ? 0.5 : 1;
    for (long i = 0; i < n; ++i) {
      g[i] = static_cast<T>(random_number());
      want[i].step(c, static_cast<double>(g[i]), t, lr, scale);
    }
    const auto numbers = maker.numbers<T>(t - 1, lr, scale);
    densa::step_of<T>(kernel)(w.data(), g.data(), slots, n, numbers);
  }
  double distance = 0, size = 0;
  for (long i = 0; i < n; ++i) {
    distance += std::pow(static_cast<double>(w[i]) - want[i].w, 2);
    size += std::pow(want[i].w, 2);
  }
  CHECK(std::sqrt(distance) <= kTight * (std::sqrt(size) + 1e-3), "%s %s %s n %ld: %g of %g", level,
        sizeof(T) == 4 ? "f32" : "f64", c.kernel, n, std::sqrt(distance), std::sqrt(size));
  CHECK(w[n] == kCanary && g[n] == kCanary, "%s %s n %ld: past the end", level, c.kernel, n);
  for (int j = 0; j < 3; ++j) CHECK(s[j][n] == kCanary, "%s %s slot %d", level, c.kernel, j);
}

template <class T>
void test_special(const densa::OptimizerTable& table, const char* level) {
  for (const Case& c : cases()) {
    densa::StepMaker maker(c.kind, c.hyper);
    const densa::OptimizerKernel& kernel = find(table, c.kernel);
    // Padding: zero weight, gradient and state stay zero.
    T zero[4][32] = {};
    T* slots[3] = {zero[1], zero[2], zero[3]};
    T g[32] = {};
    densa::step_of<T>(kernel)(zero[0], g, slots, 32, maker.numbers<T>(0, 0.01));
    for (auto& row : zero)
      for (T v : row) CHECK(v == 0, "%s %s: padding", level, c.kernel);
    // A NaN gradient reaches its own weight and no other; cutting does not hide it.
    T mixed[4][20], gradient[20];
    for (int j = 0; j < 4; ++j)
      for (T& v : mixed[j]) v = j == 0 ? T(1) : T(0.5);
    for (T& v : gradient) v = T(0.25);
    gradient[3] = gradient[18] = std::numeric_limits<T>::quiet_NaN();
    T* mixed_slots[3] = {mixed[1], mixed[2], mixed[3]};
    densa::step_of<T>(kernel)(mixed[0], gradient, mixed_slots, 20, maker.numbers<T>(0, 0.01));
    for (int i = 0; i < 20; ++i)
      CHECK(std::isnan(mixed[0][i]) == (i == 3 || i == 18), "%s %s: NaN at %d", level, c.kernel, i);
  }
}

template <class T>
double plain_squares(const std::vector<T>& g) {
  double chain[16] = {};
  for (std::size_t i = 0; i < g.size(); ++i) {
    volatile double square = static_cast<double>(g[i]) * static_cast<double>(g[i]);
    chain[i % 16] += square;
  }
  for (int half = 8; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) chain[j] += chain[j + half];
  return chain[0];
}

void test_level(const densa::OptimizerTable& table, const char* level) {
  for (const Case& c : cases())
    for (long n : {0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 100}) {
      test_rule<float>(table, level, c, n);
      test_rule<double>(table, level, c, n);
    }
  test_special<float>(table, level);
  test_special<double>(table, level);
  for (std::size_t n : {0, 1, 5, 15, 16, 17, 33, 1000, 1023}) {
    std::vector<float> f(n);
    std::vector<double> d(n);
    for (auto& v : f) v = static_cast<float>(random_number());
    for (auto& v : d) v = random_number();
    const auto size = static_cast<std::ptrdiff_t>(n);
    CHECK(table.squares_f32(f.data(), size) == plain_squares(f), "%s f32 n %zu", level, n);
    CHECK(table.squares_f64(d.data(), size) == plain_squares(d), "%s f64 n %zu", level, n);
  }
}

// The update fused into dw and db, on this machine's level: the bits of dw, then one step.
template <class T>
void test_fused(long rows, long in, long out) {
  using densa::kPanel, densa::padded, densa::panel_count;
  const auto filled = [](long n) {
    std::vector<T> v(n + 16);
    for (T& each : v) each = static_cast<T>(random_number());
    return v;
  };
  const auto aligned = [](std::vector<T>& v) {
    return reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(v.data()) + 63) / 64 * 64);
  };
  auto x_store = filled(rows * padded(in)), dy_store = filled(rows * padded(out));
  const densa::Panels<const T> x{aligned(x_store), rows * kPanel};
  const densa::Panels<const T> dy{aligned(dy_store), rows * kPanel};
  densa::StepMaker maker("adam", {{"weight_decay", 0.1}});
  const auto numbers = maker.numbers<T>(4, 0.01);
  const densa::StepFn<T> step = densa::step_of<T>(maker.kernel());
  for (const bool bias : {false, true}) {
    const long size = bias ? padded(out) : in * padded(out);
    std::vector<T> apart[3], fused[3], g(size + 16);
    for (int i = 0; i < 3; ++i) {
      apart[i].resize(size + 16);
      for (long j = 0; j < size + 16; ++j) apart[i][j] = static_cast<T>(std::fabs(random_number()));
      fused[i] = apart[i];
    }
    T* apart_slots[] = {apart[1].data(), apart[2].data()};
    T* fused_slots[] = {fused[1].data(), fused[2].data()};
    const densa::DenseKernels<T>& k = densa::dense_kernels<T>();
    const long panels = panel_count(out), half = panels / 2;
    for (const auto& [first, last] : {std::pair(0L, half), std::pair(half, panels)}) {
      if (bias) {
        k.db({dy, g.data(), rows, out, first, last, false});
        densa::db_update<T>(
            {dy, fused[0].data(), fused_slots, 2, rows, out, first, last, step, &numbers});
      } else {
        k.dw({x,
              dy,
              {g.data() + first * in * kPanel, in * kPanel},
              rows,
              out,
              0,
              in,
              first,
              last,
              false});
        // The upper and the lower rows of w apart, as two threads would.
        const long middle = in / 2 / kPanel * kPanel;
        for (const auto& [k_begin, k_end] : {std::pair(middle, in), std::pair(0L, middle)})
          densa::dw_update<T>({.x = x,
                               .dy = dy,
                               .w = {fused[0].data(), in * kPanel},
                               .slots = fused_slots,
                               .slot_count = 2,
                               .rows = rows,
                               .out = out,
                               .k_begin = k_begin,
                               .k_end = k_end,
                               .first_panel = first,
                               .last_panel = last,
                               .step = step,
                               .numbers = &numbers});
      }
    }
    step(apart[0].data(), g.data(), apart_slots, size, numbers);
    for (int i = 0; i < 3; ++i)
      CHECK(std::memcmp(apart[i].data(), fused[i].data(), apart[i].size() * sizeof(T)) == 0,
            "fused, array %d, rows %ld in %ld out %ld", i, rows, in, out);
  }
}

template <class F>
bool throws(const F& f) {
  try {
    f();
  } catch (const densa::ValueError&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
#define RUN(level) test_level(densa::level::optimizer_table, #level)
  DENSA_EACH_LEVEL(RUN)
#undef RUN
  for (long rows : {1, 32, 70})
    for (long in : {1, 17, 64, 130})
      for (long out : {1, 10, 33, 100}) {
        test_fused<float>(rows, in, out);
        test_fused<double>(rows, in, out);
      }
  CHECK(throws([] { densa::StepMaker("adma", {}); }), "unknown kind");
  CHECK(throws([] { densa::StepMaker("adam", {{"momentum", 0.9}}); }), "unknown key");
  CHECK(throws([] { densa::StepMaker("sgd", {{"momentum", 1.5}}); }), "range");
  std::printf("kernels_optimizer: %d failures\n", failures);
  return failures > 0;
}
