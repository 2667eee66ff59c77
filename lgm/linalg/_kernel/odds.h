// Rows with logistic likelihoods on all of which one effect pushes alike.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "exponential.h"
#include "likelihoods.h"
#include "log_product.h"
#include "logarithm.h"

namespace lgm {

// Height, gradient and curvature (its sign changed) of a log density.
struct Place {
  double height = 0.0, gradient = 0.0, curvature = 0.0;
};

// At a place t of the effect all odds exp(eta_j + p t) are those at zero times one factor.
class Odds {
 public:
  Odds(int64_t largest, int64_t nodes)
      : odds_(largest), totals_(largest), logs_(largest), shares_(largest * padded(nodes)), rests_(shares_.size()),
        factors_(padded(nodes)), products_(padded(nodes)) {}

  // Sums over nodes go through some more, which have no mass.
  static int64_t padded(int64_t nodes) { return (nodes + kLanes - 1) / kLanes * kLanes; }

  // False, and of no use, for others or where odds are too far out.
  bool take(const Responses& y, const double* eta, const double* push) {
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

  // Whether exponentials of all rows are finite there, and products of few of them.
  bool serves(double t) const { return std::abs(push_ * t) + farthest_ < kFarthest; }

  // Of the rows' sum.
  Place at(double t) {
    const double move = push_ * t, factor = exp_within(move);
    double successes = 0.0, spread = 0.0, log = 0.0;
    if (single_) {
      LogProduct product;
      for (int64_t j = 0; j < n_; ++j) {
        const double odds = odds_[j] * factor, rest = 1.0 / (1.0 + odds), share = odds * rest;
        product.multiply(1.0 + odds);
        successes += share;
        spread += share * rest;
      }
      log = product.log();
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

  // Heights at `count` nodes, which all must be served, and what `means` asks for.
  void along(double corner, double edge, int64_t count, double* heights) {
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

  // Of a row of those responses the means of l' and -l'', over nodes of these masses (padded), which add up to one.
  void means(const Responses& y, int64_t j, const double* masses, int64_t count, double* slope, double* curvature) const {
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

 private:
  static constexpr double kFarthest = 300.0;  // linear predictors, whose exponentials may be multiplied by another
  static constexpr double kFullest = 400.0;   // the log of a product of such
  static constexpr int64_t kLanes = 4;        // sums side by side

  int64_t n_ = 0;
  bool single_ = true;
  double push_ = 0.0, farthest_ = 0.0, highest_ = 0.0, level_ = 0.0, slope_ = 0.0;
  std::vector<double> odds_, totals_, logs_, shares_, rests_, factors_, products_;
};

}  // namespace lgm
