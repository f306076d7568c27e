// Data that does not fit on a GPU, part by part, in the order of the epoch.
//
// Two parts have room there. While steps run over one of them, the host gathers the rows of the
// next one into pinned memory and a second stream copies them; results leave by that stream, too.
// Events order the streams, so the host waits for nothing but a place that is still in use.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "graph/gpu_rows.h"
#include "graph/program.h"
#include "graph/span.h"
#include "ops/backend.h"

namespace densa {

class GpuParts {
 public:
  // `results`: values of the program that are collected.
  GpuParts(Backend& gpu, Device device, const Program& program, const std::vector<int>& results);
  ~GpuParts();
  GpuParts(const GpuParts&) = delete;
  GpuParts& operator=(const GpuParts&) = delete;

  // `span` stays where it is until the next begin.
  void begin(const DataSpan& span);
  std::int64_t rows() const { return rows_; }  // that a part has room for

  // Makes the part that begins at `position` the current one: what is launched from now on finds
  // its rows in sources(). Results of the part before it must have been asked for.
  void bring(std::int64_t position);
  // The rows behind the current part set out for the GPU, beside the steps that run.
  void prefetch();
  // Results at positions [from, to) of the current part, which all steps launched so far made, set
  // out for the host.
  void fetch(std::int64_t from, std::int64_t to);
  // Waits for all that were fetched: they are where the span says.
  void collect();

  std::int64_t first() const { return now_->first; }
  std::int64_t last() const { return now_->last; }
  const Storages& sources() const { return now_->sources; }
  const Storages& results() const { return now_->results; }

 private:
  struct Part {
    std::int64_t first = 0, last = 0;
    std::int64_t fetched_from = 0, fetched_to = 0;  // on their way to the host
    Storages sources, results;                      // on the GPU
    Storages sent, landed;                          // pinned
    cuda::Event *copied = nullptr, *used = nullptr, *fetched = nullptr;
  };
  void send(Part& part, std::int64_t first);
  void collect(Part& part);
  bool make_room(Part& part);

  Backend& gpu_;
  const Device device_;
  const Program& program_;
  const std::vector<int>& result_values_;
  const DataSpan* span_ = nullptr;
  std::int64_t rows_ = 0;
  Part parts_[2];
  Part *now_ = &parts_[0], *next_ = &parts_[1];
};

}  // namespace densa
