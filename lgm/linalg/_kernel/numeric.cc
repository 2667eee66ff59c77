#include "numeric.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "worker.h"

namespace lgm {
namespace {

template <class T>
class Factorisation {
 public:
  Factorisation(const Symbolic& symbolic, Workspace<T>& workspace) : sym_(symbolic), work_(workspace) {}

  // Vectors y are n x k in factor order and the landing places, rows contiguous, and change in place; k may be 0.

  template <class Value>
  Outcome factor(const Value& value, T* y, int32_t k);
  void solve_lower(T* y, int32_t k);  // (L D)^-1 y
  void solve_upper(T* y, int32_t k);
  // Standard normals to those for which L^-T gives draws: see below.
  void constrain(T* y, int32_t k);
  // Overwrites the factor.
  template <class Emit>
  void invert(const Emit& emit, T* y, int32_t k);

 private:
  Worker<T> worker(int64_t member = 0) { return {sym_, work_, member}; }
  // body(worker, i, task) on every task.
  template <class Body>
  void for_tasks(const Body& body) {
    work_.team().for_each(static_cast<int64_t>(sym_.tasks.size()), [&](int64_t i, int64_t member) {
      Worker<T> one = worker(member);
      body(one, i, sym_.tasks[i]);
    });
  }
  void leave_places(T* y, int32_t k);
  void take_up_places(T* y, int32_t k);

  const Symbolic& sym_;
  Workspace<T>& work_;
};

template <class T>
void Factorisation<T>::leave_places(T* y, int32_t k) {
  std::fill_n(y + static_cast<int64_t>(sym_.n) * k, sym_.beyond.size() * k, T(0.0));
}

template <class T>
void Factorisation<T>::take_up_places(T* y, int32_t k) {
  const T* const places = y + static_cast<int64_t>(sym_.n) * k;
  for_rows(sym_.beyond.data(), static_cast<int32_t>(sym_.beyond.size()), k,
           [=](int64_t row, int32_t c, int64_t i) { y[row * k + c] += places[i]; });
}

// What fails is what fails first in the order of the fronts, whoever comes there first.
template <class T>
template <class Value>
Outcome Factorisation<T>::factor(const Value& value, T* y, int32_t k) {
  struct Part {
    LogProduct diagonal;
    int32_t failed = 0;
  };
  std::vector<Part> parts(sym_.tasks.size());
  leave_places(y, k);
  for_tasks([&](Worker<T>& one, int64_t i, const Task& task) {
    Part part;  // a neighbour in memory may be another thread's
    for (int32_t s = task.begin; s < task.end && !part.failed; ++s) {
      if (!sym_.fronts[s].is_leaf) part.failed = one.eliminate(s, value, part.diagonal, y, k);
    }
    parts[i] = part;
  });
  take_up_places(y, k);
  LogProduct diagonal;
  double logdet = 0.0;
  int32_t failed = 0;
  for (Part& part : parts) {
    logdet += part.diagonal.log();
    if (part.failed && (!failed || part.failed < failed)) failed = part.failed;
  }
  Worker<T> one = worker();
  for (const int32_t s : sym_.top) {
    if (failed && failed <= sym_.fronts[s].first) break;
    if (const int32_t here = one.eliminate(s, value, diagonal, y, k)) {
      failed = here;
      break;
    }
  }
  if (failed) return {std::numeric_limits<double>::quiet_NaN(), sym_.order[failed - 1] + 1};
  return {2.0 * (logdet + diagonal.log()), 0};
}

template <class T>
void Factorisation<T>::solve_lower(T* y, int32_t k) {
  leave_places(y, k);
  for_tasks([&](Worker<T>& one, int64_t, const Task& task) {
    for (int32_t s = task.begin; s < task.end; ++s) one.forward(sym_.fronts[s], y, k);
  });
  take_up_places(y, k);
  Worker<T> one = worker();
  for (const int32_t s : sym_.top) {
    for (int32_t c = s - sym_.fronts[s].leaves; c <= s; ++c) one.forward(sym_.fronts[c], y, k);
  }
}

template <class T>
void Factorisation<T>::solve_upper(T* y, int32_t k) {
  Worker<T> one = worker();
  for (auto s = sym_.top.rbegin(); s != sym_.top.rend(); ++s) {
    for (int32_t c = *s; c >= *s - sym_.fronts[*s].leaves; --c) one.backward(sym_.fronts[c], y, k);
  }
  for_tasks([&](Worker<T>& one, int64_t, const Task& task) {
    for (int32_t s = task.end - 1; s >= task.begin; --s) one.backward(sym_.fronts[s], y, k);
  });
}

template <class T>
template <class Emit>
void Factorisation<T>::invert(const Emit& emit, T* y, int32_t k) {
  Worker<T> one = worker();
  for (auto s = sym_.top.rbegin(); s != sym_.top.rend(); ++s) one.invert(*s, emit, y, k);
  for_tasks([&](Worker<T>& one, int64_t, const Task& task) {
    for (int32_t s = task.end - 1; s >= task.begin; --s) {
      if (!sym_.fronts[s].is_leaf) one.invert(s, emit, y, k);
    }
  });
}

// With multipliers among the rows, Q = [H C'; C 0], draws of the other rows shall have the covariance that Q^-1 has
// there, and C x = 0. They are those of x = L^-T w where w is standard normal on positive pivots and makes the rows of
// L D w at the multipliers zero: L_+ and L_- being these rows of L by the sign of the pivots, w_- = G w_+, G = L_-^-1
// L_+. As the block of Q there is zero, L_+ L_+' = L_- L_-', so G G' = I: w_- takes out of w_+ the directions that C
// removes.
template <class T>
void Factorisation<T>::constrain(T* y, int32_t k) {
  if (sym_.negative.empty()) return;
  for (int32_t i = 0; i < sym_.n; ++i) {
    if (sym_.negative[i]) std::fill_n(y + static_cast<int64_t>(i) * k, k, T(0.0));
  }
  for (const Front& f : sym_.fronts) {
    T* const pivots = y + static_cast<int64_t>(f.first) * k;
    const T* const p = work_.panels() + f.panel;
    const int32_t* const rows = sym_.rows.data() + f.rows;
    for (int32_t j = 0; j < f.columns; ++j) {
      const T* const l = p + static_cast<int64_t>(j) * f.height();
      T* const from = pivots + static_cast<int64_t>(j) * k;
      if (f.negative) {
        for (int32_t c = 0; c < k; ++c) from[c] /= l[j];
        for (int32_t i = j + 1; i < f.columns; ++i) loops::add(k, pivots + static_cast<int64_t>(i) * k, from, -l[i]);
      }
      for (int32_t i = 0; i < f.below; ++i) {
        if (!sym_.negative[rows[i]]) continue;
        loops::add(k, y + static_cast<int64_t>(rows[i]) * k, from, T(sign(f)) * l[f.columns + i]);
      }
    }
  }
}

// A strip of a matrix of vectors: columns begin .. begin + count - 1.
struct Strip {
  int32_t begin = 0;
  int32_t count = 0;
};

// Vectors on their way between the caller's order and factor order.
class Shuttle {
 public:
  Shuttle(const Symbolic& symbolic, Workspace<double>& workspace) : symbolic_(symbolic), workspace_(workspace) {}

  // The strip in factor order, in the workspace.
  double* bring(ConstVectors in, Strip strip) {
    double* const y = workspace_.vectors(strip.count);
    const double* const from = in.data + strip.begin;
    const int64_t stride = in.columns;
    for_rows(symbolic_.order.data(), symbolic_.n, strip.count,
             [=](int64_t row, int32_t c, int64_t i) { y[i] = from[row * stride + c]; });
    return y;
  }

  void take_back(const double* y, double* out, int64_t stride, Strip strip) {
    double* const to = out + strip.begin;
    for_rows(symbolic_.order.data(), symbolic_.n, strip.count,
             [=](int64_t row, int32_t c, int64_t i) { to[row * stride + c] = y[i]; });
  }

  // `sweep(y, k)` on every strip from column `begin` on.
  template <class Sweep>
  void all(ConstVectors in, double* out, int32_t begin, const Sweep& sweep) {
    for (; begin < in.columns; begin += kMostColumns) {
      const Strip strip{begin, std::min(kMostColumns, in.columns - begin)};
      double* const y = bring(in, strip);
      sweep(y, strip.count);
      take_back(y, out, in.columns, strip);
    }
  }

 private:
  const Symbolic& symbolic_;
  Workspace<double>& workspace_;
};

void fill_nan(double* out, int64_t count) { std::fill_n(out, count, std::numeric_limits<double>::quiet_NaN()); }

}  // namespace

Outcome factor_solve(const Symbolic& symbolic, Workspace<double>& workspace, const double* values, ConstVectors rhs,
                     double* x, ConstVectors normals, double* draws) {
  Factorisation<double> factorisation(symbolic, workspace);
  Shuttle shuttle(symbolic, workspace);
  const Strip first{0, std::min(kMostColumns, rhs.columns)};
  double* const y = shuttle.bring(rhs, first);
  const Outcome outcome = factorisation.factor([=](int32_t e) { return values[e]; }, y, first.count);
  if (outcome.info) {
    fill_nan(x, static_cast<int64_t>(symbolic.n) * rhs.columns);
    fill_nan(draws, static_cast<int64_t>(symbolic.n) * normals.columns);
    return outcome;
  }
  if (first.count > 0) {
    factorisation.solve_upper(y, first.count);
    shuttle.take_back(y, x, rhs.columns, first);
  }
  shuttle.all(rhs, x, first.count, [&](double* z, int32_t k) {
    factorisation.solve_lower(z, k);
    factorisation.solve_upper(z, k);
  });
  shuttle.all(normals, draws, 0, [&](double* z, int32_t k) {
    factorisation.constrain(z, k);
    factorisation.solve_upper(z, k);
  });
  return outcome;
}

void solve_again(const Symbolic& symbolic, Workspace<double>& workspace, ConstVectors rhs, double* x) {
  Factorisation<double> factorisation(symbolic, workspace);
  Shuttle(symbolic, workspace).all(rhs, x, 0, [&](double* z, int32_t k) {
    factorisation.solve_lower(z, k);
    factorisation.solve_upper(z, k);
  });
}

void sample_again(const Symbolic& symbolic, Workspace<double>& workspace, ConstVectors normals, double* draws) {
  Factorisation<double> factorisation(symbolic, workspace);
  Shuttle(symbolic, workspace).all(normals, draws, 0, [&](double* z, int32_t k) {
    factorisation.constrain(z, k);
    factorisation.solve_upper(z, k);
  });
}

void invert_again(const Symbolic& symbolic, Workspace<double>& workspace, double* selected) {
  Factorisation<double> factorisation(symbolic, workspace);
  factorisation.invert([=](int32_t e, double z) { selected[e] = z; }, nullptr, 0);
}

Outcome factor_solve_invert(const Symbolic& symbolic, Workspace<double>& workspace, const double* values,
                            ConstVectors rhs, double* x, double* selected) {
  Factorisation<double> factorisation(symbolic, workspace);
  Shuttle shuttle(symbolic, workspace);
  // Up to one strip goes along with the factor and with the inverse; more are solved between the two.
  const bool along = rhs.columns <= kMostColumns;
  const Strip strip{0, along ? rhs.columns : 0};
  double* const y = shuttle.bring(rhs, strip);
  const Outcome outcome = factorisation.factor([=](int32_t e) { return values[e]; }, y, strip.count);
  if (outcome.info) {
    fill_nan(x, static_cast<int64_t>(symbolic.n) * rhs.columns);
    fill_nan(selected, symbolic.nnz);
    return outcome;
  }
  shuttle.all(rhs, x, strip.count, [&](double* z, int32_t k) {
    factorisation.solve_lower(z, k);
    factorisation.solve_upper(z, k);
  });
  factorisation.invert([=](int32_t e, double z) { selected[e] = z; }, y, strip.count);
  if (along) shuttle.take_back(y, x, rhs.columns, strip);
  return outcome;
}

Outcome selected_inverse_tangent(const Symbolic& symbolic, Workspace<Dual>& workspace, const double* values,
                                 const double* direction, double* tangent) {
  Factorisation<Dual> factorisation(symbolic, workspace);
  const auto value = [=](int32_t e) { return Dual(values[e], direction[e]); };
  const Outcome outcome = factorisation.factor(value, nullptr, 0);
  if (outcome.info) {
    fill_nan(tangent, symbolic.nnz);
  } else {
    factorisation.invert([=](int32_t e, const Dual& z) { tangent[e] = z.slope; }, nullptr, 0);
  }
  return outcome;
}

}  // namespace lgm
