#include "lattices.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "exponential.h"

namespace lgm {
namespace {

// A density along a line: its logs, padded by one node on each side, and what lies below each node.
class Line {
 public:
  Line(int64_t nodes, int64_t finer) : count_(nodes), finer_(finer), height_(nodes + 2), below_(nodes), at_(nodes),
                                       middle_(nodes), density_(finer + 1), mass_(finer + 1) {}

  void take(const double* heights, int64_t stride) {
    double most = heights[0];
    for (int64_t k = 0; k < count_; ++k) most = std::max(most, heights[k * stride]);
    double* const h = height_.data() + 1;
    for (int64_t k = 0; k < count_; ++k) h[k] = heights[k * stride] - most;
    h[-1] = 2.0 * h[0] - h[1];
    h[count_] = 2.0 * h[count_ - 1] - h[count_ - 2];
    for (int64_t k = 0; k < count_; ++k) at_[k] = exp_negative(h[k]);
    for (int64_t k = 0; k + 1 < count_; ++k) {
      middle_[k] = bounded((9.0 * (h[k] + h[k + 1]) - h[k - 1] - h[k + 2]) / 16.0);
    }
    below_[0] = 0.0;
    for (int64_t k = 0; k + 1 < count_; ++k) below_[k + 1] = below_[k] + (at_[k] + 4.0 * middle_[k] + at_[k + 1]);
  }

  // The place below which the density has this share.
  double inverse(double uniform) {
    const double wanted = uniform * below_[count_ - 1];
    if (!std::isfinite(wanted)) return std::numeric_limits<double>::quiet_NaN();
    const auto first = below_.begin() + 1, last = below_.begin() + count_ - 1;
    const int64_t cell = std::lower_bound(first, last, wanted) - first;
    const double share = (wanted - below_[cell]) / (below_[cell + 1] - below_[cell]);
    return static_cast<double>(cell) + inside(&height_[cell], share);
  }

 private:
  // The exponential of what a cubic says: between nodes it may be somewhat above them.
  static double bounded(double height) { return exp_within(std::min(std::max(height, -kFarthest), kFarthest)); }

  static constexpr double kFarthest = 700.0;

  // Where in a cell (0 to 1) this share of its mass lies.
  double inside(const double* around, double share) {
    const double a = around[0], b = around[1], c = around[2], d = around[3];
    const double first = 0.5 * (c - a), second = 0.5 * (2.0 * a - 5.0 * b + 4.0 * c - d);
    const double third = 0.5 * (3.0 * (b - c) + d - a), most = std::max(b, c);
    for (int64_t i = 0; i <= finer_; ++i) {
      const double x = static_cast<double>(i) / static_cast<double>(finer_);
      density_[i] = bounded((b - most) + x * (first + x * (second + x * third)));
    }
    mass_[0] = 0.0;
    for (int64_t i = 0; i < finer_; ++i) mass_[i + 1] = mass_[i] + 0.5 * (density_[i] + density_[i + 1]);
    const double wanted = share * mass_[finer_];
    const auto begin = mass_.begin() + 1, end = mass_.begin() + finer_;
    const int64_t part = std::lower_bound(begin, end, wanted) - begin;
    const double along = (wanted - mass_[part]) / (mass_[part + 1] - mass_[part]);
    return (static_cast<double>(part) + std::min(std::max(along, 0.0), 1.0)) / static_cast<double>(finer_);
  }

  int64_t count_, finer_;
  std::vector<double> height_, below_, at_, middle_, density_, mass_;
};

// The linear predictors (rows x m) of a leaf's rows.
void gather(const double* eta, const int64_t* rows, int64_t n, int64_t m, double* out) {
  for (int64_t j = 0; j < n; ++j) std::copy_n(eta + rows[j] * m, m, out + j * m);
}

}  // namespace

void leaf_heights(const LeafRows& leaves, const double* own, const double* eta, const double* edge, int64_t m,
                  int64_t count, double* out) {
  std::vector<double> at(leaves.largest() * m), moves(leaves.largest()), sums(count * m);
  for (int64_t g = 0; g < leaves.leaves(); ++g) {
    const Responses y = leaves.of(g, own);
    const int64_t* const rows = leaves.rows(g);
    gather(eta, rows, y.n, m, at.data());
    for (int64_t j = 0; j < y.n; ++j) moves[j] = edge[rows[j]];
    log_likelihoods_along(y, at.data(), moves.data(), m, count, sums.data());
    for (int64_t k = 0; k < count; ++k) std::copy_n(&sums[k * m], m, out + (k * leaves.leaves() + g) * m);
  }
}

void integrate_leaves(const LeafRows& leaves, const double* own, const LeafLines& lines, const LeafSums& out) {
  const int64_t m = lines.m, count = lines.nodes, size = leaves.leaves();
  std::vector<double> at(leaves.largest() * m), moves(leaves.largest()), sums(count * m), base(m);
  std::vector<double> most(m), mass(m), mean(m), variance(m);
  for (int64_t g = 0; g < size; ++g) {
    const Responses y = leaves.of(g, own);
    const int64_t* const rows = leaves.rows(g);
    const double* const corner = lines.corner + g * m;
    const double edge = lines.edge[g], r = lines.r[g];
    gather(lines.eta, rows, y.n, m, at.data());
    log_likelihoods(y, at.data(), m, base.data());
    for (int64_t j = 0; j < y.n; ++j) {
      const double push = lines.push[rows[j]];
      moves[j] = push * edge;
      for (int64_t c = 0; c < m; ++c) at[j * m + c] += push * corner[c];
    }
    log_likelihoods_along(y, at.data(), moves.data(), m, count, sums.data());
    for (int64_t k = 0; k < count; ++k) {
      double* const height = &sums[k * m];
      for (int64_t c = 0; c < m; ++c) {
        const double t = corner[c] + static_cast<double>(k) * edge;
        height[c] -= 0.5 * r * t * t;
        most[c] = k == 0 || height[c] > most[c] ? height[c] : most[c];
      }
      std::copy_n(height, m, out.heights + (k * size + g) * m);
    }
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t c = 0; c < m; ++c) sums[k * m + c] -= most[c];
    }
    for (double& height : sums) height = exp_negative(height);
    std::fill(mass.begin(), mass.end(), 0.0);
    std::fill(mean.begin(), mean.end(), 0.0);
    std::fill(variance.begin(), variance.end(), 0.0);
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t c = 0; c < m; ++c) {
        mass[c] += sums[k * m + c];
        mean[c] += static_cast<double>(k) * sums[k * m + c];
      }
    }
    for (int64_t c = 0; c < m; ++c) mean[c] /= mass[c];
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t c = 0; c < m; ++c) {
        const double away = static_cast<double>(k) - mean[c];
        variance[c] += away * away * sums[k * m + c];
      }
    }
    for (int64_t c = 0; c < m; ++c) {
      out.log_integral[g * m + c] = most[c] + std::log(mass[c] * edge) - base[c];
      out.mean[g * m + c] = corner[c] + edge * mean[c];
      out.variance[g * m + c] = edge * edge * variance[c] / mass[c];
    }
  }
}

void draw_along(const LeafDraws& problem, double* out) {
  const int64_t m = problem.m, draws = problem.draws;
  std::vector<std::vector<int64_t>> takers(m);
  for (int64_t c = 0; c < draws; ++c) takers[problem.chosen[c]].push_back(c);
  Line line(problem.nodes, problem.finer);
  for (int64_t g = 0; g < problem.leaves; ++g) {
    for (int64_t c = 0; c < m; ++c) {
      if (takers[c].empty()) continue;
      line.take(problem.heights + g * m + c, problem.leaves * m);
      for (const int64_t taker : takers[c]) {
        out[g * draws + taker] = line.inverse(problem.uniform[g * draws + taker]);
      }
    }
  }
}

}  // namespace lgm
