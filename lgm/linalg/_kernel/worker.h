// What one thread does with fronts, in memory of its own; in those that are divided its team joins in.
#pragma once

#include <algorithm>
#include <cstdint>

#include "fronts.h"
#include "log_product.h"
#include "symbolic.h"
#include "tiles.h"
#include "workspace.h"

namespace lgm {

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

inline double sign(const Front& f) { return f.negative ? -1.0 : 1.0; }

// Vectors y are n x k in factor order, rows contiguous, and change in place; k may be 0.
template <class T>
class Worker {
 public:
  Worker(const Symbolic& symbolic, Workspace<T>& workspace, int64_t member)
      : sym_(symbolic), work_(workspace), own_(workspace.lane(member)) {}

  // A front and its leaves, when its other children are done; `value(e)` is the e-th stored entry. Forward substitution
  // goes along while a panel is in cache. The failing column in factor order plus one, or 0.
  template <class Value>
  int32_t eliminate(int32_t s, const Value& value, LogProduct& diagonal, T* y, int32_t k);

  // The inverse of a front and its leaves, and on the rows below its other children. Overwrites the factor; calls
  // `emit(e, z)` with the inverse at every stored entry e. Back-substitution goes along.
  template <class Emit>
  void invert(int32_t s, const Emit& emit, T* y, int32_t k);

  void forward(const Front& f, T* y, int32_t k);
  void backward(const Front& f, T* y, int32_t k);

 private:
  T* panel(const Front& f) { return work_.panels() + f.panel; }
  T* outer(const Front& f) {
    if (f.is_leaf) return own_.scratch.get();
    return (f.shared ? work_.shared() : own_.updates.get()) + f.update;
  }
  const int32_t* relative(const Front& f) const { return sym_.relative.data() + f.rows; }
  const int32_t* rows(const Front& f) const { return sym_.rows.data() + f.rows; }
  const int32_t* landing(const Front& f) const {
    return (sym_.landing.empty() ? sym_.rows : sym_.landing).data() + f.rows;
  }
  const Front& child(const Front& f, int64_t k) const { return sym_.fronts[sym_.children[f.child_begin + k]]; }
  T* column(const Front& f, int32_t k) {
    if (k < f.columns) return panel(f) + static_cast<int64_t>(k) * f.height();
    return outer(f) + static_cast<int64_t>(k - f.columns) * f.below - f.columns;
  }

  template <class Value>
  void add_entries(const Front& f, const Value& value);
  template <class Body>
  void for_outer(const Front& child, const Front& parent, Run columns, const Body& body);
  void extend_add(const Front& child, const Front& parent, Run columns);
  void update_parent(const Front& leaf, const Front& parent);
  void gather_outer(const Front& child, const Front& parent, Run columns);
  void multiply_outer(const Front& leaf, const Front& parent, T* to, const T* x);
  void collect(const Front& f);
  void hand_out(const Front& f);
  int32_t eliminate_one(const Front& f, const Front* parent, LogProduct& diagonal, T* y, int32_t k);
  void invert_front(const Front& f, const Front* parent, T* v);
  template <class Emit>
  void invert_one(const Front& f, const Front* parent, const Emit& emit, T* y, int32_t k);
  T* gather(const Front& f, const T* y);

  const Symbolic& sym_;
  Workspace<T>& work_;
  typename Workspace<T>::Lane& own_;
};

template <class T>
template <class Value>
void Worker<T>::add_entries(const Front& f, const Value& value) {
  T* const to = panel(f);
  for (int64_t e = f.entry_begin; e < f.entry_end; ++e) to[sym_.place[e]] += value(sym_.entry[e]);
}

// Rows below a child as places of its parent's front, column by column: body(k, to), where the k-th column of the
// child's lower triangle has its i-th row at to[relative(child)[i]].
template <class T>
template <class Body>
void Worker<T>::for_outer(const Front& child, const Front& parent, Run columns, const Body& body) {
  const int32_t* const at = relative(child);
  T* const pivots = panel(parent);
  T* const rest = outer(parent);
  for (int32_t k = columns.begin; k < columns.end; ++k) {
    const int32_t column = at[k];
    body(k, column < parent.columns
                ? pivots + static_cast<int64_t>(column) * parent.height()
                : rest + static_cast<int64_t>(column - parent.columns) * parent.below - parent.columns);
  }
}

// Add columns of the child's update matrix into the parent's front.
template <class T>
void Worker<T>::extend_add(const Front& child, const Front& parent, Run columns) {
  const int32_t* const at = relative(child);
  const T* const update = outer(child);
  for_outer(child, parent, columns, [&](int32_t k, T* to) {
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
void Worker<T>::update_parent(const Front& leaf, const Front& parent) {
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
    for_outer(leaf, parent, {0, leaf.below}, [&](int32_t k, T* to) {
      const T ak = minus * a[k];
      add(k, to, [=](int32_t i) { return ak * a[i]; });
    });
  } else {
    for_outer(leaf, parent, {0, leaf.below}, [&](int32_t k, T* to) {
      const T ak = minus * a[k], bk = minus * b[k];
      add(k, to, [=](int32_t i) { return ak * a[i] + bk * b[i]; });
    });
  }
}

// Fetch columns of the inverse on the child's rows from the parent's front: extend_add backwards.
template <class T>
void Worker<T>::gather_outer(const Front& child, const Front& parent, Run columns) {
  const int32_t* const at = relative(child);
  T* const inverse = outer(child);
  for_outer(child, parent, columns, [&](int32_t k, const T* from) {
    T* const to = inverse + static_cast<int64_t>(k) * child.below;
    int32_t i = k;
    for (; i < child.tail; ++i) to[i] = from[at[i]];
    if (i == child.below) return;
    const T* const run = from + at[i] - i;
    for (; i < child.below; ++i) to[i] = run[i];
  });
}

// The inverse on a leaf's rows, read where it stands, times x, added to `to`; columns of both are the leaf's height
// apart. Only the lower triangle is there, so an entry off the diagonal counts for its row and for its column.
template <class T>
void Worker<T>::multiply_outer(const Front& leaf, const Front& parent, T* to, const T* x) {
  for (int32_t c = 0; c < leaf.columns; ++c, to += leaf.height(), x += leaf.height()) {
    for_outer(leaf, parent, {0, leaf.below}, [&](int32_t k, const T* from) {
      loops::add_symmetric(k, leaf.tail, leaf.below, from, relative(leaf), x, to);
    });
  }
}

// A front of zeros, and what its children, but for leaves, add to it.
template <class T>
void Worker<T>::collect(const Front& f) {
  const int32_t children = f.child_end - f.child_begin;
  if (!f.divided) {
    std::fill_n(panel(f), static_cast<int64_t>(f.height()) * f.columns, T(0.0));
    std::fill_n(outer(f), static_cast<int64_t>(f.below) * f.below, T(0.0));
    for (int32_t c = 0; c < children; ++c) extend_add(child(f, c), f, {0, child(f, c).below});
    return;
  }
  const Cuts cuts(f.height(), kColumnsTogether);
  work_.team().for_each(cuts.count(), [&](int64_t cut, int64_t) {
    const Run run = cuts[cut];
    for (int32_t k = run.begin; k < run.end; ++k) {
      const int32_t from = k < f.columns ? 0 : f.columns;
      std::fill(column(f, k) + from, column(f, k) + f.height(), T(0.0));
    }
    for (int32_t c = 0; c < children; ++c) {
      const Front& g = child(f, c);
      const auto place = [&](int32_t k) {
        const int32_t* const at = relative(g);
        return static_cast<int32_t>(std::lower_bound(at, at + g.below, k) - at);
      };
      extend_add(g, f, {place(run.begin), place(run.end)});
    }
  });
}

// The inverse of a front to its children, but for leaves.
template <class T>
void Worker<T>::hand_out(const Front& f) {
  const int32_t children = f.child_end - f.child_begin;
  if (!f.divided) {
    for (int32_t c = 0; c < children; ++c) gather_outer(child(f, c), f, {0, child(f, c).below});
    return;
  }
  work_.team().for_each(children * kPartsOfChild, [&](int64_t item, int64_t) {
    const Front& g = child(f, item / kPartsOfChild);
    gather_outer(g, f, part_of(g.below, item % kPartsOfChild, kPartsOfChild));
  });
}

// Dense elimination of an assembled front, of a leaf also in its parent's.
template <class T>
int32_t Worker<T>::eliminate_one(const Front& f, const Front* parent, LogProduct& diagonal, T* y, int32_t k) {
  T* const p = panel(f);
  const Team* const team = f.divided ? &work_.team() : nullptr;
  if (const int32_t failed = factor_panel(f.columns, f.below, sign(f), p, team)) return f.first + failed;
  for (int32_t j = 0; j < f.columns; ++j) diagonal.multiply(value_of(p[static_cast<int64_t>(j) * (f.height() + 1)]));
  if (f.in_place()) {
    update_parent(f, *parent);
  } else {
    if (parent) std::fill_n(outer(f), static_cast<int64_t>(f.below) * f.below, T(0.0));
    update_below(f.columns, f.below, sign(f), p, outer(f), team);
    if (parent) extend_add(f, *parent, {0, f.below});
  }
  if (k > 0) forward(f, y, k);
  return 0;
}

template <class T>
template <class Value>
int32_t Worker<T>::eliminate(int32_t s, const Value& value, LogProduct& diagonal, T* y, int32_t k) {
  const Front& f = sym_.fronts[s];
  collect(f);
  add_entries(f, value);
  for (int32_t c = s - f.leaves; c < s; ++c) {
    const Front& leaf = sym_.fronts[c];
    std::fill_n(panel(leaf), static_cast<int64_t>(leaf.height()) * leaf.columns, T(0.0));
    add_entries(leaf, value);
    if (const int32_t failed = eliminate_one(leaf, &f, diagonal, y, k)) return failed;
  }
  return eliminate_one(f, nullptr, diagonal, y, k);
}

template <class T>
void Worker<T>::forward(const Front& f, T* y, int32_t k) {
  T* const front = own_.front_vectors.get();
  T* const pivots = y + static_cast<int64_t>(f.first) * k;
  const int32_t* const to = landing(f);
  if (k == 1) {
    for (int32_t i = 0; i < f.columns; ++i) front[i] = pivots[i];
    for (int32_t i = f.columns; i < f.height(); ++i) front[i] = T(0.0);
    loops::forward(f.height(), f.columns, panel(f), front);
    for (int32_t i = 0; i < f.columns; ++i) pivots[i] = f.negative ? -front[i] : front[i];
    for (int32_t i = 0; i < f.below; ++i) y[to[i]] += front[f.columns + i];
    return;
  }
  solve_front_lower(f.columns, f.below, panel(f), pivots, front, k);
  for_rows(to, f.below, k, [=](int64_t row, int32_t c, int64_t i) { y[row * k + c] += front[i]; });
  if (f.negative) {
    for (int64_t i = 0; i < static_cast<int64_t>(f.columns) * k; ++i) pivots[i] = -pivots[i];
  }
}

// The front's part of one vector: its pivots over the solution below.
template <class T>
T* Worker<T>::gather(const Front& f, const T* y) {
  T* const front = own_.front_vectors.get();
  for (int32_t i = 0; i < f.columns; ++i) front[i] = y[f.first + i];
  for (int32_t i = 0; i < f.below; ++i) front[f.columns + i] = y[rows(f)[i]];
  return front;
}

template <class T>
void Worker<T>::backward(const Front& f, T* y, int32_t k) {
  if (k == 1) {
    T* const v = gather(f, y);
    loops::backward(f.height(), f.columns, panel(f), v);
    std::copy_n(v, f.columns, y + f.first);
    return;
  }
  T* const front = own_.front_vectors.get();
  for_rows(rows(f), f.below, k, [=](int64_t row, int32_t c, int64_t i) { front[i] = y[row * k + c]; });
  solve_front_upper(f.columns, f.below, panel(f), y + static_cast<int64_t>(f.first) * k, front, k);
}

// Selected inverse of one front whose rows below have theirs: a leaf's in its parent's front, of others in `outer`.
template <class T>
void Worker<T>::invert_front(const Front& f, const Front* parent, T* v) {
  T* const block = own_.block.get();
  if (f.in_place()) {
    invert_front_by_loops(f.columns, f.below, sign(f), panel(f), block, v,
                          [&](T* to, const T* x) { multiply_outer(f, *parent, to, x); });
    return;
  }
  if (parent) gather_outer(f, *parent, {0, f.below});
  lgm::invert_front(f.columns, f.below, sign(f), panel(f), outer(f), block, v, f.divided ? &work_.team() : nullptr);
}

template <class T>
template <class Emit>
void Worker<T>::invert_one(const Front& f, const Front* parent, const Emit& emit, T* y, int32_t k) {
  T* const v = k == 1 ? gather(f, y) : nullptr;
  if (k > 1) backward(f, y, k);
  invert_front(f, parent, v);
  if (v) std::copy_n(v, f.columns, y + f.first);
  const T* const p = panel(f);
  for (int64_t e = f.entry_begin; e < f.entry_end; ++e) emit(sym_.entry[e], p[sym_.place[e]]);
}

template <class T>
template <class Emit>
void Worker<T>::invert(int32_t s, const Emit& emit, T* y, int32_t k) {
  const Front& f = sym_.fronts[s];
  invert_one(f, nullptr, emit, y, k);
  hand_out(f);
  for (int32_t c = s - 1; c >= s - f.leaves; --c) invert_one(sym_.fronts[c], &f, emit, y, k);
}

}  // namespace lgm
