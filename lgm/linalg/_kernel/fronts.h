// Dense arithmetic on one front: plain loops or BLAS, whichever is faster at its size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "blas.h"
#include "loops.h"
#include "tiles.h"

namespace lgm {

// Below these amounts of work (height^2 * columns) plain loops beat BLAS calls (measured).
constexpr double kFactorByLoops = 60e3;
constexpr double kInverseByLoops = 30e3;
constexpr double kSolveByLoops = 20e3;  // height * columns * right-hand sides

template <class T>
constexpr bool kHasBlas = std::is_same_v<T, double>;

inline double work(int32_t height, int32_t columns) { return static_cast<double>(height) * height * columns; }

// Where a front is given a team, its threads share in the work.

// Factor the pivots, `sign L L'` with a sign of 1 or -1, and bring the rows below along. The failing pivot, from 1, or
// 0.
template <class T>
int32_t factor_panel(int32_t columns, int32_t below, double sign, T* panel, const Team* team) {
  const int32_t height = columns + below;
  if (sign < 0.0) {
    for (int64_t i = 0; i < static_cast<int64_t>(height) * columns; ++i) panel[i] = -panel[i];
  }
  if constexpr (kHasBlas<T>) {
    if (team) return factor_panel_on_tiles(*team, columns, below, panel);
    if (work(height, columns) >= kFactorByLoops) {
      if (const int32_t failed = blas::potrf(columns, panel, height)) return failed;
      for (int32_t k = 0; k < columns; ++k) {  // some libraries let NaN and infinity through
        if (!loops::is_pivot(panel[static_cast<int64_t>(k) * height + k])) return k + 1;
      }
      if (below > 0) blas::trsm_right('T', below, columns, panel, height, panel + columns, height);
      return 0;
    }
  }
  return loops::factor_panel(height, columns, panel);
}

// Subtract a factored panel's share of the update matrix.
template <class T>
void update_below(int32_t columns, int32_t below, double sign, const T* panel, T* update, const Team* team) {
  const int32_t height = columns + below;
  if (below == 0) return;
  if constexpr (kHasBlas<T>) {
    if (team) return add_square(*team, below, below, columns, -sign, panel + columns, height, update, below);
    if (work(height, columns) >= kFactorByLoops) {
      blas::syrk(below, columns, -sign, panel + columns, height, 1.0, update, below);
      return;
    }
  }
  loops::update(below, columns, T(-sign), panel + columns, height, update);
}

// Selected inverse of one front. On entry the panel holds the factor (L_C over L_R) and `outer` the inverse on the
// rows below (lower triangle); on return the panel holds the inverse on the pivots and between them and those rows:
//     W = L_R L_C^-1,   Z_RC = -Z_RR W,   Z_CC = sign (L_C L_C')^-1 - W' Z_RC.
// With t = [L_C^-1; -W] and s = [sign L_C^-1; Z_RC], the last is t's. `block` is work space, see inverse_block_size.
//
// t also takes one right-hand side back: `v`, unless null, holds y on the pivots over the known x_R and becomes
//     L_C^-T (y - L_R' x_R) = t'v
// there, in independent dot products where substitution has to wait for one pivot after the other.
//
// `multiply(to, x)` adds Z_RR x to `to` for all columns; those of either are `height` apart.
template <class T, class Multiply>
void invert_front_by_loops(int32_t columns, int32_t below, double sign, T* panel, T* block, T* v,
                           const Multiply& multiply) {
  const int32_t height = columns + below;
  loops::divide_by_factor(height, columns, panel, height, block);
  if (v) loops::multiply_transposed(height, 0, columns, block, v);
  for (int32_t j = 0; j < columns; ++j) {
    T* const to = panel + static_cast<int64_t>(j) * height;
    for (int32_t i = j; i < columns; ++i) to[i] = T(sign) * block[static_cast<int64_t>(j) * height + i];
    std::fill_n(to + columns, below, T(0.0));
  }
  if (below > 0) multiply(panel + columns, block + columns);
  for (int32_t j = 0; j < columns; ++j) {
    loops::multiply_transposed(height, j, columns, block, panel + static_cast<int64_t>(j) * height);
  }
}

inline void invert_front_by_blas(int32_t columns, int32_t below, double sign, double* panel, double* outer,
                                 double* block) {
  const int32_t height = columns + below;
  double* const w = panel + columns;
  blas::trtri(columns, panel, height);  // then a product with it: faster than solving with the factor
  if (below > 0) {
    blas::trmm_right(below, columns, panel, height, w, height);
    blas::symm_left(below, columns, -1.0, outer, below, w, height, 0.0, block, below);
  }
  blas::lauum(columns, panel, height);
  if (sign < 0.0) {
    for (int32_t j = 0; j < columns; ++j) {
      for (int32_t i = j; i < columns; ++i) panel[static_cast<int64_t>(j) * height + i] *= sign;
    }
  }
  if (below == 0) return;
  for (int32_t j = 0; j < columns; j += kStrip) {
    const int64_t at = static_cast<int64_t>(j) * height;
    blas::gemm('T', 'N', columns - j, std::min(kStrip, columns - j), below, -1.0, w + at, height,
               block + static_cast<int64_t>(j) * below, below, 1.0, panel + at + j, height);
  }
  for (int32_t j = 0; j < columns; ++j) {
    std::copy_n(block + static_cast<int64_t>(j) * below, below, w + static_cast<int64_t>(j) * height);
  }
}

template <class T>
void invert_front(int32_t columns, int32_t below, double sign, T* panel, T* outer, T* block, T* v, const Team* team) {
  if constexpr (kHasBlas<T>) {
    if (team || work(columns + below, columns) >= kInverseByLoops) {
      if (v) loops::backward(columns + below, columns, panel, v);
      if (team) return invert_front_on_tiles(*team, columns, below, sign, panel, outer, block);
      invert_front_by_blas(columns, below, sign, panel, outer, block);
      return;
    }
  }
  const int32_t height = columns + below;
  invert_front_by_loops(columns, below, sign, panel, block, v, [=](T* to, const T* x) {
    loops::mirror_lower(below, outer);
    int32_t j = 0;
    for (; j + 2 <= columns; j += 2, to += 2 * height, x += 2 * height) {
      loops::add_columns_to_two(below, below, to, to + height, outer, below, x, x + height);
    }
    if (j < columns) loops::add_columns(below, below, to, outer, below, x, 1, T(1.0));
  });
}

// Forward substitution on one front with k right-hand sides: y (columns x k) becomes L_C^-1 y, and `change` (below x k)
// becomes -L_R y. Rows of right-hand sides are contiguous, so to BLAS they are the columns of the transposed matrix.
template <class T>
void solve_front_lower(int32_t columns, int32_t below, const T* panel, T* y, T* change, int32_t k) {
  const int32_t height = columns + below;
  if constexpr (kHasBlas<T>) {
    if (static_cast<double>(height) * columns * k > kSolveByLoops) {
      blas::trsm_right('T', k, columns, panel, height, y, k);
      if (below > 0) blas::gemm('N', 'T', k, below, columns, -1.0, y, k, panel + columns, height, 0.0, change, k);
      return;
    }
  }
  std::fill_n(change, static_cast<int64_t>(below) * k, T(0.0));
  for (int32_t j = 0; j < columns; ++j) {
    const T* const l = panel + static_cast<int64_t>(j) * height;
    const T inverse = T(1.0) / l[j];
    T* const yj = y + static_cast<int64_t>(j) * k;
    for (int32_t c = 0; c < k; ++c) yj[c] *= inverse;
    for (int32_t i = j + 1; i < columns; ++i) loops::add(k, y + static_cast<int64_t>(i) * k, yj, -l[i]);
    for (int32_t i = 0; i < below; ++i) loops::add(k, change + static_cast<int64_t>(i) * k, yj, -l[columns + i]);
  }
}

// Back-substitution on one front: y becomes L_C^-T (y - L_R' known).
template <class T>
void solve_front_upper(int32_t columns, int32_t below, const T* panel, T* y, const T* known, int32_t k) {
  const int32_t height = columns + below;
  if constexpr (kHasBlas<T>) {
    if (static_cast<double>(height) * columns * k > kSolveByLoops) {
      if (below > 0) blas::gemm('N', 'N', k, columns, below, -1.0, known, k, panel + columns, height, 1.0, y, k);
      blas::trsm_right('N', k, columns, panel, height, y, k);
      return;
    }
  }
  for (int32_t j = columns - 1; j >= 0; --j) {
    const T* const l = panel + static_cast<int64_t>(j) * height;
    const T inverse = T(1.0) / l[j];
    T* const yj = y + static_cast<int64_t>(j) * k;
    for (int32_t i = j + 1; i < columns; ++i) loops::add(k, yj, y + static_cast<int64_t>(i) * k, -l[i]);
    for (int32_t i = 0; i < below; ++i) loops::add(k, yj, known + static_cast<int64_t>(i) * k, -l[columns + i]);
    for (int32_t c = 0; c < k; ++c) yj[c] *= inverse;
  }
}

// Doubles of work space that the inverse of a front needs.
inline int64_t inverse_block_size(int32_t columns, int32_t below) {
  return (static_cast<int64_t>(columns) + below) * columns;
}

}  // namespace lgm
