#include "newton.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

namespace lgm {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

constexpr int32_t kMostSteps = 60;  // of both kinds
constexpr int32_t kMostFactorisations = 30;
constexpr int32_t kHalvings = 12;

// With g the gain, the mode is off by a step of length sqrt(g) in the metric of H, and so is, in its order, log|H|.
constexpr double kAtTheMode = 1e-18;
constexpr double kFound = 1e-6;        // a search that stalls further off has failed
constexpr double kHeldBelow = 0.05;    // gains from which the factor is held for the steps that follow
constexpr double kHeldWhile = 0.1;     // the gain falls at least by this factor
constexpr double kRoundingGain = 1e-8; // below, differences of J may be rounding

constexpr int64_t kTogether = 128;  // rows whose linear predictors at pairs are there at once

double dot(int64_t n, const double* x, const double* y) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

void add(int64_t n, double a, const double* x, double* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

class Search {
 public:
  Search(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem, double* v)
      : sym_(symbolic), work_(workspace), problem_(problem), d_(symbolic.n), n_(problem.rows.n), v_(v) {
    const int64_t entries = problem.rows.starts[n_];
    memory_.reset(new double[entries + symbolic.nnz + 7 * n_ + 4 * static_cast<int64_t>(d_)]);
    double* next = memory_.get();
    const auto take = [&](int64_t count) {
      double* const out = next;
      next += count;
      return out;
    };
    double* const scaled = take(entries);
    for (int64_t j = 0; j < entries; ++j) scaled[j] = problem.rows.data[j] * problem.scale[problem.rows.columns[j]];
    rows_ = problem.rows;
    rows_.data = scaled;
    h_ = take(symbolic.nnz);
    for (double** array : {&eta_, &slope_, &curvature_, &eta_step_, &eta_new_, &slope_new_, &curvature_new_}) {
      *array = take(n_);
    }
    for (double** array : {&pulled_, &gradient_, &step_, &prior_step_}) *array = take(d_);
  }

  // From the start, or where that leads nowhere from zero.
  Mode run() {
    const bool at_zero = std::all_of(v_, v_ + d_, [](double x) { return x == 0.0; });
    bool found = climb();
    if (!found && !at_zero) {
      std::fill_n(v_, d_, 0.0);
      mode_ = Mode();
      found = climb();
    }
    if (!found) return failed();
    mode_.joint = joint_ + constants(problem_.responses);
    return mode_;
  }

  void slopes(const Slopes& out) {
    const std::unique_ptr<double[]> inverse = inverted();
    std::copy_n(eta_, n_, out.eta);
    std::fill_n(out.scale, d_, 0.0);
    spread_and_scale(inverse.get(), out);
    double *const inner = eta_new_, *const q = out.shift;
    shift_mean(out.spread, inner, q, out.lean);

    double* const bar = slope_new_;
    for (int64_t i = 0; i < n_; ++i) bar[i] = slope_[i] + inner[i] - out.lean[i] * curvature_[i];
    transposed_times(problem_.rows, bar, 1, d_, gradient_);
    transposed_times(problem_.rows, slope_, 1, d_, prior_step_);
    for (int32_t i = 0; i < d_; ++i) out.scale[i] += v_[i] * gradient_[i] + q[i] * prior_step_[i];
    for (int32_t j = 0; j < d_; ++j) {
      for (int64_t e = sym_.pattern_ptr[j]; e < sym_.pattern_ptr[j + 1]; ++e) {
        const int32_t i = sym_.pattern_row[e];
        const double both = i == j ? -0.5 : -1.0;
        out.values[e] = both * (v_[i] * v_[j] + inverse[e] + q[i] * v_[j] + v_[i] * q[j]);
      }
    }
  }

  void pairs(const Pairs& out) {
    const int32_t m = out.normals.columns;
    sample_again(sym_, work_, out.normals, out.drawn);
    quadratic(rows_, inverted().get(), 2.0, out.spread);
    double *const lean = slope_new_, *const centre = eta_new_;
    shift_mean(out.spread, eta_new_, out.shift, lean);
    std::copy_n(eta_, n_, out.eta);
    if (m == 0) return;
    for (int64_t i = 0; i < n_; ++i) centre[i] = eta_[i] + lean[i];

    // x'Rx is in J and in x'Hx with opposite signs: what the prior adds is linear in x.
    multiply_prior(out.shift, prior_step_);
    const double even = dot(d_, pulled_, out.shift) - 0.5 * dot(d_, prior_step_, out.shift) - (joint_ - prior_);
    std::fill_n(out.log_weights, m, 0.0);
    for (int32_t i = 0; i < d_; ++i) add(m, pulled_[i] - prior_step_[i], out.drawn + i * int64_t{m}, out.log_weights);
    for (int32_t c = 0; c < m; ++c) {
      const double odd = out.log_weights[c];
      out.log_weights[c] = even + odd;
      out.log_weights[m + c] = even - odd;
    }
    for (int64_t first = 0; first < n_; first += kTogether) add_heights(first, std::min(kTogether, n_ - first), out);
  }

 private:
  // What some rows add to the log weights of pairs, the mean's linear predictors in `eta_new_`.
  void add_heights(int64_t first, int64_t count, const Pairs& out) {
    const int64_t m = out.normals.columns;
    moved_.resize(count * m);
    both_.resize(count * 2 * m);
    sums_.assign(2 * m, 0.0);
    std::vector<double> half(m, 0.0);
    times({count, rows_.data, rows_.columns, rows_.starts + first, nullptr}, out.drawn, m, moved_.data());
    for (int64_t i = 0; i < count; ++i) {
      const double centre = eta_new_[first + i], w = 0.5 * curvature_[first + i];
      const double* const x = moved_.data() + i * m;
      double* const to = both_.data() + i * 2 * m;
      for (int64_t c = 0; c < m; ++c) {
        to[c] = centre + x[c];
        to[m + c] = centre - x[c];
        half[c] += w * x[c] * x[c];
      }
    }
    log_likelihoods(part_of(problem_.responses, first, count), both_.data(), 2 * m, sums_.data());
    for (int64_t c = 0; c < 2 * m; ++c) out.log_weights[c] += sums_[c] + half[c < m ? c : c - m];
  }

  // The selected inverse, and the factor back in its place.
  std::unique_ptr<double[]> inverted() {
    const std::unique_ptr<double[]> factor(new double[sym_.panel_size]);
    std::copy_n(work_.panels(), sym_.panel_size, factor.get());
    std::unique_ptr<double[]> inverse(new double[sym_.nnz]);
    invert_again(sym_, work_, inverse.get());
    std::copy_n(factor.get(), sym_.panel_size, work_.panels());
    return inverse;
  }

  // From the variances of eta: inner = s l''' / 2 (n), shift = H^-1 D A' inner (d) and lean = A D shift (n).
  void shift_mean(const double* spread, double* inner, double* shift, double* lean) {
    double* const third = eta_step_;
    third_derivatives(problem_.responses, eta_, third);
    for (int64_t i = 0; i < n_; ++i) inner[i] = 0.5 * spread[i] * third[i];
    transposed_times(rows_, inner, 1, d_, gradient_);
    solve_again(sym_, work_, {gradient_, 1}, shift);
    times(rows_, shift, 1, lean);
  }

  // From v; false if it ends at no mode.
  // Steps of Newton's method, and between them steps with the factor held, which cost less and still converge fast
  // near the mode. The last factor is that of the mode itself.
  bool climb() {
    if (!begin()) return false;
    double last_gain = HUGE_VAL, last_full_gain = HUGE_VAL;
    bool held = false;
    while (true) {
      if (!newton_step(held)) return false;
      double& earlier = held ? last_gain : last_full_gain;
      const bool falls = mode_.gain <= kHeldWhile * earlier;
      const bool spent = mode_.steps >= kMostSteps || mode_.factorisations >= kMostFactorisations;
      earlier = last_gain = mode_.gain;
      if (held) {
        held = advance() && falls && mode_.gain > kAtTheMode && !spent;
      } else {
        const bool stalled = !falls && mode_.gain < kFound;
        if (mode_.gain <= kAtTheMode || stalled || spent || !advance()) break;
        held = mode_.gain < kHeldBelow;
      }
    }
    return mode_.gain < kFound;
  }

  // Everything at the starting point; false where the density is not finite there.
  bool begin() {
    times(rows_, v_, 1, eta_);
    for (int64_t i = 0; i < n_; ++i) eta_[i] += problem_.offset[i];
    multiply_prior(v_, pulled_);
    const double quad = dot(d_, v_, pulled_);
    for (int32_t i = 0; i < d_; ++i) pulled_[i] = problem_.pull[i] - pulled_[i];
    prior_ = dot(d_, problem_.pull, v_) - 0.5 * quad;
    joint_ = log_likelihood(problem_.responses, eta_, slope_, curvature_) + prior_;
    return std::isfinite(joint_);
  }

  // out = R x
  void multiply_prior(const double* x, double* out) const {
    std::fill_n(out, d_, 0.0);
    for (int32_t j = 0; j < d_; ++j) {
      int64_t e = sym_.pattern_ptr[j];
      double sum = problem_.values[e] * x[j];
      for (++e; e < sym_.pattern_ptr[j + 1]; ++e) {
        const int32_t i = sym_.pattern_row[e];
        sum += problem_.values[e] * x[i];
        out[i] += problem_.values[e] * x[j];
      }
      out[j] += sum;
    }
  }

  // `step_`, of Newton's method or with the held factor, and its gain.
  bool newton_step(bool held) {
    transposed_times(rows_, slope_, 1, d_, gradient_);
    add(d_, 1.0, pulled_, gradient_);
    if (held) {
      solve_again(sym_, work_, {gradient_, 1}, step_);
    } else if (!factor()) {
      return false;
    }
    mode_.gain = dot(d_, step_, gradient_);
    return std::isfinite(mode_.gain);
  }

  bool factor() {
    std::copy_n(problem_.values, sym_.nnz, h_);
    add_gram(rows_, curvature_, 1.0, h_);
    ++mode_.factorisations;
    const Outcome outcome = factor_solve(sym_, work_, h_, {gradient_, 1}, step_, {nullptr, 0}, nullptr);
    mode_.logdet = outcome.logdet;
    return outcome.info == 0;
  }

  // As far along the step as the density gains by it; false if it does nowhere.
  bool advance() {
    ++mode_.steps;
    times(rows_, step_, 1, eta_step_);
    multiply_prior(step_, prior_step_);
    const double along = dot(d_, pulled_, step_), curvature = dot(d_, prior_step_, step_);
    double furthest = 0.0;
    for (int64_t i = 0; i < n_; ++i) furthest = std::max(furthest, std::abs(eta_step_[i]));
    const double longest = longest_step(problem_.responses.likelihood);
    double size = furthest > longest ? longest / furthest : 1.0;
    for (int32_t halvings = 0; halvings <= kHalvings; ++halvings, size *= 0.5) {
      for (int64_t i = 0; i < n_; ++i) eta_new_[i] = eta_[i] + size * eta_step_[i];
      const double prior = prior_ + size * along - 0.5 * size * size * curvature;
      const double now = log_likelihood(problem_.responses, eta_new_, slope_new_, curvature_new_) + prior;
      const bool rounding = mode_.gain < kRoundingGain && now >= joint_ - 1e-7 * std::abs(joint_);
      if (!(now >= joint_ + 1e-4 * size * mode_.gain) && !rounding) continue;
      joint_ = now;
      prior_ = prior;
      std::swap(eta_, eta_new_);
      std::swap(slope_, slope_new_);
      std::swap(curvature_, curvature_new_);
      add(d_, size, step_, v_);
      add(d_, -size, prior_step_, pulled_);
      return true;
    }
    return false;
  }

  // s_i = a_i' D Z D a_i, and what log|H| says of the scales at fixed W: minus the diagonal of Z D A'WA.
  void spread_and_scale(const double* inverse, const Slopes& out) {
    const Rows& unscaled = problem_.rows;
    const int32_t* place = rows_.pairs;
    std::vector<double> row_times;
    for (int64_t row = 0; row < n_; ++row) {
      const int32_t begin = rows_.starts[row], count = rows_.starts[row + 1] - begin;
      const double* const a = rows_.data + begin;
      row_times.assign(count, 0.0);
      for (int32_t one = 0; one < count; ++one) {
        for (int32_t other = 0; other < one; ++other) {
          const double z = inverse[*place++];
          row_times[one] += z * a[other];
          row_times[other] += z * a[one];
        }
        row_times[one] += inverse[*place++] * a[one];
      }
      out.spread[row] = dot(count, a, row_times.data());
      for (int32_t one = 0; one < count; ++one) {
        const int32_t j = begin + one;
        out.scale[rows_.columns[j]] -= curvature_[row] * unscaled.data[j] * row_times[one];
      }
    }
  }

  Mode failed() {
    std::fill_n(v_, d_, kNaN);
    mode_.joint = mode_.logdet = kNaN;
    return mode_;
  }

  const Symbolic& sym_;
  Workspace<double>& work_;
  const LatentProblem& problem_;
  const int32_t d_;
  const int64_t n_;
  double* const v_;
  std::unique_ptr<double[]> memory_;
  Rows rows_;  // A D
  double *h_, *eta_, *slope_, *curvature_, *eta_step_, *eta_new_, *slope_new_, *curvature_new_;
  double *pulled_, *gradient_, *step_, *prior_step_;
  double joint_ = 0.0;  // J without constants,
  double prior_ = 0.0;  // and the part of it that is the prior's
  Mode mode_;
  std::vector<double> moved_, both_, sums_;  // of some rows and all pairs
};

}  // namespace

Mode find_mode(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem, double* v) {
  return Search(symbolic, workspace, problem, v).run();
}

Mode find_mode_and_slopes(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem,
                          double* v, const Slopes& out) {
  Search search(symbolic, workspace, problem, v);
  const Mode mode = search.run();
  if (std::isfinite(mode.joint)) {
    search.slopes(out);
    return mode;
  }
  std::fill_n(out.values, symbolic.nnz, kNaN);
  for (double* array : {out.scale, out.shift}) std::fill_n(array, symbolic.n, kNaN);
  for (double* array : {out.eta, out.spread, out.lean}) std::fill_n(array, problem.rows.n, kNaN);
  return mode;
}

Mode find_mode_and_pairs(const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem,
                         double* v, const Pairs& out) {
  Search search(symbolic, workspace, problem, v);
  const Mode mode = search.run();
  if (std::isfinite(mode.joint)) {
    search.pairs(out);
    return mode;
  }
  const int64_t m = out.normals.columns;
  for (double* array : {out.eta, out.spread}) std::fill_n(array, problem.rows.n, kNaN);
  std::fill_n(out.shift, symbolic.n, kNaN);
  std::fill_n(out.drawn, symbolic.n * m, kNaN);
  std::fill_n(out.log_weights, 2 * m, kNaN);
  return mode;
}

}  // namespace lgm
