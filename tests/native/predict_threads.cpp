// Eight threads call one model at the same time, with sessions and with scratch of their own, while
// others load and free models: every answer has the bits of a lone call. Run under TSan by the long
// checks, for DENSA_TEST_SECONDS (default 2).
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "capi/densa.h"
#include "check.h"
#include "nets.h"

namespace {

constexpr std::int64_t kRows = 70, kIn = 19, kOut = 5;

std::vector<float> answers(const densa_model* model, const std::vector<float>& x) {
  std::vector<float> y(kRows * kOut);
  densa_session* session = nullptr;
  densa_session_create(model, nullptr, &session);
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  CHECK(densa_run(session, in, out, kRows) == DENSA_OK, "%s", densa_last_error());
  densa_session_free(session);
  return y;
}

}  // namespace

int main() {
  const char* const given = std::getenv("DENSA_TEST_SECONDS");
  const double seconds = given == nullptr ? 2 : std::atof(given);
  const std::string file = densa::dense_net().file();
  densa_model* model = nullptr;
  CHECK(densa_model_load_memory(file.data(), file.size(), nullptr, &model) == DENSA_OK, "%s",
        densa_last_error());
  if (model == nullptr) return 1;
  std::vector<float> x(kRows * kIn);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 23) / 8 - 1;
  const std::vector<float> wanted = answers(model, x);

  std::atomic<bool> stop{false};
  std::atomic<long> calls{0}, wrong{0};
  const auto hammer = [&](int thread) {
    std::vector<float> y(wanted.size());
    std::size_t bytes = 0;
    densa_scratch_bytes(model, kRows, &bytes);
    std::vector<std::byte> scratch(bytes);
    densa_session_options options = DENSA_SESSION_OPTIONS_INIT;
    options.threads = 1 + thread % 3;
    densa_session* session = nullptr;
    wrong += densa_session_create(model, &options, &session) != DENSA_OK;
    for (long i = thread; !stop; ++i, ++calls) {
      const std::int64_t first = i % kRows, rows = 1 + i % (kRows - first);
      const void* in[] = {x.data() + first * kIn};
      void* out[] = {y.data()};
      std::fill(y.begin(), y.end(), -1.0F);
      const densa_status status =
          i % 2 == 0 ? densa_run(session, in, out, rows)
                     : densa_run_with_scratch(model, in, out, rows, scratch.data(), bytes);
      wrong += status != DENSA_OK || std::memcmp(y.data(), wanted.data() + first * kOut,
                                                 static_cast<std::size_t>(rows * kOut) * 4) != 0;
      if (thread == 0 && i % 64 == 0) {  // errors and models come and go meanwhile
        densa_model* other = nullptr;
        wrong += densa_model_load_memory(file.data(), file.size() - 1, nullptr, &other) !=
                 DENSA_BAD_FILE;
        wrong += std::strlen(densa_last_error()) == 0;
        wrong += densa_model_load_memory(file.data(), file.size(), nullptr, &other) != DENSA_OK;
        densa_model_free(other);
      } else if (thread != 0) {
        wrong += densa_last_error()[0] != '\0';
      }
    }
    densa_session_free(session);
  };
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int thread = 0; thread < 8; ++thread) threads.emplace_back(hammer, thread);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  densa_model_free(model);
  CHECK(calls > 0 && wrong == 0, "%ld of %ld calls went wrong", wrong.load(), calls.load());
  std::printf("%ld calls\n", calls.load());
  return densa::failures > 0 ? 1 : 0;
}
