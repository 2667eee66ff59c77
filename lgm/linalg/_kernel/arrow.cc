#include "arrow.h"

#include <algorithm>
#include <stdexcept>

namespace lgm {
namespace {

struct Met {
  int32_t neighbour, place, entry;
};

}  // namespace

Arrow arrow_of(const LowerPattern& pattern, const std::vector<int32_t>& head, int32_t size,
               const std::vector<int32_t>& border) {
  Arrow a;
  const int32_t n = pattern.n;
  a.n = n;
  a.nnz = pattern.ptr[n];
  a.pattern_ptr.assign(pattern.ptr, pattern.ptr + n + 1);
  a.pattern_row.assign(pattern.row, pattern.row + a.nnz);
  if (size < 1 || size > kMostInBlock || head.size() % size) throw std::invalid_argument("no such blocks");
  a.size = size;
  a.blocks = static_cast<int64_t>(head.size()) / size;
  a.head_row = head;
  a.border_row = border;
  a.border = static_cast<int64_t>(border.size());
  constexpr int32_t kRest = -1;
  std::vector<int32_t> in_head(n, kRest), in_border(n, kRest), in_rest(n, kRest);
  for (size_t i = 0; i < head.size(); ++i) {
    if (head[i] < 0 || head[i] >= n || in_head[head[i]] != kRest) throw std::invalid_argument("no such rows");
    in_head[head[i]] = static_cast<int32_t>(i);
  }
  for (size_t i = 0; i < border.size(); ++i) {
    const int32_t row = border[i];
    if (row < 0 || row >= n || in_head[row] != kRest || in_border[row] != kRest) {
      throw std::invalid_argument("no such rows");
    }
    in_border[row] = static_cast<int32_t>(i);
  }
  for (int32_t row = 0; row < n; ++row) {
    if (in_head[row] != kRest || in_border[row] != kRest) continue;
    in_rest[row] = static_cast<int32_t>(a.rest_row.size());
    a.rest_row.push_back(row);
  }
  a.rest = static_cast<int64_t>(a.rest_row.size());
  a.head_entry.assign(a.head() * size, -1);
  a.rest_diagonal.assign(a.rest, -1);
  a.border_entry.assign(a.border * n, -1);
  std::vector<int64_t> count(a.blocks + 1, 0);
  const auto each = [&](const auto& visit) {
    for (int32_t col = 0; col < n; ++col) {
      for (int64_t e = pattern.ptr[col]; e < pattern.ptr[col + 1]; ++e) {
        visit(col, static_cast<int32_t>(pattern.row[e]), static_cast<int32_t>(e));
      }
    }
  };
  each([&](int32_t col, int32_t row, int32_t entry) {
    if (in_border[col] != kRest || in_border[row] != kRest) {
      if (in_border[col] != kRest) a.border_entry[in_border[col] * a.n + row] = entry;
      if (in_border[row] != kRest) a.border_entry[in_border[row] * a.n + col] = entry;
    } else if (in_head[col] != kRest && in_head[row] != kRest) {
      const int32_t i = in_head[col], j = in_head[row];
      if (i / size != j / size) throw std::invalid_argument("blocks of the head meet");
      a.head_entry[static_cast<int64_t>(i) * size + j % size] = entry;
      a.head_entry[static_cast<int64_t>(j) * size + i % size] = entry;
    } else if (in_head[col] != kRest || in_head[row] != kRest) {
      ++count[std::max(in_head[col], in_head[row]) / size + 1];
    } else if (col == row) {
      a.rest_diagonal[in_rest[col]] = entry;
    } else {
      a.rest_col.push_back(in_rest[col]);
      a.rest_below.push_back(in_rest[row]);
      a.rest_entry.push_back(entry);
    }
  });
  for (int64_t b = 0; b < a.blocks; ++b) count[b + 1] += count[b];
  std::vector<Met> met(count[a.blocks]);
  std::vector<int64_t> next(count.begin(), count.end() - 1);
  each([&](int32_t col, int32_t row, int32_t entry) {
    if (in_border[col] != kRest || in_border[row] != kRest) return;
    if ((in_head[col] == kRest) == (in_head[row] == kRest)) return;
    const int32_t inside = std::max(in_head[col], in_head[row]), outside = std::max(in_rest[col], in_rest[row]);
    met[next[inside / size]++] = {outside, inside % size, entry};
  });
  a.start.assign(1, 0);
  a.start.reserve(a.blocks + 1);
  a.neighbour.reserve(met.size() / size);
  a.cross_entry.reserve(met.size());
  for (int64_t b = 0; b < a.blocks; ++b) {
    const auto first = met.begin() + count[b], last = met.begin() + count[b + 1];
    std::sort(first, last, [](const Met& one, const Met& other) { return one.neighbour < other.neighbour; });
    for (auto at = first; at != last; ++at) {
      if (at == first || at->neighbour != a.neighbour.back()) {
        a.neighbour.push_back(at->neighbour);
        a.cross_entry.insert(a.cross_entry.end(), size, -1);
      }
      a.cross_entry[(static_cast<int64_t>(a.neighbour.size()) - 1) * size + at->place] = at->entry;
    }
    a.start.push_back(static_cast<int64_t>(a.neighbour.size()));
  }
  return a;
}

}  // namespace lgm
