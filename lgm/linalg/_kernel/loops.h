// Dense arithmetic on one front in plain loops, for fronts too small to pay for a BLAS call and for number types that
// BLAS does not know. Column-major, lower triangles; `ld` is the leading dimension.
#pragma once

#include <cmath>
#include <cstdint>

#include "dual.h"

namespace lgm::loops {

// y -= a x
template <class T>
inline void subtract(int32_t n, T* __restrict y, const T* __restrict x, T a) {
  for (int32_t i = 0; i < n; ++i) y[i] -= a * x[i];
}

// y -= a0 x0 + a1 x1 + a2 x2 + a3 x3: four columns at a time load and store y a quarter as often.
template <class T>
inline void subtract4(int32_t n, T* __restrict y, const T* __restrict x0, const T* __restrict x1,
                      const T* __restrict x2, const T* __restrict x3, T a0, T a1, T a2, T a3) {
  for (int32_t i = 0; i < n; ++i) y[i] -= (a0 * x0[i] + a1 * x1[i]) + (a2 * x2[i] + a3 * x3[i]);
}

// y -= sum over j of a[j * stride] * x[:, j], with the columns of x `ld` apart.
template <class T>
inline void subtract_columns(int32_t n, int32_t count, T* y, const T* x, int64_t ld, const T* a, int64_t stride) {
  int32_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const T *c = x + j * ld, *b = a + j * stride;
    subtract4(n, y, c, c + ld, c + 2 * ld, c + 3 * ld, b[0], b[stride], b[2 * stride], b[3 * stride]);
  }
  for (; j < count; ++j) subtract(n, y, x + j * ld, a[j * stride]);
}

template <class T>
inline T dot(int32_t n, const T* x, const T* y) {
  T s0(0.0), s1(0.0), s2(0.0), s3(0.0);
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += x[i] * y[i];
    s1 += x[i + 1] * y[i + 1];
    s2 += x[i + 2] * y[i + 2];
    s3 += x[i + 3] * y[i + 3];
  }
  for (; i < n; ++i) s0 += x[i] * y[i];
  return (s0 + s1) + (s2 + s3);
}

template <class T>
inline bool is_pivot(const T& d) {
  return value_of(d) > 0.0 && value_of(d) < HUGE_VAL;  // false for NaN
}

// Cholesky of the first `columns` of a panel with `height` rows; the failing pivot, from 1, or 0.
template <class T>
int32_t factor_panel(int32_t height, int32_t columns, T* panel) {
  using std::sqrt;
  for (int32_t k = 0; k < columns; ++k) {
    T* column = panel + static_cast<int64_t>(k) * height;
    subtract_columns(height - k, k, column + k, panel + k, height, panel + k, height);
    if (!is_pivot(column[k])) return k + 1;
    column[k] = sqrt(column[k]);
    const T inverse = T(1.0) / column[k];
    for (int32_t i = k + 1; i < height; ++i) column[i] *= inverse;
  }
  return 0;
}

// U -= B B' with B the rows below the pivots.
template <class T>
void update(int32_t below, int32_t columns, const T* b, int64_t ld, T* u) {
  for (int32_t k = 0; k < below; ++k) {
    subtract_columns(below - k, columns, u + static_cast<int64_t>(k) * below + k, b + k, ld, b + k, ld);
  }
}

// B = B L^-1 with L the columns x columns factor above B in the panel.
template <class T>
void divide_right(int32_t below, int32_t columns, const T* l, T* b, int64_t ld) {
  for (int32_t j = columns - 1; j >= 0; --j) {
    subtract_columns(below, columns - 1 - j, b + j * ld, b + (j + 1) * ld, ld, l + j * ld + j + 1, 1);
    const T inverse = T(1.0) / l[j * ld + j];
    for (int32_t i = 0; i < below; ++i) b[j * ld + i] *= inverse;
  }
}

// The inverse of L L' in place (lower triangle): first X = L^-1 column by column, then X'X.
template <class T>
void invert_from_factor(int32_t n, T* l, int64_t ld) {
  for (int32_t j = 0; j < n; ++j) {  // column j of X needs only columns of L from j on
    T* x = l + j * ld;
    const T first = T(1.0) / x[j];
    x[j] = first;
    for (int32_t i = j + 1; i < n; ++i) x[i] = -(x[i] * first);
    for (int32_t k = j + 1; k < n; ++k) {
      x[k] = x[k] / l[k * ld + k];
      subtract(n - k - 1, x + k + 1, l + k * ld + k + 1, x[k]);
    }
  }
  for (int32_t j = 0; j < n; ++j) {
    for (int32_t i = j; i < n; ++i) l[j * ld + i] = dot(n - i, l + i * ld + i, l + j * ld + i);
  }
}

// C -= B'T (lower triangle, columns x columns), B and T with `below` rows.
template <class T>
void subtract_inner(int32_t below, int32_t columns, const T* b, int64_t ldb, const T* t, int64_t ldt, T* c,
                    int64_t ldc) {
  for (int32_t j = 0; j < columns; ++j) {
    for (int32_t i = j; i < columns; ++i) c[j * ldc + i] -= dot(below, b + i * ldb, t + j * ldt);
  }
}

template <class T>
void mirror_lower(int32_t n, T* a) {
  for (int32_t j = 0; j < n; ++j) {
    for (int32_t i = j + 1; i < n; ++i) a[static_cast<int64_t>(i) * n + j] = a[static_cast<int64_t>(j) * n + i];
  }
}

}  // namespace lgm::loops
