#include "graph/plan.h"

#include <algorithm>
#include <chrono>

#include "base/denormals.h"
#include "graph/gather_ahead.h"
#include "graph/lower.h"

namespace densa {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Calls body(piece) for the pieces of a thread's share of a group's work: as many units as make the
// kernels fast and no more, so that each stage finds in the cache what the one before it left.
template <class F>
void for_pieces(const StageGroup& group, const StepState& s, int thread, int threads, F&& body) {
  const Stage& front = *group.front();
  if (front.split == Split::kOne || front.split == Split::kEach) {
    if (thread == 0 || front.split == Split::kEach) body(Range{0, 1});
    return;
  }
  const bool tiles = front.split == Split::kTiles;
  const std::int64_t row_blocks = panel_count(front.cut_rows.rows(s)),
                     blocks = tiles ? row_blocks : 1;
  const std::int64_t units = front.split == Split::kRows ? row_blocks : front.units * blocks;
  const Range mine = share(units, thread, threads);
  std::int64_t chunk = 1;
  for (const Stage* stage : group)
    if (stage->group(s.rows) < kAny) chunk = std::max(chunk, stage->group(s.rows));
  if (chunk == 1 && !tiles) chunk = units;
  for (std::int64_t u = mine.begin, next = u; u < mine.end; u = next) {
    const std::int64_t whole = (mine.end - u) / blocks;
    if (u % blocks != 0 || whole == 0)  // rows of one panel
      next = std::min((u / blocks + 1) * blocks, mine.end);
    else  // no panel is left alone behind a full piece
      next = u + (whole <= chunk + 1 ? whole : chunk) * blocks;
    body(Range{u, next});
  }
}

}  // namespace

// ---- binding --------------------------------------------------------------------------------

class Plan::Binding final : public Addresses {
 public:
  explicit Binding(const Plan& plan) : plan_(plan) {}
  std::byte* at(int b) const override {
    const Buffer& buffer = plan_.buffers_[b];
    if (buffer.variable) return static_cast<std::byte*>(buffer.variable->data());
    if (buffer.fixed) return static_cast<std::byte*>(buffer.fixed->data());
    return static_cast<std::byte*>(plan_.arena_->data()) + plan_.places_.offsets[b];
  }
  std::ptrdiff_t local(int b) const override { return plan_.locals_[b]; }

 private:
  const Plan& plan_;
};

Plan::Plan(Program program, std::int64_t capacity, std::unique_ptr<OptimizerPlan> optimizer,
           const std::vector<std::string>& collect)
    : program_(std::move(program)),
      capacity_(capacity),
      optimizer_(std::move(optimizer)),
      nonfinite_(std::make_shared<std::atomic<std::int64_t>>(-1)) {
  if (capacity < 1) throw ValueError(cat("plan: batch size must be at least 1, got ", capacity));
  lower(*this, collect);
  schedule_ = schedule(stages_);

  std::vector<BufferLife> lives(buffers_.size());
  for (std::size_t b = 0; b < buffers_.size(); ++b)
    lives[b] = {buffers_[b].bytes, static_cast<int>(schedule_.intervals.size()), -1};
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    scratch_bytes_ = std::max(scratch_bytes_, stages_[i]->scratch_bytes());
    for (const Access& access : stages_[i]->accesses) {
      const Buffer& buffer = buffers_[access.buffer];
      if (buffer.variable || buffer.fixed || buffer.local) continue;
      BufferLife& life = lives[access.buffer];
      life.first = std::min(life.first, schedule_.interval_of[i]);
      life.last = std::max(life.last, schedule_.interval_of[i]);
    }
  }
  places_ = place_buffers(lives);
  for (const Buffer& buffer : buffers_) {
    locals_.push_back(buffer.local ? static_cast<std::ptrdiff_t>(local_bytes_) : -1);
    if (buffer.local) local_bytes_ += (buffer.bytes + 127) / 128 * 128;
  }
  arena_ = Storage::zeros(std::max<std::size_t>(places_.bytes, 64));
}

Plan::~Plan() = default;

void Plan::bind() {
  std::vector<const void*> memory;
  memory.reserve(buffers_.size());
  for (const Buffer& buffer : buffers_)
    if (buffer.variable) memory.push_back(buffer.variable->data());
  memory.push_back(nullptr);  // a plan without variables has to be bound, too
  if (memory == bound_) return;
  const Binding binding(*this);
  for (const StagePtr& stage : stages_) stage->bind(binding);
  bound_ = std::move(memory);
}

// ---- running --------------------------------------------------------------------------------

void Plan::begin(DataSpan span) {
  if (span.batch < 1 || span.batch > capacity_)
    throw ValueError(cat("plan: batch of ", span.batch, " rows, but the plan holds ", capacity_));
  if (span.sources.size() != program_.inputs.size())
    throw ValueError(
        cat("plan: ", program_.inputs.size(), " inputs expected, got ", span.sources.size()));
  span_ = std::move(span);
  position_ = span_.begin;
  steps_in_span_ = 0;
  nonfinite_->store(-1, std::memory_order_relaxed);
}

NonFinite Plan::nonfinite() const {
  const std::int64_t code = nonfinite_->load(std::memory_order_relaxed);
  if (code < 0) return {};
  const auto inputs = static_cast<std::int64_t>(program_.inputs.size());
  return {static_cast<int>(code % inputs), code / inputs};
}

StepState Plan::state(std::int64_t position, std::int64_t index, const double* rates,
                      std::size_t rate_count) const {
  StepState s;
  s.rows = std::min(span_.batch, span_.end - position);
  s.step = step + index;
  s.draw = first_draw + s.step;
  const auto at = static_cast<std::size_t>(steps_in_span_ + index);
  if (rate_count > 0) s.learning_rate = rates[std::min(at, rate_count - 1)];
  s.sources = span_.sources.data();
  s.source_count = span_.sources.size();
  s.results = span_.results.data();
  s.order = span_.order;
  s.first = position;
  s.ahead = span_.end - position;
  s.batch = span_.batch;
  return s;
}

bool Plan::walk(StepState s, Team& team, int thread, GatherAhead& ahead) {
  if (local_bytes_ > 0)  // every thread gathers all rows
    ahead.begin(s, 0, 1);
  else
    ahead.begin(s, thread, team.size());
  s.local = static_cast<std::byte*>(scratch_[thread]->data());
  s.scratch = s.local + local_bytes_;
  OptimizerNumbers numbers;
  if (optimizer_) {
    numbers.make(makers_[thread][0], s.step, s.learning_rate, 1 / optimizer_->loss_scale_factor);
    s.optimizer = &numbers;
  }
  for (const auto& interval : schedule_.intervals) {
    for (const StageGroup& group : interval)
      for_pieces(group, s, thread, team.size(), [&](Range piece) {
        for (Stage* stage : group) stage->run(s, piece);
        ahead.some();
      });
    team.wait();
    if (failure_->interval.load(std::memory_order_relaxed) <= s.interval) return false;
    ++s.interval;
  }
  return true;
}

void Plan::throw_failure() {
  if (!failure_->error) return;
  failure_->interval = std::numeric_limits<std::int64_t>::max();
  std::rethrow_exception(std::exchange(failure_->error, nullptr));
}

std::int64_t Plan::run(std::int64_t max_steps, double seconds, const double* rates,
                       std::size_t rate_count) {
  bind();
  const ThreadLimit limit = thread_limit();
  while (static_cast<int>(scratch_.size()) < limit.threads) {
    scratch_.push_back(Storage::zeros(local_bytes_ + scratch_bytes_ + 64));
    makers_.emplace_back();
    if (optimizer_) makers_.back().emplace_back(optimizer_->kind, optimizer_->hyper);
  }
  const Clock::time_point start = Clock::now();
  std::int64_t done = 0;
  double per_step = 0;
  while (position_ < span_.end && done < max_steps) {
    const std::int64_t left = (span_.end - position_ + span_.batch - 1) / span_.batch;
    std::int64_t steps = std::min(left, max_steps - done);
    const ThreadChoice::Next next = choice_.next(limit.threads, limit.exact);
    if (steps > 1) {
      const double budget = per_step > 0 ? next.seconds / per_step : 4;
      steps = std::clamp<std::int64_t>(static_cast<std::int64_t>(budget), 1, steps);
    }
    int used = 1;
    std::int64_t whole = 0;  // steps that went through
    const Clock::time_point chunk_start = Clock::now();
    run_team(next.threads, [&](Team& team, int thread) {
      const FlushDenormals flush;
      if (thread == 0) used = team.size();
      GatherAhead ahead;
      for (std::int64_t i = 0; i < steps; ++i) {
        StepState s = state(position_ + i * span_.batch, i, rates, rate_count);
        s.interval = i * static_cast<std::int64_t>(schedule_.intervals.size());
        if (!walk(s, team, thread, ahead)) return;
        if (thread == 0) ++whole;
      }
    });
    const double chunk_seconds = seconds_since(chunk_start);
    per_step = chunk_seconds / static_cast<double>(steps);
    choice_.record(used, chunk_seconds, steps);
    last_threads_ = used;
    done += whole;
    step += whole;
    steps_in_span_ += whole;
    position_ = std::min(position_ + whole * span_.batch, span_.end);
    if (failure_->error || (seconds > 0 && seconds_since(start) > seconds)) break;
  }
  for (const auto& variable : written_) variable->bump_version();
  throw_failure();
  return done;
}

// ---- looking inside -------------------------------------------------------------------------

std::string Plan::explain() const {
  std::ostringstream out;
  out << "plan for batches of up to " << capacity_ << " rows, " << places_.bytes
      << " bytes of work memory, " << schedule_.intervals.size() << " intervals\n";
  for (std::size_t i = 0; i < schedule_.intervals.size(); ++i) {
    out << "interval " << i << '\n';
    for (const StageGroup& group : schedule_.intervals[i]) {
      const Stage& front = *group.front();
      switch (front.split) {
        case Split::kOne: out << "  one thread\n"; break;
        case Split::kEach: out << "  every thread\n"; break;
        case Split::kRows: out << "  by rows\n"; break;
        case Split::kPanels: out << "  by panels (" << front.units << ")\n"; break;
        case Split::kTiles: out << "  by panels (" << front.units << ") and rows\n"; break;
      }
      for (const Stage* stage : group) out << "    " << stage->label << '\n';
    }
  }
  return out.str();
}

std::vector<std::pair<std::string, double>> Plan::profile(std::int64_t steps, double rate) {
  bind();
  if (scratch_.empty()) run(0, 0, &rate, 1);
  std::vector<std::pair<std::string, double>> times;
  if (scratch_.empty()) return times;
  std::int64_t ran = 0;
  const FlushDenormals flush;
  for (; ran < steps && position_ < span_.end; ++ran) {
    StepState s = state(position_, 0, &rate, 1);
    s.local = static_cast<std::byte*>(scratch_[0]->data());
    s.scratch = s.local + local_bytes_;
    OptimizerNumbers numbers;
    if (optimizer_) {
      numbers.make(makers_[0][0], s.step, s.learning_rate, 1 / optimizer_->loss_scale_factor);
      s.optimizer = &numbers;
    }
    std::size_t at = 0;
    for (const auto& interval : schedule_.intervals)
      for (const StageGroup& group : interval) {
        const std::size_t first = at;
        for (const Stage* stage : group) {
          if (ran == 0) times.emplace_back(stage->label, 0);
          ++at;
        }
        for_pieces(group, s, 0, 1, [&](Range piece) {
          for (std::size_t k = 0; k < group.size(); ++k) {
            const Clock::time_point start = Clock::now();
            group[k]->run(s, piece);
            times[first + k].second += seconds_since(start);
          }
        });
      }
    position_ = std::min(position_ + span_.batch, span_.end);
    ++steps_in_span_;
    step += optimizer_ ? 1 : 0;
  }
  for (const auto& variable : written_) variable->bump_version();
  throw_failure();
  for (auto& [label, time] : times) time /= static_cast<double>(std::max<std::int64_t>(ran, 1));
  return times;
}

}  // namespace densa
