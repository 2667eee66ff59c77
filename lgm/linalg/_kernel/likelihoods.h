// Log-likelihoods of rows, elementwise in their linear predictors, with derivatives that lose no digits far out.
#pragma once

#include <cstdint>
#include <string_view>

namespace lgm {

enum class Likelihood {
  kUnknown,
  kPoissonLog,
  kBinomialLogit,
  kBinomialProbit,
  kBinomialCloglog,
  kNegativeBinomialLog,
  kGaussianIdentity,
};

Likelihood likelihood_named(std::string_view name);

// How many numbers of its own it has: a shape, a residual sd.
int32_t parameters_of(Likelihood likelihood);

// The response of n rows.
struct Responses {
  Likelihood likelihood = Likelihood::kUnknown;
  int64_t n = 0;
  const double* value = nullptr;
  const double* trials = nullptr;  // null for one each
  const double* weights = nullptr;
  const double* own = nullptr;  // the likelihood's parameters
};

// Sum of the log-likelihoods but for `constants`; first derivatives, and second ones with their sign changed. -inf or
// NaN where eta is so far out that it is not finite.
double log_likelihood(const Responses& y, const double* eta, double* slope, double* curvature);

// Of each of m columns of linear predictors (n x m) the sum of the log-likelihoods but for `constants`, into out (m).
void log_likelihoods(const Responses& y, const double* eta, int64_t m, double* out);

// The same at `count` nodes of a line, into out (count x m): from each node to the next a row moves by its edge (n).
void log_likelihoods_along(const Responses& y, const double* eta, const double* edge, int64_t m, int64_t count,
                           double* out);

// Those of some of the rows, one after another.
Responses part_of(const Responses& y, int64_t first, int64_t count);

// The sum of what does not depend on eta.
double constants(const Responses& y);

// Third derivatives.
void third_derivatives(const Responses& y, const double* eta, double* third);

// Whether a row's log-likelihood is y x - n log(1 + exp(x)) with x = eta - shift, and n the trials, or where `failures`
// is not negative y + failures; times its weight.
bool logistic(const Responses& y, double* shift, double* failures);

// The longest step in eta that Newton's method may try at once: exponentials of more are far from quadratic.
double longest_step(Likelihood likelihood);

}  // namespace lgm
