// Sparse rows of A (n x d): products with them, and A'WA in the pattern of a symmetric matrix.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lgm {

// Row by row. `pairs` has, for each entry and each one of its row up to itself, the place of their product in the
// pattern.
struct Rows {
  int64_t n = 0;
  const double* data = nullptr;
  const int32_t* columns = nullptr;
  const int32_t* starts = nullptr;  // (n + 1)
  const int32_t* pairs = nullptr;
};

// out (n x m) = A x for x (d x m).
inline void times(const Rows& a, const double* x, int64_t m, double* out) {
  for (int64_t row = 0; row < a.n; ++row) {
    double* const to = out + row * m;
    if (m == 1) {
      double sum = 0.0;
      for (int32_t j = a.starts[row]; j < a.starts[row + 1]; ++j) sum += a.data[j] * x[a.columns[j]];
      *to = sum;
      continue;
    }
    std::fill_n(to, m, 0.0);
    for (int32_t j = a.starts[row]; j < a.starts[row + 1]; ++j) {
      const double* const from = x + a.columns[j] * m;
      for (int64_t c = 0; c < m; ++c) to[c] += a.data[j] * from[c];
    }
  }
}

// out (d x m) = A'g for g (n x m).
inline void transposed_times(const Rows& a, const double* g, int64_t m, int64_t d, double* out) {
  std::fill_n(out, d * m, 0.0);
  for (int64_t row = 0; row < a.n; ++row) {
    const double* const from = g + row * m;
    if (m == 1) {
      for (int32_t j = a.starts[row]; j < a.starts[row + 1]; ++j) out[a.columns[j]] += a.data[j] * *from;
      continue;
    }
    for (int32_t j = a.starts[row]; j < a.starts[row + 1]; ++j) {
      double* const to = out + a.columns[j] * m;
      for (int64_t c = 0; c < m; ++c) to[c] += a.data[j] * from[c];
    }
  }
}

// out += A' diag(w) A, off-diagonal entries multiplied by `factor`.
inline void add_gram(const Rows& a, const double* w, double factor, double* out) {
  const int32_t* place = a.pairs;
  for (int64_t row = 0; row < a.n; ++row) {
    const int32_t begin = a.starts[row], end = a.starts[row + 1];
    for (int32_t one = begin; one < end; ++one) {
      const double weighted = w[row] * a.data[one];
      for (int32_t other = begin; other < one; ++other) out[*place++] += factor * weighted * a.data[other];
      out[*place++] += weighted * a.data[one];
    }
  }
}

// out (n) = a_i' Z a_i for Z in pattern order, off-diagonal products counted `factor` times: with 2 the quadratic form
// of a symmetric Z, with 1 the transpose of A'WA.
inline void quadratic(const Rows& a, const double* z, double factor, double* out) {
  const int32_t* place = a.pairs;
  for (int64_t row = 0; row < a.n; ++row) {
    const int32_t begin = a.starts[row], end = a.starts[row + 1];
    double sum = 0.0;
    for (int32_t one = begin; one < end; ++one) {
      double inner = 0.0;
      for (int32_t other = begin; other < one; ++other) inner += a.data[other] * z[*place++];
      sum += a.data[one] * (factor * inner + a.data[one] * z[*place++]);
    }
    out[row] = sum;
  }
}

}  // namespace lgm
