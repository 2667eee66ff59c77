#include "leaves.h"

#include <algorithm>
#include <cmath>

#include "exponential.h"
#include "odds.h"

namespace lgm {
namespace {

constexpr int32_t kClimbs = 6, kParts = 4, kTried = 10;
constexpr double kFarOut = 5.0;  // times the fall that is wanted
constexpr double kAtTheTop = 1e-14;  // the square of a step in sds, whose next is smaller than rounding
constexpr double kLeastRate = 1e-100;  // and its inverse the largest, with which rows are joined
constexpr double kLongest = 2.0;     // of a step, in sds of the prior
constexpr double kGolden = 0.6180339887498949;  // multiples of which are spread evenly between whole numbers

// Where a leaf's nodes lie between those of other leaves, in edges: lgm/posterior/nodes.py says why they do.
double phase(int64_t leaf) {
  const double at = kGolden * static_cast<double>(leaf);
  return at - std::floor(at) - 0.5;
}

// One leaf: its rows' linear predictors without it, and what it adds to them.
//
// Counts with a log link on which it pushes alike are one row here: with total rate E and total count Y it says Y p t - E
// exp(p t), but for a constant, and the rows' own derivatives follow from its. The odds of logistic rows on which it
// pushes alike move together.
class Leaf {
 public:
  explicit Leaf(int64_t largest, int64_t nodes)
      : eta_(largest), push_(largest), rates_(largest), value_(largest), weights_(largest), first_(largest + 1),
        at_(largest), slopes_(largest * nodes), curvatures_(largest * nodes), heights_(Odds::padded(nodes), 0.0),
        odds_(largest, nodes), nodes_(nodes) {}

  void take(const Responses& y, const int64_t* rows, const LeafProblem& problem, int64_t leaf) {
    y_ = y;
    r_ = problem.r[leaf];
    for (int64_t j = 0; j < y.n; ++j) {
      eta_[j] = problem.eta[rows[j]];
      push_[j] = problem.push[rows[j]];
    }
    of_rows_ = y;
    joined_ = y.likelihood == Likelihood::kPoissonLog && join();
    logistic_ = odds_.take(y, eta_.data(), push_.data());
  }

  // The top of a concave density, by steps of Newton's method or parts of them.
  void climb(double start) {
    t_ = start;
    here_ = at(t_);
    for (int32_t climbs = 0; climbs < kClimbs; ++climbs) {
      const double step = here_.gradient / here_.curvature, length = std::sqrt(r_) * std::abs(step);
      const double from = t_, whole = step * (kLongest / std::max(length, kLongest));
      const bool last = !(step * step * here_.curvature > kAtTheTop);
      t_ = from + whole;
      here_ = at(t_);
      // Past the top, the highest of halves, quarters and eighths: the density has one top.
      for (int32_t part = 1; part < kParts && !last && here_.gradient * whole < 0.0; ++part) {
        const double t = from + std::ldexp(whole, -part);
        const Place nearer = at(t);
        if (!(nearer.height > here_.height)) break;
        t_ = t, here_ = nearer;
      }
      if (last) return;
    }
  }

  double top() const { return t_; }
  double axis() const { return 1.0 / std::sqrt(here_.curvature); }

  // How far on one side (1 or -1), in units of the axis, the density has fallen so much: where d(s) = fall.
  //
  // By Newton's method on sqrt(d), which is linear for a normal density, or on log(d) where d is much too large, as it
  // is of exponentials. The last step is from where d is within one, and its result not looked at.
  double end(double side, double fall) {
    const double unit = side * axis(), widest = std::sqrt(fall / (0.5 * r_ * unit * unit));
    double inside = 0.0, outside = widest, s = std::min(std::sqrt(2.0 * fall), widest);
    for (int32_t tried = 0; tried < kTried; ++tried) {
      const Place there = at(t_ + s * unit);
      const double d = here_.height - there.height, rate = -there.gradient * unit;
      (d < fall ? inside : outside) = s;
      const double step = d > kFarOut * fall ? d * std::log(fall / d) / rate : 2.0 * (std::sqrt(fall * d) - d) / rate;
      if (std::abs(d - fall) < 1.0) return std::min(s + step, widest);
      s = s + step > inside && s + step < outside ? s + step : 0.5 * (inside + outside);
    }
    return outside;
  }

  // By the trapezoidal rule: the mean of t, and those of the rows' derivatives into `slope` and `curvature`.
  double means(double corner, double edge, const int64_t* rows, double* slope, double* curvature) {
    const double end = corner + static_cast<double>(nodes_ - 1) * edge;
    const bool by_odds = logistic_ && odds_.serves(corner) && odds_.serves(end);
    if (by_odds) odds_.along(corner, edge, nodes_, heights_.data());
    for (int64_t k = 0; k < nodes_; ++k) {
      const double t = corner + static_cast<double>(k) * edge;
      if (!by_odds) {
        for (int64_t j = 0; j < y_.n; ++j) at_[j] = eta_[j] + push_[j] * t;
        heights_[k] = log_likelihood(y_, at_.data(), &slopes_[k * y_.n], &curvatures_[k * y_.n]);
      }
      heights_[k] -= 0.5 * r_ * t * t;
    }
    const double most = *std::max_element(heights_.begin(), heights_.begin() + nodes_);
    double mass = 0.0, place = 0.0;
    for (int64_t k = 0; k < nodes_; ++k) heights_[k] = exp_negative(heights_[k] - most);
    for (int64_t k = 0; k < nodes_; ++k) {
      mass += heights_[k];
      place += heights_[k] * static_cast<double>(k);
    }
    for (int64_t k = 0; k < nodes_; ++k) heights_[k] /= mass;
    for (int64_t j = 0; j < y_.n; ++j) {
      if (by_odds) {
        odds_.means(y_, j, heights_.data(), nodes_, slope + rows[j], curvature + rows[j]);
        continue;
      }
      double s = 0.0, w = 0.0;
      for (int64_t k = 0; k < nodes_; ++k) {
        s += heights_[k] * slopes_[k * y_.n + j];
        w += heights_[k] * curvatures_[k * y_.n + j];
      }
      if (!joined_) {
        slope[rows[j]] = s;
        curvature[rows[j]] = w;
        continue;
      }
      const double gain = w / y_.weights[j];  // mean of exp(p t)
      for (int64_t i = first_[j]; i < first_[j + 1]; ++i) {
        curvature[rows[i]] = gain * rates_[i];
        slope[rows[i]] = of_rows_.weights[i] * of_rows_.value[i] - curvature[rows[i]];
      }
    }
    return corner + edge * place / mass;
  }

 private:
  // Rows next to each other on which the leaf pushes alike become one; false where their rates are too far out.
  bool join() {
    int64_t groups = 0;
    for (int64_t i = 0; i < y_.n; ++i) {
      rates_[i] = y_.weights[i] * std::exp(eta_[i]);
      if (i == 0 || push_[i] != push_[i - 1]) {
        first_[groups] = i;
        value_[groups] = weights_[groups] = 0.0;
        ++groups;
      }
      value_[groups - 1] += y_.weights[i] * y_.value[i];
      weights_[groups - 1] += rates_[i];
    }
    for (int64_t j = 0; j < groups; ++j) {
      if (!(weights_[j] > kLeastRate && weights_[j] < 1.0 / kLeastRate)) return false;
    }
    first_[groups] = y_.n;
    for (int64_t j = 0; j < groups; ++j) {
      value_[j] /= weights_[j];
      eta_[j] = 0.0;
      push_[j] = push_[first_[j]];
    }
    y_.n = groups;
    y_.value = value_.data();
    y_.weights = weights_.data();
    return true;
  }

  // The log density.
  Place at(double t) {
    Place out;
    if (logistic_ && odds_.serves(t)) {
      out = odds_.at(t);
    } else {
      for (int64_t j = 0; j < y_.n; ++j) at_[j] = eta_[j] + push_[j] * t;
      out.height = log_likelihood(y_, at_.data(), slopes_.data(), curvatures_.data());
      for (int64_t j = 0; j < y_.n; ++j) {
        out.gradient += push_[j] * slopes_[j];
        out.curvature += push_[j] * push_[j] * curvatures_[j];
      }
    }
    return {out.height - 0.5 * r_ * t * t, out.gradient - r_ * t, out.curvature + r_};
  }

  Responses y_, of_rows_;  // as they are searched, and as they came
  bool joined_ = false, logistic_ = false;
  double r_ = 0.0, t_ = 0.0;
  Place here_;  // at t
  std::vector<double> eta_, push_, rates_, value_, weights_;
  std::vector<int64_t> first_;  // row of each that was joined
  std::vector<double> at_, slopes_, curvatures_, heights_;
  Odds odds_;
  int64_t nodes_;
};

}  // namespace

LeafRows::LeafRows(const Responses& y, const int32_t* columns, const int32_t* starts, int64_t leaves)
    : likelihood_(y.likelihood), starts_(leaves + 1, 0) {
  for (int64_t i = 0; i < y.n; ++i) {
    if (starts[i] == starts[i + 1]) {
      alone_.push_back(i);
    } else {
      ++starts_[columns[starts[i]] + 1];
    }
  }
  for (int64_t g = 0; g < leaves; ++g) {
    largest_ = std::max(largest_, starts_[g + 1]);
    starts_[g + 1] += starts_[g];
  }
  rows_.resize(starts_[leaves]);
  std::vector<int64_t> next(starts_.begin(), starts_.end() - 1);
  for (int64_t i = 0; i < y.n; ++i) {
    if (starts[i] < starts[i + 1]) rows_[next[columns[starts[i]]]++] = i;
  }
  const auto gathered = [this](const double* from) {
    std::vector<double> out(rows_.size());
    std::transform(rows_.begin(), rows_.end(), out.begin(), [from](int64_t i) { return from[i]; });
    return out;
  };
  value_ = gathered(y.value);
  weights_ = gathered(y.weights);
  if (y.trials) trials_ = gathered(y.trials);
}

Responses LeafRows::of(int64_t leaf, const double* own) const {
  const Responses all{likelihood_,   static_cast<int64_t>(rows_.size()),          value_.data(),
                      trials_.empty() ? nullptr : trials_.data(), weights_.data(), own};
  return part_of(all, starts_[leaf], size(leaf));
}

void find_leaf_centres(const Responses& y, const LeafRows& leaves, const LeafProblem& problem,
                       const LeafCentres& out) {
  Leaf leaf(leaves.largest(), problem.nodes);
  for (int64_t g = 0; g < leaves.leaves(); ++g) {
    leaf.take(leaves.of(g, y.own), leaves.rows(g), problem, g);
    leaf.climb(problem.start[g]);
    out.top[g] = leaf.top();
    out.axis[g] = leaf.axis();
    out.low[g] = -leaf.end(-1.0, problem.fall);
    out.high[g] = leaf.end(1.0, problem.fall);
    const double edge = out.axis[g] * ((out.high[g] - out.low[g]) / static_cast<double>(problem.nodes - 1));
    const double corner = out.top[g] + out.low[g] * out.axis[g] + phase(g) * edge;
    out.mean[g] = leaf.means(corner, edge, leaves.rows(g), out.slope, out.curvature);
  }
  for (const int64_t i : leaves.alone()) {
    log_likelihood(part_of(y, i, 1), problem.eta + i, out.slope + i, out.curvature + i);
  }
}

}  // namespace lgm
