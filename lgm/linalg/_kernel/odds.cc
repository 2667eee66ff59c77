#include "odds.h"

#include <algorithm>

#include "exponential.h"
#include "logarithm.h"

namespace lgm {

bool Odds::take(const Responses& y, const double* eta, const double* push) {
  double shift = 0.0, failures = -1.0;
  if (!logistic(y, &shift, &failures) || y.n == 0) return false;
  n_ = y.n, push_ = push[0], farthest_ = highest_ = 0.0;
  for (int64_t j = 0; j < n_; ++j) {
    if (push[j] != push_) return false;
    const double x = eta[j] - shift;
    if (!(std::abs(x) < kFarthest)) return false;
    farthest_ = std::max(farthest_, std::abs(x));
    highest_ = std::max(highest_, x);
    odds_[j] = x;
  }
  for (int64_t j = 0; j < n_; ++j) odds_[j] = exp_within(odds_[j]);
  single_ = true, level_ = slope_ = 0.0;
  for (int64_t j = 0; j < n_; ++j) {
    const double w = y.weights[j], own = w * y.value[j];
    totals_[j] = w * (failures >= 0.0 ? y.value[j] + failures : y.trials ? y.trials[j] : 1.0);
    single_ &= totals_[j] == 1.0;
    level_ += own * (eta[j] - shift);
    slope_ += own;
  }
  return true;
}

Place Odds::at(double t) {
  const double move = push_ * t, factor = exp_within(move);
  double successes = 0.0, spread = 0.0, log = 0.0;
  if (single_) {
    const double most = std::max(highest_ + move, 0.0) + 1.0;  // the log of a row's factor
    double product = 1.0, full = 0.0;
    for (int64_t j = 0; j < n_; ++j) {
      const double odds = odds_[j] * factor, rest = 1.0 / (1.0 + odds), share = odds * rest;
      if (full + most > kFullest) {
        log += log_normal(product);
        product = 1.0, full = 0.0;
      }
      full += most;
      product *= 1.0 + odds;
      successes += share;
      spread += share * rest;
    }
    log += log_normal(product);
  } else {
    for (int64_t j = 0; j < n_; ++j) logs_[j] = totals_[j] * log_one_plus(odds_[j] * factor);
    for (int64_t j = 0; j < n_; ++j) {
      const double odds = odds_[j] * factor, rest = 1.0 / (1.0 + odds), share = totals_[j] * odds * rest;
      log += logs_[j];
      successes += share;
      spread += share * rest;
    }
  }
  return {level_ + slope_ * move - log, push_ * (slope_ - successes), push_ * push_ * spread};
}

void Odds::along(double corner, double edge, int64_t count, double* heights) {
  const int64_t width = padded(count);
  const double step = exp_within(push_ * edge);
  factors_[0] = exp_within(push_ * corner);
  for (int64_t k = 1; k < width; ++k) factors_[k] = k < count ? factors_[k - 1] * step : 0.0;
  for (int64_t k = 0; k < count; ++k) {
    heights[k] = level_ + slope_ * push_ * (corner + static_cast<double>(k) * edge);
    products_[k] = 1.0;
  }
  const double last = corner + static_cast<double>(count - 1) * edge;
  const double most = std::max(highest_ + std::max(push_ * corner, push_ * last), 0.0) + 1.0;
  double full = 0.0;
  const auto subtract = [&] {
    for (int64_t k = 0; k < count; ++k) {
      heights[k] -= log_normal(products_[k]);
      products_[k] = 1.0;
    }
    full = 0.0;
  };
  for (int64_t j = 0; j < n_; ++j) {
    double* const rests = &rests_[j * width];
    double* const shares = &shares_[j * width];
    for (int64_t k = 0; k < width; ++k) {
      const double odds = odds_[j] * factors_[k];
      rests[k] = 1.0 / (1.0 + odds);
      shares[k] = odds * rests[k];
    }
    if (single_) {
      if (full + most > kFullest) subtract();
      full += most;
      for (int64_t k = 0; k < count; ++k) products_[k] *= 1.0 + odds_[j] * factors_[k];
    } else {
      for (int64_t k = 0; k < count; ++k) heights[k] -= totals_[j] * log_one_plus(odds_[j] * factors_[k]);
    }
  }
  if (single_) subtract();
}

void Odds::means(const Responses& y, int64_t j, const double* masses, int64_t count, double* slope,
                 double* curvature) const {
  const int64_t width = padded(count);
  const double* const rests = &rests_[j * width];
  const double* const shares = &shares_[j * width];
  double success[kLanes] = {}, spread[kLanes] = {};
  for (int64_t k = 0; k < width; k += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double part = masses[k + lane] * shares[k + lane];
      success[lane] += part;
      spread[lane] += part * rests[k + lane];
    }
  }
  *slope = y.weights[j] * y.value[j] - totals_[j] * ((success[0] + success[1]) + (success[2] + success[3]));
  *curvature = totals_[j] * ((spread[0] + spread[1]) + (spread[2] + spread[3]));
}

}  // namespace lgm
