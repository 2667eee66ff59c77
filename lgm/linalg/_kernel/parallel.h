// A loop over independent items, shared between the caller and whatever helpers come in time.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace lgm {

// Runs body(i, member) for i in 0 .. count-1; of those at work at one time each has its own number, the caller 0.
// `schedule(task)` hands a task to another thread, now, later or never: the caller works until no item is left and
// waits only for items that have been started, so it cannot lock up even when every thread of the pool is itself such a
// caller.
template <class Schedule>
void parallel_for(int64_t count, int64_t helpers, const Schedule& schedule,
                  const std::function<void(int64_t, int64_t)>& body) {
  if (helpers <= 0) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  struct Shared {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    int64_t done = 0;
  };
  const auto shared = std::make_shared<Shared>();  // a late helper may outlive this call; it then touches only this
  const auto run = [shared, count, &body](int64_t member) {
    int64_t finished = 0;
    for (int64_t i; (i = shared->next.fetch_add(1)) < count; ++finished) body(i, member);
    if (finished == 0) return;
    const std::lock_guard<std::mutex> lock(shared->mutex);
    shared->done += finished;
    if (shared->done == count) shared->all_done.notify_one();
  };
  for (int64_t h = 1; h <= helpers; ++h) schedule([run, h] { run(h); });
  run(0);
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->done == count; });
}

// The threads that may work on one evaluation: the one that makes it, and helpers.
class Team {
 public:
  using Schedule = std::function<void(std::function<void()>)>;

  Team() = default;  // the caller alone
  Team(int64_t helpers, Schedule schedule) : helpers_(helpers), schedule_(std::move(schedule)) {}

  int64_t size() const { return helpers_ + 1; }

  // body(item, member) for all items, with member < size().
  template <class Body>
  void for_each(int64_t count, const Body& body) const {
    parallel_for(count, std::min(helpers_, count - 1), schedule_, body);
  }

 private:
  int64_t helpers_ = 0;
  Schedule schedule_;
};

}  // namespace lgm
