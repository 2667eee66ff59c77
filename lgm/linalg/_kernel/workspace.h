// Memory for one evaluation, leased so that no two evaluations ever share it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "symbolic.h"

namespace lgm {

// Columns of right-hand sides treated together: bounds the memory, and keeps a front's rows of them in cache.
constexpr int32_t kMostColumns = 64;

template <class T>
struct Workspace {
  explicit Workspace(const Symbolic& symbolic)
      : panels(new T[symbolic.panel_size]),
        updates(new T[symbolic.update_size]),
        scratch(new T[symbolic.scratch_size]),
        block(new T[symbolic.block_size]) {}

  // Space for `columns` right-hand sides: all of them, and the rows of one front.
  T* vectors(const Symbolic& symbolic, int32_t columns) {
    if (columns > columns_) {
      vectors_.reset(new T[static_cast<int64_t>(symbolic.n) * columns]);
      gathered_.reset(new T[static_cast<int64_t>(symbolic.most_below) * columns]);
      columns_ = columns;
    }
    return vectors_.get();
  }
  T* gathered() { return gathered_.get(); }

  std::unique_ptr<T[]> panels, updates, scratch, block;

 private:
  std::unique_ptr<T[]> vectors_, gathered_;
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

  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.clear();
  }

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
