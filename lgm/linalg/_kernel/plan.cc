#include "plan.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <utility>

namespace lgm {
namespace {

// Shares of all the work:
constexpr double kMost = 1.0 / 8;      // that a task may have,
constexpr double kEnough = 1.0 / 128;  // with which no more siblings join it,
constexpr double kWorth = 0.4;         // that threads must be able to do at one time

// Places of memory by offset, given out and taken back one by one.
class Places {
 public:
  int64_t take(int64_t size) {
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
      if (gap->second < size) continue;
      const auto [at, length] = *gap;
      gaps_.erase(gap);
      if (length > size) gaps_.emplace(at + size, length - size);
      return at;
    }
    // The gap at the end, if there is one, grows.
    int64_t at = end_;
    if (!gaps_.empty() && gaps_.rbegin()->first + gaps_.rbegin()->second == end_) {
      at = gaps_.rbegin()->first;
      gaps_.erase(at);
    }
    end_ = at + size;
    return at;
  }

  void give_back(int64_t at, int64_t size) {
    if (size == 0) return;
    auto gap = gaps_.emplace(at, size).first;
    if (const auto next = std::next(gap); next != gaps_.end() && at + size == next->first) {
      gap->second += next->second;
      gaps_.erase(next);
    }
    if (gap == gaps_.begin()) return;
    if (const auto before = std::prev(gap); before->first + before->second == at) {
      before->second += gap->second;
      gaps_.erase(gap);
    }
  }

  int64_t end() const { return end_; }  // beyond all that was ever given out

 private:
  std::map<int64_t, int64_t> gaps_;  // offset -> length
  int64_t end_ = 0;
};

class Planner {
 public:
  Planner(Symbolic& symbolic, const Division& division)
      : sym_(symbolic), division_(division), count_(static_cast<int32_t>(symbolic.fronts.size())) {}

  void run() {
    divide();
    if (sym_.tasks.empty() && sym_.top.empty()) sym_.tasks = {{0, count_}};
    place_what_is_passed_on();
    place_within_tasks();
    find_landings();
  }

 private:
  void divide();
  void place_what_is_passed_on();
  void place_within_tasks();
  void find_landings();

  bool on_tiles(const Front& f) const {
    return static_cast<double>(f.height()) * f.height() * f.columns >= division_.front;
  }
  static int64_t update_size(const Front& f) { return static_cast<int64_t>(f.below) * f.below; }

  Symbolic& sym_;
  const Division division_;
  const int32_t count_;
};

// Subtrees that have more than their share of the work are divided into those of their children, and their roots join
// the top, which begins when all tasks have been done.
void Planner::divide() {
  const double all = nanoseconds(sym_);
  // Landing places have 32-bit indices.
  const int64_t most_places = sym_.n + static_cast<int64_t>(sym_.rows.size());
  if (all < division_.matrix || most_places > std::numeric_limits<int32_t>::max()) return;
  std::vector<double> own(count_), work(count_, 0.0);
  std::vector<int32_t> first(count_);  // front of each subtree
  for (int32_t s = 0; s < count_; ++s) first[s] = s;
  for (int32_t s = 0; s < count_; ++s) {
    const Front& f = sym_.fronts[s];
    const double c = f.columns, b = f.below;
    own[s] = 0.5 * c * (c * c / 3 + c * b + b * b) + 2.0 * c * (c + b) + 20.0 * c;
    work[s] += own[s];
    if (f.parent == -1) continue;
    work[f.parent] += work[s];
    first[f.parent] = std::min(first[f.parent], first[s]);
  }
  std::vector<std::pair<double, Task>> found;
  double at_one_time = 0.0;
  std::vector<int32_t> waiting, passed_on, top;
  const auto offer = [&](const auto begin, const auto end) {  // siblings, whose subtrees are next to each other
    Task task;
    double sum = 0.0;
    const auto finish = [&] {
      if (task.end > task.begin) found.emplace_back(sum, task), at_one_time += sum;
      task = {}, sum = 0.0;
    };
    for (auto s = begin; s != end; ++s) {
      const bool heavy = work[*s] > kMost * all;
      if (heavy || sum + work[*s] > kMost * all) finish();
      if (heavy) {
        waiting.push_back(*s);
        continue;
      }
      passed_on.push_back(*s);
      task = {task.end > task.begin ? task.begin : first[*s], *s + 1};
      sum += work[*s];
      if (sum > kEnough * all) finish();
    }
    finish();
  };
  std::vector<int32_t> roots;
  for (int32_t s = 0; s < count_; ++s) {
    if (sym_.fronts[s].parent == -1) roots.push_back(s);
  }
  offer(roots.begin(), roots.end());
  while (!waiting.empty()) {
    const int32_t s = waiting.back();
    waiting.pop_back();
    top.push_back(s);
    passed_on.push_back(s);
    const Front& f = sym_.fronts[s];
    if (on_tiles(f)) at_one_time += own[s];
    offer(sym_.children.begin() + f.child_begin, sym_.children.begin() + f.child_end);
  }
  if (at_one_time < kWorth * all) return;
  for (const int32_t s : passed_on) sym_.fronts[s].shared = true;
  for (const int32_t s : top) sym_.fronts[s].divided = on_tiles(sym_.fronts[s]);
  std::sort(top.begin(), top.end());
  sym_.top = std::move(top);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(-a.first, a.second.begin) < std::pair(-b.first, b.second.begin);
  });
  for (const auto& [_, task] : found) sym_.tasks.push_back(task);
}

// What tasks pass on is all there when the top begins; each place is free again after the turn of the parent. The
// selected inverse goes through the same lifetimes backwards and uses the same addresses.
void Planner::place_what_is_passed_on() {
  Places places;
  const auto place = [&](Front& f) { f.update = places.take(update_size(f)); };
  for (const Task& task : sym_.tasks) {
    for (int32_t s = task.begin; s < task.end; ++s) {
      if (sym_.fronts[s].shared) place(sym_.fronts[s]);
    }
  }
  for (const int32_t s : sym_.top) {
    const Front& f = sym_.fronts[s];
    place(sym_.fronts[s]);
    for (int32_t k = f.child_begin; k < f.child_end; ++k) {
      const Front& child = sym_.fronts[sym_.children[k]];
      places.give_back(child.update, update_size(child));
    }
  }
  sym_.shared_size = places.end();
}

// Within a task update matrices live from the turn of their front to the turn of its parent. Fronts of even and of odd
// depth use two stacks, so that a front can write its own while it still reads those of its children, and every address
// is known now.
void Planner::place_within_tasks() {
  for (const Front& f : sym_.fronts) {
    if (f.is_leaf && !f.in_place()) sym_.scratch_size = std::max(sym_.scratch_size, update_size(f));
  }
  std::vector<uint8_t> odd(count_, 0);
  for (int32_t s = count_ - 1; s >= 0; --s) {
    const Front& f = sym_.fronts[s];
    if (f.parent != -1) odd[s] = !odd[f.parent];
  }
  int64_t peak[2] = {0, 0};
  for (const Task& task : sym_.tasks) {
    int64_t top[2] = {0, 0};
    for (int32_t s = task.begin; s < task.end; ++s) {
      Front& f = sym_.fronts[s];
      if (f.is_leaf) continue;
      if (!f.shared) {
        f.update = top[odd[s]];
        top[odd[s]] += update_size(f);
        peak[odd[s]] = std::max(peak[odd[s]], top[odd[s]]);
      }
      for (int32_t k = f.child_begin; k < f.child_end; ++k) top[!odd[s]] -= update_size(sym_.fronts[sym_.children[k]]);
    }
  }
  for (int32_t s = 0; s < count_; ++s) {
    Front& f = sym_.fronts[s];
    if (odd[s] && !f.shared) f.update += peak[0];
  }
  sym_.update_size = peak[0] + peak[1];
}

// Rows beyond a task are below the roots of its subtrees, which are what it passes on.
void Planner::find_landings() {
  if (sym_.top.empty()) return;
  sym_.landing = sym_.rows;
  std::vector<int32_t> place(sym_.n), seen(sym_.n, -1);
  for (const Task& task : sym_.tasks) {
    for (int32_t s = task.begin; s < task.end; ++s) {
      const Front& f = sym_.fronts[s];
      if (!f.shared) continue;
      for (int64_t i = f.rows; i < f.rows + f.below; ++i) {
        const int32_t row = sym_.rows[i];
        if (seen[row] == task.begin) continue;
        seen[row] = task.begin;
        place[row] = sym_.n + static_cast<int32_t>(sym_.beyond.size());
        sym_.beyond.push_back(row);
      }
    }
    const Front& last = sym_.fronts[task.end - 1];
    for (int32_t s = task.begin; s < task.end; ++s) {
      const Front& f = sym_.fronts[s];
      for (int64_t i = f.rows; i < f.rows + f.below; ++i) {
        if (sym_.rows[i] >= last.first + last.columns) sym_.landing[i] = place[sym_.rows[i]];
      }
    }
  }
}

}  // namespace

void plan(Symbolic& symbolic, const Division& division) { Planner(symbolic, division).run(); }

}  // namespace lgm
