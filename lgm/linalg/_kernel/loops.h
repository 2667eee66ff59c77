// Dense arithmetic on one front in plain loops, for fronts too small to pay for a BLAS call and for number types that
// BLAS does not know. Column-major, lower triangles; `ld` is the leading dimension.
#pragma once

#include <cmath>
#include <cstdint>

#include "dual.h"

namespace lgm::loops {

// y += a x
template <class T>
inline void add(int32_t n, T* __restrict y, const T* __restrict x, T a) {
  for (int32_t i = 0; i < n; ++i) y[i] += a * x[i];
}

// y += a0 x0 + a1 x1 + ...: several columns at a time load and store y that much less often.
template <class T>
inline void add2(int32_t n, T* __restrict y, const T* __restrict x0, const T* __restrict x1, T a0, T a1) {
  for (int32_t i = 0; i < n; ++i) y[i] += a0 * x0[i] + a1 * x1[i];
}

template <class T>
inline void add3(int32_t n, T* __restrict y, const T* __restrict x0, const T* __restrict x1, const T* __restrict x2,
                 T a0, T a1, T a2) {
  for (int32_t i = 0; i < n; ++i) y[i] += (a0 * x0[i] + a1 * x1[i]) + a2 * x2[i];
}

template <class T>
inline void add4(int32_t n, T* __restrict y, const T* __restrict x0, const T* __restrict x1, const T* __restrict x2,
                 const T* __restrict x3, T a0, T a1, T a2, T a3) {
  for (int32_t i = 0; i < n; ++i) y[i] += (a0 * x0[i] + a1 * x1[i]) + (a2 * x2[i] + a3 * x3[i]);
}

// y += sum over j of sign * a[j * stride] * x[:, j], with the columns of x `ld` apart; sign is 1 or -1.
template <class T>
inline void add_columns(int32_t n, int32_t count, T* y, const T* x, int64_t ld, const T* a, int64_t stride, T sign) {
  int32_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const T *c = x + j * ld, *b = a + j * stride;
    add4(n, y, c, c + ld, c + 2 * ld, c + 3 * ld, sign * b[0], sign * b[stride], sign * b[2 * stride],
         sign * b[3 * stride]);
  }
  const T *c = x + j * ld, *b = a + j * stride;
  switch (count - j) {
    case 1:
      return add(n, y, c, sign * b[0]);
    case 2:
      return add2(n, y, c, c + ld, sign * b[0], sign * b[stride]);
    case 3:
      return add3(n, y, c, c + ld, c + 2 * ld, sign * b[0], sign * b[stride], sign * b[2 * stride]);
  }
}

// y and z += sum over j of a[j] (b[j] for z) * x[:, j]: two columns at once load every column of x half as often.
template <class T>
inline void add_columns_to_two(int32_t n, int32_t count, T* __restrict y, T* __restrict z, const T* x, int64_t ld,
                               const T* a, const T* b) {
  int32_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const T *__restrict x0 = x + j * ld, *__restrict x1 = x0 + ld, *__restrict x2 = x1 + ld, *__restrict x3 = x2 + ld;
    const T a0 = a[j], a1 = a[j + 1], a2 = a[j + 2], a3 = a[j + 3];
    const T b0 = b[j], b1 = b[j + 1], b2 = b[j + 2], b3 = b[j + 3];
    for (int32_t i = 0; i < n; ++i) {
      y[i] += (a0 * x0[i] + a1 * x1[i]) + (a2 * x2[i] + a3 * x3[i]);
      z[i] += (b0 * x0[i] + b1 * x1[i]) + (b2 * x2[i] + b3 * x3[i]);
    }
  }
  add_columns(n, count - j, y, x + j * ld, ld, a + j, 1, T(1.0));
  add_columns(n, count - j, z, x + j * ld, ld, b + j, 1, T(1.0));
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

// out[c] = dot of column c of x with y, for four columns at once; sums over even and odd rows are kept apart.
template <class T>
inline void dot4(int32_t n, const T* __restrict x, int64_t ld, const T* __restrict y, T* out) {
  const T *__restrict x0 = x, *__restrict x1 = x + ld, *__restrict x2 = x1 + ld, *__restrict x3 = x2 + ld;
  T even[4] = {T(0.0), T(0.0), T(0.0), T(0.0)}, odd[4] = {T(0.0), T(0.0), T(0.0), T(0.0)};
  int32_t i = 0;
  for (; i + 2 <= n; i += 2) {
    even[0] += x0[i] * y[i], odd[0] += x0[i + 1] * y[i + 1];
    even[1] += x1[i] * y[i], odd[1] += x1[i + 1] * y[i + 1];
    even[2] += x2[i] * y[i], odd[2] += x2[i + 1] * y[i + 1];
    even[3] += x3[i] * y[i], odd[3] += x3[i + 1] * y[i + 1];
  }
  if (i < n) {
    even[0] += x0[i] * y[i];
    even[1] += x1[i] * y[i];
    even[2] += x2[i] * y[i];
    even[3] += x3[i] * y[i];
  }
  for (int32_t c = 0; c < 4; ++c) out[c] = even[c] + odd[c];
}

// Column k of a symmetric matrix and row k, from the diagonal on, times x: entry i of the column stands at z[at[i]],
// and from `tail` on in consecutive places. Sums over even and odd rows are kept apart.
template <class T>
inline void add_symmetric(int32_t k, int32_t tail, int32_t n, const T* __restrict z, const int32_t* __restrict at,
                          const T* __restrict x, T* __restrict y) {
  const T xk = x[k];
  T even = z[at[k]] * xk, odd(0.0);
  int32_t i = k + 1;
  for (; i + 2 <= tail; i += 2) {
    const T z0 = z[at[i]], z1 = z[at[i + 1]];
    y[i] += z0 * xk, y[i + 1] += z1 * xk;
    even += z0 * x[i], odd += z1 * x[i + 1];
  }
  if (i < n) {
    const int32_t rest = tail > i ? i + 1 : i;
    for (; i < rest; ++i) y[i] += z[at[i]] * xk, even += z[at[i]] * x[i];
  }
  if (i < n) {
    const T* __restrict run = z + at[i] - i;
    for (; i + 2 <= n; i += 2) {
      y[i] += run[i] * xk, y[i + 1] += run[i + 1] * xk;
      even += run[i] * x[i], odd += run[i + 1] * x[i + 1];
    }
    if (i < n) y[i] += run[i] * xk, even += run[i] * x[i];
  }
  y[k] += even + odd;
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
    add_columns(height - k, k, column + k, panel + k, height, panel + k, height, T(-1.0));
    if (!is_pivot(column[k])) return k + 1;
    column[k] = sqrt(column[k]);
    const T inverse = T(1.0) / column[k];
    for (int32_t i = k + 1; i < height; ++i) column[i] *= inverse;
  }
  return 0;
}

// U += sign B B' with B the rows below the pivots.
template <class T>
void update(int32_t below, int32_t columns, T sign, const T* b, int64_t ld, T* u) {
  for (int32_t k = 0; k < below; ++k) {
    add_columns(below - k, columns, u + static_cast<int64_t>(k) * below + k, b + k, ld, b + k, ld, sign);
  }
}

// t = [I; -B] L^-1 for a panel of L (columns x columns) over B, both with `height` rows. The inverse of L comes out in
// the lower triangle on top; what is above it is set to zero.
template <class T>
void divide_by_factor(int32_t height, int32_t columns, const T* panel, int64_t ld, T* t) {
  for (int32_t j = columns - 1; j >= 0; --j) {
    const T* const from = panel + j * ld;
    T* const to = t + static_cast<int64_t>(j) * height;
    for (int32_t i = 0; i < columns; ++i) to[i] = T(0.0);
    to[j] = T(1.0);
    for (int32_t i = columns; i < height; ++i) to[i] = -from[i];
    add_columns(height - j, columns - 1 - j, to + j, to + height + j, height, from + j + 1, 1, T(-1.0));
    const T inverse = T(1.0) / from[j];
    for (int32_t i = j; i < height; ++i) to[i] *= inverse;
  }
}

// Entries begin .. columns - 1 of v become those of t'v, with the product formed over all rows. The upper triangle of t
// on top is zero, so entry i counts from row i on, and row i of v may then be overwritten.
template <class T>
inline void multiply_transposed(int32_t height, int32_t begin, int32_t columns, const T* t, T* v) {
  int32_t i = begin;
  for (; i + 4 <= columns; i += 4) {
    T out[4];
    dot4(height - i, t + static_cast<int64_t>(i) * height + i, height, v + i, out);
    for (int32_t c = 0; c < 4; ++c) v[i + c] = out[c];
  }
  for (; i < columns; ++i) v[i] = dot(height - i, t + static_cast<int64_t>(i) * height + i, v + i);
}

// One right-hand side through a panel: on entry v holds the pivots' part over zeros, on return L_C^-1 of it over what
// is to be added to the rows below. The divisions of a block wait for nothing, so they overlap.
template <class T>
void forward(int32_t height, int32_t columns, const T* panel, T* v) {
  const int64_t ld = height;
  int32_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    const T* const l = panel + j * ld + j;  // a block of four columns from its diagonal down
    const T inverse[4] = {T(1.0) / l[0], T(1.0) / l[ld + 1], T(1.0) / l[2 * ld + 2], T(1.0) / l[3 * ld + 3]};
    for (int32_t a = 0; a < 4; ++a) {
      v[j + a] *= inverse[a];
      for (int32_t b = a + 1; b < 4; ++b) v[j + b] -= l[a * ld + b] * v[j + a];
    }
    add4(height - j - 4, v + j + 4, l + 4, l + ld + 4, l + 2 * ld + 4, l + 3 * ld + 4, -v[j], -v[j + 1], -v[j + 2],
         -v[j + 3]);
  }
  for (; j < columns; ++j) {
    v[j] = v[j] / panel[j * ld + j];
    add(height - j - 1, v + j + 1, panel + j * ld + j + 1, -v[j]);
  }
}

// The way back: on entry v holds the pivots' part over the known solution below, on return the solution.
template <class T>
void backward(int32_t height, int32_t columns, const T* panel, T* v) {
  const int64_t ld = height;
  int32_t j = columns;
  while (j % 4 != 0) {
    --j;
    v[j] = (v[j] - dot(height - j - 1, panel + j * ld + j + 1, v + j + 1)) / panel[j * ld + j];
  }
  while (j > 0) {
    j -= 4;
    const T* const l = panel + j * ld + j;
    const T inverse[4] = {T(1.0) / l[0], T(1.0) / l[ld + 1], T(1.0) / l[2 * ld + 2], T(1.0) / l[3 * ld + 3]};
    T sums[4];
    dot4(height - j - 4, l + 4, ld, v + j + 4, sums);
    for (int32_t a = 3; a >= 0; --a) {
      for (int32_t b = a + 1; b < 4; ++b) sums[a] += l[a * ld + b] * v[j + b];
      v[j + a] = (v[j + a] - sums[a]) * inverse[a];
    }
  }
}

template <class T>
void mirror_lower(int32_t n, T* a) {
  for (int32_t j = 0; j < n; ++j) {
    for (int32_t i = j + 1; i < n; ++i) a[static_cast<int64_t>(i) * n + j] = a[static_cast<int64_t>(j) * n + i];
  }
}

}  // namespace lgm::loops
