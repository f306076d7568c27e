#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace densa::cuda {

Event* Events::take() {
  {
    const std::scoped_lock locked(busy_);
    if (!idle_.empty()) {
      Event* const event = idle_.back();
      idle_.pop_back();
      return event;
    }
  }
  return create_event(device_);
}

void Events::give(Event* event) {
  const std::scoped_lock locked(busy_);
  idle_.push_back(event);
}

std::byte* Staging::pinned(std::size_t bytes) {
  auto* const memory = static_cast<std::byte*>(allocate_pinned(device_, bytes));
  if (memory != nullptr) pinned_bytes_ += bytes;
  return memory;
}

bool Staging::upload(Stream stream, void* to, const void* from, std::size_t bytes) {
  if (ring_ == nullptr) ring_ = pinned(kSlotBytes * kSlots);
  if (ring_ == nullptr) return false;
  for (std::size_t at = 0; at < bytes; at += kSlotBytes) {
    const std::size_t part = std::min(kSlotBytes, bytes - at);
    const auto slot = static_cast<std::size_t>(next_);
    next_ = (next_ + 1) % kSlots;
    if (done_[slot] == nullptr) {
      done_[slot] = create_event(device_);
    } else if (!is_over(done_[slot])) {
      wait(done_[slot]);
    }
    std::byte* const here = ring_ + slot * kSlotBytes;
    std::memcpy(here, static_cast<const std::byte*>(from) + at, part);
    copy(stream, static_cast<std::byte*>(to) + at, here, part, Direction::kToDevice);
    record(stream, done_[slot]);
  }
  return true;
}

Staging::Download Staging::begin_download(Stream stream, const void* from, std::size_t bytes) {
  Download download;
  if (!idle_.empty()) {
    download = idle_.back();
    idle_.pop_back();
  } else {
    download.memory = pinned(kSlotBytes);
    if (download.memory == nullptr) return {};
    download.done = create_event(device_);
  }
  try {
    copy(stream, download.memory, from, bytes, Direction::kToHost);
    record(stream, download.done);
  } catch (...) {
    idle_.push_back(download);
    throw;
  }
  return download;
}

void Staging::finish(const Download& download, void* to, std::size_t bytes) {
  wait(download.done);
  std::memcpy(to, download.memory, bytes);
}

void Staging::give_back(const Download& download) { idle_.push_back(download); }

}  // namespace densa::cuda
