#include "likelihoods.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "exponential.h"
#include "log_product.h"
#include "logarithm.h"

namespace lgm {
namespace {

constexpr double kLogSqrt2Pi = 0.91893853320467274178;
constexpr double kSqrtHalf = 0.70710678118654752440;

// Log-likelihood of one row, its slope, and its curvature with the sign changed.
struct At {
  double value = 0.0;
  double slope = 0.0;
  double curvature = 0.0;
};

// Constants ------------------------------------------------------------------------------------------------------

// What Stirling's formula for log Gamma(x) leaves out, x >= 15.
double stirling_rest(double x) {
  const double u = 1.0 / (x * x);
  return (1.0 / 12 - u * (1.0 / 360 - u * (1.0 / 1260 - u * (1.0 / 1680 - u / 1188)))) / x;
}

// log Gamma(s + y) - log Gamma(s) for a whole y >= 0: a product for few factors, else Stirling's formula in a form that
// keeps its digits for large s.
double log_rising(double s, double y) {
  LogProduct product;
  double done = 0.0;
  while (done < y && (y <= 16.0 || s + done < 15.0)) product.multiply(s + done++);
  double out = product.log();
  if (done == y) return out;
  const double x = s + done, more = y - done;
  out += (x - 0.5) * std::log1p(more / x) + more * std::log(x + more) - more;
  return out + stirling_rest(x + more) - stirling_rest(x);
}

// The same for many y: those below some bound are looked up.
class LogRising {
 public:
  explicit LogRising(double s) : s_(s) {}

  double operator()(double y) {
    if (!(y < 512.0)) return log_rising(s_, y);
    while (static_cast<double>(table_.size()) <= y) {
      table_.push_back(table_.empty() ? 0.0 : table_.back() + std::log(s_ + static_cast<double>(table_.size() - 1)));
    }
    return table_[static_cast<size_t>(y)];
  }

 private:
  double s_;
  std::vector<double> table_;
};

// The likelihoods ------------------------------------------------------------------------------------------------

struct PoissonLog {
  Responses y;

  At at(int64_t i, double eta) const {
    const double w = y.weights[i], rate = std::exp(eta);
    return {w * (y.value[i] * eta - rate), w * (y.value[i] - rate), w * rate};
  }
  double third(int64_t i, double eta) const { return -y.weights[i] * std::exp(eta); }
};

double trials_of(const Responses& y, int64_t i) { return y.trials ? y.trials[i] : 1.0; }

struct BinomialProbit {
  Responses y;

  // log Phi(x) and derivatives. With r = phi / Phi they are r, -r q with q = x + r, and r q (q + r) - r. Far out
  // x + r would cancel: there it is the continued fraction 1 / (a + 2 / (a + 3 / ...)), a = -x (Laplace).
  struct Tail {
    double value, slope, curvature, third;
  };
  static Tail tail(double x) {
    double r, q, value;
    if (x < -10.0) {
      const double a = -x;
      double rest = a;
      for (int32_t j = 40; j >= 2; --j) rest = a + j / rest;
      q = 1.0 / rest;
      r = a + q;
      value = -0.5 * x * x - kLogSqrt2Pi - std::log(r);
    } else {
      const double upper = 0.5 * std::erfc(x * kSqrtHalf);  // 1 - Phi
      value = x > 0.0 ? std::log1p(-upper) : std::log(0.5 * std::erfc(-x * kSqrtHalf));
      r = std::exp(-0.5 * x * x - kLogSqrt2Pi - value);
      q = x + r;
    }
    return {value, r, r * q, r * (q * (q + r) - 1.0)};
  }

  At at(int64_t i, double eta) const {
    const double success = y.weights[i] * y.value[i], failure = y.weights[i] * (trials_of(y, i) - y.value[i]);
    At out;
    if (success > 0.0) {
      const Tail t = tail(eta);
      out = {success * t.value, success * t.slope, success * t.curvature};
    }
    if (failure > 0.0) {
      const Tail t = tail(-eta);
      out = {out.value + failure * t.value, out.slope - failure * t.slope, out.curvature + failure * t.curvature};
    }
    return out;
  }
  double third(int64_t i, double eta) const {
    const double success = y.weights[i] * y.value[i], failure = y.weights[i] * (trials_of(y, i) - y.value[i]);
    double out = 0.0;
    if (success > 0.0) out += success * tail(eta).third;
    if (failure > 0.0) out -= failure * tail(-eta).third;
    return out;
  }
};

struct BinomialCloglog {
  Responses y;

  // log(1 - exp(-rate)) has the slope h = rate / (exp(rate) - 1) in eta, and h' = -h b with b = rate + h - 1.
  struct Event {
    double value, h, b;
  };
  static Event event(double eta, double rate) {
    if (rate > 700.0) return {0.0, 0.0, rate};
    if (rate < 1e-2) {
      const double u = rate * rate;
      return {eta - 0.5 * rate + u / 24 - u * u / 2880, 1.0 - 0.5 * rate + u / 12 - u * u / 720,
              0.5 * rate + u / 12 - u * u / 720};
    }
    const double h = rate / std::expm1(rate);
    return {std::log(-std::expm1(-rate)), h, rate + h - 1.0};
  }

  At at(int64_t i, double eta) const {
    const double success = y.weights[i] * y.value[i], failure = y.weights[i] * (trials_of(y, i) - y.value[i]);
    const double rate = std::exp(eta);
    At out;
    if (success > 0.0) {
      const Event e = event(eta, rate);
      out = {success * e.value, success * e.h, e.h > 0.0 ? success * e.h * e.b : 0.0};
    }
    if (failure > 0.0) out = {out.value - failure * rate, out.slope - failure * rate, out.curvature + failure * rate};
    return out;
  }
  double third(int64_t i, double eta) const {
    const double success = y.weights[i] * y.value[i], failure = y.weights[i] * (trials_of(y, i) - y.value[i]);
    const double rate = std::exp(eta);
    double out = failure > 0.0 ? -failure * rate : 0.0;
    if (success > 0.0) {
      const Event e = event(eta, rate);
      if (e.h > 0.0) out -= success * e.h * (rate - e.b * (e.h + e.b));
    }
    return out;
  }
};

struct GaussianIdentity {
  Responses y;

  At at(int64_t i, double eta) const {
    const double precision = y.weights[i] / (y.own[0] * y.own[0]), rest = y.value[i] - eta;
    return {-0.5 * precision * rest * rest, precision * rest, precision};
  }
  double third(int64_t, double) const { return 0.0; }
};

// eta and a count of failures that need not be whole: binomial with the logit of its mean, and, with eta less the log
// of the shape, the negative binomial.
struct Logistic {
  Responses y;
  double shift = 0.0;
  double failures = -1.0;  // the same in all rows, or negative for those of the trials

  double total(int64_t i) const { return failures < 0.0 ? trials_of(y, i) : y.value[i] + failures; }

  double all(const double* eta, double* slope, double* curvature) const {
    constexpr int64_t kRows = 64;
    double small[kRows];  // exp(-|x|)
    LogProduct singles;
    double sum = 0.0;
    for (int64_t top = 0; top < y.n; top += kRows) {
      const int64_t count = std::min(kRows, y.n - top);
      for (int64_t j = 0; j < count; ++j) small[j] = exp_negative(-std::abs(eta[top + j] - shift));
      for (int64_t j = 0; j < count; ++j) {
        const int64_t i = top + j;
        const double x = eta[i] - shift, w = y.weights[i], n = total(i);
        const double t = small[j], share = 1.0 / (1.0 + t);
        const double success = x >= 0.0 ? share : t * share;
        slope[i] = w * (y.value[i] - n * success);
        curvature[i] = w * n * t * share * share;
        sum += w * (y.value[i] * x - n * std::max(x, 0.0));
        if (w * n == 1.0) {
          singles.multiply(1.0 + t);
        } else {
          sum -= w * n * std::log1p(t);
        }
      }
    }
    return sum - singles.log();
  }
  double third(int64_t i, double eta) const {
    const double x = eta - shift, t = std::exp(-std::abs(x)), share = 1.0 / (1.0 + t);
    const double bend = y.weights[i] * total(i) * t * share * share * (1.0 - t) * share;
    return x >= 0.0 ? bend : -bend;
  }
};

template <class Family>
double sum_of(const Family& family, const double* eta, double* slope, double* curvature) {
  double sum = 0.0;
  for (int64_t i = 0; i < family.y.n; ++i) {
    const At at = family.at(i, eta[i]);
    sum += at.value;
    slope[i] = at.slope;
    curvature[i] = at.curvature;
  }
  return sum;
}

double sum_of(const Logistic& family, const double* eta, double* slope, double* curvature) {
  return family.all(eta, slope, curvature);
}

template <class Family>
void sums_of(const Family& family, const double* eta, int64_t m, double* out) {
  std::fill_n(out, m, 0.0);
  for (int64_t i = 0; i < family.y.n; ++i) {
    for (int64_t c = 0; c < m; ++c) out[c] += family.at(i, eta[i * m + c]).value;
  }
}

constexpr int64_t kColumns = 32;   // at once
constexpr int64_t kFactors = 512;  // of at most two each, whose product is finite

void sums_of(const Logistic& family, const double* eta, int64_t m, double* out) {
  double product[kColumns], sum[kColumns], small[kColumns];
  for (int64_t left = 0; left < m; left += kColumns) {
    const int64_t width = std::min(kColumns, m - left);
    std::fill_n(sum, width, 0.0);
    for (int64_t top = 0; top < family.y.n; top += kFactors) {
      std::fill_n(product, width, 1.0);
      for (int64_t i = top; i < std::min(family.y.n, top + kFactors); ++i) {
        const double w = family.y.weights[i], y = w * family.y.value[i], n = w * family.total(i);
        const double* const row = eta + i * m + left;
        for (int64_t c = 0; c < width; ++c) {
          const double x = row[c] - family.shift;
          small[c] = exp_negative(-std::abs(x));
          sum[c] += y * x - n * std::max(x, 0.0);
        }
        if (n == 1.0) {
          for (int64_t c = 0; c < width; ++c) product[c] *= 1.0 + small[c];
        } else {
          for (int64_t c = 0; c < width; ++c) sum[c] -= n * log_one_plus(small[c]);
        }
      }
      for (int64_t c = 0; c < width; ++c) sum[c] -= log_normal(product[c]);
    }
    std::copy_n(sum, width, out + left);
  }
}

// Along lines of nodes ---------------------------------------------------------------------------------------------

constexpr double kFinite = 600.0;    // exponentials of less, and their products with numbers near one, are finite
constexpr double kFullest = 300.0;   // the log of a product of factors of at most two and such exponentials

// Whether exponentials of a row's linear predictors (width) are finite at the first node and at the last one.
bool finite_along(const double* row, int64_t width, double way) {
  bool fine = std::abs(way) < kFinite;
  for (int64_t c = 0; c < width; ++c) fine &= std::abs(row[c]) < kFinite;
  return fine;
}

template <class Family>
void along_lines(const Family& family, const double* eta, const double* edge, int64_t m, int64_t count, double* out) {
  for (int64_t i = 0; i < family.y.n; ++i) {
    for (int64_t k = 0; k < count; ++k) {
      const double move = static_cast<double>(k) * edge[i];
      for (int64_t c = 0; c < m; ++c) out[k * m + c] += family.at(i, eta[i * m + c] + move).value;
    }
  }
}

// One exponential for each row and column: from node to node a rate is multiplied, and rows that move alike do so
// together.
void along_lines(const PoissonLog& family, const double* eta, const double* edge, int64_t m, int64_t count,
                 double* out) {
  const Responses& y = family.y;
  for (int64_t left = 0; left < m; left += kColumns) {
    const int64_t width = std::min(kColumns, m - left);
    double rate[kColumns] = {}, level[kColumns] = {}, slope = 0.0;
    const auto subtract = [&](double by) {
      const double factor = std::exp(by);
      for (int64_t k = 0; k < count; ++k) {
        for (int64_t c = 0; c < width; ++c) {
          out[k * m + left + c] -= rate[c];
          rate[c] *= factor;
        }
      }
      std::fill_n(rate, width, 0.0);
    };
    int64_t last = -1;  // row that waits to be subtracted
    for (int64_t i = 0; i < y.n; ++i) {
      const double* const row = eta + i * m + left;
      const double w = y.weights[i], wy = w * y.value[i];
      if (!finite_along(row, width, edge[i] * static_cast<double>(count - 1))) {
        for (int64_t k = 0; k < count; ++k) {
          const double move = static_cast<double>(k) * edge[i];
          for (int64_t c = 0; c < width; ++c) out[k * m + left + c] += family.at(i, row[c] + move).value;
        }
        continue;
      }
      if (last >= 0 && edge[last] != edge[i]) subtract(edge[last]);
      last = i;
      slope += wy * edge[i];
      for (int64_t c = 0; c < width; ++c) {
        level[c] += wy * row[c];
        rate[c] += w * exp_within(row[c]);
      }
    }
    if (last < 0) continue;
    subtract(edge[last]);
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t c = 0; c < width; ++c) out[k * m + left + c] += level[c] + static_cast<double>(k) * slope;
    }
  }
}

// The same for odds, and of single trials one logarithm for many rows. Nodes of a column are next to each other here.
void along_lines(const Logistic& family, const double* eta, const double* edge, int64_t m, int64_t count, double* out) {
  const Responses& y = family.y;
  std::vector<double> room(count + m + 2 * y.n * m + 2 * m * count);  // one, for there are many calls with few rows
  double* const factor = room.data();
  double* const level = factor + count;
  double* const all_x = level + m;
  double* const all_odds = all_x + y.n * m;
  double* const total = all_odds + y.n * m;
  double* const product = total + m * count;
  std::fill_n(product, m * count, 1.0);
  for (int64_t j = 0; j < y.n * m; ++j) all_x[j] = eta[j] - family.shift;
  for (int64_t j = 0; j < y.n * m; ++j) all_odds[j] = exp_within(all_x[j]);  // which those too far out do not use
  double slope = 0.0, full = 0.0, last = std::numeric_limits<double>::quiet_NaN();  // edge that the factors are of
  const auto subtract = [&] {
    for (int64_t j = 0; j < m * count; ++j) {
      total[j] -= log_normal(product[j]);
      product[j] = 1.0;
    }
    full = 0.0;
  };
  for (int64_t i = 0; i < y.n; ++i) {
    const double w = y.weights[i], wy = w * y.value[i], n = w * family.total(i);
    const double way = edge[i] * static_cast<double>(count - 1);
    const double* const x = all_x + i * m;
    const double* const odds = all_odds + i * m;
    double most = 0.0;
    for (int64_t c = 0; c < m; ++c) most = std::max(most, x[c] + std::max(way, 0.0));
    if (!finite_along(x, m, way) || !(most < 0.5 * kFullest)) {
      for (int64_t c = 0; c < m; ++c) {
        for (int64_t k = 0; k < count; ++k) {
          const double at = x[c] + static_cast<double>(k) * edge[i];
          total[c * count + k] += wy * at - n * (std::max(at, 0.0) + std::log1p(std::exp(-std::abs(at))));
        }
      }
      continue;
    }
    if (edge[i] != last) {
      last = edge[i];
      const double step = exp_within(last);
      factor[0] = 1.0;
      for (int64_t k = 1; k < count; ++k) factor[k] = factor[k - 1] * step;
    }
    slope += wy * edge[i];
    for (int64_t c = 0; c < m; ++c) level[c] += wy * x[c];
    if (n == 1.0) {
      if (full + most + 1.0 > kFullest) subtract();
      full += most + 1.0;
      for (int64_t c = 0; c < m; ++c) {
        double* const factors = product + c * count;
        for (int64_t k = 0; k < count; ++k) factors[k] *= 1.0 + odds[c] * factor[k];
      }
    } else {
      for (int64_t c = 0; c < m; ++c) {
        double* const to = total + c * count;
        for (int64_t k = 0; k < count; ++k) to[k] -= n * log_one_plus(odds[c] * factor[k]);
      }
    }
  }
  if (full > 0.0) subtract();
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t c = 0; c < m; ++c) out[k * m + c] = total[c * count + k] + (level[c] + static_cast<double>(k) * slope);
  }
}

// use(family) with the family of these responses.
template <class Use>
void with_family(const Responses& y, const Use& use) {
  switch (y.likelihood) {
    case Likelihood::kPoissonLog:
      return use(PoissonLog{y});
    case Likelihood::kBinomialLogit:
      return use(Logistic{y});
    case Likelihood::kBinomialProbit:
      return use(BinomialProbit{y});
    case Likelihood::kBinomialCloglog:
      return use(BinomialCloglog{y});
    case Likelihood::kNegativeBinomialLog:
      return use(Logistic{y, std::log(y.own[0]), y.own[0]});
    case Likelihood::kGaussianIdentity:
      return use(GaussianIdentity{y});
    case Likelihood::kUnknown:
      return;
  }
}

}  // namespace

Likelihood likelihood_named(std::string_view name) {
  if (name == "poisson_log") return Likelihood::kPoissonLog;
  if (name == "binomial_logit") return Likelihood::kBinomialLogit;
  if (name == "binomial_probit") return Likelihood::kBinomialProbit;
  if (name == "binomial_cloglog") return Likelihood::kBinomialCloglog;
  if (name == "negativebinomial_log") return Likelihood::kNegativeBinomialLog;
  if (name == "gaussian_identity") return Likelihood::kGaussianIdentity;
  return Likelihood::kUnknown;
}

int32_t parameters_of(Likelihood likelihood) {
  return likelihood == Likelihood::kNegativeBinomialLog || likelihood == Likelihood::kGaussianIdentity ? 1 : 0;
}

double log_likelihood(const Responses& y, const double* eta, double* slope, double* curvature) {
  double sum = std::numeric_limits<double>::quiet_NaN();
  with_family(y, [&](const auto& family) { sum = sum_of(family, eta, slope, curvature); });
  return sum;
}

void log_likelihoods(const Responses& y, const double* eta, int64_t m, double* out) {
  std::fill_n(out, m, std::numeric_limits<double>::quiet_NaN());
  with_family(y, [&](const auto& family) { sums_of(family, eta, m, out); });
}

void log_likelihoods_along(const Responses& y, const double* eta, const double* edge, int64_t m, int64_t count,
                           double* out) {
  std::fill_n(out, count * m, y.likelihood == Likelihood::kUnknown ? std::numeric_limits<double>::quiet_NaN() : 0.0);
  with_family(y, [&](const auto& family) { along_lines(family, eta, edge, m, count, out); });
}

Responses part_of(const Responses& y, int64_t first, int64_t count) {
  Responses out = y;
  out.n = count;
  out.value += first;
  out.weights += first;
  if (y.trials) out.trials += first;
  return out;
}

double constants(const Responses& y) {
  LogRising factorial(1.0);
  double sum = 0.0;
  switch (y.likelihood) {
    case Likelihood::kPoissonLog:
      for (int64_t i = 0; i < y.n; ++i) sum -= y.weights[i] * factorial(y.value[i]);
      return sum;
    case Likelihood::kNegativeBinomialLog: {
      LogRising rising(y.own[0]);
      for (int64_t i = 0; i < y.n; ++i) sum += y.weights[i] * (rising(y.value[i]) - factorial(y.value[i]));
      return sum;
    }
    case Likelihood::kGaussianIdentity:
      for (int64_t i = 0; i < y.n; ++i) sum += 0.5 * std::log(y.weights[i]) - std::log(y.own[0]) - kLogSqrt2Pi;
      return sum;
    default:
      for (int64_t i = 0; i < y.n; ++i) {
        const double n = trials_of(y, i), k = y.value[i];
        if (n > 1.0) sum += y.weights[i] * (factorial(n) - factorial(k) - factorial(n - k));
      }
      return sum;
  }
}

void third_derivatives(const Responses& y, const double* eta, double* third) {
  with_family(y, [&](const auto& family) {
    for (int64_t i = 0; i < y.n; ++i) third[i] = family.third(i, eta[i]);
  });
}

bool logistic(const Responses& y, double* shift, double* failures) {
  bool out = false;
  with_family(y, [&](const auto& family) {
    if constexpr (std::is_same_v<std::decay_t<decltype(family)>, Logistic>) {
      *shift = family.shift;
      *failures = family.failures;
      out = true;
    }
  });
  return out;
}

double longest_step(Likelihood likelihood) {
  return likelihood == Likelihood::kGaussianIdentity ? std::numeric_limits<double>::infinity() : 8.0;
}

}  // namespace lgm
