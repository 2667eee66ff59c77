// A loop over independent elements, shared between the caller and whatever helpers come in time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace lgm {

// Runs body(i) for i in 0 .. count-1. `schedule(task)` hands a task to another thread, now, later or never: the
// caller works until no element is left and waits only for elements that have been started, so it cannot lock up
// even when every thread of the pool is itself such a caller.
template <class Schedule>
void parallel_for(int64_t count, int64_t helpers, const Schedule& schedule, const std::function<void(int64_t)>& body) {
  struct Shared {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    int64_t done = 0;
  };
  const auto shared = std::make_shared<Shared>();  // a late helper may outlive this call; it then touches only this
  const auto run = [shared, count, &body] {
    int64_t finished = 0;
    for (int64_t i; (i = shared->next.fetch_add(1)) < count; ++finished) body(i);
    if (finished == 0) return;
    const std::lock_guard<std::mutex> lock(shared->mutex);
    shared->done += finished;
    if (shared->done == count) shared->all_done.notify_one();
  };
  for (int64_t h = 0; h < helpers; ++h) schedule(run);
  run();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->done == count; });
}

}  // namespace lgm
