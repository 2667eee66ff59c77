// Elimination tree and column counts of a symmetric matrix under a permutation.
#pragma once

#include <cstdint>
#include <vector>

namespace lgm {

// Lower triangle of a symmetric matrix by columns; each column starts with its diagonal, rows ascend.
struct LowerPattern {
  int32_t n = 0;
  const int64_t* ptr = nullptr;  // (n + 1)
  const int64_t* row = nullptr;  // (ptr[n])

  int64_t nnz() const { return ptr[n]; }
};

// Adjacency lists in one array: the neighbours of `v` are `list[ptr[v]] .. list[ptr[v + 1] - 1]`.
struct Adjacency {
  std::vector<int64_t> ptr;
  std::vector<int32_t> list;
};

// The elimination tree, in a postorder that refines the permutation asked for.
struct EliminationTree {
  std::vector<int32_t> order;   // order[new] = old; an equivalent reordering of the one asked for (same fill)
  std::vector<int32_t> parent;  // parent[j] > j, or -1 at a root
  std::vector<int32_t> count;   // entries of column j of the factor, diagonal included
};

// order[new] = old must be a permutation of 0 .. n-1.
EliminationTree elimination_tree(const LowerPattern& a, const std::vector<int32_t>& order);

std::vector<int32_t> inverse_permutation(const std::vector<int32_t>& order);

// Postorder of a forest given by parents: order[new] = old, children of a node in ascending order.
std::vector<int32_t> postorder(const std::vector<int32_t>& parent);

}  // namespace lgm
