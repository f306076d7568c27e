#include "ops/optimizer/step_maker.h"

#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"

namespace densa {
namespace {

// The hyperparameters of each kind. Those that every kind has: weight_decay, clipvalue, and
// learning_rate, which comes with each step and is only accepted here.
struct KindInfo {
  std::string_view name;
  const char* keys[4];
};
constexpr KindInfo kKinds[] = {
    {"sgd", {"momentum", "nesterov"}},
    {"rmsprop", {"rho", "momentum", "epsilon", "centered"}},
    {"adagrad", {"initial_accumulator_value", "epsilon"}},
    {"adadelta", {"rho", "epsilon"}},
    {"adam", {"beta_1", "beta_2", "epsilon", "amsgrad"}},
    {"adamw", {"beta_1", "beta_2", "epsilon", "amsgrad"}},
    {"adamax", {"beta_1", "beta_2", "epsilon"}},
    {"nadam", {"beta_1", "beta_2", "epsilon"}},
    {"lion", {"beta_1", "beta_2"}},
};

const KindInfo& find_kind(std::string_view name) {
  std::string known;
  for (const KindInfo& kind : kKinds) {
    if (kind.name == name) return kind;
    known += cat(known.empty() ? "" : ", ", kind.name);
  }
  throw ValueError(cat("unknown optimizer '", name, "'; known: ", known));
}

void check_keys(const KindInfo& kind, const Attrs& hyper) {
  for (const auto& [key, value] : hyper.items()) {
    bool known = key == "weight_decay" || key == "clipvalue" || key == "learning_rate";
    for (const char* mine : kind.keys) known = known || (mine != nullptr && key == mine);
    if (!known) throw ValueError(cat(kind.name, ": no hyperparameter '", key, "'"));
  }
}

double read(const KindInfo& kind, const Attrs& hyper, const char* key, double missing, double low,
            double high) {
  const double value = hyper.get_double(key, missing);
  if (!(value >= low && value <= high))
    throw ValueError(
        cat(kind.name, ": ", key, " is ", value, " but must be in [", low, ", ", high, "]"));
  return value;
}

}  // namespace

StepMaker::StepMaker(std::string_view kind_name, const Attrs& hyper) {
  const KindInfo& kind = find_kind(kind_name);
  check_keys(kind, hyper);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto number = [&](const char* key, double missing, double high = 1) {
    return read(kind, hyper, key, missing, 0, high);
  };
  weight_decay_ = number("weight_decay", kind.name == "adamw" ? 0.004 : 0, kInf);
  clip_value_ = number("clipvalue", kInf, kInf);
  std::string name(kind.name);
  if (name == "sgd") {
    kind_ = Kind::kSgd;
    momentum_ = number("momentum", 0);
    if (momentum_ != 0) name += hyper.get_bool("nesterov", false) ? "_nesterov" : "_momentum";
  } else if (name == "rmsprop") {
    kind_ = Kind::kRmsprop;
    rho_ = number("rho", 0.9);
    momentum_ = number("momentum", 0);
    if (hyper.get_bool("centered", false)) name += "_centered";
    if (momentum_ > 0) name += "_momentum";
  } else if (name == "adagrad") {
    kind_ = Kind::kAdagrad;
    start_ = number("initial_accumulator_value", 0.1, kInf);
  } else if (name == "adadelta") {
    kind_ = Kind::kAdadelta;
    rho_ = number("rho", 0.95);
  } else if (name == "adam" || name == "adamw") {
    kind_ = Kind::kAdam;
    name = hyper.get_bool("amsgrad", false) ? "adam_amsgrad" : "adam";
  } else if (name == "adamax") {
    kind_ = Kind::kAdamax;
  } else if (name == "nadam") {
    kind_ = Kind::kNadam;
  } else {
    kind_ = Kind::kLion;
  }
  if (kind_ >= Kind::kAdam) {
    beta_1_ = number("beta_1", 0.9);
    beta_2_ = number("beta_2", kind_ == Kind::kLion ? 0.99 : 0.999);
  }
  epsilon_ = number("epsilon", 1e-7, kInf);
  kernel_ = &find_optimizer_kernel(name);
}

double StepMaker::slot_start(int) const { return start_; }

// u_1 * ... * u_step. Steps come in order, so one more factor is the usual case.
double StepMaker::nadam_product(std::int64_t step) {
  if (step < product_step_) {
    product_step_ = 0;
    product_ = decay_power_ = 1;
  }
  // Below 1e-40 the product no longer shows in 1 - product, at any precision.
  for (; product_step_ < step && product_ > 1e-40; ++product_step_) {
    decay_power_ *= 0.96;
    product_ *= beta_1_ * (1 - 0.5 * decay_power_);
  }
  return product_;
}

template <class T>
StepNumbers<T> StepMaker::numbers(std::int64_t iteration, double lr, double grad_scale,
                                  bool decay_on) {
  const double t = static_cast<double>(iteration + 1);
  StepNumbers<T> n;
  const auto set = [](T& to, double value) { to = static_cast<T>(value); };
  set(n.grad_scale, grad_scale);
  set(n.clip_value, clip_value_);
  set(n.decay, decay_on ? weight_decay_ * lr : 0);
  set(n.lr, lr);
  set(n.epsilon, epsilon_);
  set(n.momentum, momentum_);
  set(n.rho, rho_);
  set(n.one_minus_rho, 1 - rho_);
  set(n.beta_1, beta_1_);
  set(n.one_minus_beta_1, 1 - beta_1_);
  set(n.beta_2, beta_2_);
  set(n.one_minus_beta_2, 1 - beta_2_);
  const double power_1 = std::pow(beta_1_, t), power_2 = std::pow(beta_2_, t);
  if (kind_ == Kind::kAdam) set(n.alpha, lr * std::sqrt(1 - power_2) / (1 - power_1));
  if (kind_ == Kind::kAdamax) set(n.alpha, lr / (1 - power_1));
  if (kind_ == Kind::kNadam) {
    const double u = beta_1_ * (1 - 0.5 * std::pow(0.96, t));
    const double u_next = beta_1_ * (1 - 0.5 * std::pow(0.96, t + 1));
    const double product = nadam_product(iteration + 1);
    set(n.m_factor, u_next / (1 - product * u_next));
    set(n.g_factor, (1 - u) / (1 - product));
    set(n.v_factor, 1 / (1 - power_2));
  }
  return n;
}

template StepNumbers<float> StepMaker::numbers(std::int64_t, double, double, bool);
template StepNumbers<double> StepMaker::numbers(std::int64_t, double, double, bool);

}  // namespace densa
