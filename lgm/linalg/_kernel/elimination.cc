#include "elimination.h"

#include <algorithm>
#include <numeric>

namespace lgm {
namespace {

// For every row of the permuted strict lower triangle, its columns, in any order.
Adjacency rows_of_lower(const LowerPattern& a, const std::vector<int32_t>& order) {
  const std::vector<int32_t> place = inverse_permutation(order);
  Adjacency rows;
  rows.ptr.assign(a.n + 1, 0);
  for (int32_t j = 0; j < a.n; ++j) {
    for (int64_t e = a.ptr[j] + 1; e < a.ptr[j + 1]; ++e) {
      ++rows.ptr[std::max(place[j], place[a.row[e]]) + 1];
    }
  }
  std::partial_sum(rows.ptr.begin(), rows.ptr.end(), rows.ptr.begin());
  rows.list.resize(rows.ptr[a.n]);
  std::vector<int64_t> next(rows.ptr.begin(), rows.ptr.end() - 1);
  for (int32_t j = 0; j < a.n; ++j) {
    for (int64_t e = a.ptr[j] + 1; e < a.ptr[j + 1]; ++e) {
      const auto [low, high] = std::minmax(place[j], place[static_cast<int32_t>(a.row[e])]);
      rows.list[next[high]++] = low;
    }
  }
  return rows;
}

// Liu's algorithm: climb from every entry of row i towards the root, compressing paths, and hang the top below i.
std::vector<int32_t> parents(const Adjacency& rows) {
  const auto n = static_cast<int32_t>(rows.ptr.size()) - 1;
  std::vector<int32_t> parent(n, -1), ancestor(n, -1);
  for (int32_t i = 0; i < n; ++i) {
    for (int64_t e = rows.ptr[i]; e < rows.ptr[i + 1]; ++e) {
      int32_t j = rows.list[e];
      while (j != -1 && j != i) {
        const int32_t up = ancestor[j];
        ancestor[j] = i;
        if (up == -1) parent[j] = i;
        j = up;
      }
    }
  }
  return parent;
}

int32_t find_root(std::vector<int32_t>& link, int32_t v) {
  int32_t root = v;
  while (link[root] != root) root = link[root];
  while (link[v] != root) {
    const int32_t up = link[v];
    link[v] = root;
    v = up;
  }
  return root;
}

// Gilbert, Ng & Peyton (1994): count[j] is the number of row subtrees that contain j. A subtree is the sum of the
// paths from its leaves, minus those counted twice (below least common ancestors), cut off above its root, so a few
// +1 and -1 marks per row, summed up the tree, give all counts in nearly linear time. The tree is postordered.
std::vector<int32_t> column_counts(const Adjacency& rows, const std::vector<int32_t>& parent) {
  const auto n = static_cast<int32_t>(parent.size());
  std::vector<int32_t> first(n), mark(n, 0), link(n), previous_leaf(n, -1);
  std::iota(first.begin(), first.end(), 0);
  std::iota(link.begin(), link.end(), 0);
  for (int32_t j = 0; j < n; ++j) {
    if (first[j] == j) mark[j] = 1;  // no descendant has claimed j: a leaf of the tree, hence of its own row subtree
    if (parent[j] != -1) {
      first[parent[j]] = std::min(first[parent[j]], first[j]);
      --mark[parent[j]];
    }
  }
  // Columns must be visited in order, so turn the rows round.
  Adjacency cols;
  cols.ptr.assign(n + 1, 0);
  for (const int32_t j : rows.list) ++cols.ptr[j + 1];
  std::partial_sum(cols.ptr.begin(), cols.ptr.end(), cols.ptr.begin());
  cols.list.resize(rows.list.size());
  std::vector<int64_t> next(cols.ptr.begin(), cols.ptr.end() - 1);
  for (int32_t i = 0; i < n; ++i) {
    for (int64_t e = rows.ptr[i]; e < rows.ptr[i + 1]; ++e) cols.list[next[rows.list[e]]++] = i;
  }
  std::vector<int32_t> last_column(n, -1);
  for (int32_t j = 0; j < n; ++j) {
    for (int64_t e = cols.ptr[j]; e < cols.ptr[j + 1]; ++e) {
      const int32_t i = cols.list[e];
      if (last_column[i] < first[j]) {  // no entry of row i among the descendants of j: j is a leaf of its subtree
        ++mark[j];
        if (previous_leaf[i] != -1) --mark[find_root(link, previous_leaf[i])];
        previous_leaf[i] = j;
      }
      last_column[i] = j;
    }
    if (parent[j] != -1) link[j] = parent[j];
  }
  for (int32_t j = 0; j < n; ++j) {
    if (parent[j] != -1) mark[parent[j]] += mark[j];
  }
  return mark;
}

}  // namespace

std::vector<int32_t> inverse_permutation(const std::vector<int32_t>& order) {
  std::vector<int32_t> place(order.size());
  for (size_t k = 0; k < order.size(); ++k) place[order[k]] = static_cast<int32_t>(k);
  return place;
}

std::vector<int32_t> postorder(const std::vector<int32_t>& parent) {
  const auto n = static_cast<int32_t>(parent.size());
  std::vector<int32_t> child(n, -1), sibling(n, -1), order;
  order.reserve(n);
  for (int32_t j = n - 1; j >= 0; --j) {
    if (parent[j] == -1) continue;
    sibling[j] = child[parent[j]];
    child[parent[j]] = j;
  }
  std::vector<int32_t> path;
  for (int32_t root = 0; root < n; ++root) {
    if (parent[root] != -1) continue;
    path.push_back(root);
    while (!path.empty()) {
      const int32_t v = path.back();
      if (child[v] != -1) {
        path.push_back(child[v]);
        child[v] = sibling[child[v]];
      } else {
        order.push_back(v);
        path.pop_back();
      }
    }
  }
  return order;
}

EliminationTree elimination_tree(const LowerPattern& a, const std::vector<int32_t>& order) {
  const std::vector<int32_t> first_parent = parents(rows_of_lower(a, order));
  const std::vector<int32_t> post = postorder(first_parent);
  const std::vector<int32_t> place = inverse_permutation(post);
  EliminationTree tree;
  tree.order.resize(a.n);
  tree.parent.resize(a.n);
  for (int32_t k = 0; k < a.n; ++k) {
    tree.order[k] = order[post[k]];
    const int32_t up = first_parent[post[k]];
    tree.parent[k] = up == -1 ? -1 : place[up];
  }
  tree.count = column_counts(rows_of_lower(a, tree.order), tree.parent);
  return tree;
}

}  // namespace lgm
