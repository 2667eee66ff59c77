#include "symbolic.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "plan.h"

namespace lgm {
namespace {

constexpr int64_t kMaxIndex = std::numeric_limits<int32_t>::max();
// Entries of a panel up to which every dense operation is done in plain loops, however many right-hand sides.
constexpr int64_t kSmallFront = 300;

// Entries of the matrix grouped by the front that holds their column: columns of the factor order point to rows.
struct GroupedEntries {
  std::vector<int64_t> ptr;       // (fronts + 1)
  std::vector<int32_t> index;     // in pattern order
  std::vector<int32_t> row, col;  // in factor order, row >= col
};

class Builder {
 public:
  Builder(const LowerPattern& a, const Supernodes& supernodes, const Cost& cost) : a_(a), supernodes_(supernodes) {
    out_.cost = cost;
  }

  // All but the plan.
  Symbolic build();

 private:
  void lay_out_fronts();
  void group_entries();
  void find_rows();
  void find_relative();
  void place_entries();

  const LowerPattern& a_;
  const Supernodes& supernodes_;
  Symbolic out_;
  GroupedEntries entries_;
};

void Builder::lay_out_fronts() {
  const int32_t count = supernodes_.count();
  out_.n = a_.n;
  out_.nnz = a_.nnz();
  out_.order = supernodes_.order;
  out_.fronts.resize(count);
  std::vector<int32_t> degree(count, 0);
  for (int32_t s = 0; s < count; ++s) {
    Front& front = out_.fronts[s];
    front.first = supernodes_.first[s];
    front.columns = supernodes_.columns(s);
    front.below = supernodes_.below[s];
    front.parent = supernodes_.parent[s];
    front.is_leaf = supernodes_.is_leaf[s];
    front.negative = supernodes_.negative[s];
    front.panel = out_.panel_size;
    out_.panel_size += static_cast<int64_t>(front.height()) * front.columns;
    out_.most_height = std::max(out_.most_height, front.height());
    if (static_cast<int64_t>(front.height()) * front.columns > kSmallFront) out_.may_use_blas = true;
    if (front.parent == -1) continue;
    if (front.is_leaf) {
      ++out_.fronts[front.parent].leaves;
    } else {
      ++degree[front.parent];
    }
  }
  int32_t total = 0;
  for (int32_t s = 0; s < count; ++s) {
    out_.fronts[s].child_begin = out_.fronts[s].child_end = total;
    total += degree[s];
  }
  out_.children.resize(total);
  for (int32_t s = 0; s < count; ++s) {
    const Front& front = out_.fronts[s];
    if (front.parent != -1 && !front.is_leaf) out_.children[out_.fronts[front.parent].child_end++] = s;
  }
}

void Builder::group_entries() {
  const std::vector<int32_t> place = inverse_permutation(out_.order);
  std::vector<int32_t> front_of(a_.n);
  for (size_t s = 0; s < out_.fronts.size(); ++s) {
    const Front& front = out_.fronts[s];
    std::fill_n(front_of.begin() + front.first, front.columns, static_cast<int32_t>(s));
  }
  entries_.ptr.assign(out_.fronts.size() + 1, 0);
  const auto visit = [&](auto&& body) {
    for (int32_t j = 0; j < a_.n; ++j) {
      for (int64_t e = a_.ptr[j]; e < a_.ptr[j + 1]; ++e) {
        const int32_t p = place[j], q = place[a_.row[e]];
        body(e, std::max(p, q), std::min(p, q));
      }
    }
  };
  visit([&](int64_t, int32_t, int32_t col) { ++entries_.ptr[front_of[col] + 1]; });
  std::partial_sum(entries_.ptr.begin(), entries_.ptr.end(), entries_.ptr.begin());
  std::vector<int64_t> next(entries_.ptr.begin(), entries_.ptr.end() - 1);
  entries_.index.resize(a_.nnz());
  entries_.row.resize(a_.nnz());
  entries_.col.resize(a_.nnz());
  visit([&](int64_t e, int32_t row, int32_t col) {
    const int64_t at = next[front_of[col]]++;
    entries_.index[at] = static_cast<int32_t>(e);
    entries_.row[at] = row;
    entries_.col[at] = col;
  });
}

// Rows below a front: those of its entries and of its children that lie beyond its pivots.
void Builder::find_rows() {
  std::vector<int32_t> seen(a_.n, -1);
  std::vector<std::vector<int32_t>> waiting(out_.fronts.size());  // children, leaves included
  for (size_t s = 0; s < out_.fronts.size(); ++s) {
    Front& front = out_.fronts[s];
    front.rows = static_cast<int64_t>(out_.rows.size());
    const int32_t end = front.first + front.columns;
    const auto add = [&](int32_t row) {
      if (row < end || seen[row] == static_cast<int32_t>(s)) return;
      seen[row] = static_cast<int32_t>(s);
      out_.rows.push_back(row);
    };
    for (int64_t e = entries_.ptr[s]; e < entries_.ptr[s + 1]; ++e) add(entries_.row[e]);
    for (const int32_t c : waiting[s]) {
      const Front& child = out_.fronts[c];
      for (int32_t k = 0; k < child.below; ++k) add(out_.rows[child.rows + k]);
    }
    std::sort(out_.rows.begin() + front.rows, out_.rows.end());
    if (static_cast<int64_t>(out_.rows.size()) != front.rows + front.below) {
      throw std::logic_error("symbolic factorisation: predicted and actual rows differ");
    }
    if (front.parent != -1) waiting[front.parent].push_back(static_cast<int32_t>(s));
    std::vector<int32_t>().swap(waiting[s]);
  }
}

void Builder::find_relative() {
  out_.relative.resize(out_.rows.size());
  for (Front& front : out_.fronts) {
    if (front.parent == -1) continue;
    const Front& parent = out_.fronts[front.parent];
    const int32_t* above = out_.rows.data() + parent.rows;
    const int32_t end = parent.first + parent.columns;
    int32_t at = 0;
    for (int32_t k = 0; k < front.below; ++k) {
      const int32_t row = out_.rows[front.rows + k];
      if (row < end) {
        out_.relative[front.rows + k] = row - parent.first;
      } else {
        while (above[at] != row) ++at;
        out_.relative[front.rows + k] = parent.columns + at;
      }
    }
    const int32_t* relative = out_.relative.data() + front.rows;
    front.tail = front.below;
    while (front.tail > 0 && relative[front.below - 1] - relative[front.tail - 1] == front.below - front.tail) {
      --front.tail;
    }
  }
}

void Builder::place_entries() {
  out_.entry = std::move(entries_.index);
  out_.place.resize(out_.entry.size());
  std::vector<int32_t> where(a_.n);
  for (size_t s = 0; s < out_.fronts.size(); ++s) {
    Front& front = out_.fronts[s];
    front.entry_begin = entries_.ptr[s];
    front.entry_end = entries_.ptr[s + 1];
    for (int32_t k = 0; k < front.columns; ++k) where[front.first + k] = k;
    for (int32_t k = 0; k < front.below; ++k) where[out_.rows[front.rows + k]] = front.columns + k;
    for (int64_t e = front.entry_begin; e < front.entry_end; ++e) {
      out_.place[e] = (entries_.col[e] - front.first) * front.height() + where[entries_.row[e]];
    }
  }
}

Symbolic Builder::build() {
  lay_out_fronts();
  group_entries();
  find_rows();
  find_relative();
  place_entries();
  return std::move(out_);
}

}  // namespace

Cost predict(const LowerPattern& a, const std::vector<int32_t>& order, const Signs& negative) {
  const EliminationTree tree = elimination_tree(a, order);
  return cost(tree, find_supernodes(a, tree, negative));
}

Symbolic analyse(const LowerPattern& a, const std::vector<int32_t>& order, const Signs& negative,
                 const Division& division) {
  const EliminationTree tree = elimination_tree(a, order);
  const Supernodes supernodes = find_supernodes(a, tree, negative);
  const Cost predicted = cost(tree, supernodes);
  if (predicted.largest_front > kMaxIndex || a.nnz() > kMaxIndex) {
    throw std::length_error("a panel of the factor, or the matrix itself, has more than 2^31 - 1 entries");
  }
  Symbolic out = Builder(a, supernodes, predicted).build();
  plan(out, division);
  for (const int32_t row : negative.empty() ? std::vector<int32_t>() : out.order) out.negative.push_back(negative[row]);
  out.pattern_ptr.assign(a.ptr, a.ptr + a.n + 1);
  out.pattern_row.assign(a.row, a.row + a.nnz());
  return out;
}

}  // namespace lgm
