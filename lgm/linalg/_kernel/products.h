// Products with a symmetric matrix that is given by its stored entries: lower triangle, column by column.
#pragma once

#include <algorithm>
#include <cstdint>

#include "symbolic.h"

namespace lgm {

// out (n x m) = S x for x (n x m), where entries of the diagonal count `diagonal` times. Many entries may be zero: the
// pattern of H, in which a prior's precision is written, has more than that.
template <class Stored>
inline void multiply(const Stored& s, const double* values, const double* x, int64_t m, double diagonal, double* out) {
  std::fill_n(out, s.n * m, 0.0);
  for (int64_t col = 0; col < s.n; ++col) {
    const double* const from = x + col * m;
    double* const to = out + col * m;
    const int64_t first = s.pattern_ptr[col];
    for (int64_t c = 0; c < m; ++c) to[c] += diagonal * values[first] * from[c];
    for (int64_t e = first + 1; e < s.pattern_ptr[col + 1]; ++e) {
      const double value = values[e];
      if (value == 0.0) continue;
      const int64_t row = s.pattern_row[e] * m;
      for (int64_t c = 0; c < m; ++c) {
        to[c] += value * x[row + c];
        out[row + c] += value * from[c];
      }
    }
  }
}

// The transpose by the values: x_i'y_j + x_j'y_i for rows of x and y (n x m), and `diagonal` times x_i'y_i.
template <class Stored>
inline void outer(const Stored& s, const double* x, const double* y, int64_t m, double diagonal, double* out) {
  for (int64_t col = 0; col < s.n; ++col) {
    const double *const x_col = x + col * m, *const y_col = y + col * m;
    const int64_t first = s.pattern_ptr[col];
    double own = 0.0;
    for (int64_t c = 0; c < m; ++c) own += x_col[c] * y_col[c];
    out[first] = diagonal * own;
    for (int64_t e = first + 1; e < s.pattern_ptr[col + 1]; ++e) {
      const int64_t row = s.pattern_row[e] * m;
      double sum = 0.0;
      for (int64_t c = 0; c < m; ++c) sum += x[row + c] * y_col[c] + x_col[c] * y[row + c];
      out[e] = sum;
    }
  }
}

}  // namespace lgm
