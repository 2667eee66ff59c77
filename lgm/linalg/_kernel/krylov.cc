#include "krylov.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "blas.h"

namespace lgm {
namespace {

using Row = std::array<double, kWide>;

Row dots(const Wide& x, const Wide& y) {
  Row out{};
  for (size_t i = 0; i < x.size(); i += kWide) {
    for (int64_t c = 0; c < kWide; ++c) out[c] += x[i + c] * y[i + c];
  }
  return out;
}

void add(Wide& to, const Row& factor, const Wide& from) {
  for (size_t i = 0; i < to.size(); i += kWide) {
    for (int64_t c = 0; c < kWide; ++c) to[i + c] += factor[c] * from[i + c];
  }
}

}  // namespace

Krylov::Krylov(const Reduced& reduced, const Wide& z, int64_t wanted, double tolerance, int64_t most)
    : reduced_(reduced) {
  const Row square = dots(z, z);
  Row pivot{}, last{};  // of T's factor L D L' so far, and the last entry of T^-1 e1
  std::array<bool, kWide> done{};
  for (int64_t c = 0; c < kWide; ++c) {
    norm_[c] = std::sqrt(square[c]);
    done[c] = c >= wanted || norm_[c] == 0.0;
  }
  Wide v(z.size()), next(z.size());
  for (size_t i = 0; i < z.size(); i += kWide) {
    for (int64_t c = 0; c < kWide; ++c) v[i + c] = norm_[c] > 0.0 ? z[i + c] / norm_[c] : 0.0;
  }
  for (int64_t k = 0; !std::all_of(done.begin(), done.end(), [](bool each) { return each; }); ++k) {
    if (k == most) {
      ended_ = Ended::kNotConverged;
      return;
    }
    basis_.push_back(v);
    reduced.apply(v, next);
    diagonal_.push_back(dots(v, next));
    for (const Wide& before : basis_) {  // and what rounding leaves of all that came before
      Row away = dots(before, next);
      for (double& each : away) each = -each;
      add(next, away, before);
    }
    const Row left = dots(next, next);
    Row beside{};
    for (int64_t c = 0; c < kWide; ++c) {
      const double own = diagonal_[k][c];
      if (!done[c]) {
        pivot[c] = k ? own - beside_[k - 1][c] * beside_[k - 1][c] / pivot[c] : own;
        if (!(pivot[c] > 0.0) || !std::isfinite(left[c])) {
          ended_ = Ended::kNotPositive;
          return;
        }
        last[c] = k ? -last[c] * beside_[k - 1][c] / pivot[c] : 1.0 / pivot[c];
        steps_[c] = k + 1;
        done[c] = std::sqrt(left[c]) * std::abs(last[c]) <= tolerance;
      }
      beside[c] = done[c] ? 0.0 : std::sqrt(left[c]);
    }
    beside_.push_back(beside);
    for (size_t i = 0; i < v.size(); i += kWide) {
      for (int64_t c = 0; c < kWide; ++c) v[i + c] = beside[c] > 0.0 ? next[i + c] / beside[c] : 0.0;
    }
  }
}

Krylov::Spectrum Krylov::spectrum(int64_t c) const {
  const int64_t k = steps_[c];
  Spectrum found;
  std::vector<double> beside(k), work(2 * k);
  found.values.resize(k);
  found.vectors.resize(k * k);
  for (int64_t i = 0; i < k; ++i) {
    found.values[i] = diagonal_[i][c];
    beside[i] = i + 1 < k ? beside_[i][c] : 0.0;
  }
  const bool converged =
      blas::stev(static_cast<int32_t>(k), found.values.data(), beside.data(), found.vectors.data(), work.data());
  if (!converged) std::fill(found.values.begin(), found.values.end(), std::numeric_limits<double>::quiet_NaN());
  found.first.resize(k);
  for (int64_t a = 0; a < k; ++a) found.first[a] = found.vectors[a * k];
  return found;
}

double Krylov::log_form(int64_t c) const {
  if (steps_[c] == 0) return 0.0;
  const Spectrum found = spectrum(c);
  double sum = 0.0;
  for (size_t a = 0; a < found.values.size(); ++a) sum += found.first[a] * found.first[a] * std::log(found.values[a]);
  return norm_[c] * norm_[c] * sum;
}

// In the basis of eigenvectors the derivative of e1'log(T) e1 has the entries q_a q_b (log l_a - log l_b) / (l_a - l_b),
// a matrix that is positive semidefinite, since the logarithm is operator monotone, and of small numerical rank.
void Krylov::log_slopes(int64_t c, std::vector<std::vector<double>>& out) const {
  const int64_t k = steps_[c];
  if (k == 0) return;
  const Spectrum found = spectrum(c);
  std::vector<double> g(k * k);
  for (int64_t a = 0; a < k; ++a) {
    for (int64_t b = 0; b < k; ++b) {
      const double one = found.values[a], other = found.values[b], away = (one - other) / other;
      const double ratio = away == 0.0 ? 1.0 / other : std::log1p(away) / (away * other);
      g[a * k + b] = norm_[c] * norm_[c] * found.first[a] * found.first[b] * ratio;
    }
  }
  double whole = 0.0;
  for (int64_t a = 0; a < k; ++a) whole += g[a * k + a];
  const int64_t rest = reduced_.arrow().rest;
  std::vector<double> column(k), mixed(k);
  for (int64_t l = 0; l < k; ++l) {  // Cholesky with pivots, until nothing is left
    int64_t top = 0;
    for (int64_t a = 1; a < k; ++a) {
      if (g[a * k + a] > g[top * k + top]) top = a;
    }
    const double pivot = g[top * k + top];
    if (!(pivot > 1e-15 * whole)) break;
    for (int64_t a = 0; a < k; ++a) column[a] = g[a * k + top] / std::sqrt(pivot);
    for (int64_t a = 0; a < k; ++a) {
      for (int64_t b = 0; b < k; ++b) g[a * k + b] -= column[a] * column[b];
    }
    for (int64_t i = 0; i < k; ++i) {
      mixed[i] = 0.0;
      for (int64_t a = 0; a < k; ++a) mixed[i] += found.vectors[a * k + i] * column[a];
    }
    std::vector<double> x(rest, 0.0);
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t r = 0; r < rest; ++r) x[r] += mixed[i] * basis_[i][r * kWide + c];
    }
    out.push_back(std::move(x));
  }
}

Wide Krylov::inverse_root() const {
  Wide out(reduced_.arrow().rest * kWide, 0.0);
  std::vector<Row> mixed(basis_.size(), Row{});
  for (int64_t c = 0; c < kWide; ++c) {
    const int64_t k = steps_[c];
    if (k == 0) continue;
    const Spectrum found = spectrum(c);
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t a = 0; a < k; ++a) {
        mixed[i][c] += norm_[c] * found.vectors[a * k + i] * found.first[a] / std::sqrt(found.values[a]);
      }
    }
  }
  for (size_t i = 0; i < basis_.size(); ++i) add(out, mixed[i], basis_[i]);
  return out;
}

Ended solve(const Reduced& reduced, const Wide& b, int64_t wanted, double tolerance, int64_t most, Wide& x) {
  x.assign(b.size(), 0.0);
  Wide r = b, p = b, t(b.size());
  const Row whole = dots(b, b);
  Row square = whole;
  const auto open = [&](int64_t c) { return c < wanted && square[c] > tolerance * tolerance * whole[c]; };
  for (int64_t k = 0; k <= most; ++k) {
    bool any = false;
    for (int64_t c = 0; c < kWide; ++c) any = any || open(c);
    if (!any) {
      const bool finite = std::all_of(square.begin(), square.end(), [](double each) { return std::isfinite(each); });
      return finite ? Ended::kWell : Ended::kNotPositive;
    }
    reduced.apply(p, t);
    const Row curve = dots(p, t);
    Row step{}, minus{}, turn{};
    for (int64_t c = 0; c < kWide; ++c) {
      if (!open(c)) continue;
      if (!(curve[c] > 0.0) || !std::isfinite(curve[c])) return Ended::kNotPositive;
      step[c] = square[c] / curve[c];
      minus[c] = -step[c];
    }
    add(x, step, p);
    add(r, minus, t);
    const Row left = dots(r, r);
    for (int64_t c = 0; c < kWide; ++c) {
      turn[c] = square[c] > 0.0 ? left[c] / square[c] : 0.0;
      square[c] = left[c];
    }
    for (size_t i = 0; i < p.size(); i += kWide) {
      for (int64_t c = 0; c < kWide; ++c) p[i + c] = r[i + c] + turn[c] * p[i + c];
    }
  }
  return Ended::kNotConverged;
}

}  // namespace lgm
