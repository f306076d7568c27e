#include "predict/predictor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <sstream>
#include <utility>

#include "base/denormals.h"
#include "base/threads.h"
#include "predict/lower.h"

namespace densa {
namespace {

constexpr std::size_t kCacheBytes = std::size_t{1} << 19;  // of a block's buffers
constexpr std::int64_t kLeastBlock = 64, kMostBlock = 256;
constexpr std::size_t kMostArrays = 64;

std::size_t line(std::size_t bytes) { return (bytes + 127) / 128 * 128; }

std::size_t row_bytes(const TypeInfo& type) {
  return byte_count(with_rows(type.shape, 1), item_size(type.dtype));
}

// Keeps the first error of a team's threads, which must not throw.
class FirstError {
 public:
  template <class F>
  void guard(F&& f) noexcept {
    try {
      f();
    } catch (...) {
      if (!taken_.exchange(true)) error_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  std::atomic<bool> taken_{false};
  std::exception_ptr error_;
};

}  // namespace

struct Predictor::Caller {
  const void* const* in;
  void* const* out;
  std::int64_t rows;
};

Predictor::Predictor(Net net) : net_(std::move(net)) {
  check_net(net_);
  if (net_.inputs.size() > kMostArrays || net_.outputs.size() > kMostArrays)
    throw ValueError(cat("network: at most ", kMostArrays, " inputs and outputs, got ",
                         net_.inputs.size(), " and ", net_.outputs.size()));
  predict::Lowered lowered = predict::lower(net_);
  steps_ = std::move(lowered.steps);
  row_scratch_ = lowered.row_scratch;
  for (const NetInput& input : net_.inputs) in_bytes_.push_back(row_bytes(input.type));
  for (const NetOutput& output : net_.outputs)
    out_bytes_.push_back(row_bytes(net_.values[static_cast<std::size_t>(output.value)].type));
  const auto fitting =
      static_cast<std::int64_t>(kCacheBytes / std::max<std::size_t>(row_scratch_, 1));
  block_ = std::clamp(fitting / kPanel * kPanel, kLeastBlock, kMostBlock);
  for (const auto& step : steps_) {
    row_flops_ += step->flops;
    op_scratch_ = std::max(op_scratch_, line(step->op_scratch(block_)));
  }
  for (const NetValue& value : net_.values)
    if (value.kind == NetValue::kConstant) weight_bytes_ += constant_bytes(value);
}

Predictor::~Predictor() = default;

std::int64_t Predictor::block_rows(std::int64_t rows) const {
  return std::clamp<std::int64_t>(rows, 1, block_);
}

std::size_t Predictor::scratch_bytes(std::int64_t rows, int threads) const {
  return (line(row_scratch_ * static_cast<std::size_t>(block_rows(rows))) + op_scratch_) *
         static_cast<std::size_t>(std::max(threads, 1));
}

void Predictor::run_rows(const Caller& caller, std::int64_t begin, std::int64_t end,
                         std::byte* scratch) const {
  std::array<const std::byte*, kMostArrays> in;
  std::array<std::byte*, kMostArrays> out;
  for (std::int64_t first = begin; first < end; first += block_) {
    const std::int64_t rows = std::min(block_, end - first);
    const auto row = static_cast<std::size_t>(first);
    for (std::size_t i = 0; i < in_bytes_.size(); ++i)
      in[i] = static_cast<const std::byte*>(caller.in[i]) + row * in_bytes_[i];
    for (std::size_t k = 0; k < out_bytes_.size(); ++k)
      out[k] = static_cast<std::byte*>(caller.out[k]) + row * out_bytes_[k];
    const predict::Frame frame{
        in.data(), out.data(), scratch,
        scratch + line(row_scratch_ * static_cast<std::size_t>(block_rows(caller.rows))), rows};
    for (const auto& step : steps_) step->run(frame, {0, step->panels});
  }
}

// All threads walk through one block, each on its share of a step's panels.
void Predictor::run_panels(const Caller& caller, std::byte* scratch, int threads) const {
  std::array<const std::byte*, kMostArrays> in;
  std::array<std::byte*, kMostArrays> out;
  for (std::size_t i = 0; i < in_bytes_.size(); ++i)
    in[i] = static_cast<const std::byte*>(caller.in[i]);
  for (std::size_t k = 0; k < out_bytes_.size(); ++k)
    out[k] = static_cast<std::byte*>(caller.out[k]);
  const predict::Frame frame{
      in.data(), out.data(), scratch,
      scratch + line(row_scratch_ * static_cast<std::size_t>(block_rows(caller.rows))),
      caller.rows};
  FirstError error;
  run_team(threads, [&](Team& team, int thread) {
    const FlushDenormals flush;
    const predict::Step* before = nullptr;
    for (const auto& step : steps_) {
      if (before != nullptr && predict::must_wait(*before, *step)) team.wait();
      before = step.get();
      if (step->panels > 0) {
        const Range mine = share(step->panels, thread, team.size());
        if (mine.begin < mine.end) step->run(frame, mine);
      } else if (thread == 0) {
        error.guard([&] { step->run(frame, {0, 0}); });
      }
    }
  });
  error.rethrow();
}

void Predictor::run(const void* const* in, void* const* out, std::int64_t rows, std::byte* scratch,
                    int threads) const {
  if (rows <= 0) return;
  const Caller caller{in, out, rows};
  if (threads <= 1) {
    const FlushDenormals flush;
    return run_rows(caller, 0, rows, scratch);
  }
  const std::int64_t least = 2 * kPanel;  // rows of a thread
  if (rows < least * threads && rows <= block_) return run_panels(caller, scratch, threads);
  const std::size_t each = scratch_bytes(rows, 1);
  FirstError error;
  run_team(threads, [&](Team& team, int thread) {
    const FlushDenormals flush;
    const Range blocks = share((rows + kPanel - 1) / kPanel, thread, team.size());
    error.guard([&] {
      run_rows(caller, blocks.begin * kPanel, std::min(blocks.end * kPanel, rows),
               scratch + static_cast<std::size_t>(thread) * each);
    });
  });
  error.rethrow();
}

std::string Predictor::explain() const {
  std::ostringstream text;
  text << "predictor: " << steps_.size() << " steps, " << row_scratch_
       << " bytes of scratch a row, blocks of up to " << block_ << " rows\n";
  for (const auto& step : steps_) text << "  " << step->label << '\n';
  return text.str();
}

}  // namespace densa
