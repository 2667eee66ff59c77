#include "lattices.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "exponential.h"

namespace lgm {
namespace {

// Numbers in pairs, as vector instructions take them: what is odd would be a slow one by itself.
int64_t even(int64_t count) { return count + count % 2; }

// Densities along lines: their logs, padded by one node on each side, and what lies below each node.
class Lines {
 public:
  Lines(int64_t nodes, int64_t lines, int64_t finer)
      : nodes_(nodes), finer_(finer), height_(lines * (nodes + 2)), at_(even(lines * nodes)),
        middle_(even(lines * nodes)), below_(lines * nodes), density_(even(finer + 1)), mass_(finer + 1) {}

  // Line c of a leaf is heights[k * stride + c].
  void take(const double* heights, int64_t stride, int64_t lines) {
    for (int64_t c = 0; c < lines; ++c) {
      double* const h = &height_[c * (nodes_ + 2) + 1];
      double most = heights[c];
      for (int64_t k = 0; k < nodes_; ++k) most = std::max(most, heights[k * stride + c]);
      for (int64_t k = 0; k < nodes_; ++k) h[k] = at_[c * nodes_ + k] = heights[k * stride + c] - most;
      h[-1] = 2.0 * h[0] - h[1];
      h[nodes_] = 2.0 * h[nodes_ - 1] - h[nodes_ - 2];
      for (int64_t k = 0; k + 1 < nodes_; ++k) {
        middle_[c * nodes_ + k] = (9.0 * (h[k] + h[k + 1]) - h[k - 1] - h[k + 2]) / 16.0;
      }
      middle_[(c + 1) * nodes_ - 1] = 0.0;  // there is no cell beyond the last node
    }
    for (double& height : at_) height = exp_negative(height);
    for (double& height : middle_) height = bounded(height);
    for (int64_t c = 0; c < lines; ++c) {
      const double* const at = &at_[c * nodes_];
      const double* const middle = &middle_[c * nodes_];
      double* const below = &below_[c * nodes_];
      below[0] = 0.0;
      for (int64_t k = 0; k + 1 < nodes_; ++k) below[k + 1] = below[k] + (at[k] + 4.0 * middle[k] + at[k + 1]);
    }
  }

  // The place on a line below which the density has this share.
  double inverse(int64_t line, double uniform) {
    const double* const below = &below_[line * nodes_];
    const double wanted = uniform * below[nodes_ - 1];
    if (!std::isfinite(wanted)) return std::numeric_limits<double>::quiet_NaN();
    const int64_t cell = std::lower_bound(below + 1, below + nodes_ - 1, wanted) - (below + 1);
    const double share = (wanted - below[cell]) / (below[cell + 1] - below[cell]);
    return static_cast<double>(cell) + inside(&height_[line * (nodes_ + 2) + cell], share);
  }

 private:
  // The exponential of what a cubic says: between nodes it may be somewhat above them.
  static double bounded(double height) { return exp_within(std::min(std::max(height, -kFarthest), kFarthest)); }

  static constexpr double kFarthest = 700.0;

  // Where in a cell (0 to 1) this share of its mass lies.
  double inside(const double* around, double share) {
    const double a = around[0], b = around[1], c = around[2], d = around[3], most = std::max(b, c);
    const double first = 0.5 * (c - a), second = 0.5 * (2.0 * a - 5.0 * b + 4.0 * c - d);
    const double third = 0.5 * (3.0 * (b - c) + d - a), part = 1.0 / static_cast<double>(finer_);
    for (size_t i = 0; i < density_.size(); ++i) {
      const double x = static_cast<double>(static_cast<int32_t>(i)) * part;
      density_[i] = bounded((b - most) + x * (first + x * (second + x * third)));
    }
    mass_[0] = 0.0;
    for (int64_t i = 0; i < finer_; ++i) mass_[i + 1] = mass_[i] + 0.5 * (density_[i] + density_[i + 1]);
    const double wanted = share * mass_[finer_];
    const int64_t before = std::lower_bound(&mass_[1], &mass_[finer_], wanted) - &mass_[1];
    const double along = (wanted - mass_[before]) / (mass_[before + 1] - mass_[before]);
    return (static_cast<double>(before) + std::min(std::max(along, 0.0), 1.0)) * part;
  }

  int64_t nodes_, finer_;
  std::vector<double> height_, at_, middle_, below_, density_, mass_;
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
  Lines lines(problem.nodes, m, problem.finer);
  for (int64_t g = 0; g < problem.leaves; ++g) {
    lines.take(problem.heights + g * m, problem.leaves * m, m);
    for (int64_t c = 0; c < draws; ++c) {
      out[g * draws + c] = lines.inverse(problem.chosen[c], problem.uniform[g * draws + c]);
    }
  }
}

}  // namespace lgm
