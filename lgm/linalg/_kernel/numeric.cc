#include "numeric.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fronts.h"
#include "log_product.h"

namespace lgm {
namespace {

// Visit listed rows of vectors with k columns: body(row, column, position in a list of those rows). One column has a
// loop of its own, as an inner loop of length one would cost more than the work in it.
template <class Body>
void for_rows(const int32_t* rows, int32_t count, int32_t k, const Body& body) {
  if (k == 1) {
    for (int32_t i = 0; i < count; ++i) body(rows[i], 0, i);
    return;
  }
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t c = 0; c < k; ++c) body(rows[i], c, static_cast<int64_t>(i) * k + c);
  }
}

template <class T>
class Factorisation {
 public:
  Factorisation(const Symbolic& symbolic, Workspace<T>& workspace) : sym_(symbolic), work_(workspace) {}

  // Vectors y are n x k in factor order, rows contiguous, and change in place; k may be 0.

  // `value(e)` is the e-th stored entry. Forward substitution goes along while a panel is in cache.
  template <class Value>
  Outcome factor(const Value& value, T* y, int32_t k);
  void solve_lower(T* y, int32_t k);  // (L D)^-1 y
  void solve_upper(T* y, int32_t k);
  // Standard normals to those for which L^-T gives draws: see `constrain` below.
  void constrain(T* y, int32_t k);
  // Overwrites the factor; calls `emit(e, z)` with the inverse at every stored entry e. Back-substitution goes along.
  template <class Emit>
  void invert(const Emit& emit, T* y, int32_t k);

 private:
  static double sign(const Front& f) { return f.negative ? -1.0 : 1.0; }
  T* panel(const Front& f) { return work_.panels() + f.panel; }
  T* outer(const Front& f) { return f.is_leaf ? work_.scratch() : work_.updates() + f.update; }
  const int32_t* relative(const Front& f) const { return sym_.relative.data() + f.rows; }

  template <class Value>
  void assemble(const Front& f, const Value& value);
  template <class Body>
  void for_outer(const Front& child, const Front& parent, const Body& body);
  void extend_add(const Front& child, const Front& parent);
  void update_parent(const Front& leaf, const Front& parent);
  void gather_outer(const Front& child, const Front& parent);
  void multiply_outer(const Front& leaf, const Front& parent, T* to, const T* x);
  void invert_front(const Front& f, const Front* parent, T* v);
  template <class Emit>
  void invert_one(const Front& f, const Front* parent, const Emit& emit, T* y, int32_t k);
  int32_t eliminate(const Front& f, const Front* parent, LogProduct& diagonal, T* y, int32_t k);
  void forward_one(const Front& f, T* y, int32_t k);
  T* gather(const Front& f, const T* y);
  void backward_one(const Front& f, T* y, int32_t k);

  const Symbolic& sym_;
  Workspace<T>& work_;
};

template <class T>
template <class Value>
void Factorisation<T>::assemble(const Front& f, const Value& value) {
  T* const to = panel(f);
  std::fill_n(to, static_cast<int64_t>(f.height()) * f.columns, T(0.0));
  for (int64_t e = f.entry_begin; e < f.entry_end; ++e) to[sym_.place[e]] = value(sym_.entry[e]);
}

// The rows below a child as places of its parent's front, column by column: body(k, to), where the k-th column of the
// child's lower triangle has its i-th row at to[relative(child)[i]].
template <class T>
template <class Body>
void Factorisation<T>::for_outer(const Front& child, const Front& parent, const Body& body) {
  const int32_t* const at = relative(child);
  T* const pivots = panel(parent);
  T* const rest = outer(parent);
  for (int32_t k = 0; k < child.below; ++k) {
    const int32_t column = at[k];
    body(k, column < parent.columns
                ? pivots + static_cast<int64_t>(column) * parent.height()
                : rest + static_cast<int64_t>(column - parent.columns) * parent.below - parent.columns);
  }
}

// Add the child's update matrix into the parent's front.
template <class T>
void Factorisation<T>::extend_add(const Front& child, const Front& parent) {
  const int32_t* const at = relative(child);
  const T* const update = outer(child);
  for_outer(child, parent, [&](int32_t k, T* to) {
    const T* const from = update + static_cast<int64_t>(k) * child.below;
    int32_t i = k;
    for (; i < child.tail; ++i) to[at[i]] += from[i];
    if (i == child.below) return;
    T* const run = to + at[i] - i;  // consecutive places from here on
    for (; i < child.below; ++i) run[i] += from[i];
  });
}

// The same for a factored leaf of one or two pivots whose update matrix has not been formed.
template <class T>
void Factorisation<T>::update_parent(const Front& leaf, const Front& parent) {
  const int32_t* const at = relative(leaf);
  const T* const a = panel(leaf) + leaf.columns;
  const T* const b = a + leaf.height();
  const T minus(-sign(leaf));
  const auto add = [&](int32_t k, T* to, const auto& entry) {
    int32_t i = k;
    for (; i < leaf.tail; ++i) to[at[i]] += entry(i);
    if (i == leaf.below) return;
    T* const run = to + at[i] - i;
    for (; i < leaf.below; ++i) run[i] += entry(i);
  };
  if (leaf.columns == 1) {
    for_outer(leaf, parent, [&](int32_t k, T* to) {
      const T ak = minus * a[k];
      add(k, to, [=](int32_t i) { return ak * a[i]; });
    });
  } else {
    for_outer(leaf, parent, [&](int32_t k, T* to) {
      const T ak = minus * a[k], bk = minus * b[k];
      add(k, to, [=](int32_t i) { return ak * a[i] + bk * b[i]; });
    });
  }
}

// Fetch the inverse on the child's rows from the parent's front: extend_add backwards.
template <class T>
void Factorisation<T>::gather_outer(const Front& child, const Front& parent) {
  const int32_t* const at = relative(child);
  T* const inverse = outer(child);
  for_outer(child, parent, [&](int32_t k, const T* from) {
    T* const to = inverse + static_cast<int64_t>(k) * child.below;
    int32_t i = k;
    for (; i < child.tail; ++i) to[i] = from[at[i]];
    if (i == child.below) return;
    const T* const run = from + at[i] - i;
    for (; i < child.below; ++i) to[i] = run[i];
  });
}

// The inverse on a leaf's rows, read where it stands, times x, added to `to`; columns of both are the leaf's height apart.
// Only the lower triangle is there, so an entry off the diagonal counts for its row and for its column.
template <class T>
void Factorisation<T>::multiply_outer(const Front& leaf, const Front& parent, T* to, const T* x) {
  for (int32_t c = 0; c < leaf.columns; ++c, to += leaf.height(), x += leaf.height()) {
    for_outer(leaf, parent, [&](int32_t k, const T* from) {
      loops::add_symmetric(k, leaf.tail, leaf.below, from, relative(leaf), x, to);
    });
  }
}

// Dense elimination of an assembled front, of a leaf also in its parent's; the failing column in factor order plus one, or 0.
template <class T>
int32_t Factorisation<T>::eliminate(const Front& f, const Front* parent, LogProduct& diagonal, T* y, int32_t k) {
  T* const p = panel(f);
  if (const int32_t failed = factor_panel(f.columns, f.below, sign(f), p)) return f.first + failed;
  for (int32_t j = 0; j < f.columns; ++j) diagonal.multiply(value_of(p[static_cast<int64_t>(j) * (f.height() + 1)]));
  if (f.in_place()) {
    update_parent(f, *parent);
  } else {
    if (parent) std::fill_n(outer(f), static_cast<int64_t>(f.below) * f.below, T(0.0));
    update_below(f.columns, f.below, sign(f), p, outer(f));
    if (parent) extend_add(f, *parent);
  }
  if (k > 0) forward_one(f, y, k);
  return 0;
}

template <class T>
template <class Value>
Outcome Factorisation<T>::factor(const Value& value, T* y, int32_t k) {
  LogProduct diagonal;
  int32_t failed = 0;
  const auto count = static_cast<int32_t>(sym_.fronts.size());
  for (int32_t s = 0; s < count && !failed; ++s) {
    const Front& f = sym_.fronts[s];
    if (f.is_leaf) continue;
    assemble(f, value);
    std::fill_n(outer(f), static_cast<int64_t>(f.below) * f.below, T(0.0));
    for (int32_t c = f.child_begin; c < f.child_end; ++c) extend_add(sym_.fronts[sym_.children[c]], f);
    for (int32_t c = s - f.leaves; c < s && !failed; ++c) {
      assemble(sym_.fronts[c], value);
      failed = eliminate(sym_.fronts[c], &f, diagonal, y, k);
    }
    if (!failed) failed = eliminate(f, nullptr, diagonal, y, k);
  }
  if (failed) return {std::numeric_limits<double>::quiet_NaN(), sym_.order[failed - 1] + 1};
  return {2.0 * diagonal.log(), 0};
}

template <class T>
void Factorisation<T>::forward_one(const Front& f, T* y, int32_t k) {
  T* const front = work_.front_vectors();
  T* const pivots = y + static_cast<int64_t>(f.first) * k;
  const int32_t* const rows = sym_.rows.data() + f.rows;
  if (k == 1) {
    for (int32_t i = 0; i < f.columns; ++i) front[i] = pivots[i];
    for (int32_t i = f.columns; i < f.height(); ++i) front[i] = T(0.0);
    loops::forward(f.height(), f.columns, panel(f), front);
    for (int32_t i = 0; i < f.columns; ++i) pivots[i] = f.negative ? -front[i] : front[i];
    for (int32_t i = 0; i < f.below; ++i) y[rows[i]] += front[f.columns + i];
    return;
  }
  solve_front_lower(f.columns, f.below, panel(f), pivots, front, k);
  for_rows(rows, f.below, k, [=](int64_t row, int32_t c, int64_t i) { y[row * k + c] += front[i]; });
  if (f.negative) {
    for (int64_t i = 0; i < static_cast<int64_t>(f.columns) * k; ++i) pivots[i] = -pivots[i];
  }
}

// The front's part of one vector: its pivots over the solution below.
template <class T>
T* Factorisation<T>::gather(const Front& f, const T* y) {
  T* const front = work_.front_vectors();
  const int32_t* const rows = sym_.rows.data() + f.rows;
  for (int32_t i = 0; i < f.columns; ++i) front[i] = y[f.first + i];
  for (int32_t i = 0; i < f.below; ++i) front[f.columns + i] = y[rows[i]];
  return front;
}

template <class T>
void Factorisation<T>::backward_one(const Front& f, T* y, int32_t k) {
  if (k == 1) {
    T* const v = gather(f, y);
    loops::backward(f.height(), f.columns, panel(f), v);
    std::copy_n(v, f.columns, y + f.first);
    return;
  }
  T* const front = work_.front_vectors();
  for_rows(sym_.rows.data() + f.rows, f.below, k,
           [=](int64_t row, int32_t c, int64_t i) { front[i] = y[row * k + c]; });
  solve_front_upper(f.columns, f.below, panel(f), y + static_cast<int64_t>(f.first) * k, front, k);
}

template <class T>
void Factorisation<T>::solve_lower(T* y, int32_t k) {
  for (const Front& f : sym_.fronts) forward_one(f, y, k);
}

template <class T>
void Factorisation<T>::solve_upper(T* y, int32_t k) {
  for (auto f = sym_.fronts.rbegin(); f != sym_.fronts.rend(); ++f) backward_one(*f, y, k);
}

// With multipliers among the rows, Q = [H C'; C 0], draws of the other rows shall have the covariance that Q^-1 has there,
// and C x = 0. They are those of x = L^-T w where w is standard normal on positive pivots and makes the rows of L D w at
// the multipliers zero: L_+ and L_- being these rows of L by the sign of the pivots, w_- = G w_+, G = L_-^-1 L_+. As
// the block of Q there is zero, L_+ L_+' = L_- L_-', so G G' = I: w_- takes out of w_+ the directions that C removes.
template <class T>
void Factorisation<T>::constrain(T* y, int32_t k) {
  if (sym_.negative.empty()) return;
  for (int32_t i = 0; i < sym_.n; ++i) {
    if (sym_.negative[i]) std::fill_n(y + static_cast<int64_t>(i) * k, k, T(0.0));
  }
  for (const Front& f : sym_.fronts) {
    T* const pivots = y + static_cast<int64_t>(f.first) * k;
    const T* const p = panel(f);
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

// Selected inverse of one front whose rows below have theirs: a leaf's in its parent's front, of others in `outer`.
template <class T>
void Factorisation<T>::invert_front(const Front& f, const Front* parent, T* v) {
  if (f.in_place()) {
    invert_front_by_loops(f.columns, f.below, sign(f), panel(f), work_.block(), v,
                          [&](T* to, const T* x) { multiply_outer(f, *parent, to, x); });
    return;
  }
  if (parent) gather_outer(f, *parent);
  lgm::invert_front(f.columns, f.below, sign(f), panel(f), outer(f), work_.block(), v);
}

template <class T>
template <class Emit>
void Factorisation<T>::invert_one(const Front& f, const Front* parent, const Emit& emit, T* y, int32_t k) {
  T* const v = k == 1 ? gather(f, y) : nullptr;
  if (k > 1) backward_one(f, y, k);
  invert_front(f, parent, v);
  if (v) std::copy_n(v, f.columns, y + f.first);
  const T* const p = panel(f);
  for (int64_t e = f.entry_begin; e < f.entry_end; ++e) emit(sym_.entry[e], p[sym_.place[e]]);
}

template <class T>
template <class Emit>
void Factorisation<T>::invert(const Emit& emit, T* y, int32_t k) {
  for (auto s = static_cast<int32_t>(sym_.fronts.size()) - 1; s >= 0; --s) {
    const Front& f = sym_.fronts[s];
    if (f.is_leaf) continue;
    invert_one(f, nullptr, emit, y, k);
    for (int32_t c = f.child_begin; c < f.child_end; ++c) gather_outer(sym_.fronts[sym_.children[c]], f);
    for (int32_t c = s - 1; c >= s - f.leaves; --c) invert_one(sym_.fronts[c], &f, emit, y, k);
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
    double* const y = workspace_.vectors(symbolic_, strip.count);
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
