// Dense arithmetic on one large front by a team. What is cut into which tiles depends on sizes alone, so that however
// many threads there are, the same calls of BLAS see the same numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "blas.h"
#include "loops.h"
#include "parallel.h"

namespace lgm {

constexpr int32_t kColumnsTogether = 24;   // of a front that is assembled
constexpr int32_t kPartsOfChild = 6;       // in which it gets its rows' inverse
constexpr int32_t kLeastSide = 64, kMostSide = 192;  // of a tile
constexpr int32_t kBlock = 128;            // pivots factored at once
constexpr int32_t kStrip = 48;             // of columns on the pivots: strips skip most of the upper triangle

// begin .. end - 1
struct Run {
  int32_t begin = 0, end = 0;

  int32_t size() const { return end - begin; }
};

inline Run part_of(int32_t size, int64_t part, int64_t parts) {
  return {static_cast<int32_t>(size * part / parts), static_cast<int32_t>(size * (part + 1) / parts)};
}

// 0 .. size - 1 in runs of about one length, at most `longest`.
class Cuts {
 public:
  Cuts(int32_t size, int32_t longest) : size_(size), count_((size + longest - 1) / longest) {}

  int32_t count() const { return count_; }
  Run operator[](int64_t part) const { return part_of(size_, part, count_); }

 private:
  int32_t size_, count_;
};

// Enough tiles for a few threads, of a size that BLAS is fast at.
inline Cuts tiles_of(int32_t size) { return {size, std::clamp(size / 6, kLeastSide, kMostSide)}; }

struct Tile {
  Run rows, columns;

  bool on_diagonal() const { return rows.begin == columns.begin; }
};

// All of rows x columns.
inline std::vector<Tile> tiles_of(int32_t rows, int32_t columns) {
  const Cuts down = tiles_of(rows), across(columns, kMostSide);
  std::vector<Tile> out;
  for (int32_t j = 0; j < across.count(); ++j) {
    for (int32_t i = 0; i < down.count(); ++i) out.push_back({down[i], across[j]});
  }
  return out;
}

// The lower triangle of the first `columns` of a symmetric matrix; tiles on the diagonal are square.
inline std::vector<Tile> lower_tiles_of(int32_t rows, int32_t columns) {
  const Cuts across = tiles_of(columns);
  std::vector<Tile> out;
  for (int32_t j = 0; j < across.count(); ++j) {
    const int32_t end = across[j].end;
    out.push_back({across[j], across[j]});
    const Cuts down = tiles_of(rows - end);
    for (int32_t i = 0; i < down.count(); ++i) out.push_back({{end + down[i].begin, end + down[i].end}, across[j]});
  }
  return out;
}

// Lower triangle of the first `columns` of C += alpha A A', A rows x depth.
inline void add_square(const Team& team, int32_t rows, int32_t columns, int32_t depth, double alpha, const double* a,
                       int64_t lda, double* c, int64_t ldc) {
  const std::vector<Tile> tiles = lower_tiles_of(rows, columns);
  team.for_each(static_cast<int64_t>(tiles.size()), [&](int64_t t, int64_t) {
    const auto [down, across] = tiles[t];
    double* const to = c + across.begin * ldc + down.begin;
    const auto ld = static_cast<int32_t>(lda), ld_to = static_cast<int32_t>(ldc);
    if (tiles[t].on_diagonal()) {
      blas::syrk(across.size(), depth, alpha, a + across.begin, ld, 1.0, to, ld_to);
    } else {
      blas::gemm('N', 'T', down.size(), across.size(), depth, alpha, a + down.begin, ld, a + across.begin, ld, 1.0, to,
                 ld_to);
    }
  });
}

// B = B L^-T, B rows x n.
inline void divide_rows(const Team& team, int32_t rows, int32_t n, const double* l, double* b, int32_t ld) {
  const Cuts cuts = tiles_of(rows);
  team.for_each(cuts.count(), [&](int64_t i, int64_t) {
    blas::trsm_right('T', cuts[i].size(), n, l, ld, b + cuts[i].begin, ld);
  });
}

// B = B L
inline void multiply_rows(const Team& team, int32_t rows, int32_t n, const double* l, double* b, int32_t ld) {
  const Cuts cuts = tiles_of(rows);
  team.for_each(cuts.count(), [&](int64_t i, int64_t) {
    blas::trmm_right(cuts[i].size(), n, l, ld, b + cuts[i].begin, ld);
  });
}

// B = alpha op(L) B, B n x columns.
inline void multiply_columns(const Team& team, char trans, int32_t n, int32_t columns, double alpha, const double* l,
                             double* b, int32_t ld) {
  const Cuts cuts = tiles_of(columns);
  team.for_each(cuts.count(), [&](int64_t i, int64_t) {
    blas::trmm_left(trans, n, cuts[i].size(), alpha, l, ld, b + static_cast<int64_t>(cuts[i].begin) * ld, ld);
  });
}

// Cholesky of the pivots of a panel, and the rows below brought along; the failing pivot, from 1, or 0.
inline int32_t factor_panel_on_tiles(const Team& team, int32_t columns, int32_t below, double* panel) {
  const int32_t height = columns + below;
  const int64_t ld = height;
  const Cuts blocks(columns, kBlock);
  for (int32_t b = 0; b < blocks.count(); ++b) {
    const auto [first, next] = blocks[b];
    const int32_t wide = next - first, rest = height - next;
    double* const diagonal = panel + first * (ld + 1);
    double* const under = diagonal + wide;
    if (const int32_t failed = blas::potrf(wide, diagonal, height)) return first + failed;
    for (int32_t k = 0; k < wide; ++k) {  // some libraries let NaN and infinity through
      if (!loops::is_pivot(diagonal[k * (ld + 1)])) return first + k + 1;
    }
    divide_rows(team, rest, wide, diagonal, under, height);
    add_square(team, rest, columns - next, wide, -1.0, under, ld, panel + next * (ld + 1), ld);
  }
  return 0;
}

// L^-1 in place, by halves.
inline void invert_lower_on_tiles(const Team& team, int32_t n, double* l, int32_t ld) {
  if (n <= 2 * kBlock) return blas::trtri(n, l, ld);
  const int32_t half = n / 2;
  double* const across = l + half;
  double* const last = l + static_cast<int64_t>(half) * (ld + 1);
  invert_lower_on_tiles(team, half, l, ld);
  invert_lower_on_tiles(team, n - half, last, ld);
  multiply_rows(team, n - half, half, l, across, ld);
  multiply_columns(team, 'N', n - half, half, -1.0, last, across, ld);
}

// L'L in place, its lower triangle, by halves.
inline void square_lower_on_tiles(const Team& team, int32_t n, double* l, int32_t ld) {
  if (n <= 2 * kBlock) return blas::lauum(n, l, ld);
  const int32_t half = n / 2;
  double* const across = l + half;
  double* const last = l + static_cast<int64_t>(half) * (ld + 1);
  square_lower_on_tiles(team, half, l, ld);
  const std::vector<Tile> tiles = lower_tiles_of(half, half);
  team.for_each(static_cast<int64_t>(tiles.size()), [&](int64_t t, int64_t) {
    const auto [down, over] = tiles[t];  // what is above the diagonal is never read
    const double *const a = across + static_cast<int64_t>(down.begin) * ld,
                 *const b = across + static_cast<int64_t>(over.begin) * ld;
    blas::gemm('T', 'N', down.size(), over.size(), n - half, 1.0, a, ld, b, ld, 1.0,
               l + static_cast<int64_t>(over.begin) * ld + down.begin, ld);
  });
  multiply_columns(team, 'T', n - half, half, 1.0, last, across, ld);
  square_lower_on_tiles(team, n - half, last, ld);
}

// The upper triangle from the lower.
inline void mirror_on_tiles(const Team& team, int32_t n, double* a) {
  const std::vector<Tile> tiles = lower_tiles_of(n, n);
  team.for_each(static_cast<int64_t>(tiles.size()), [&](int64_t t, int64_t) {
    const auto [down, across] = tiles[t];
    constexpr int32_t kPatch = 16;  // columns whose lines stay in cache
    for (int32_t patch = across.begin; patch < across.end; patch += kPatch) {
      for (int32_t i = down.begin; i < down.end; ++i) {
        const int32_t end = std::min({patch + kPatch, across.end, i});
        for (int32_t j = patch; j < end; ++j) a[static_cast<int64_t>(i) * n + j] = a[static_cast<int64_t>(j) * n + i];
      }
    }
  });
}

// As `invert_front_by_blas`.
inline void invert_front_on_tiles(const Team& team, int32_t columns, int32_t below, double sign, double* panel,
                                  double* outer, double* block) {
  const int32_t height = columns + below;
  const int64_t ld = height;
  double* const w = panel + columns;
  invert_lower_on_tiles(team, columns, panel, height);
  if (below > 0) {
    multiply_rows(team, below, columns, panel, w, height);
    mirror_on_tiles(team, below, outer);
    const std::vector<Tile> tiles = tiles_of(below, columns);
    team.for_each(static_cast<int64_t>(tiles.size()), [&](int64_t t, int64_t) {
      const auto [down, across] = tiles[t];
      blas::gemm('N', 'N', down.size(), across.size(), below, -1.0, outer + down.begin, below, w + across.begin * ld,
                 height, 0.0, block + static_cast<int64_t>(across.begin) * below + down.begin, below);
    });
  }
  square_lower_on_tiles(team, columns, panel, height);
  const Cuts cuts(columns, kStrip);
  const auto for_columns = [&](const auto& body) {
    team.for_each(cuts.count(), [&](int64_t cut, int64_t) { body(cuts[cut]); });
  };
  if (sign < 0.0) {
    for_columns([&](Run run) {
      for (int32_t j = run.begin; j < run.end; ++j) {
        for (int32_t i = j; i < columns; ++i) panel[j * ld + i] *= sign;
      }
    });
  }
  if (below == 0) return;
  for_columns([&](Run run) {
    const int32_t j = run.begin;
    blas::gemm('T', 'N', columns - j, run.size(), below, -1.0, w + j * ld, height,
               block + static_cast<int64_t>(j) * below, below, 1.0, panel + j * (ld + 1), height);
  });
  for_columns([&](Run run) {
    for (int32_t j = run.begin; j < run.end; ++j) {
      std::copy_n(block + static_cast<int64_t>(j) * below, below, w + j * ld);
    }
  });
}

}  // namespace lgm
