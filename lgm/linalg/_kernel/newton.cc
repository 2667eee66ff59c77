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

// Positive definite matrices of the order of the constraints, row by row.
class Small {
 public:
  // Its Cholesky factor, from the lower triangle; false if there is none.
  bool factor(int32_t n, std::vector<double> a) {
    n_ = n;
    l_ = std::move(a);
    logdet_ = 0.0;
    for (int32_t j = 0; j < n; ++j) {
      for (int32_t i = j; i < n; ++i) {
        double sum = l_[i * n + j];
        for (int32_t p = 0; p < j; ++p) sum -= l_[i * n + p] * l_[j * n + p];
        if (i == j && !(sum > 0.0 && sum < HUGE_VAL)) return false;
        l_[i * n + j] = i == j ? std::sqrt(sum) : sum / l_[j * n + j];
      }
      logdet_ += 2.0 * std::log(l_[j * n + j]);
    }
    return true;
  }
  void solve(double* x) const {
    for (int32_t i = 0; i < n_; ++i) {
      for (int32_t p = 0; p < i; ++p) x[i] -= l_[i * n_ + p] * x[p];
      x[i] /= l_[i * n_ + i];
    }
    for (int32_t i = n_ - 1; i >= 0; --i) {
      for (int32_t p = i + 1; p < n_; ++p) x[i] -= l_[p * n_ + i] * x[p];
      x[i] /= l_[i * n_ + i];
    }
  }
  double logdet() const { return logdet_; }

 private:
  int32_t n_ = 0;
  std::vector<double> l_;
  double logdet_ = 0.0;
};

// Conditioning on C v = 0 and removal of the anchors, from H^-1 K.
class Kriging {
 public:
  bool condition(int32_t n, int32_t k, const double* krige, const double* kappa, std::vector<double> solved) {
    n_ = n, k_ = k, krige_ = krige, kappa_ = kappa;
    solved_ = std::move(solved);
    if (k == 0) return true;
    const int32_t wide = 2 * k;
    std::vector<double> gram(static_cast<size_t>(wide) * wide, 0.0);
    for (int64_t i = 0; i < n; ++i) {
      for (int32_t a = 0; a < wide; ++a) {
        const double x = krige[i * wide + a];
        if (x == 0.0) continue;
        for (int32_t b = 0; b < wide; ++b) gram[a * wide + b] += x * solved_[i * wide + b];
      }
    }
    std::vector<double> p(static_cast<size_t>(k) * k), s(p.size());
    cross_.assign(p.size(), 0.0);
    for (int32_t i = 0; i < k; ++i) {
      for (int32_t j = 0; j < k; ++j) {
        p[i * k + j] = gram[(k + i) * wide + k + j];
        cross_[i * k + j] = gram[(k + i) * wide + j];
      }
    }
    if (!p_.factor(k, std::move(p))) return false;
    std::vector<double> column(k);
    for (int32_t j = 0; j < k; ++j) {
      for (int32_t i = 0; i < k; ++i) column[i] = cross_[i * k + j];
      p_.solve(column.data());
      for (int32_t i = 0; i < k; ++i) {
        double sum = (i == j ? 1.0 / kappa[i] : 0.0) - gram[i * wide + j];
        for (int32_t q = 0; q < k; ++q) sum += cross_[q * k + i] * column[q];
        s[i * k + j] = sum;
      }
    }
    if (!s_.factor(k, std::move(s))) return false;
    logdet_ = p_.logdet() + s_.logdet();
    for (int32_t j = 0; j < k; ++j) logdet_ += std::log(kappa[j]);
    return true;
  }

  // M^-1 g (2k) in place.
  void weigh(double* g) const {
    double* const second = g + k_;
    std::vector<double> inner(second, second + k_);
    p_.solve(inner.data());
    for (int32_t i = 0; i < k_; ++i) {
      double sum = g[i];
      for (int32_t q = 0; q < k_; ++q) sum -= cross_[q * k_ + i] * inner[q];
      g[i] = -sum;
    }
    s_.solve(g);
    for (int32_t i = 0; i < k_; ++i) {
      for (int32_t j = 0; j < k_; ++j) second[i] -= cross_[i * k_ + j] * g[j];
    }
    p_.solve(second);
  }

  // x = Ht^-1 b, Ht with the anchors, becomes that of the constrained space, and b what is left of it there: H x.
  void project(double* x, double* b) const {
    if (k_ == 0) return;
    const int32_t wide = 2 * k_;
    std::vector<double> weights(wide, 0.0);
    for (int64_t i = 0; i < n_; ++i) {
      for (int32_t c = 0; c < wide; ++c) weights[c] += krige_[i * wide + c] * x[i];
    }
    weigh(weights.data());
    for (int64_t i = 0; i < n_; ++i) {
      x[i] -= dot(wide, solved_.data() + i * wide, weights.data());
      b[i] -= dot(wide, krige_ + i * wide, weights.data());
    }
    for (int32_t c = 0; c < k_; ++c) {  // that was Ht x
      double at = 0.0;
      for (int64_t i = 0; i < n_; ++i) at += krige_[i * wide + c] * x[i];
      for (int64_t i = 0; i < n_; ++i) b[i] -= krige_[i * wide + c] * kappa_[c] * at;
    }
  }

  // The same of the stored entries of H^-1.
  void project_entries(const Symbolic& symbolic, double* entries) const {
    if (k_ == 0) return;
    const int32_t wide = 2 * k_;
    std::vector<double> weighed = solved_;
    for (int64_t i = 0; i < n_; ++i) weigh(weighed.data() + i * wide);
    for (int32_t j = 0; j < n_; ++j) {
      for (int64_t e = symbolic.pattern_ptr[j]; e < symbolic.pattern_ptr[j + 1]; ++e) {
        entries[e] -= dot(wide, weighed.data() + static_cast<int64_t>(symbolic.pattern_row[e]) * wide,
                          solved_.data() + static_cast<int64_t>(j) * wide);
      }
    }
  }

  double logdet() const { return logdet_; }

 private:
  int32_t n_ = 0, k_ = 0;
  const double *krige_ = nullptr, *kappa_ = nullptr;
  std::vector<double> solved_, cross_;
  Small p_, s_;
  double logdet_ = 0.0;
};

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
    const int32_t k = problem_.constraints;
    // The factor is needed again once the inverse has been made of it.
    const std::unique_ptr<double[]> factor(new double[sym_.panel_size]);
    std::copy_n(work_.panels(), sym_.panel_size, factor.get());
    const std::unique_ptr<double[]> inverse(new double[sym_.nnz]);
    invert_again(sym_, work_, inverse.get());
    std::copy_n(factor.get(), sym_.panel_size, work_.panels());
    if (k > 0) kriging_.project_entries(sym_, inverse.get());

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
    kriging_.project(q, gradient_);
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

  // out = R x, without the anchors.
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
    const int32_t wide = 2 * problem_.constraints;
    for (int32_t c = 0; c < problem_.constraints; ++c) {
      double at = 0.0;
      for (int64_t i = 0; i < d_; ++i) at += problem_.krige[i * wide + c] * x[i];
      for (int64_t i = 0; i < d_; ++i) out[i] -= problem_.krige[i * wide + c] * problem_.kappa[c] * at;
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
    kriging_.project(step_, gradient_);  // without the multipliers of the constraints, beside which it is small
    mode_.gain = dot(d_, step_, gradient_);
    return std::isfinite(mode_.gain);
  }

  bool factor() {
    std::copy_n(problem_.values, sym_.nnz, h_);
    add_gram(rows_, curvature_, 1.0, h_);
    const int32_t wide = 2 * problem_.constraints, k = 1 + wide;
    ++mode_.factorisations;
    Outcome outcome;
    std::vector<double> solved_krige;
    if (wide == 0) {
      outcome = factor_solve(sym_, work_, h_, {gradient_, 1}, step_, {nullptr, 0}, nullptr);
    } else {
      std::vector<double> rhs(static_cast<size_t>(d_) * k), x(rhs.size());
      for (int64_t i = 0; i < d_; ++i) {
        rhs[i * k] = gradient_[i];
        std::copy_n(problem_.krige + i * wide, wide, rhs.data() + i * k + 1);
      }
      outcome = factor_solve(sym_, work_, h_, {rhs.data(), k}, x.data(), {nullptr, 0}, nullptr);
      solved_krige.resize(static_cast<size_t>(d_) * wide);
      for (int64_t i = 0; i < d_; ++i) {
        step_[i] = x[i * k];
        std::copy_n(x.data() + i * k + 1, wide, solved_krige.data() + i * wide);
      }
    }
    if (outcome.info ||
        !kriging_.condition(d_, problem_.constraints, problem_.krige, problem_.kappa, std::move(solved_krige))) {
      return false;
    }
    mode_.logdet = outcome.logdet + kriging_.logdet();
    return true;
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
  Kriging kriging_;
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
