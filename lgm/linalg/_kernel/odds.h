// Rows with logistic likelihoods on all of which one effect pushes alike.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "likelihoods.h"

namespace lgm {

// Height, gradient and curvature (its sign changed) of a log density.
struct Place {
  double height = 0.0, gradient = 0.0, curvature = 0.0;
};

// At a place t of the effect all odds exp(eta_j + p t) are those at zero times one factor.
class Odds {
 public:
  // For so many rows and nodes at most.
  Odds(int64_t largest, int64_t nodes)
      : odds_(largest), totals_(largest), logs_(largest), shares_(largest * padded(nodes)), rests_(shares_.size()),
        factors_(padded(nodes)), products_(padded(nodes)) {}

  // Sums over nodes go through some more, which have no mass.
  static int64_t padded(int64_t nodes) { return (nodes + kLanes - 1) / kLanes * kLanes; }

  // False, and of no use, for others or where odds are too far out.
  bool take(const Responses& y, const double* eta, const double* push);

  // Whether exponentials of all rows are finite there, and products of few of them.
  bool serves(double t) const { return std::abs(push_ * t) + farthest_ < kFarthest; }

  // Of the rows' sum.
  Place at(double t);

  // Heights at nodes corner + k edge, all of which must be served, and what `means` asks for.
  void along(double corner, double edge, int64_t count, double* heights);

  // Of a row of those responses the means of l' and -l'', over nodes of these masses (padded), which add up to one.
  void means(const Responses& y, int64_t j, const double* masses, int64_t count, double* slope,
             double* curvature) const;

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
