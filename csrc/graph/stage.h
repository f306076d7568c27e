// A stage: one bound kernel call of a Plan, with what it reads and writes.
//
// All threads of a team walk the same list of stages. A stage's work is cut into units - panels of
// a matrix, blocks of 16 rows, both, or one piece - and each thread always owns the same share of
// them. Two stages that touch a buffer need a barrier between them, unless both are cut the same
// way and each touches only its own share: then a thread runs them back to back on data still in
// its cache.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/panel.h"
#include "base/threads.h"
#include "graph/span.h"
#include "ops/op.h"

namespace densa {

enum class Split : std::uint8_t {
  kOne,     // thread 0 does it all
  kEach,    // every thread does it all, into memory of its own
  kRows,    // units are blocks of 16 rows of a matrix
  kPanels,  // units are panels of 16 columns (or runs of 16 elements)
  kTiles,   // units are blocks of 16 rows of panels, panel after panel
};

// What one call of a stage works on: some panels whole, some rows of all panels, or some rows of
// one panel.
struct Box {
  std::int64_t first_panel, last_panel, row_begin, row_end;
  std::int64_t rows() const { return row_end - row_begin; }
};

struct Access {
  int buffer;
  bool write;
  bool own;            // unit u touches only the part of the buffer that belongs to unit u
  bool local = false;  // each thread has such a buffer of its own
};

// What changes from step to step; each thread has its own.
struct StepState {
  std::int64_t rows = 0;  // of this batch
  std::int64_t step = 0;  // counts optimizer steps
  std::int64_t draw = 0;  // numbers random draws, over the model's life
  double learning_rate = 0;
  const SourceArray* sources = nullptr;
  std::size_t source_count = 0;
  const ResultArray* results = nullptr;
  const std::int64_t* order = nullptr;  // row numbers of the epoch; null: as they lie
  std::int64_t first = 0;               // position of this batch in the epoch
  std::int64_t ahead = 0;               // rows of the epoch from `first` on
  std::int64_t batch = 0;               // rows of a full batch
  void* optimizer = nullptr;            // this thread's StepNumbers (see stages_update.h)
  std::int64_t interval = 0;            // counts all intervals of a call of Plan::run
  std::byte* scratch = nullptr;         // of this thread, as much as the stage asked for
  std::byte* local = nullptr;           // of this thread: the local buffers
};

// What went wrong in a stage, an id out of range say. All threads leave behind the barrier that
// ends the failing interval, before anything that stands behind it in the step changes.
struct Failure {
  std::exception_ptr error;
  std::atomic<std::int64_t> interval{std::numeric_limits<std::int64_t>::max()};
  std::int64_t row = 0;  // where the failing stage's share began
  std::mutex mutex;

  // The first one stays: of the earliest interval the smallest row.
  void keep(std::exception_ptr now, std::int64_t in_interval, std::int64_t at_row) {
    const std::lock_guard lock(mutex);
    const std::int64_t known = interval.load();
    if (error && (known < in_interval || (known == in_interval && row <= at_row))) return;
    error = std::move(now);
    row = at_row;
    interval.store(in_interval);
  }
};

// Where buffers lie. Stages turn buffer numbers into pointers when they are bound.
class Addresses {
 public:
  virtual ~Addresses() = default;
  virtual std::byte* at(int buffer) const = 0;
  // Local buffers: their place in StepState::local; -1 for all others.
  virtual std::ptrdiff_t local(int buffer) const = 0;
};

// The number of rows of a matrix: a fixed number, or the batch's times one.
struct Extent {
  std::int64_t dim = kRows;
  std::int64_t rows(const StepState& s) const { return with_rows(dim, s.rows); }
  bool operator==(const Extent&) const = default;
};

inline constexpr std::int64_t kAny = 1 << 20;

class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  virtual void bind(const Addresses& addresses) = 0;
  virtual void run(const StepState& s, Range units) = 0;
  virtual std::size_t scratch_bytes() const { return 0; }
  // Units (for tiles: panels) that one call should cover for full speed; kAny: it does not care.
  virtual std::int64_t group(std::int64_t rows) const {
    (void)rows;
    return 2;
  }

  // The part of a matrix of `rows` rows and `panels` panels that `units` stands for.
  Box box(Range units, std::int64_t rows, std::int64_t panels) const {
    if (split == Split::kOne || split == Split::kEach) return {0, panels, 0, rows};
    if (split == Split::kPanels) return {units.begin, units.end, 0, rows};
    if (split == Split::kRows)
      return {0, panels, units.begin * kPanel, std::min(units.end * kPanel, rows)};
    const std::int64_t blocks = panel_count(rows);
    const std::int64_t panel = units.begin / blocks, whole = (units.end - units.begin) / blocks;
    if (whole > 0) return {panel, panel + whole, 0, rows};
    return {panel, panel + 1, units.begin % blocks * kPanel,
            std::min((units.begin % blocks + units.end - units.begin) * kPanel, rows)};
  }

  std::string label;
  Split split = Split::kOne;
  std::int64_t units = 1;  // kPanels, kTiles: number of panels
  Extent cut_rows;         // kRows, kTiles: the matrix' rows
  std::vector<Access> accesses;
};

using StagePtr = std::unique_ptr<Stage>;

// Cuts a list of stages into intervals that need no barrier inside.
using StageGroup = std::vector<Stage*>;  // cut alike; they run piece by piece, one behind the other
bool cut_alike(const Stage& a, const Stage& b);
struct Schedule {
  std::vector<std::vector<StageGroup>> intervals;
  std::vector<int> interval_of;  // per stage
};
Schedule schedule(const std::vector<StagePtr>& stages);

}  // namespace densa
