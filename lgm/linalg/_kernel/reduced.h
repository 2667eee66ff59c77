// The Schur complement of the head of a matrix, never formed, scaled to a unit diagonal.
#pragma once

#include <cstdint>
#include <vector>

#include "arrow.h"

namespace lgm {

constexpr int64_t kWide = 16;  // vectors side by side: rows of them are what the cache holds

// Vectors side by side, row by row.
using Wide = std::vector<double>;

// For H = [D B'; B C] (head, rest) with D block diagonal: S = C - B D^-1 B', P its diagonal, and
//     T = P^-1/2 S P^-1/2.
class Reduced {
 public:
  Reduced(const Arrow& arrow, const double* values);

  const Arrow& arrow() const { return arrow_; }
  // Whether D and P are positive and finite.
  bool fine() const { return fine_; }
  double log_head() const { return log_head_; }        // log|D|
  double log_diagonal() const { return log_diagonal_; }  // log|P|
  const std::vector<double>& scale() const { return scale_; }      // P^-1/2
  const std::vector<double>& inverse() const { return inverse_; }  // D^-1, (blocks, size, size)
  const std::vector<double>& root() const { return root_; }        // R with R R' = D^-1, upper triangles, as D^-1
  const std::vector<double>& cross() const { return cross_; }      // P^-1/2 B, (neighbours, size)

  // out = T x; with `head` also -D^-1 B' P^-1/2 x.
  void apply(const Wide& x, Wide& out, Wide* head = nullptr) const;
  // out = -D^-1 B' P^-1/2 x.
  void to_head(const Wide& x, Wide& out) const;
  // out += P^-1/2 B h.
  void from_head(const Wide& h, Wide& out) const;

  // Adds to a gradient by the values, and to `turned`, what quadratic forms x'T x have, P held: vectors x, and T x on
  // the way in `out`.
  void add_forms(const Wide& x, Wide& out, double* gradient) const;
  // Adds sum_i g_i dS_ii for g (rest,).
  void add_diagonal(const std::vector<double>& g, double* gradient) const;
  // Adds the gradient of log|D|.
  void add_head(double* gradient) const;

 private:
  template <class Visit>
  void with_size(const Visit& visit) const;

  const Arrow& arrow_;
  bool fine_ = true;
  double log_head_ = 0.0, log_diagonal_ = 0.0;
  std::vector<double> inverse_, root_, cross_, scale_, own_, off_;
};

}  // namespace lgm
