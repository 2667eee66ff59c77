// Supernodes: runs of columns of the factor that are stored and treated as one dense panel.
#pragma once

#include <cstdint>
#include <vector>

#include "elimination.h"

namespace lgm {

// Rows whose pivots are negative, in the caller's order; empty where there are none. A factorisation P Q P' = L D L'
// has -1 for them on the diagonal of D: multipliers of constraints, which are eliminated after what they constrain.
using Signs = std::vector<uint8_t>;

// Supernodes in the order in which they are factored: children before parents, and the leaf children of a supernode
// directly before it (they are added to it at once, so that their update matrices need no storage).
struct Supernodes {
  std::vector<int32_t> order;    // order[new] = old column of the matrix
  std::vector<int32_t> first;    // (count + 1) first column of each supernode
  std::vector<int32_t> below;    // rows below the diagonal block of each
  std::vector<int32_t> parent;   // -1 at a root
  std::vector<uint8_t> is_leaf;  // a leaf with a parent
  std::vector<uint8_t> negative; // all pivots of a supernode have one sign

  int32_t count() const { return static_cast<int32_t>(below.size()); }
  int32_t columns(int32_t s) const { return first[s + 1] - first[s]; }
};

// What a factorisation under this ordering takes, known before any memory of that size is allocated.
struct Cost {
  int64_t factor_entries = 0;  // nonzeros of L
  int64_t panel_entries = 0;   // doubles held for L, with the zeros that merging brings in
  int64_t row_entries = 0;     // row indices of all supernodes
  int64_t largest_front = 0;   // rows * columns of the largest panel
  double flops = 0.0;          // of one factorisation
};

Supernodes find_supernodes(const LowerPattern& a, const EliminationTree& tree, const Signs& negative);
Cost cost(const EliminationTree& tree, const Supernodes& supernodes);

}  // namespace lgm
