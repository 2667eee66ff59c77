// Memory for one evaluation, leased so that no two evaluations ever share it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "fronts.h"
#include "symbolic.h"

namespace lgm {

// Columns of right-hand sides treated together: bounds the memory, and keeps a front's rows of them in cache.
constexpr int32_t kMostColumns = 64;

// Doubles of an evaluation's memory, but for right-hand sides.
struct WorkspaceSize {
  int64_t panels = 0;   // the factor
  int64_t updates = 0;  // update matrices, by the plan of the analysis
  int64_t scratch = 0;  // update matrix of one leaf
  int64_t block = 0;    // one front's share of the inverse

  int64_t total() const { return panels + updates + scratch + block; }
};

template <class T>
WorkspaceSize workspace_size(const Symbolic& symbolic) {
  WorkspaceSize size{symbolic.panel_size, symbolic.update_size, symbolic.scratch_size, 0};
  for (const Front& f : symbolic.fronts) size.block = std::max(size.block, inverse_block_size(f.columns, f.below));
  return size;
}

template <class T>
class Workspace {
 public:
  explicit Workspace(const Symbolic& symbolic) : Workspace(workspace_size<T>(symbolic)) {}

  T* panels() { return panels_.get(); }
  T* updates() { return updates_.get(); }
  T* scratch() { return scratch_.get(); }
  T* block() { return block_.get(); }

  // Space for `columns` right-hand sides: all of them, and the rows of one front.
  T* vectors(const Symbolic& symbolic, int32_t columns) {
    if (columns > columns_) {
      vectors_.reset(new T[static_cast<int64_t>(symbolic.n) * columns]);
      front_vectors_.reset(new T[static_cast<int64_t>(symbolic.most_height) * columns]);
      columns_ = columns;
    }
    return vectors_.get();
  }
  T* front_vectors() { return front_vectors_.get(); }

 private:
  // Not initialised: what is read has been written before.
  explicit Workspace(const WorkspaceSize& size)
      : panels_(new T[size.panels]),
        updates_(new T[size.updates]),
        scratch_(new T[size.scratch]),
        block_(new T[size.block]) {}

  std::unique_ptr<T[]> panels_, updates_, scratch_, block_, vectors_, front_vectors_;
  int32_t columns_ = 0;
};

// A free list: memory comes back after use and is handed out again, already mapped by the system.
template <class T>
class WorkspacePool {
 public:
  class Lease {
   public:
    Lease(WorkspacePool& pool, const Symbolic& symbolic) : pool_(pool), workspace_(pool.take(symbolic)) {}
    ~Lease() { pool_.give_back(std::move(workspace_)); }
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
