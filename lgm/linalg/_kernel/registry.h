// Analyses known to this process, addressed by their content.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "dual.h"
#include "symbolic.h"
#include "workspace.h"

namespace lgm {

struct Analysis {
  explicit Analysis(Symbolic s) : symbolic(std::move(s)) {}

  const Symbolic symbolic;
  WorkspacePool<double> workspaces;
  WorkspacePool<Dual> dual_workspaces;
};

// An append-only table: a compiled program holds a key, which means the same in every process, and never an address.
class Registry {
 public:
  static Registry& instance() {
    static auto* const registry = new Registry;  // never destroyed: late calls may come while the process ends
    return *registry;
  }

  std::shared_ptr<Analysis> find(const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = table_.find(key);
    return at == table_.end() ? nullptr : at->second;
  }

  // The first to come stays.
  std::shared_ptr<Analysis> add(const std::string& key, Symbolic symbolic) {
    auto analysis = std::make_shared<Analysis>(std::move(symbolic));
    const std::lock_guard<std::mutex> lock(mutex_);
    return table_.emplace(key, std::move(analysis)).first->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Analysis>> table_;
};

}  // namespace lgm
