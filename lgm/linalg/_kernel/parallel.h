// A loop over independent items, shared between the caller and whatever helpers come in time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace lgm {

// The threads that may work on one evaluation: the one that makes it, and helpers. A helper stays a while for the next
// loop of its team, as waking it takes longer than many of these. Loops of one team come one after the other.
class Team {
 public:
  // Hands a task to another thread, now, later or never.
  using Schedule = std::function<void(std::function<void()>)>;

  Team() = default;  // the caller alone
  Team(int64_t helpers, Schedule schedule) : helpers_(helpers) {
    if (helpers > 0) open_ = std::make_shared<Open>(std::move(schedule));
  }

  int64_t size() const { return helpers_ + 1; }

  // body(i, member) for i in 0 .. count-1; each at work has a number of its own below `count` and size(), the caller 0.
  // The caller works until no item is left and waits only for items that have been started, so it cannot lock up even
  // when every thread of a pool is itself such a caller.
  template <class Body>
  void for_each(int64_t count, const Body& body) const {
    if (helpers_ <= 0 || count <= 1) {
      for (int64_t i = 0; i < count; ++i) body(i, 0);
      return;
    }
    const auto job = std::make_shared<Job>(count, std::min(helpers_, count - 1), body);
    int64_t missing = 0;
    {
      const std::lock_guard<std::mutex> lock(open_->crew->mutex);
      open_->crew->job = job;
      ++open_->crew->jobs;
      missing = std::max<int64_t>(0, job->most_helpers - open_->crew->helpers);
      open_->crew->helpers += missing;
    }
    for (int64_t h = 0; h < missing; ++h) {
      open_->schedule([crew = open_->crew] { help(*crew); });
    }
    job->work(0);
    if (patiently([&] { return job->done == count; })) return;
    std::unique_lock<std::mutex> lock(job->mutex);
    job->all_done.wait(lock, [&] { return job->done == count; });
  }

 private:
  struct Job {
    template <class Body>
    Job(int64_t items, int64_t helpers, const Body& each)
        : count(items), most_helpers(helpers), body([&each](int64_t i, int64_t member) { each(i, member); }) {}

    void work(int64_t member) {
      int64_t finished = 0;
      for (int64_t i; (i = next.fetch_add(1)) < count; ++finished) body(i, member);
      if (finished == 0) return;
      const std::lock_guard<std::mutex> lock(mutex);
      if ((done += finished) == count) all_done.notify_one();
    }

    const int64_t count, most_helpers;
    const std::function<void(int64_t, int64_t)> body;  // the caller's, and gone when all items are done
    std::atomic<int64_t> next{0}, members{0}, done{0};
    std::mutex mutex;
    std::condition_variable all_done;
  };

  // What helpers know of. One that comes late may outlive the team.
  struct Crew {
    std::mutex mutex;
    std::shared_ptr<Job> job;
    int64_t helpers = 0;  // here or on their way
    std::atomic<int64_t> jobs{0};
    std::atomic<bool> closed{false};
  };

  struct Open {
    explicit Open(Schedule s) : schedule(std::move(s)) {}
    ~Open() { crew->closed = true; }
    const Schedule schedule;
    const std::shared_ptr<Crew> crew = std::make_shared<Crew>();
  };

  // Whether it comes true soon.
  template <class Condition>
  static bool patiently(const Condition& condition) {
    constexpr std::chrono::microseconds kPatience{100};
    if (condition()) return true;
    for (const auto end = std::chrono::steady_clock::now() + kPatience; std::chrono::steady_clock::now() < end;) {
      std::this_thread::yield();
      if (condition()) return true;
    }
    return false;
  }

  static void help(Crew& crew) {
    for (int64_t seen = 0;;) {
      patiently([&] { return crew.jobs != seen || crew.closed; });
      std::shared_ptr<Job> job;
      {
        const std::lock_guard<std::mutex> lock(crew.mutex);
        if (crew.jobs == seen || crew.closed) {
          --crew.helpers;
          return;
        }
        seen = crew.jobs;
        job = crew.job;
      }
      const int64_t member = job->members.fetch_add(1) + 1;
      if (member <= job->most_helpers) job->work(member);
    }
  }

  int64_t helpers_ = 0;
  std::shared_ptr<Open> open_;
};

}  // namespace lgm
