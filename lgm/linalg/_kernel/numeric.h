// Numeric factorisation, solves and selected inverse on a symbolic factorisation. Plain functions on raw pointers.
#pragma once

#include <cstdint>

#include "dual.h"
#include "symbolic.h"
#include "workspace.h"

namespace lgm {

// How one evaluation went. `info` is 0, or 1 + the row (in the caller's order) of the pivot that was not finite and of
// its sign; then the log-determinant and all outputs are NaN.
struct Outcome {
  double logdet = 0.0;  // of the absolute value
  int32_t info = 0;
};

// A dense matrix of n rows, one row after the other.
struct ConstVectors {
  const double* data = nullptr;
  int32_t columns = 0;
};

// x = Q^-1 rhs (n x rhs.columns), and draws that have the covariance Q^-1 for standard normal z, multipliers left out.
// Either may have no columns.
Outcome factor_solve(const Symbolic& symbolic, Workspace<double>& workspace, const double* values, ConstVectors rhs,
                     double* x, ConstVectors normals, double* draws);

// More right-hand sides for the factor that `factor_solve` has left in the workspace.
void solve_again(const Symbolic& symbolic, Workspace<double>& workspace, ConstVectors rhs, double* x);

// More draws from it.
void sample_again(const Symbolic& symbolic, Workspace<double>& workspace, ConstVectors normals, double* draws);

// The inverse at the stored entries from that factor, which is overwritten.
void invert_again(const Symbolic& symbolic, Workspace<double>& workspace, double* selected);

// The same solve, and the inverse of Q at the stored entries of Q, in pattern order.
Outcome factor_solve_invert(const Symbolic& symbolic, Workspace<double>& workspace, const double* values,
                            ConstVectors rhs, double* x, double* selected);

// Directional derivative of the selected inverse: -(Q^-1 G Q^-1) at the stored entries, for G given like Q.
Outcome selected_inverse_tangent(const Symbolic& symbolic, Workspace<Dual>& workspace, const double* values,
                                 const double* direction, double* tangent);

}  // namespace lgm
