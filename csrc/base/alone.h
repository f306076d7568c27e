// A promise about the calling thread, for callers that want no other.
#pragma once

namespace densa {

// While it lives, this thread's teams (base/threads.h) are the thread alone: no lock, no other
// thread.
class RunAlone {
 public:
  RunAlone();
  ~RunAlone();
  RunAlone(const RunAlone&) = delete;
  RunAlone& operator=(const RunAlone&) = delete;

 private:
  bool outer_;
};

}  // namespace densa
