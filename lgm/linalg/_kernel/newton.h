// Newton's method for the mode of effects given their prior and a likelihood, and Laplace's approximation there.
#pragma once

#include <cstdint>

#include "likelihoods.h"
#include "numeric.h"
#include "rows.h"
#include "symbolic.h"
#include "workspace.h"

namespace lgm {

// The density of v, up to what does not depend on it,
//     J(v) = sum of log-likelihoods at eta = offset + A D v  - 1/2 v'Rv + pull'v,   C v = 0,
// whose Hessian is -H, H = R + D A'WA D. Under constraints v, R and H are bordered by their multipliers (see
// lgm/linalg/constrained.py), where A has no columns: a saddle point of J in v and multipliers together.
struct LatentProblem {
  Rows rows;
  Responses responses;
  const double* offset = nullptr;
  const double* pull = nullptr;
  const double* values = nullptr; // in pattern order
  const double* scale = nullptr;  // D
};

struct Mode {
  double joint = 0.0;   // J with the constants of the likelihood
  double logdet = 0.0;  // of the absolute value of |H|
  double gain = 0.0;    // twice what one more step would promise
  int32_t factorisations = 0;
  int32_t steps = 0;
};

// From `v` (d), or from zero where that leads nowhere; the mode overwrites it. NaN in all results where there is none
// to be found.
Mode find_mode(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem, double* v);

// Derivatives of J - 1/2 log|H| at the mode, that of the mode included, by everything the prior gives; those by the
// likelihood's own parameters are those of  sum of l - 1/2 s W + lean l'  at fixed eta.
struct Slopes {
  double* values = nullptr;  // (nnz), a stored off-diagonal standing for two
  double* scale = nullptr;   // (d)
  double* eta = nullptr;     // (n)
  double* spread = nullptr;  // s (n), the variances of eta under H^-1
  double* shift = nullptr;   // (d), H^-1 D A'(s l''') / 2, from the mode to the mean in first order
  double* lean = nullptr;    // (n), A D times that
};

Mode find_mode_and_slopes(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem,
                          double* v, const Slopes& out);

// Pairs of points about the first-order mean,  m + x  and  m - x  with  m = v + shift  and x of the covariance H^-1, and
// the logs of their weights  exp(J(m +- x) - J(v) + x'Hx / 2).
struct Pairs {
  ConstVectors normals;           // (d x m), standard: x is made of them
  double* eta = nullptr;          // at the mode (n)
  double* spread = nullptr;       // as for slopes (n)
  double* shift = nullptr;        // (d)
  double* drawn = nullptr;        // x (d x m)
  double* log_weights = nullptr;  // of all m + x, then of all m - x (2m)
};

Mode find_mode_and_pairs(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem,
                         double* v, const Pairs& out);

}  // namespace lgm
