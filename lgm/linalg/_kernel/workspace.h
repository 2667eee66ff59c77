// Memory for one evaluation and its threads, leased so that no two evaluations ever share it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "fronts.h"
#include "parallel.h"
#include "symbolic.h"

namespace lgm {

// Columns of right-hand sides treated together: bounds the memory, and keeps a front's rows of them in cache.
constexpr int32_t kMostColumns = 64;

// Doubles of what one thread needs for itself, but for right-hand sides.
struct LaneSize {
  int64_t updates = 0;  // update matrices, by the plan of the analysis
  int64_t scratch = 0;  // update matrix of one leaf
  int64_t block = 0;    // one front's share of the inverse

  int64_t total() const { return updates + scratch + block; }
};

// The first thread also does the top.
inline LaneSize lane_size(const Symbolic& symbolic, int64_t member) {
  LaneSize size{symbolic.update_size, symbolic.scratch_size, 0};
  const auto see = [&](const Front& f) { size.block = std::max(size.block, inverse_block_size(f.columns, f.below)); };
  if (member == 0) std::for_each(symbolic.fronts.begin(), symbolic.fronts.end(), see);
  for (const Task& task : symbolic.tasks) {
    std::for_each(symbolic.fronts.begin() + task.begin, symbolic.fronts.begin() + task.end, see);
  }
  return size;
}

// Doubles of an evaluation by one thread.
inline int64_t workspace_size(const Symbolic& symbolic) {
  return symbolic.panel_size + symbolic.shared_size + lane_size(symbolic, 0).total();
}

// Memory of one evaluation, and who works on it.
template <class T>
class Workspace {
 public:
  // Memory is not initialised: what is read has been written before.
  struct Lane {
    explicit Lane(const LaneSize& size)
        : updates(new T[size.updates]), scratch(new T[size.scratch]), block(new T[size.block]) {}

    std::unique_ptr<T[]> updates, scratch, block;
    std::unique_ptr<T[]> front_vectors;  // right-hand sides in the rows of one front
  };

  explicit Workspace(const Symbolic& symbolic)
      : symbolic_(symbolic), panels_(new T[symbolic.panel_size]), shared_(new T[symbolic.shared_size]) {
    set_team(Team());
  }

  const Team& team() const { return team_; }
  void set_team(Team team) {
    team_ = std::move(team);
    const auto useful = std::max<int64_t>(1, std::min<int64_t>(team_.size(), symbolic_.tasks.size()));
    while (static_cast<int64_t>(lanes_.size()) < useful) {
      Lane lane(lane_size(symbolic_, static_cast<int64_t>(lanes_.size())));
      make_front_vectors(lane, columns_);
      lanes_.push_back(std::move(lane));
    }
  }

  T* panels() { return panels_.get(); }
  T* shared() { return shared_.get(); }
  Lane& lane(int64_t member) { return lanes_[member]; }

  // Space for `columns` right-hand sides: all of them, landing places too, and the rows of one front for each thread.
  T* vectors(int32_t columns) {
    if (columns > columns_) {
      vectors_.reset(new T[(symbolic_.n + static_cast<int64_t>(symbolic_.beyond.size())) * columns]);
      for (Lane& lane : lanes_) make_front_vectors(lane, columns);
      columns_ = columns;
    }
    return vectors_.get();
  }

 private:
  void make_front_vectors(Lane& lane, int32_t columns) {
    lane.front_vectors.reset(new T[static_cast<int64_t>(symbolic_.most_height) * columns]);
  }

  const Symbolic& symbolic_;
  Team team_;
  std::vector<Lane> lanes_;
  std::unique_ptr<T[]> panels_, shared_, vectors_;
  int32_t columns_ = 0;
};

// A free list: memory comes back after use and is handed out again, already mapped by the system.
template <class T>
class WorkspacePool {
 public:
  class Lease {
   public:
    Lease(WorkspacePool& pool, const Symbolic& symbolic, Team team = {})
        : pool_(pool), workspace_(pool.take(symbolic)) {
      workspace_->set_team(std::move(team));
    }
    ~Lease() {
      workspace_->set_team({});
      pool_.give_back(std::move(workspace_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace<T>& operator*() { return *workspace_; }

   private:
    WorkspacePool& pool_;
    std::unique_ptr<Workspace<T>> workspace_;
  };

 private:
  std::unique_ptr<Workspace<T>> take(const Symbolic& symbolic) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!free_.empty()) {
        auto workspace = std::move(free_.back());
        free_.pop_back();
        return workspace;
      }
    }
    return std::make_unique<Workspace<T>>(symbolic);
  }

  void give_back(std::unique_ptr<Workspace<T>> workspace) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(workspace));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace<T>>> free_;
};

}  // namespace lgm
