// Symbolic factorisation: everything about a Cholesky factor that depends on the pattern alone.
#pragma once

#include <cstdint>
#include <vector>

#include "supernodes.h"

namespace lgm {

// One dense front: `columns` pivots and `below` further rows. Its panel is (columns + below) x columns, its update
// matrix below x below; both are column-major and use the lower triangle.
struct Front {
  int32_t first = 0;    // first pivot column, in factor order
  int32_t columns = 0;
  int32_t below = 0;
  int32_t tail = 0;     // relative[tail ..] are consecutive places in the parent's front
  int32_t parent = -1;
  int32_t leaves = 0;   // leaf children, which sit directly before this front
  bool is_leaf = false; // its update matrix lives in scratch memory, within its parent's turn
  bool negative = false;  // the sign of its pivots
  bool shared = false;    // its update matrix is passed on between threads
  bool divided = false;   // its work is shared by all threads
  int32_t child_begin = 0, child_end = 0;  // other children, in Symbolic::children
  int64_t panel = 0;    // offset of the panel in panel memory
  int64_t update = 0;   // offset of the update matrix in memory of that kind
  int64_t rows = 0;     // offset of its row list and relative places
  int64_t entry_begin = 0, entry_end = 0;  // stored entries of the matrix that belong to the panel

  int32_t height() const { return columns + below; }
  // A narrow leaf does without an update matrix of its own: its columns are added to the parent's front as they are
  // formed, and the inverse on its rows is read where it stands there.
  bool in_place() const { return is_leaf && columns <= 2; }
};

// Fronts begin .. end - 1, which one thread treats one after the other: subtrees of one parent, or everything.
struct Task {
  int32_t begin = 0, end = 0;
};

// The plan of tasks and top does not depend on the number of threads, so results do not either.
struct Symbolic {
  int32_t n = 0;
  int64_t nnz = 0;
  std::vector<int64_t> pattern_ptr;  // the pattern itself, in the caller's order: lower triangle by columns
  std::vector<int32_t> pattern_row;
  std::vector<int32_t> order;     // order[new] = old
  std::vector<uint8_t> negative;  // pivots by sign, in factor order; empty where all are positive
  std::vector<Front> fronts;      // in the order of factorisation
  std::vector<int32_t> children;
  std::vector<int32_t> rows;      // row list below the pivots of every front, ascending, in factor order
  std::vector<int32_t> relative;  // the same rows as places in the parent's front
  std::vector<int32_t> entry;     // stored entries grouped by front: index in pattern order ...
  std::vector<int32_t> place;     // ... and offset in the front's panel
  std::vector<Task> tasks;        // independent of each other, those of most work first
  std::vector<int32_t> top;       // the fronts after them, leaves left out: ascending
  // Where a front adds to right-hand sides, for every row of its list: the row itself, or for one that is not its
  // task's a place that is, after the n rows: the i-th of these is for the row beyond[i]. Empty where there are none.
  std::vector<int32_t> landing;
  std::vector<int32_t> beyond;
  int64_t panel_size = 0;         // doubles of panel memory
  int64_t update_size = 0;        // doubles of one thread's memory for update matrices
  int64_t shared_size = 0;        // doubles of update matrices that are passed on
  int64_t scratch_size = 0;       // doubles for the update matrix of one leaf that needs one
  int32_t most_height = 0;        // rows of the highest front
  bool may_use_blas = false;      // some front is large enough
  Cost cost;
};

// Cost of the ordering without building anything of the size of the factor.
Cost predict(const LowerPattern& a, const std::vector<int32_t>& order, const Signs& negative);

// Nanoseconds of one factorisation, roughly.
inline double nanoseconds(const Symbolic& symbolic) {
  return 0.5 * symbolic.cost.flops + 2.0 * static_cast<double>(symbolic.panel_size) + 20.0 * symbolic.n;
}

// From which amounts of work on threads share it.
struct Division {
  double matrix = 400e3;  // nanoseconds of a factorisation that is divided into tasks
  double front = 2e6;     // height^2 * columns of a front of the top that is divided into tiles
};

// Throws std::length_error if a panel is too large for 32-bit offsets.
Symbolic analyse(const LowerPattern& a, const std::vector<int32_t>& order, const Signs& negative,
                 const Division& division = {});

}  // namespace lgm
