// Densities of leaves at nodes along a line (lgm/posterior/nodes.py).
#pragma once

#include <cstdint>

#include "leaves.h"

namespace lgm {

// Sums over the rows of each leaf of the log-likelihoods but for constants, at `count` nodes: the row's linear
// predictor is eta (n x m) at the first, and moves by edge (n) from each to the next. out (count x leaves x m).
void leaf_heights(const LeafRows& leaves, const double* own, const double* eta, const double* edge, int64_t m,
                  int64_t count, double* out);

// Leaves with one effect t, density exp(sum [l(eta + push t) - l(eta)] - r t^2 / 2), at nodes corner + k edge, in each
// of m columns.
struct LeafLines {
  const double* eta = nullptr;     // (n x m)
  const double* push = nullptr;    // (n)
  const double* r = nullptr;       // (leaves)
  const double* corner = nullptr;  // (leaves x m)
  const double* edge = nullptr;    // (leaves)
  int64_t m = 0;
  int64_t nodes = 0;
};

struct LeafSums {
  double* heights = nullptr;       // log densities, but for a constant of each leaf and column (nodes x leaves x m)
  double* log_integral = nullptr;  // by the trapezoidal rule (leaves x m)
  double* mean = nullptr;          // of t, and its variance
  double* variance = nullptr;
};

void integrate_leaves(const LeafRows& leaves, const double* own, const LeafLines& lines, const LeafSums& out);

// Draws by inversion from densities at nodes, whose logs are `heights` (nodes x leaves x m): of each leaf one for each
// of `draws` columns `chosen`, with uniform numbers (leaves x draws). Cells between nodes have masses by Simpson's rule;
// in a cell the log density is the cubic of Catmull and Rom, at the ends of `finer` parts with lines between them. out
// (leaves x draws) in units of edges from the first node.
struct LeafDraws {
  const double* heights = nullptr;
  const int32_t* chosen = nullptr;
  const double* uniform = nullptr;
  int64_t nodes = 0;
  int64_t leaves = 0;
  int64_t m = 0;
  int64_t draws = 0;
  int64_t finer = 0;
};

void draw_along(const LeafDraws& problem, double* out);

}  // namespace lgm
