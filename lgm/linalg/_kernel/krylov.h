// Functions of a reduced matrix T applied to vectors, by Lanczos' method; systems with it, by conjugate gradients.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "reduced.h"

namespace lgm {

enum class Ended { kWell, kNotPositive, kNotConverged };

// Orthonormal bases of Krylov spaces of kWide vectors at once, with T as a tridiagonal matrix in each.
class Krylov {
 public:
  // Grown until T^-1 z is known to a relative residual of `tolerance` for each of the first `wanted` vectors z.
  Krylov(const Reduced& reduced, const Wide& z, int64_t wanted, double tolerance, int64_t most);

  Ended ended() const { return ended_; }
  int64_t steps(int64_t c) const { return steps_[c]; }
  // z'log(T) z of vector c.
  double log_form(int64_t c) const;
  // Columns x_l with d z'log(T) z = sum_l x_l'dT x_l, appended to `out`, (rest,) each.
  void log_slopes(int64_t c, std::vector<std::vector<double>>& out) const;
  // T^-1/2 z of all of them.
  Wide inverse_root() const;

 private:
  struct Spectrum {
    std::vector<double> values, vectors, first;  // (k,), (k, k) by eigenvectors, the first entries of these
  };
  Spectrum spectrum(int64_t c) const;

  const Reduced& reduced_;
  std::vector<Wide> basis_;
  std::vector<std::array<double, kWide>> diagonal_, beside_;
  std::array<double, kWide> norm_{};
  std::array<int64_t, kWide> steps_{};
  Ended ended_ = Ended::kWell;
};

// x with T x = b; the first `wanted` vectors to a relative residual of `tolerance`.
Ended solve(const Reduced& reduced, const Wide& b, int64_t wanted, double tolerance, int64_t most, Wide& x);

}  // namespace lgm
