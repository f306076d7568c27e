#include "graph/gpu_parts.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace densa {
namespace {

std::int64_t packed_bytes(const TypeInfo& type) {
  return static_cast<std::int64_t>(byte_count(with_rows(type.shape, 1), item_size(type.dtype)));
}

}  // namespace

GpuParts::GpuParts(Backend& gpu, Device device, const Program& program,
                   const std::vector<int>& results)
    : gpu_(gpu), device_(device), program_(program), result_values_(results) {
  for (Part& part : parts_)
    for (cuda::Event** event : {&part.copied, &part.used, &part.fetched})
      *event = gpu_.create_event(device_);
}

// The memory of a part may be given away only when the second stream has done with it.
GpuParts::~GpuParts() {
  for (Part& part : parts_) {
    try {
      gpu_.wait(part.copied);
      gpu_.wait(part.fetched);
    } catch (...) {  // the GPU is broken: nothing is under way
    }
    for (cuda::Event* event : {part.copied, part.used, part.fetched}) gpu_.destroy_event(event);
  }
}

void GpuParts::begin(const DataSpan& span) {
  for (Part& part : parts_) {
    gpu_.wait(part.copied);
    gpu_.wait(part.fetched);
    part.first = part.last = part.fetched_from = part.fetched_to = 0;
  }
  span_ = &span;
  const std::int64_t whole = (span.end + span.batch - 1) / span.batch * span.batch;
  rows_ = std::min(staged_rows(program_, span), whole);
}

void GpuParts::bring(std::int64_t position) {
  if (next_->first != position || next_->last <= position) send(*next_, position);
  std::swap(now_, next_);
  const auto held = gpu_.hold(device_);
  gpu_.wait(gpu_.stream(device_), now_->copied);
}

void GpuParts::prefetch() {
  if (now_->last >= span_->end || next_->first == now_->last) return;
  send(*next_, now_->last);
}

// Room for a whole part, of the same size in every part, so that what was captured stays valid.
// Returns whether any of it is new on the GPU.
bool GpuParts::make_room(Part& part) {
  bool made = false;
  const auto room = [&](Storages& there, Storages& here, std::size_t i, const TypeInfo& type) {
    const auto bytes = static_cast<std::size_t>(rows_ * packed_bytes(type));
    if (there[i] != nullptr && there[i]->bytes() == bytes) return;
    there[i] = here[i] = nullptr;  // first give back what was there
    there[i] = allocate_on(device_, bytes);
    made = true;
    here[i] = pinned_for(device_, bytes);
  };
  part.sources.resize(program_.inputs.size());
  part.sent.resize(program_.inputs.size());
  for (std::size_t i = 0; i < program_.inputs.size(); ++i)
    room(part.sources, part.sent, i, program_.values[program_.inputs[i]].type);
  part.results.resize(result_values_.size());
  part.landed.resize(result_values_.size());
  for (std::size_t i = 0; i < result_values_.size(); ++i)
    room(part.results, part.landed, i, program_.values[result_values_[i]].type);
  return made;
}

void GpuParts::send(Part& part, std::int64_t first) {
  collect(part);
  gpu_.wait(part.copied);
  part.first = part.last = 0;
  const std::int64_t last = std::min(span_->end, first + rows_);
  if (make_room(part)) {  // what had this memory before may still be at work
    const auto held = gpu_.hold(device_);
    gpu_.record(gpu_.stream(device_), part.used);
  }
  cuda::Stream const copies = gpu_.copy_stream(device_);
  for (std::size_t i = 0; i < part.sources.size(); ++i)
    gather_rows(program_, *span_, i, first, last, static_cast<std::byte*>(part.sent[i]->data()));
  const auto held = gpu_.hold(device_);
  gpu_.wait(copies, part.used);
  for (std::size_t i = 0; i < part.sources.size(); ++i) {
    const std::int64_t row = packed_bytes(program_.values[program_.inputs[i]].type);
    gpu_.begin_copy(copies, part.sources[i]->data(), part.sent[i]->data(),
                    static_cast<std::size_t>((last - first) * row), cuda::Direction::kToDevice);
  }
  gpu_.record(copies, part.copied);
  part.first = first;
  part.last = last;
}

void GpuParts::fetch(std::int64_t from, std::int64_t to) {
  Part& part = *now_;
  collect(part);
  const auto held = gpu_.hold(device_);
  gpu_.record(gpu_.stream(device_), part.used);
  if (result_values_.empty() || from >= to) return;
  cuda::Stream const copies = gpu_.copy_stream(device_);
  gpu_.wait(copies, part.used);
  for (std::size_t i = 0; i < part.results.size(); ++i) {
    const std::int64_t row = packed_bytes(program_.values[result_values_[i]].type);
    const std::int64_t at = (from - part.first) * row;
    gpu_.begin_copy(copies, static_cast<std::byte*>(part.landed[i]->data()) + at,
                    static_cast<const std::byte*>(part.results[i]->data()) + at,
                    static_cast<std::size_t>((to - from) * row), cuda::Direction::kToHost);
  }
  gpu_.record(copies, part.fetched);
  part.fetched_from = from;
  part.fetched_to = to;
}

void GpuParts::collect(Part& part) {
  if (part.fetched_from >= part.fetched_to) return;
  gpu_.wait(part.fetched);
  for (std::size_t i = 0; i < part.results.size(); ++i) {
    const std::int64_t row = packed_bytes(program_.values[result_values_[i]].type);
    const ResultArray& result = span_->results[i];
    std::memcpy(result.data + part.fetched_from * result.row_bytes,
                static_cast<const std::byte*>(part.landed[i]->data()) +
                    (part.fetched_from - part.first) * row,
                static_cast<std::size_t>((part.fetched_to - part.fetched_from) * row));
  }
  part.fetched_from = part.fetched_to = 0;
}

void GpuParts::collect() {
  collect(*next_);
  collect(*now_);
}

}  // namespace densa
