#include "newton.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "numeric.h"

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
    // The factor is needed again once the inverse has been made of it.
    const std::unique_ptr<double[]> factor(new double[sym_.panel_size]);
    std::copy_n(work_.panels(), sym_.panel_size, factor.get());
    const std::unique_ptr<double[]> inverse(new double[sym_.nnz]);
    invert_again(sym_, work_, inverse.get());
    std::copy_n(factor.get(), sym_.panel_size, work_.panels());

    std::copy_n(eta_, n_, out.eta);
    std::fill_n(out.scale, d_, 0.0);
    spread_and_scale(inverse.get(), out);
    double* const third = eta_step_;
    third_derivatives(problem_.responses, eta_, third);
    double* const inner = eta_new_;
    for (int64_t i = 0; i < n_; ++i) inner[i] = 0.5 * out.spread[i] * third[i];
    double* const q = out.shift;
    transposed_times(rows_, inner, 1, d_, gradient_);
    solve_again(sym_, work_, {gradient_, 1}, q);
    times(rows_, q, 1, out.lean);

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

 private:
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

}  // namespace lgm
