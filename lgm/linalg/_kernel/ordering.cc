#include "ordering.h"

#include <algorithm>

// The quotient graph of Amestoy, Davis & Duff (1996): an eliminated pivot becomes an *element*, which stands for the
// clique that its elimination makes. A *variable* (uneliminated) is adjacent to variables and to elements. Variables
// with the same neighbours are merged and counted by `weight`; a degree is bounded from above by sums over elements.
namespace lgm {
namespace {

class QuotientGraph {
 public:
  explicit QuotientGraph(const Adjacency& graph);
  std::vector<int32_t> order();

 private:
  enum class Kind : uint8_t { kVariable, kElement, kGone };
  static constexpr int32_t kNone = -1;

  // Neighbours of a variable: its elements, then its variables, in a stretch of `pool_` that never grows: every
  // elimination next to it adds one element and removes at least one neighbour.
  struct Neighbours {
    int64_t begin = 0;
    int32_t elements = 0;
    int32_t variables = 0;
  };

  int32_t take_smallest();
  void insert(int32_t v, int32_t degree);
  void remove(int32_t v);
  void make_element(int32_t pivot);
  void weigh_elements(int32_t pivot);
  void update_degree(int32_t v, int32_t pivot);
  void merge_alike();
  bool alike(int32_t v, int32_t u);
  void absorb(int32_t v, int32_t into);
  void finish(int32_t pivot);

  int32_t n_;
  int32_t left_;  // weight of the variables not yet eliminated
  std::vector<int32_t> pool_;
  std::vector<Neighbours> near_;
  std::vector<Kind> kind_;
  std::vector<int32_t> weight_;                // of a variable; 0 when it is gone
  std::vector<int32_t> degree_;                // bound on external degree; weight of an element's members
  std::vector<std::vector<int32_t>> members_;  // variables of an element
  std::vector<uint8_t> inside_;                // variable belongs to the present element
  std::vector<int32_t> outside_;               // weight of an element's members outside the present one ...
  std::vector<int32_t> stamp_;                 // ... valid if the stamp is that of this step
  std::vector<int32_t> compare_;               // stamps for comparing neighbours
  int32_t step_ = 0, comparison_ = 0;
  std::vector<int32_t> head_, next_, previous_;  // variables by degree
  int32_t smallest_ = 0;
  std::vector<std::pair<uint64_t, int32_t>> hashes_;
  std::vector<int32_t> kept_;  // neighbours that stay, while they are sorted out
  std::vector<int32_t> absorbed_first_, absorbed_next_, absorbed_last_;  // variables that go with a pivot
};

QuotientGraph::QuotientGraph(const Adjacency& graph)
    : n_(static_cast<int32_t>(graph.ptr.size()) - 1),
      left_(n_),
      pool_(graph.list),
      near_(n_),
      kind_(n_, Kind::kVariable),
      weight_(n_, 1),
      degree_(n_),
      members_(n_),
      inside_(n_, 0),
      outside_(n_, 0),
      stamp_(n_, -1),
      compare_(n_, -1),
      head_(n_ + 1, kNone),
      next_(n_, kNone),
      previous_(n_, kNone),
      absorbed_first_(n_, kNone),
      absorbed_next_(n_, kNone),
      absorbed_last_(n_, kNone) {
  for (int32_t v = n_ - 1; v >= 0; --v) {
    near_[v] = {graph.ptr[v], 0, static_cast<int32_t>(graph.ptr[v + 1] - graph.ptr[v])};
    insert(v, near_[v].variables);
  }
}

void QuotientGraph::insert(int32_t v, int32_t degree) {
  degree_[v] = degree;
  previous_[v] = kNone;
  next_[v] = head_[degree];
  if (next_[v] != kNone) previous_[next_[v]] = v;
  head_[degree] = v;
  smallest_ = std::min(smallest_, degree);
}

void QuotientGraph::remove(int32_t v) {
  if (next_[v] != kNone) previous_[next_[v]] = previous_[v];
  if (previous_[v] != kNone) {
    next_[previous_[v]] = next_[v];
  } else {
    head_[degree_[v]] = next_[v];
  }
}

int32_t QuotientGraph::take_smallest() {
  while (head_[smallest_] == kNone) ++smallest_;
  const int32_t v = head_[smallest_];
  remove(v);
  return v;
}

// `v` is ordered together with `into`.
void QuotientGraph::absorb(int32_t v, int32_t into) {
  kind_[v] = Kind::kGone;
  weight_[v] = 0;
  if (absorbed_first_[into] == kNone) {
    absorbed_first_[into] = v;
  } else {
    absorbed_next_[absorbed_last_[into]] = v;
  }
  absorbed_last_[into] = v;
}

// Members of the new element: the pivot's variables and the members of its elements, which it swallows.
void QuotientGraph::make_element(int32_t pivot) {
  std::vector<int32_t>& members = members_[pivot];
  const auto take = [&](int32_t v) {
    if (v == pivot || weight_[v] == 0 || inside_[v]) return;
    inside_[v] = 1;
    members.push_back(v);
    remove(v);
  };
  const Neighbours& near = near_[pivot];
  const int32_t* list = pool_.data() + near.begin;
  for (int32_t k = 0; k < near.elements; ++k) {
    const int32_t e = list[k];
    if (kind_[e] != Kind::kElement) continue;
    for (const int32_t v : members_[e]) take(v);
    kind_[e] = Kind::kGone;
    std::vector<int32_t>().swap(members_[e]);
  }
  for (int32_t k = 0; k < near.variables; ++k) take(list[near.elements + k]);
  kind_[pivot] = Kind::kElement;
}

// For every element next to a member: the weight of its members outside the new element.
void QuotientGraph::weigh_elements(int32_t pivot) {
  ++step_;
  for (const int32_t v : members_[pivot]) {
    const int32_t* elements = pool_.data() + near_[v].begin;
    for (int32_t k = 0; k < near_[v].elements; ++k) {
      const int32_t e = elements[k];
      if (kind_[e] != Kind::kElement) continue;
      if (stamp_[e] != step_) {
        stamp_[e] = step_;
        outside_[e] = degree_[e];
      }
      outside_[e] -= weight_[v];
    }
  }
}

// Drop what the new element covers from the neighbours of a member, bound its degree, and hash what is left.
void QuotientGraph::update_degree(int32_t v, int32_t pivot) {
  Neighbours& near = near_[v];
  int32_t* const list = pool_.data() + near.begin;
  int64_t degree = 0;
  uint64_t hash = static_cast<uint64_t>(pivot);
  const int32_t old_elements = near.elements, old_end = near.elements + near.variables;
  std::vector<int32_t>& kept = kept_;
  kept.clear();
  for (int32_t k = 0; k < old_elements; ++k) {
    const int32_t e = list[k];
    if (kind_[e] != Kind::kElement) continue;
    if (outside_[e] == 0) {  // all its members are in the new element
      kind_[e] = Kind::kGone;
      std::vector<int32_t>().swap(members_[e]);
      continue;
    }
    kept.push_back(e);
    degree += outside_[e];
    hash += static_cast<uint64_t>(e);
  }
  const auto elements = static_cast<int32_t>(kept.size());
  for (int32_t k = old_elements; k < old_end; ++k) {
    const int32_t u = list[k];
    if (weight_[u] == 0 || inside_[u] || kind_[u] != Kind::kVariable) continue;
    kept.push_back(u);
    degree += weight_[u];
    hash += static_cast<uint64_t>(u);
  }
  if (kept.empty()) {  // no neighbours beyond the new element: eliminated with the pivot at no cost
    left_ -= weight_[v];
    weight_[pivot] += weight_[v];
    inside_[v] = 0;
    absorb(v, pivot);
    return;
  }
  list[0] = pivot;
  std::copy(kept.begin(), kept.end(), list + 1);
  near.elements = elements + 1;
  near.variables = static_cast<int32_t>(kept.size()) - elements;
  degree_[v] = static_cast<int32_t>(std::min<int64_t>(degree_[v], degree));
  hashes_.emplace_back(hash, v);
}

bool QuotientGraph::alike(int32_t v, int32_t u) {
  const Neighbours &a = near_[v], &b = near_[u];
  if (a.elements != b.elements || a.variables != b.variables) return false;
  const int32_t* list = pool_.data() + b.begin;
  return std::all_of(list, list + b.elements + b.variables, [&](int32_t x) { return compare_[x] == comparison_; });
}

// Members with the same neighbours become one variable.
void QuotientGraph::merge_alike() {
  std::sort(hashes_.begin(), hashes_.end());
  for (size_t first = 0; first < hashes_.size(); ++first) {
    const int32_t v = hashes_[first].second;
    if (weight_[v] == 0) continue;
    bool marked = false;
    for (size_t other = first + 1; other < hashes_.size() && hashes_[other].first == hashes_[first].first; ++other) {
      const int32_t u = hashes_[other].second;
      if (weight_[u] == 0) continue;
      if (!marked) {
        ++comparison_;
        const int32_t* list = pool_.data() + near_[v].begin;
        for (int32_t k = 0; k < near_[v].elements + near_[v].variables; ++k) compare_[list[k]] = comparison_;
        marked = true;
      }
      if (!alike(v, u)) continue;
      weight_[v] += weight_[u];
      inside_[u] = 0;
      absorb(u, v);
    }
  }
  hashes_.clear();
}

// Keep the members that are still there, with their degrees: what lies outside the element plus the element itself.
void QuotientGraph::finish(int32_t pivot) {
  std::vector<int32_t>& members = members_[pivot];
  members.erase(std::remove_if(members.begin(), members.end(), [&](int32_t v) { return weight_[v] == 0; }),
                members.end());
  int32_t total = 0;
  for (const int32_t v : members) total += weight_[v];
  degree_[pivot] = total;
  for (const int32_t v : members) {
    inside_[v] = 0;
    const int64_t bound = static_cast<int64_t>(degree_[v]) + total - weight_[v];
    insert(v, static_cast<int32_t>(std::min<int64_t>(bound, left_ - weight_[v])));
  }
  if (members.empty()) kind_[pivot] = Kind::kGone;
}

std::vector<int32_t> QuotientGraph::order() {
  std::vector<int32_t> pivots;
  while (left_ > 0) {
    const int32_t pivot = take_smallest();
    left_ -= weight_[pivot];
    make_element(pivot);
    weigh_elements(pivot);
    for (const int32_t v : members_[pivot]) update_degree(v, pivot);
    merge_alike();
    finish(pivot);
    weight_[pivot] = 0;
    pivots.push_back(pivot);
  }
  std::vector<int32_t> out, stack;
  out.reserve(n_);
  for (const int32_t pivot : pivots) {
    stack.push_back(pivot);
    while (!stack.empty()) {
      const int32_t v = stack.back();
      stack.pop_back();
      out.push_back(v);
      for (int32_t u = absorbed_first_[v]; u != kNone; u = absorbed_next_[u]) stack.push_back(u);
    }
  }
  return out;
}

}  // namespace

std::vector<int32_t> minimum_degree(const Adjacency& graph) { return QuotientGraph(graph).order(); }

}  // namespace lgm
