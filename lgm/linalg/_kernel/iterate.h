// What an evaluation needs of a matrix that is not factored: its determinant by frozen probes, and all else to rounding.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "arrow.h"
#include "krylov.h"

namespace lgm {

// Runs body(i) for i in 0 .. count-1, in any order.
using Loop = std::function<void(int64_t count, const std::function<void(int64_t)>& body)>;

struct Limits {
  double tolerance = 0.0;  // relative residual of every system
  int64_t steps = 0;       // most of Lanczos' method, whose vectors are kept
};

// Of H = [D B' ..; B C ..; .. .. F]: the border F is eliminated last, by solving for its columns.
//
//     log|H| = log|D| + log|P| + tr log T + log|S_F|,    tr log T = mean over probes z of z'log(T) z,
//
// with T of `Reduced` and independent random signs z. The other terms are exact to the tolerance, and the estimate is
// a smooth function of H, whose derivative is found with it. Results do not depend on the number of threads.
class Iterated {
 public:
  Iterated(const Arrow& arrow, const double* values, const Limits& limits, const Loop& loop);

  Ended ended() const { return ended_; }

  // log|H| by each of so many probes; with `gradient` (nnz,) that of their mean, which is then added to it.
  void log_determinants(uint64_t seed, int64_t probes, double* each, double* gradient);
  // The same, and the derivative of each in the directions dH (directions, nnz): (probes, directions).
  void log_determinants(uint64_t seed, int64_t probes, double* each, const double* directions, int64_t count,
                        double* slopes);
  // H^-1 b for b (n, k).
  void solve(const double* b, int64_t k, double* out);
  // R z with R R' = H^-1 for z (n, k).
  void sample(const double* z, int64_t k, double* out);
  // The diagonal of H^-1 with the standard error of each, from so many draws; and H^-1 on the pattern as far as it is
  // known: rows of the border, which are exact, the diagonal, the blocks of the head and the rest. The others, of the
  // head with the rest, are NaN.
  void variances(uint64_t seed, int64_t draws, double* diagonal, double* error, double* inverse);

 private:
  struct Block {
    Wide head, rest;
  };
  Block zeros() const;
  // Some columns of b (n, k), from `first` on; and back into columns of `out`, with those of the border.
  Block gathered(const double* b, int64_t k, int64_t first, int64_t count) const;
  void scatter(const Block& block, const std::vector<double>& border, int64_t k, int64_t first, int64_t count,
               double* out) const;
  void inner_solve(Block& block, int64_t count);  // H_bb^-1 without the border
  void inner_sample(Block& z, int64_t count, Wide* turned = nullptr);
  void take_border(const std::vector<double>& border, int64_t count, Block& block) const;
  void add_constants(double* gradient) const;
  void add_probes(const std::vector<std::vector<double>>& columns, double weight, double* gradient) const;
  Wide signs(uint64_t seed, int64_t first, int64_t count) const;
  void note(Ended ended);

  const Arrow& arrow_;
  const double* values_;
  Limits limits_;
  const Loop& loop_;
  Reduced reduced_;
  Ended ended_ = Ended::kWell;
  double log_border_ = 0.0;
  std::vector<double> solved_;  // H_bb^-1 H_bF, (n, border) with rows in the matrix's order; those of the border zero
  std::vector<double> border_root_;  // R with R R' = S_F^-1, (border, border)
};

}  // namespace lgm
