#include "supernodes.h"

#include <algorithm>
#include <numeric>

namespace lgm {
namespace {

int64_t panel_entries(int64_t columns, int64_t below) { return columns * (columns + 1) / 2 + columns * below; }

// Leaves of one parent that share most of their rows may be one supernode: a matrix product in place of as many updates
// of rank one, which have to find the place of every number. Tried up to this share of zeros below the pivots and for
// so many columns; smaller work than this (rows^2 * columns) is not worth a call of BLAS.
constexpr double kSparseLeaves = 0.4;
constexpr int32_t kMostTogether = 48;
constexpr double kLeastTogether = 200e3;

// Whether a product over all columns, and one pass over what it is added to, take clearly less than finding `places`
// one by one. In units of one of these, as measured on crossed effects that fill 0.4 to all of their cells.
bool worth_a_product(double columns, double rows, double places) {
  return rows * rows * columns >= kLeastTogether && rows * rows * (1.0 + 0.1 * columns) <= 0.7 * places;
}

// A supernode while supernodes are being merged. It lives at the index of its last maximal supernode.
struct Group {
  int32_t columns = 0;
  int32_t below = 0;
  int64_t zeros = 0;  // entries stored though the factor has a zero there
  bool negative = false;
  bool maximal = true;  // as found, nothing merged into it
  std::vector<int32_t> children;
};

// Merging saves calls and indirect addressing and costs memory and arithmetic on zeros. Measured on chains, grids and
// maps: up to four columns the first always wins, beyond that no more than a tenth of zeros pays.
bool worth_merging(int64_t columns, int64_t zeros, int64_t entries) {
  if (columns <= 4) return true;
  const double share = static_cast<double>(zeros) / static_cast<double>(entries);
  if (columns <= 48) return share < 0.1;
  return share < 0.05;
}

class Amalgamation {
 public:
  Amalgamation(const LowerPattern& a, const EliminationTree& tree, const Signs& negative)
      : a_(a), tree_(tree), negative_(negative) {
    find_maximal();
    for (int32_t p = 0; p < static_cast<int32_t>(groups_.size()); ++p) merge_children(p);
    merge_leaves();
  }

  Supernodes ordered();

 private:
  void find_maximal();
  void merge_children(int32_t p);
  void merge_leaves();
  void merge_leaves_of(int32_t p, const Adjacency& rows);
  Adjacency rows_of_leaves() const;
  std::vector<int32_t> schedule();
  bool leaf(int32_t g) const { return groups_[g].children.empty(); }
  // A leaf as found, of which a few more like it would be worth merging.
  bool may_join(int32_t g) const {
    const Group& group = groups_[g];
    const double below = group.below;
    return owner_[g] == g && leaf(g) && group.maximal && group.columns < kMostTogether &&
           below * below * kMostTogether >= kLeastTogether;
  }
  bool negative(int32_t j) const { return !negative_.empty() && negative_[tree_.order[j]]; }

  const LowerPattern& a_;
  const EliminationTree& tree_;
  const Signs& negative_;
  std::vector<int32_t> first_;   // first column of each maximal supernode
  std::vector<Group> groups_;    // one per maximal supernode; those merged away are marked by owner_
  std::vector<int32_t> owner_;   // group into which a maximal supernode was merged (itself if it was not)
  std::vector<int32_t> parent_;  // parent group at the start
};

// Columns j and j + 1 share a supernode if j + 1 is the parent of j, has the same rows below, and a pivot of the same
// sign.
void Amalgamation::find_maximal() {
  const auto n = static_cast<int32_t>(tree_.parent.size());
  std::vector<int32_t> group_of(n);
  for (int32_t j = 0; j < n; ++j) {
    const bool apart = j == 0 || tree_.parent[j - 1] != j || tree_.count[j - 1] != tree_.count[j] + 1;
    if (apart || negative(j) != negative(j - 1)) first_.push_back(j);
    group_of[j] = static_cast<int32_t>(first_.size()) - 1;
  }
  const auto count = static_cast<int32_t>(first_.size());
  first_.push_back(n);
  groups_.resize(count);
  parent_.assign(count, -1);
  owner_.resize(count);
  std::iota(owner_.begin(), owner_.end(), 0);
  for (int32_t g = 0; g < count; ++g) {
    groups_[g].columns = first_[g + 1] - first_[g];
    groups_[g].below = tree_.count[first_[g]] - groups_[g].columns;
    groups_[g].negative = negative(first_[g]);
    const int32_t up = tree_.parent[first_[g + 1] - 1];
    if (up == -1) continue;
    parent_[g] = group_of[up];
    groups_[parent_[g]].children.push_back(g);
  }
}

// Offer every child to its parent, those that bring in the fewest zeros first, and then the children of those that were
// merged: what was too much for a narrow child may be nothing to a wide parent. Children have been through this before.
void Amalgamation::merge_children(int32_t p) {
  Group& parent = groups_[p];
  const auto new_zeros = [&](const Group& child) {
    return panel_entries(child.columns + parent.columns, parent.below) - panel_entries(child.columns, child.below) -
           panel_entries(parent.columns, parent.below);
  };
  const auto by_zeros = [&](std::vector<int32_t>& offers) {
    std::vector<std::pair<int64_t, int32_t>> ranked;
    for (const int32_t c : offers) ranked.emplace_back(new_zeros(groups_[c]), c);
    std::sort(ranked.begin(), ranked.end());
    for (size_t k = 0; k < offers.size(); ++k) offers[k] = ranked[k].second;
  };
  std::vector<int32_t> kept, offers = std::move(parent.children), handed_up;
  while (!offers.empty()) {
    by_zeros(offers);
    handed_up.clear();
    for (const int32_t c : offers) {
      Group& child = groups_[c];
      const int64_t zeros = child.zeros + parent.zeros + new_zeros(child);
      const int64_t columns = child.columns + parent.columns;
      const bool alike = child.negative == parent.negative;
      if (!alike || !worth_merging(columns, zeros, panel_entries(columns, parent.below))) {
        kept.push_back(c);
        continue;
      }
      parent.columns = static_cast<int32_t>(columns);
      parent.zeros = zeros;
      parent.maximal = false;
      handed_up.insert(handed_up.end(), child.children.begin(), child.children.end());
      child.children.clear();
      owner_[c] = p;
    }
    offers.swap(handed_up);
  }
  parent.children = std::move(kept);
}

// Rows below the leaves that may be merged with others, in factor order: nothing is eliminated before a leaf, so they
// are those of the matrix in its first column.
Adjacency Amalgamation::rows_of_leaves() const {
  const auto count = static_cast<int32_t>(groups_.size());
  std::vector<int32_t> leaf_of(a_.n, -1);  // by first column
  for (int32_t g = 0; g < count; ++g) {
    if (parent_[g] != -1 && may_join(g)) leaf_of[first_[g]] = g;
  }
  const std::vector<int32_t> place = inverse_permutation(tree_.order);
  const auto visit = [&](const auto& body) {
    for (int32_t j = 0; j < a_.n; ++j) {
      for (int64_t e = a_.ptr[j]; e < a_.ptr[j + 1]; ++e) {
        const int32_t one = place[j], other = place[a_.row[e]];
        const int32_t g = leaf_of[std::min(one, other)];
        if (g != -1 && std::max(one, other) >= first_[g + 1]) body(g, std::max(one, other));
      }
    }
  };
  Adjacency rows;
  rows.ptr.assign(count + 1, 0);
  visit([&](int32_t g, int32_t) { ++rows.ptr[g + 1]; });
  std::partial_sum(rows.ptr.begin(), rows.ptr.end(), rows.ptr.begin());
  rows.list.resize(rows.ptr[count]);
  std::vector<int64_t> next(rows.ptr.begin(), rows.ptr.end() - 1);
  visit([&](int32_t g, int32_t row) { rows.list[next[g]++] = row; });
  return rows;
}

void Amalgamation::merge_leaves() {
  const auto count = static_cast<int32_t>(groups_.size());
  std::vector<int32_t> parents;
  for (int32_t p = 0; p < count; ++p) {
    const auto& children = groups_[p].children;
    const auto joins = [&](int32_t c) { return may_join(c); };
    if (std::count_if(children.begin(), children.end(), joins) > 1) parents.push_back(p);
  }
  if (parents.empty()) return;
  const Adjacency rows = rows_of_leaves();
  for (const int32_t p : parents) merge_leaves_of(p, rows);
}

// Leaves in the order of their rows, each with those before it while they fit together. A merged group is at the index
// of its last leaf, as all groups are.
void Amalgamation::merge_leaves_of(int32_t p, const Adjacency& rows) {
  std::vector<int32_t> kept, offers;
  for (const int32_t c : groups_[p].children) (may_join(c) ? offers : kept).push_back(c);
  const auto begin = [&](int32_t g) { return rows.list.begin() + rows.ptr[g]; };
  const auto end = [&](int32_t g) { return rows.list.begin() + rows.ptr[g + 1]; };
  std::vector<std::pair<int32_t, int32_t>> ranked;
  for (const int32_t c : offers) ranked.emplace_back(*std::min_element(begin(c), end(c)), c);
  std::sort(ranked.begin(), ranked.end());
  std::vector<int32_t> together, mark(a_.n, -1);
  int64_t columns = 0, below = 0, entries = 0;
  const auto finish = [&] {
    double places = 0.0;
    for (const int32_t g : together) places += 0.5 * groups_[g].columns * groups_[g].below * groups_[g].below;
    if (!worth_a_product(static_cast<double>(columns), static_cast<double>(below), places)) {
      kept.insert(kept.end(), together.begin(), together.end());
    } else {
      const int32_t last = *std::max_element(together.begin(), together.end());
      int64_t stored = 0;
      for (const int32_t g : together) {
        stored += panel_entries(groups_[g].columns, groups_[g].below);
        owner_[g] = last;
      }
      Group& group = groups_[last];
      group.columns = static_cast<int32_t>(columns);
      group.below = static_cast<int32_t>(below);
      group.zeros = panel_entries(columns, below) - stored;
      group.maximal = false;
      kept.push_back(last);
    }
    together.clear();
    columns = below = entries = 0;
  };
  int32_t stamp = 0;
  for (const auto& [row, c] : ranked) {
    const Group& leaf = groups_[c];
    const auto joined = [&] {
      return std::count_if(begin(c), end(c), [&](int32_t r) { return mark[r] != stamp; });
    };
    const int64_t wide = columns + leaf.columns, high = below + joined();
    const int64_t filled = entries + static_cast<int64_t>(leaf.columns) * leaf.below;
    const bool alike = together.empty() || groups_[together.front()].negative == leaf.negative;
    const bool full = static_cast<double>(filled) >= (1.0 - kSparseLeaves) * static_cast<double>(wide * high);
    if (!alike || !full || wide > kMostTogether) {
      finish();
      ++stamp;
    }
    below += joined();
    columns += leaf.columns;
    entries += static_cast<int64_t>(leaf.columns) * leaf.below;
    for (auto r = begin(c); r != end(c); ++r) mark[*r] = stamp;
    together.push_back(c);
  }
  finish();
  groups_[p].children = std::move(kept);
}

// Postorder of the groups. Update matrices of children wait for their parent, so the child whose subtree needs most
// beyond what it leaves behind goes first (Liu 1986), and leaves go last.
std::vector<int32_t> Amalgamation::schedule() {
  const auto count = static_cast<int32_t>(groups_.size());
  std::vector<int64_t> peak(count, 0), size(count, 0);
  for (int32_t g = 0; g < count; ++g) {
    if (owner_[g] != g) continue;
    size[g] = static_cast<int64_t>(groups_[g].below) * groups_[g].below;
    auto& children = groups_[g].children;
    const auto rank = [&](int32_t c) { return leaf(c) ? int64_t{-1} : peak[c] - size[c]; };
    std::stable_sort(children.begin(), children.end(), [&](int32_t a, int32_t b) { return rank(a) > rank(b); });
    int64_t waiting = 0;
    for (const int32_t c : children) {
      if (leaf(c)) break;
      peak[g] = std::max(peak[g], waiting + peak[c]);
      waiting += size[c];
    }
    peak[g] = std::max(peak[g], waiting + size[g]);
  }
  std::vector<int32_t> order, path;
  std::vector<size_t> next(count, 0);
  for (int32_t root = 0; root < count; ++root) {
    if (owner_[root] != root || parent_[root] != -1) continue;
    path.push_back(root);
    while (!path.empty()) {
      const int32_t g = path.back();
      if (next[g] < groups_[g].children.size()) {
        path.push_back(groups_[g].children[next[g]++]);
      } else {
        order.push_back(g);
        path.pop_back();
      }
    }
  }
  return order;
}

Supernodes Amalgamation::ordered() {
  const auto count = static_cast<int32_t>(groups_.size());
  // A group's columns in their old order: columns of merged descendants come before those of the group itself.
  std::vector<std::vector<int32_t>> members(count);
  for (int32_t g = count - 1; g >= 0; --g) owner_[g] = owner_[owner_[g]];  // owners have larger indices: one pass
  for (int32_t g = 0; g < count; ++g) members[owner_[g]].push_back(g);
  const std::vector<int32_t> order = schedule();
  std::vector<int32_t> place(count, -1);
  for (size_t k = 0; k < order.size(); ++k) place[order[k]] = static_cast<int32_t>(k);
  Supernodes out;
  out.first.push_back(0);
  for (const int32_t g : order) {
    for (const int32_t m : members[g]) {
      for (int32_t j = first_[m]; j < first_[m + 1]; ++j) out.order.push_back(tree_.order[j]);
    }
    out.first.push_back(static_cast<int32_t>(out.order.size()));
    out.below.push_back(groups_[g].below);
    out.parent.push_back(parent_[g] == -1 ? -1 : place[owner_[parent_[g]]]);
    out.is_leaf.push_back(leaf(g) && parent_[g] != -1);
    out.negative.push_back(groups_[g].negative);
  }
  return out;
}

}  // namespace

Supernodes find_supernodes(const LowerPattern& a, const EliminationTree& tree, const Signs& negative) {
  return Amalgamation(a, tree, negative).ordered();
}

Cost cost(const EliminationTree& tree, const Supernodes& supernodes) {
  Cost total;
  for (const int32_t c : tree.count) total.factor_entries += c;
  for (int32_t s = 0; s < supernodes.count(); ++s) {
    const double columns = supernodes.columns(s), below = supernodes.below[s];
    const int64_t panel = static_cast<int64_t>(supernodes.columns(s)) * (supernodes.columns(s) + supernodes.below[s]);
    total.panel_entries += panel;
    total.row_entries += supernodes.below[s];
    total.largest_front = std::max(total.largest_front, panel);
    total.flops += columns * columns * columns / 3 + columns * columns * below + columns * below * below;
  }
  return total;
}

}  // namespace lgm
