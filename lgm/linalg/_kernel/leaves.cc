#include "leaves.h"

#include <algorithm>
#include <cmath>

namespace lgm {
namespace {

constexpr int32_t kClimbs = 6, kParts = 4, kBisections = 10;
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
// exp(p t), but for a constant, and the rows' own derivatives follow from its.
class Leaf {
 public:
  explicit Leaf(int64_t largest, int64_t nodes)
      : eta_(largest), push_(largest), rates_(largest), value_(largest), weights_(largest), first_(largest + 1),
        at_(largest * std::max<int64_t>(nodes, 2)), slopes_(largest * nodes), curvatures_(largest * nodes),
        heights_(nodes), nodes_(nodes) {}

  void take(const Responses& y, const int64_t* rows, const LeafProblem& problem, int64_t leaf) {
    y_ = y;
    r_ = problem.r[leaf];
    for (int64_t j = 0; j < y.n; ++j) {
      eta_[j] = problem.eta[rows[j]];
      push_[j] = problem.push[rows[j]];
    }
    of_rows_ = y;
    joined_ = y.likelihood == Likelihood::kPoissonLog && join();
  }

  // The top of a concave density, by steps of Newton's method or parts of them.
  void climb(double start) {
    t_ = start;
    system();
    for (int32_t climbs = 0; climbs < kClimbs; ++climbs) {
      const double step = gradient_ / curvature_, length = std::sqrt(r_) * std::abs(step);
      const double from = t_, whole = step * (kLongest / std::max(length, kLongest));
      const bool last = !(step * step * curvature_ > kAtTheTop);
      t_ = from + whole;
      system();
      // Past the top, the highest of halves, quarters and eighths: the density has one top.
      for (int32_t part = 1; part < kParts && gradient_ * whole < 0.0; ++part) {
        const double here = t_, height = height_, gradient = gradient_, curvature = curvature_;
        t_ = from + std::ldexp(whole, -part);
        system();
        if (height_ > height) continue;
        t_ = here, height_ = height, gradient_ = gradient, curvature_ = curvature;
        break;
      }
      if (last) return;
    }
  }

  double top() const { return t_; }
  double axis() const { return 1.0 / std::sqrt(curvature_); }

  // How far on both sides, in units of the axis, the density has fallen so much.
  void ends(double fall, double* low, double* high) {
    const double unit = axis(), wanted = height_ - fall, widest = std::sqrt(fall / (0.5 * r_ * unit * unit));
    double inside[2] = {0.0, 0.0}, outside[2] = {widest, widest};
    for (int32_t halvings = 0; halvings < kBisections; ++halvings) {
      double t[2], sums[2];
      for (int32_t side = 0; side < 2; ++side) {
        t[side] = t_ + 0.5 * (inside[side] + outside[side]) * (side ? unit : -unit);
      }
      for (int64_t j = 0; j < y_.n; ++j) {
        for (int32_t side = 0; side < 2; ++side) at_[2 * j + side] = eta_[j] + push_[j] * t[side];
      }
      log_likelihoods(y_, at_.data(), 2, sums);
      for (int32_t side = 0; side < 2; ++side) {
        const bool still = sums[side] - 0.5 * r_ * t[side] * t[side] > wanted;
        (still ? inside : outside)[side] = 0.5 * (inside[side] + outside[side]);
      }
    }
    *low = -outside[0];
    *high = outside[1];
  }

  // By the trapezoidal rule: the mean of t, and those of the rows' derivatives into `slope` and `curvature`.
  double means(double corner, double edge, const int64_t* rows, double* slope, double* curvature) {
    for (int64_t k = 0; k < nodes_; ++k) {
      const double t = corner + static_cast<double>(k) * edge;
      for (int64_t j = 0; j < y_.n; ++j) at_[j] = eta_[j] + push_[j] * t;
      heights_[k] =
          log_likelihood(y_, at_.data(), &slopes_[k * y_.n], &curvatures_[k * y_.n]) - 0.5 * r_ * t * t;
    }
    const double most = *std::max_element(heights_.begin(), heights_.end());
    double mass = 0.0, place = 0.0;
    for (int64_t k = 0; k < nodes_; ++k) {
      heights_[k] = std::exp(heights_[k] - most);
      mass += heights_[k];
      place += heights_[k] * static_cast<double>(k);
    }
    for (int64_t j = 0; j < y_.n; ++j) {
      double s = 0.0, w = 0.0;
      for (int64_t k = 0; k < nodes_; ++k) {
        s += heights_[k] * slopes_[k * y_.n + j];
        w += heights_[k] * curvatures_[k * y_.n + j];
      }
      if (!joined_) {
        slope[rows[j]] = s / mass;
        curvature[rows[j]] = w / mass;
        continue;
      }
      const double gain = w / mass / y_.weights[j];  // mean of exp(p t)
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

  // Height, gradient and curvature at t.
  void system() {
    for (int64_t j = 0; j < y_.n; ++j) at_[j] = eta_[j] + push_[j] * t_;
    height_ = log_likelihood(y_, at_.data(), slopes_.data(), curvatures_.data()) - 0.5 * r_ * t_ * t_;
    gradient_ = -r_ * t_;
    curvature_ = r_;
    for (int64_t j = 0; j < y_.n; ++j) {
      gradient_ += push_[j] * slopes_[j];
      curvature_ += push_[j] * push_[j] * curvatures_[j];
    }
  }

  Responses y_, of_rows_;  // as they are searched, and as they came
  bool joined_ = false;
  double r_ = 0.0, t_ = 0.0, height_ = 0.0, gradient_ = 0.0, curvature_ = 0.0;
  std::vector<double> eta_, push_, rates_, value_, weights_;
  std::vector<int64_t> first_;  // row of each that was joined
  std::vector<double> at_, slopes_, curvatures_, heights_;
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

void leaf_heights(const LeafRows& leaves, const double* own, const double* eta, const double* edge, int64_t m,
                  int64_t count, double* out) {
  std::vector<double> at(leaves.largest() * m), moves(leaves.largest()), sums(count * m);
  for (int64_t g = 0; g < leaves.leaves(); ++g) {
    const Responses y = leaves.of(g, own);
    const int64_t* const rows = leaves.rows(g);
    for (int64_t j = 0; j < y.n; ++j) {
      std::copy_n(eta + rows[j] * m, m, at.data() + j * m);
      moves[j] = edge[rows[j]];
    }
    log_likelihoods_along(y, at.data(), moves.data(), m, count, sums.data());
    for (int64_t k = 0; k < count; ++k) std::copy_n(&sums[k * m], m, out + (k * leaves.leaves() + g) * m);
  }
}

void find_leaf_centres(const Responses& y, const LeafRows& leaves, const LeafProblem& problem,
                       const LeafCentres& out) {
  Leaf leaf(leaves.largest(), problem.nodes);
  for (int64_t g = 0; g < leaves.leaves(); ++g) {
    leaf.take(leaves.of(g, y.own), leaves.rows(g), problem, g);
    leaf.climb(problem.start[g]);
    out.top[g] = leaf.top();
    out.axis[g] = leaf.axis();
    leaf.ends(problem.fall, out.low + g, out.high + g);
    const double edge = out.axis[g] * ((out.high[g] - out.low[g]) / static_cast<double>(problem.nodes - 1));
    const double corner = out.top[g] + out.low[g] * out.axis[g] + phase(g) * edge;
    out.mean[g] = leaf.means(corner, edge, leaves.rows(g), out.slope, out.curvature);
  }
  for (const int64_t i : leaves.alone()) {
    log_likelihood(part_of(y, i, 1), problem.eta + i, out.slope + i, out.curvature + i);
  }
}

}  // namespace lgm
