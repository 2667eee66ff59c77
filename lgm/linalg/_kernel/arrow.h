// The parts of a symmetric matrix that iterative solves see: a block-diagonal head, the rest, and a border.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "supernodes.h"

namespace lgm {

constexpr int32_t kMostInBlock = 4;

// Rows in three parts: a head of `blocks` blocks of `size` rows that do not meet each other, the rest, and a border
// (fixed effects). Places in pattern order are -1 where nothing is stored.
struct Arrow {
  int64_t n = 0, nnz = 0;
  std::vector<int64_t> pattern_ptr;  // the pattern itself: lower triangle by columns
  std::vector<int32_t> pattern_row;
  int32_t size = 1;
  int64_t blocks = 0, rest = 0, border = 0;
  std::vector<int32_t> head_row;  // of the matrix, block by block
  std::vector<int32_t> rest_row, border_row;
  std::vector<int32_t> head_entry;  // (blocks, size, size)
  std::vector<int64_t> start;       // neighbours of each block: rows of the rest that it meets ...
  std::vector<int32_t> neighbour;   // ... ascending, counted within the rest
  std::vector<int32_t> cross_entry;  // (neighbours, size)
  std::vector<int32_t> rest_diagonal;
  std::vector<int32_t> rest_col, rest_below, rest_entry;  // off the diagonal of the rest, column before row
  std::vector<int32_t> border_entry;  // (border, n)

  int64_t head() const { return blocks * size; }
};

// `head` holds the rows of the blocks, one block after the other. Throws std::invalid_argument if blocks meet.
Arrow arrow_of(const LowerPattern& pattern, const std::vector<int32_t>& head, int32_t size,
               const std::vector<int32_t>& border);

// As `Registry`: append-only, by content.
class Arrows {
 public:
  static Arrows& instance() {
    static auto* const arrows = new Arrows;
    return *arrows;
  }

  std::shared_ptr<const Arrow> find(const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = table_.find(key);
    return at == table_.end() ? nullptr : at->second;
  }

  void add(const std::string& key, Arrow arrow) {
    auto shared = std::make_shared<const Arrow>(std::move(arrow));
    const std::lock_guard<std::mutex> lock(mutex_);
    table_.emplace(key, std::move(shared));
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const Arrow>> table_;
};

}  // namespace lgm
