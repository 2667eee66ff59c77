#include "numeric.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fronts.h"

namespace lgm {
namespace {

// log of a product of many positive numbers with few calls of log: the product is kept within a range in which the
// next factor, a square root of a finite double, can neither overflow nor lose digits.
class LogProduct {
 public:
  void multiply(double factor) {
    product_ *= factor;
    if (product_ > 1e140 || product_ < 1e-140) flush();
  }
  double log() {
    flush();
    return sum_;
  }

 private:
  void flush() {
    sum_ += std::log(product_);
    product_ = 1.0;
  }
  double product_ = 1.0;
  double sum_ = 0.0;
};

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

  // `value(e)` is the e-th stored entry.
  template <class Value>
  Outcome factor(const Value& value);
  // In place on (n x k) vectors in factor order, rows contiguous.
  void solve_lower(T* y, int32_t k);
  void solve_upper(T* y, int32_t k);
  // Overwrites the factor; calls `emit(e, z)` with the inverse at every stored entry e.
  template <class Emit>
  void invert(const Emit& emit);

 private:
  T* panel(const Front& f) { return work_.panels.get() + f.panel; }
  T* outer(const Front& f) { return f.is_leaf ? work_.scratch.get() : work_.updates.get() + f.update; }
  const int32_t* relative(const Front& f) const { return sym_.relative.data() + f.rows; }

  template <class Value>
  void assemble(const Front& f, const Value& value);
  void extend_add(const Front& child, const Front& parent);
  void gather_outer(const Front& child, const Front& parent);
  template <class Emit>
  void invert_one(const Front& f, const Emit& emit);
  int32_t eliminate(const Front& f, LogProduct& diagonal);

  const Symbolic& sym_;
  Workspace<T>& work_;
};

template <class T>
template <class Value>
void Factorisation<T>::assemble(const Front& f, const Value& value) {
  T* const to = panel(f);
  std::fill_n(to, static_cast<int64_t>(f.height()) * f.columns, T(0.0));
  std::fill_n(outer(f), static_cast<int64_t>(f.below) * f.below, T(0.0));
  for (int64_t e = f.entry_begin; e < f.entry_end; ++e) to[sym_.place[e]] = value(sym_.entry[e]);
}

// Add the child's update matrix into the parent's front.
template <class T>
void Factorisation<T>::extend_add(const Front& child, const Front& parent) {
  const int32_t* const at = relative(child);
  const T* from = outer(child);
  T* const pivots = panel(parent);
  T* const rest = outer(parent);
  for (int32_t k = 0; k < child.below; ++k, from += child.below) {
    const int32_t column = at[k];
    T* const to = column < parent.columns
                      ? pivots + static_cast<int64_t>(column) * parent.height()
                      : rest + static_cast<int64_t>(column - parent.columns) * parent.below - parent.columns;
    int32_t i = k;
    for (; i < child.tail; ++i) to[at[i]] += from[i];
    if (i == child.below) continue;
    T* const run = to + at[i] - i;  // consecutive places from here on
    for (; i < child.below; ++i) run[i] += from[i];
  }
}

// Fetch the inverse on the child's rows from the parent's front: extend_add backwards.
template <class T>
void Factorisation<T>::gather_outer(const Front& child, const Front& parent) {
  const int32_t* const at = relative(child);
  T* to = outer(child);
  const T* const pivots = panel(parent);
  const T* const rest = outer(parent);
  for (int32_t k = 0; k < child.below; ++k, to += child.below) {
    const int32_t column = at[k];
    const T* const from = column < parent.columns
                              ? pivots + static_cast<int64_t>(column) * parent.height()
                              : rest + static_cast<int64_t>(column - parent.columns) * parent.below - parent.columns;
    int32_t i = k;
    for (; i < child.tail; ++i) to[i] = from[at[i]];
    if (i == child.below) continue;
    const T* const run = from + at[i] - i;
    for (; i < child.below; ++i) to[i] = run[i];
  }
}

// Dense elimination of an assembled front; the failing column in factor order plus one, or 0.
template <class T>
int32_t Factorisation<T>::eliminate(const Front& f, LogProduct& diagonal) {
  T* const p = panel(f);
  if (const int32_t failed = factor_front(f.columns, f.below, p, outer(f))) return f.first + failed;
  for (int32_t k = 0; k < f.columns; ++k) diagonal.multiply(value_of(p[static_cast<int64_t>(k) * (f.height() + 1)]));
  return 0;
}

template <class T>
template <class Value>
Outcome Factorisation<T>::factor(const Value& value) {
  LogProduct diagonal;
  int32_t failed = 0;
  const auto count = static_cast<int32_t>(sym_.fronts.size());
  for (int32_t s = 0; s < count && !failed; ++s) {
    const Front& f = sym_.fronts[s];
    if (f.is_leaf) continue;
    assemble(f, value);
    for (int32_t k = f.child_begin; k < f.child_end; ++k) extend_add(sym_.fronts[sym_.children[k]], f);
    for (int32_t c = s - f.leaves; c < s && !failed; ++c) {
      const Front& leaf = sym_.fronts[c];
      assemble(leaf, value);
      failed = eliminate(leaf, diagonal);
      extend_add(leaf, f);
    }
    if (!failed) failed = eliminate(f, diagonal);
  }
  if (failed) return {std::numeric_limits<double>::quiet_NaN(), sym_.order[failed - 1] + 1};
  return {2.0 * diagonal.log(), 0};
}

template <class T>
void Factorisation<T>::solve_lower(T* y, int32_t k) {
  T* const change = work_.gathered();
  for (const Front& f : sym_.fronts) {
    solve_front_lower(f.columns, f.below, panel(f), y + static_cast<int64_t>(f.first) * k, change, k);
    for_rows(sym_.rows.data() + f.rows, f.below, k,
             [=](int64_t row, int32_t c, int64_t i) { y[row * k + c] += change[i]; });
  }
}

template <class T>
void Factorisation<T>::solve_upper(T* y, int32_t k) {
  T* const known = work_.gathered();
  for (auto f = sym_.fronts.rbegin(); f != sym_.fronts.rend(); ++f) {
    for_rows(sym_.rows.data() + f->rows, f->below, k,
             [=](int64_t row, int32_t c, int64_t i) { known[i] = y[row * k + c]; });
    solve_front_upper(f->columns, f->below, panel(*f), y + static_cast<int64_t>(f->first) * k, known, k);
  }
}

template <class T>
template <class Emit>
void Factorisation<T>::invert_one(const Front& f, const Emit& emit) {
  T* const p = panel(f);
  invert_front(f.columns, f.below, p, outer(f), work_.block.get());
  for (int64_t e = f.entry_begin; e < f.entry_end; ++e) emit(sym_.entry[e], p[sym_.place[e]]);
}

template <class T>
template <class Emit>
void Factorisation<T>::invert(const Emit& emit) {
  for (auto s = static_cast<int32_t>(sym_.fronts.size()) - 1; s >= 0; --s) {
    const Front& f = sym_.fronts[s];
    if (f.is_leaf) continue;
    invert_one(f, emit);
    for (int32_t k = f.child_begin; k < f.child_end; ++k) gather_outer(sym_.fronts[sym_.children[k]], f);
    for (int32_t c = s - 1; c >= s - f.leaves; --c) {
      gather_outer(sym_.fronts[c], f);
      invert_one(sym_.fronts[c], emit);
    }
  }
}

// Strips of at most kMostColumns columns go through `sweep` in factor order.
template <class Sweep>
void in_strips(const Symbolic& symbolic, Workspace<double>& workspace, ConstVectors in, double* out,
               const Sweep& sweep) {
  for (int32_t begin = 0; begin < in.columns; begin += kMostColumns) {
    const int32_t k = std::min(kMostColumns, in.columns - begin);
    double* const y = workspace.vectors(symbolic, k);
    const int64_t stride = in.columns;
    const double* const from = in.data + begin;
    double* const to = out + begin;
    const int32_t* const rows = symbolic.order.data();
    for_rows(rows, symbolic.n, k, [=](int64_t row, int32_t c, int64_t i) { y[i] = from[row * stride + c]; });
    sweep(y, k);
    for_rows(rows, symbolic.n, k, [=](int64_t row, int32_t c, int64_t i) { to[row * stride + c] = y[i]; });
  }
}

void fill_nan(double* out, int64_t count) { std::fill_n(out, count, std::numeric_limits<double>::quiet_NaN()); }

Outcome factor_and_solve(Factorisation<double>& factorisation, const Symbolic& symbolic, Workspace<double>& workspace,
                         const double* values, ConstVectors rhs, double* x) {
  const Outcome outcome = factorisation.factor([=](int32_t e) { return values[e]; });
  if (outcome.info) {
    fill_nan(x, static_cast<int64_t>(symbolic.n) * rhs.columns);
    return outcome;
  }
  in_strips(symbolic, workspace, rhs, x, [&](double* y, int32_t k) {
    factorisation.solve_lower(y, k);
    factorisation.solve_upper(y, k);
  });
  return outcome;
}

}  // namespace

Outcome factor_solve(const Symbolic& symbolic, Workspace<double>& workspace, const double* values, ConstVectors rhs,
                     double* x, ConstVectors normals, double* draws) {
  Factorisation<double> factorisation(symbolic, workspace);
  const Outcome outcome = factor_and_solve(factorisation, symbolic, workspace, values, rhs, x);
  if (outcome.info) {
    fill_nan(draws, static_cast<int64_t>(symbolic.n) * normals.columns);
  } else {
    in_strips(symbolic, workspace, normals, draws, [&](double* y, int32_t k) { factorisation.solve_upper(y, k); });
  }
  return outcome;
}

Outcome factor_solve_invert(const Symbolic& symbolic, Workspace<double>& workspace, const double* values,
                            ConstVectors rhs, double* x, double* selected) {
  Factorisation<double> factorisation(symbolic, workspace);
  const Outcome outcome = factor_and_solve(factorisation, symbolic, workspace, values, rhs, x);
  if (outcome.info) {
    fill_nan(selected, symbolic.nnz);
  } else {
    factorisation.invert([=](int32_t e, double z) { selected[e] = z; });
  }
  return outcome;
}

Outcome selected_inverse_tangent(const Symbolic& symbolic, Workspace<Dual>& workspace, const double* values,
                                 const double* direction, double* tangent) {
  Factorisation<Dual> factorisation(symbolic, workspace);
  const Outcome outcome = factorisation.factor([=](int32_t e) { return Dual(values[e], direction[e]); });
  if (outcome.info) {
    fill_nan(tangent, symbolic.nnz);
  } else {
    factorisation.invert([=](int32_t e, const Dual& z) { tangent[e] = z.slope; });
  }
  return outcome;
}

}  // namespace lgm
