#include "iterate.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <mutex>

#include "products.h"

namespace lgm {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Bits that depend on all of the bits of a place (Steele, Lea & Flood 2014: splitmix64).
uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

double sign(uint64_t seed, int64_t vector, int64_t row) {
  return mixed(mixed(mixed(seed) ^ static_cast<uint64_t>(vector)) ^ static_cast<uint64_t>(row)) >> 63 ? 1.0 : -1.0;
}

int64_t chunks(int64_t k) { return (k + kWide - 1) / kWide; }

}  // namespace

Iterated::Iterated(const Arrow& arrow, const double* values, const Limits& limits, const Loop& loop)
    : arrow_(arrow), values_(values), limits_(limits), loop_(loop), reduced_(arrow, values) {
  if (!reduced_.fine()) {
    ended_ = Ended::kNotPositive;
    return;
  }
  const int64_t p = arrow.border, n = arrow.n;
  if (p == 0) return;
  std::vector<double> columns(n * p, 0.0);  // H_bF
  for (int64_t j = 0; j < p; ++j) {
    for (int64_t i = 0; i < n; ++i) {
      const int32_t entry = arrow.border_entry[j * n + i];
      if (entry >= 0) columns[i * p + j] = values[entry];
    }
  }
  std::vector<double> schur(p * p);
  for (int64_t i = 0; i < p; ++i) {
    double* const own = columns.data() + arrow.border_row[i] * p;
    std::copy_n(own, p, schur.data() + i * p);
    std::fill_n(own, p, 0.0);
  }
  solved_.assign(n * p, 0.0);
  loop_(chunks(p), [&](int64_t chunk) {
    const int64_t first = chunk * kWide, count = std::min(kWide, p - first);
    Block block = gathered(columns.data(), p, first, count);
    inner_solve(block, count);
    for (int64_t c = 0; c < count; ++c) {
      for (int64_t i = 0; i < arrow_.head(); ++i) solved_[arrow_.head_row[i] * p + first + c] = block.head[i * kWide + c];
      for (int64_t i = 0; i < arrow_.rest; ++i) solved_[arrow_.rest_row[i] * p + first + c] = block.rest[i * kWide + c];
    }
  });
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < p; ++i) {
      for (int64_t j = 0; j < p; ++j) schur[i * p + j] -= columns[row * p + i] * solved_[row * p + j];
    }
  }
  // S_F = L L', and the inverse of L
  for (int64_t j = 0; j < p; ++j) {
    for (int64_t i = j; i < p; ++i) {
      double sum = 0.5 * (schur[i * p + j] + schur[j * p + i]);
      for (int64_t k = 0; k < j; ++k) sum -= schur[i * p + k] * schur[j * p + k];
      if (i == j) {
        if (!(sum > 0.0) || !std::isfinite(sum)) {
          note(Ended::kNotPositive);
          return;
        }
        schur[j * p + j] = std::sqrt(sum);
        log_border_ += std::log(sum);
      } else {
        schur[i * p + j] = sum / schur[j * p + j];
      }
    }
  }
  border_root_.assign(p * p, 0.0);
  for (int64_t j = 0; j < p; ++j) {  // row j of the transposed inverse
    for (int64_t i = j; i < p; ++i) {
      double sum = i == j ? 1.0 : 0.0;
      for (int64_t k = j; k < i; ++k) sum -= schur[i * p + k] * border_root_[j * p + k];
      border_root_[j * p + i] = sum / schur[i * p + i];
    }
  }
}

void Iterated::note(Ended ended) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  if (ended_ == Ended::kWell) ended_ = ended;
}

Iterated::Block Iterated::zeros() const {
  return {Wide(arrow_.head() * kWide, 0.0), Wide(arrow_.rest * kWide, 0.0)};
}

Iterated::Block Iterated::gathered(const double* b, int64_t k, int64_t first, int64_t count) const {
  Block block = zeros();
  for (int64_t i = 0; i < arrow_.head(); ++i) {
    std::copy_n(b + arrow_.head_row[i] * k + first, count, block.head.data() + i * kWide);
  }
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    std::copy_n(b + arrow_.rest_row[i] * k + first, count, block.rest.data() + i * kWide);
  }
  return block;
}

void Iterated::inner_solve(Block& block, int64_t count) {
  const int32_t q = arrow_.size;
  const std::vector<double>& inverse = reduced_.inverse();
  Wide& head = block.head;
  double own[kMostInBlock * kWide];
  for (int64_t b = 0; b < arrow_.blocks; ++b) {
    double* const at = head.data() + b * q * kWide;
    std::copy_n(at, q * kWide, own);
    std::fill_n(at, q * kWide, 0.0);
    for (int32_t e = 0; e < q; ++e) {
      for (int32_t f = 0; f < q; ++f) {
        for (int64_t c = 0; c < kWide; ++c) at[e * kWide + c] -= inverse[(b * q + e) * q + f] * own[f * kWide + c];
      }
    }
  }  // -D^-1 r
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    for (int64_t c = 0; c < kWide; ++c) block.rest[i * kWide + c] *= reduced_.scale()[i];
  }
  reduced_.from_head(head, block.rest);
  Wide x, back(head.size());
  note(lgm::solve(reduced_, block.rest, count, limits_.tolerance, 20 * limits_.steps, x));
  reduced_.to_head(x, back);
  for (size_t i = 0; i < head.size(); ++i) head[i] = back[i] - head[i];
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    for (int64_t c = 0; c < kWide; ++c) block.rest[i * kWide + c] = reduced_.scale()[i] * x[i * kWide + c];
  }
}

// From normals, with what T has of them in `turned`: T^1/2 z.
void Iterated::inner_sample(Block& z, int64_t count, Wide* turned) {
  const int32_t q = arrow_.size;
  const Krylov krylov(reduced_, z.rest, count, limits_.tolerance, limits_.steps);
  note(krylov.ended());
  if (krylov.ended() != Ended::kWell) return;
  const Wide x = krylov.inverse_root();
  Wide head(z.head.size());
  if (turned) {
    turned->resize(x.size());
    reduced_.apply(x, *turned, &head);
  } else {
    reduced_.to_head(x, head);
  }
  for (int64_t b = 0; b < arrow_.blocks; ++b) {
    for (int32_t e = 0; e < q; ++e) {
      for (int32_t f = 0; f < q; ++f) {
        const double factor = reduced_.root()[(b * q + e) * q + f];
        for (int64_t c = 0; c < kWide; ++c) head[(b * q + e) * kWide + c] += factor * z.head[(b * q + f) * kWide + c];
      }
    }
  }
  z.head = std::move(head);
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    for (int64_t c = 0; c < kWide; ++c) z.rest[i * kWide + c] = reduced_.scale()[i] * x[i * kWide + c];
  }
}

void Iterated::scatter(const Block& block, const std::vector<double>& border, int64_t k, int64_t first, int64_t count,
                       double* out) const {
  const auto put = [&](const double* from, const std::vector<int32_t>& rows) {
    for (size_t i = 0; i < rows.size(); ++i) std::copy_n(from + i * kWide, count, out + rows[i] * k + first);
  };
  put(block.head.data(), arrow_.head_row);
  put(block.rest.data(), arrow_.rest_row);
  put(border.data(), arrow_.border_row);
}

// Takes H_bb^-1 H_bF x_F from a block, for x_F (border, kWide).
void Iterated::take_border(const std::vector<double>& border, int64_t count, Block& block) const {
  const int64_t p = arrow_.border;
  const auto take = [&](const std::vector<int32_t>& rows, Wide& from) {
    for (size_t i = 0; i < rows.size(); ++i) {
      for (int64_t j = 0; j < p; ++j) {
        const double factor = solved_[rows[i] * p + j];
        for (int64_t c = 0; c < count; ++c) from[i * kWide + c] -= factor * border[j * kWide + c];
      }
    }
  };
  take(arrow_.head_row, block.head);
  take(arrow_.rest_row, block.rest);
}

Wide Iterated::signs(uint64_t seed, int64_t first, int64_t count) const {
  Wide z(arrow_.rest * kWide, 0.0);
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    for (int64_t c = 0; c < count; ++c) z[i * kWide + c] = sign(seed, first + c, i);
  }
  return z;
}

// Gradients of log|D| and log|S_F|: the latter is tr(S_F^-1 W'dH W) with W = [-H_bb^-1 H_bF; I].
void Iterated::add_constants(double* gradient) const {
  reduced_.add_head(gradient);
  const int64_t p = arrow_.border, n = arrow_.n;
  if (p == 0) return;
  std::vector<double> w(n * p, 0.0), own(arrow_.nnz);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < p; ++j) {
      for (int64_t k = 0; k < p; ++k) w[i * p + j] -= solved_[i * p + k] * border_root_[k * p + j];
    }
  }
  for (int64_t i = 0; i < p; ++i) std::copy_n(border_root_.data() + i * p, p, w.data() + arrow_.border_row[i] * p);
  outer(arrow_, w.data(), w.data(), p, 1.0, own.data());
  for (int64_t e = 0; e < arrow_.nnz; ++e) gradient[e] += own[e];
}

// The gradient of log|P| + weight * sum x_l'T x_l, for columns x_l as `Krylov::log_slopes` has them.
void Iterated::add_probes(const std::vector<std::vector<double>>& columns, double weight, double* gradient) const {
  const int64_t rest = arrow_.rest, count = static_cast<int64_t>(columns.size());
  std::vector<double> left(rest, 1.0);  // of what P moves: it is on both sides of T
  const double root = std::sqrt(weight);
  Wide x(rest * kWide), turned(rest * kWide);
  for (int64_t first = 0; first < count; first += kWide) {
    const int64_t some = std::min(kWide, count - first);
    std::fill(x.begin(), x.end(), 0.0);
    for (int64_t c = 0; c < some; ++c) {
      for (int64_t i = 0; i < rest; ++i) x[i * kWide + c] = root * columns[first + c][i];
    }
    reduced_.add_forms(x, turned, gradient);
    for (int64_t i = 0; i < rest; ++i) {
      for (int64_t c = 0; c < some; ++c) left[i] -= x[i * kWide + c] * turned[i * kWide + c];
    }
  }
  for (int64_t i = 0; i < rest; ++i) left[i] *= reduced_.scale()[i] * reduced_.scale()[i];
  reduced_.add_diagonal(left, gradient);
}

void Iterated::log_determinants(uint64_t seed, int64_t probes, double* each, double* gradient) {
  const double constant = reduced_.log_head() + reduced_.log_diagonal() + log_border_;
  std::vector<std::vector<std::vector<double>>> columns(chunks(probes));
  loop_(chunks(probes), [&](int64_t chunk) {
    const int64_t first = chunk * kWide, count = std::min(kWide, probes - first);
    const Krylov krylov(reduced_, signs(seed, first, count), count, limits_.tolerance, limits_.steps);
    note(krylov.ended());
    if (krylov.ended() != Ended::kWell) return;
    for (int64_t c = 0; c < count; ++c) {
      each[first + c] = constant + krylov.log_form(c);
      if (gradient) krylov.log_slopes(c, columns[chunk]);
    }
  });
  if (!gradient || ended_ != Ended::kWell) return;
  std::vector<std::vector<double>> all;
  for (auto& some : columns) std::move(some.begin(), some.end(), std::back_inserter(all));
  add_constants(gradient);
  add_probes(all, 1.0 / static_cast<double>(probes), gradient);
}

void Iterated::log_determinants(uint64_t seed, int64_t probes, double* each, const double* directions, int64_t count,
                                double* slopes) {
  const double constant = reduced_.log_head() + reduced_.log_diagonal() + log_border_;
  std::vector<double> common(arrow_.nnz, 0.0);
  add_constants(common.data());
  loop_(chunks(probes), [&](int64_t chunk) {
    const int64_t first = chunk * kWide, some = std::min(kWide, probes - first);
    const Krylov krylov(reduced_, signs(seed, first, some), some, limits_.tolerance, limits_.steps);
    note(krylov.ended());
    if (krylov.ended() != Ended::kWell) return;
    for (int64_t c = 0; c < some; ++c) {
      each[first + c] = constant + krylov.log_form(c);
      std::vector<std::vector<double>> columns;
      krylov.log_slopes(c, columns);
      std::vector<double> gradient = common;
      add_probes(columns, 1.0, gradient.data());
      for (int64_t d = 0; d < count; ++d) {
        double sum = 0.0;
        for (int64_t e = 0; e < arrow_.nnz; ++e) sum += gradient[e] * directions[d * arrow_.nnz + e];
        slopes[(first + c) * count + d] = sum;
      }
    }
  });
}

void Iterated::solve(const double* b, int64_t k, double* out) {
  const int64_t p = arrow_.border, n = arrow_.n;
  loop_(chunks(k), [&](int64_t chunk) {
    const int64_t first = chunk * kWide, count = std::min(kWide, k - first);
    std::vector<double> rest(p * kWide, 0.0), half(p * kWide, 0.0), border(p * kWide, 0.0);
    for (int64_t j = 0; j < p; ++j) {  // b_F - (H_bb^-1 H_bF)'b_b
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t c = 0; c < count; ++c) rest[j * kWide + c] -= solved_[i * p + j] * b[i * k + first + c];
      }
      for (int64_t c = 0; c < count; ++c) rest[j * kWide + c] += b[arrow_.border_row[j] * k + first + c];
    }
    for (int64_t i = 0; i < p; ++i) {
      for (int64_t j = 0; j < p; ++j) {
        for (int64_t c = 0; c < count; ++c) half[i * kWide + c] += border_root_[j * p + i] * rest[j * kWide + c];
      }
    }
    for (int64_t i = 0; i < p; ++i) {
      for (int64_t j = 0; j < p; ++j) {
        for (int64_t c = 0; c < count; ++c) border[i * kWide + c] += border_root_[i * p + j] * half[j * kWide + c];
      }
    }
    Block block = gathered(b, k, first, count);
    inner_solve(block, count);
    take_border(border, count, block);
    scatter(block, border, k, first, count, out);
  });
}

void Iterated::sample(const double* z, int64_t k, double* out) {
  const int64_t p = arrow_.border;
  loop_(chunks(k), [&](int64_t chunk) {
    const int64_t first = chunk * kWide, count = std::min(kWide, k - first);
    std::vector<double> border(p * kWide, 0.0);
    for (int64_t i = 0; i < p; ++i) {
      for (int64_t j = 0; j < p; ++j) {
        const double* const own = z + arrow_.border_row[j] * k + first;
        for (int64_t c = 0; c < count; ++c) border[i * kWide + c] += border_root_[i * p + j] * own[c];
      }
    }
    Block block = gathered(z, k, first, count);
    inner_sample(block, count);
    take_border(border, count, block);
    scatter(block, border, k, first, count, out);
  });
}

// An effect's variance is that given all others (for the rest: all but the head), which is known, plus that of its mean
// given them, which is estimated by draws (Siden, Lindgren, Bolin & Villani 2018, J. Comput. Graph. Stat. 27, 898-909).
void Iterated::variances(uint64_t seed, int64_t draws, double* diagonal, double* error, double* inverse) {
  const int64_t p = arrow_.border, n = arrow_.n, q = arrow_.size;
  const int64_t pairs = static_cast<int64_t>(arrow_.rest_entry.size());
  // Sums over draws: squares, fourth powers, products within the blocks of the head, and those of pairs of the rest.
  const int64_t inside = 2 * n, beside = inside + arrow_.head() * q, size = beside + pairs;
  std::vector<double> total(size, 0.0);
  std::vector<std::vector<double>> found(chunks(draws));
  loop_(chunks(draws), [&](int64_t chunk) {
    const int64_t first = chunk * kWide, count = std::min(kWide, draws - first);
    Block z = zeros();
    std::vector<double> border(p * kWide, 0.0);
    z.rest = signs(seed, first, count);  // those of the head have no part in what is estimated
    for (int64_t i = 0; i < p; ++i) {
      for (int64_t j = 0; j < p; ++j) {
        for (int64_t c = 0; c < count; ++c) {
          border[i * kWide + c] += border_root_[i * p + j] * sign(seed, first + c, arrow_.rest + j);
        }
      }
    }
    Wide turned;
    inner_sample(z, count, &turned);
    if (ended_ != Ended::kWell) return;
    for (int64_t i = 0; i < arrow_.rest; ++i) {
      for (int64_t c = 0; c < count; ++c) z.rest[i * kWide + c] -= reduced_.scale()[i] * turned[i * kWide + c];
    }
    take_border(border, count, z);
    std::vector<double> sums(size, 0.0);
    // The covariance of two effects is that of one with the mean of the other given all but it, one way or the other.
    for (int64_t k = 0; k < pairs; ++k) {
      const int64_t i = arrow_.rest_col[k], j = arrow_.rest_below[k];
      const double one = 0.5 * reduced_.scale()[i], other = 0.5 * reduced_.scale()[j];
      for (int64_t c = 0; c < count; ++c) {
        const double left = z.rest[i * kWide + c], right = z.rest[j * kWide + c];
        sums[beside + k] += left * (right + other * turned[j * kWide + c]) + right * one * turned[i * kWide + c];
      }
    }
    const auto sum = [&](const std::vector<int32_t>& rows, const Wide& from) {
      for (size_t i = 0; i < rows.size(); ++i) {
        for (int64_t c = 0; c < count; ++c) {
          const double square = from[i * kWide + c] * from[i * kWide + c];
          sums[rows[i]] += square;
          sums[n + rows[i]] += square * square;
        }
      }
    };
    sum(arrow_.head_row, z.head);
    sum(arrow_.rest_row, z.rest);
    for (int64_t i = 0; i < arrow_.head(); ++i) {
      for (int64_t f = 0; f < q; ++f) {
        const double* const other = z.head.data() + (i - i % q + f) * kWide;
        for (int64_t c = 0; c < count; ++c) sums[inside + i * q + f] += z.head[i * kWide + c] * other[c];
      }
    }
    found[chunk] = std::move(sums);
  });
  if (ended_ != Ended::kWell) return;
  for (const auto& sums : found) {
    for (int64_t i = 0; i < size; ++i) total[i] += sums[i];
  }
  const double m = static_cast<double>(draws);
  std::fill_n(inverse, arrow_.nnz, kNan);
  const auto settle = [&](int64_t row, double known) {
    const double mean = total[row] / m;
    diagonal[row] = known + mean;
    error[row] = std::sqrt(std::max(total[n + row] / m - mean * mean, 0.0) / std::max(m - 1.0, 1.0));
  };
  for (int64_t i = 0; i < arrow_.head(); ++i) settle(arrow_.head_row[i], reduced_.inverse()[i * q + i % q]);
  for (int64_t i = 0; i < arrow_.rest; ++i) settle(arrow_.rest_row[i], reduced_.scale()[i] * reduced_.scale()[i]);
  std::vector<double> corner(p * p, 0.0);  // S_F^-1
  for (int64_t i = 0; i < p; ++i) {
    for (int64_t j = 0; j < p; ++j) {
      for (int64_t k = 0; k < p; ++k) corner[i * p + j] += border_root_[i * p + k] * border_root_[j * p + k];
    }
  }
  std::vector<int32_t> in_border(n, -1);
  for (int64_t i = 0; i < p; ++i) in_border[arrow_.border_row[i]] = static_cast<int32_t>(i);
  for (int64_t i = 0; i < p; ++i) {
    diagonal[arrow_.border_row[i]] = corner[i * p + i];
    error[arrow_.border_row[i]] = 0.0;
    for (int64_t row = 0; row < n; ++row) {
      const int32_t entry = arrow_.border_entry[i * n + row];
      if (entry < 0) continue;
      double value = 0.0;
      if (in_border[row] >= 0) {
        value = corner[i * p + in_border[row]];
      } else {
        for (int64_t j = 0; j < p; ++j) value -= corner[i * p + j] * solved_[row * p + j];
      }
      inverse[entry] = value;
    }
  }
  for (int64_t i = 0; i < arrow_.head() * q; ++i) {
    const int32_t entry = arrow_.head_entry[i];
    if (entry >= 0) inverse[entry] = reduced_.inverse()[i] + total[inside + i] / m;
  }
  for (int64_t k = 0; k < pairs; ++k) inverse[arrow_.rest_entry[k]] = total[beside + k] / m;
  for (int64_t i = 0; i < n; ++i) inverse[arrow_.pattern_ptr[i]] = diagonal[i];
}

}  // namespace lgm
