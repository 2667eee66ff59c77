#include "reduced.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace lgm {
namespace {

inline double at(const double* values, int32_t entry) { return entry < 0 ? 0.0 : values[entry]; }

// Cholesky factor of a block (row-major, lower), false where it has none.
bool factor(double* a, int32_t q) {
  for (int32_t j = 0; j < q; ++j) {
    for (int32_t i = j; i < q; ++i) {
      double sum = a[i * q + j];
      for (int32_t k = 0; k < j; ++k) sum -= a[i * q + k] * a[j * q + k];
      if (i == j) {
        if (!(sum > 0.0) || !std::isfinite(sum)) return false;
        a[j * q + j] = std::sqrt(sum);
      } else {
        a[i * q + j] = sum / a[j * q + j];
      }
    }
  }
  return true;
}

// The inverse of a lower triangle (row-major).
void invert(const double* l, int32_t q, double* out) {
  std::fill_n(out, q * q, 0.0);
  for (int32_t j = 0; j < q; ++j) {
    out[j * q + j] = 1.0 / l[j * q + j];
    for (int32_t i = j + 1; i < q; ++i) {
      double sum = 0.0;
      for (int32_t k = j; k < i; ++k) sum -= l[i * q + k] * out[k * q + j];
      out[i * q + j] = sum / l[i * q + i];
    }
  }
}

inline void add_scaled(double* to, double factor, const double* from) {
  for (int64_t c = 0; c < kWide; ++c) to[c] += factor * from[c];
}

inline double dot(const double* x, const double* y) {
  double sum = 0.0;
  for (int64_t c = 0; c < kWide; ++c) sum += x[c] * y[c];
  return sum;
}

// What block b has of -D^-1 B' P^-1/2 x.
template <int Q>
inline void gather(const Arrow& a, int64_t b, const double* cross, const double* inverse, const double* x, double* out) {
  double met[Q * kWide] = {};
  for (int64_t k = a.start[b]; k < a.start[b + 1]; ++k) {
    const double* const from = x + a.neighbour[k] * kWide;
    for (int e = 0; e < Q; ++e) add_scaled(met + e * kWide, cross[k * Q + e], from);
  }
  std::fill_n(out, Q * kWide, 0.0);
  for (int e = 0; e < Q; ++e) {
    for (int f = 0; f < Q; ++f) add_scaled(out + e * kWide, -inverse[(b * Q + e) * Q + f], met + f * kWide);
  }
}

}  // namespace

template <class Visit>
void Reduced::with_size(const Visit& visit) const {
  switch (arrow_.size) {
    case 1: return visit(std::integral_constant<int, 1>());
    case 2: return visit(std::integral_constant<int, 2>());
    case 3: return visit(std::integral_constant<int, 3>());
    default: return visit(std::integral_constant<int, 4>());
  }
}

Reduced::Reduced(const Arrow& arrow, const double* values) : arrow_(arrow) {
  const int32_t q = arrow.size;
  const int64_t square = static_cast<int64_t>(q) * q;
  inverse_.resize(arrow.blocks * square);
  root_.resize(arrow.blocks * square);
  double block[kMostInBlock * kMostInBlock], away[kMostInBlock * kMostInBlock];
  for (int64_t b = 0; b < arrow.blocks; ++b) {
    for (int64_t e = 0; e < square; ++e) block[e] = at(values, arrow.head_entry[b * square + e]);
    if (!factor(block, q)) {
      fine_ = false;
      return;
    }
    for (int32_t e = 0; e < q; ++e) log_head_ += 2.0 * std::log(block[e * q + e]);
    invert(block, q, away);
    for (int32_t i = 0; i < q; ++i) {
      for (int32_t j = 0; j < q; ++j) {
        double sum = 0.0;
        for (int32_t k = 0; k < q; ++k) sum += away[k * q + i] * away[k * q + j];
        inverse_[b * square + i * q + j] = sum;
        root_[b * square + i * q + j] = away[j * q + i];
      }
    }
  }
  const int64_t met = static_cast<int64_t>(arrow.neighbour.size());
  cross_.resize(met * q);
  for (int64_t k = 0; k < met * q; ++k) cross_[k] = at(values, arrow.cross_entry[k]);
  std::vector<double> diagonal(arrow.rest);
  for (int64_t i = 0; i < arrow.rest; ++i) diagonal[i] = at(values, arrow.rest_diagonal[i]);
  for (int64_t b = 0; b < arrow.blocks; ++b) {
    for (int64_t k = arrow.start[b]; k < arrow.start[b + 1]; ++k) {
      double sum = 0.0;
      for (int32_t e = 0; e < q; ++e) {
        for (int32_t f = 0; f < q; ++f) sum += cross_[k * q + e] * inverse_[b * square + e * q + f] * cross_[k * q + f];
      }
      diagonal[arrow.neighbour[k]] -= sum;
    }
  }
  scale_.resize(arrow.rest);
  for (int64_t i = 0; i < arrow.rest; ++i) {
    if (!(diagonal[i] > 0.0) || !std::isfinite(diagonal[i])) {
      fine_ = false;
      return;
    }
    log_diagonal_ += std::log(diagonal[i]);
    scale_[i] = 1.0 / std::sqrt(diagonal[i]);
  }
  own_.resize(arrow.rest);
  for (int64_t i = 0; i < arrow.rest; ++i) own_[i] = scale_[i] * scale_[i] * at(values, arrow.rest_diagonal[i]);
  off_.resize(arrow.rest_entry.size());
  for (size_t k = 0; k < off_.size(); ++k) {
    off_[k] = scale_[arrow.rest_col[k]] * scale_[arrow.rest_below[k]] * values[arrow.rest_entry[k]];
  }
  for (int64_t k = 0; k < met; ++k) {
    for (int32_t e = 0; e < q; ++e) cross_[k * q + e] *= scale_[arrow.neighbour[k]];
  }
}

void Reduced::apply(const Wide& x, Wide& out, Wide* head) const {
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    for (int64_t c = 0; c < kWide; ++c) out[i * kWide + c] = own_[i] * x[i * kWide + c];
  }
  for (size_t k = 0; k < off_.size(); ++k) {
    const int64_t i = arrow_.rest_col[k] * kWide, j = arrow_.rest_below[k] * kWide;
    add_scaled(out.data() + i, off_[k], x.data() + j);
    add_scaled(out.data() + j, off_[k], x.data() + i);
  }
  with_size([&](auto size) {
    constexpr int Q = decltype(size)::value;
    double u[Q * kWide];
    for (int64_t b = 0; b < arrow_.blocks; ++b) {
      gather<Q>(arrow_, b, cross_.data(), inverse_.data(), x.data(), u);
      for (int64_t k = arrow_.start[b]; k < arrow_.start[b + 1]; ++k) {
        double* const to = out.data() + arrow_.neighbour[k] * kWide;
        for (int e = 0; e < Q; ++e) add_scaled(to, cross_[k * Q + e], u + e * kWide);
      }
      if (head) std::copy_n(u, Q * kWide, head->data() + b * Q * kWide);
    }
  });
}

void Reduced::to_head(const Wide& x, Wide& out) const {
  with_size([&](auto size) {
    constexpr int Q = decltype(size)::value;
    for (int64_t b = 0; b < arrow_.blocks; ++b) {
      gather<Q>(arrow_, b, cross_.data(), inverse_.data(), x.data(), out.data() + b * Q * kWide);
    }
  });
}

void Reduced::from_head(const Wide& h, Wide& out) const {
  const int32_t q = arrow_.size;
  for (int64_t b = 0; b < arrow_.blocks; ++b) {
    for (int64_t k = arrow_.start[b]; k < arrow_.start[b + 1]; ++k) {
      double* const to = out.data() + arrow_.neighbour[k] * kWide;
      for (int32_t e = 0; e < q; ++e) add_scaled(to, cross_[k * q + e], h.data() + (b * q + e) * kWide);
    }
  }
}

void Reduced::add_forms(const Wide& x, Wide& out, double* gradient) const {
  for (int64_t i = 0; i < arrow_.rest; ++i) {
    const double* const own = x.data() + i * kWide;
    for (int64_t c = 0; c < kWide; ++c) out[i * kWide + c] = own_[i] * own[c];
    const int32_t entry = arrow_.rest_diagonal[i];
    gradient[entry] += scale_[i] * scale_[i] * dot(own, own);
  }
  for (size_t k = 0; k < off_.size(); ++k) {
    const int32_t col = arrow_.rest_col[k], row = arrow_.rest_below[k];
    const double *const one = x.data() + col * kWide, *const other = x.data() + row * kWide;
    add_scaled(out.data() + col * kWide, off_[k], other);
    add_scaled(out.data() + row * kWide, off_[k], one);
    gradient[arrow_.rest_entry[k]] += 2.0 * scale_[col] * scale_[row] * dot(one, other);
  }
  with_size([&](auto size) {
    constexpr int Q = decltype(size)::value;
    double u[Q * kWide];
    for (int64_t b = 0; b < arrow_.blocks; ++b) {
      gather<Q>(arrow_, b, cross_.data(), inverse_.data(), x.data(), u);
      for (int64_t k = arrow_.start[b]; k < arrow_.start[b + 1]; ++k) {
        const int32_t i = arrow_.neighbour[k];
        const double* const own = x.data() + i * kWide;
        for (int e = 0; e < Q; ++e) {
          add_scaled(out.data() + i * kWide, cross_[k * Q + e], u + e * kWide);
          const int32_t entry = arrow_.cross_entry[k * Q + e];
          if (entry >= 0) gradient[entry] += 2.0 * scale_[i] * dot(u + e * kWide, own);
        }
      }
      for (int e = 0; e < Q; ++e) {
        for (int f = 0; f <= e; ++f) {
          const int32_t entry = arrow_.head_entry[(b * Q + e) * Q + f];
          if (entry >= 0) gradient[entry] += (e == f ? 1.0 : 2.0) * dot(u + e * kWide, u + f * kWide);
        }
      }
    }
  });
}

void Reduced::add_diagonal(const std::vector<double>& g, double* gradient) const {
  const int32_t q = arrow_.size;
  for (int64_t i = 0; i < arrow_.rest; ++i) gradient[arrow_.rest_diagonal[i]] += g[i];
  double w[kMostInBlock];  // D^-1 of what the block has of a row of B
  for (int64_t b = 0; b < arrow_.blocks; ++b) {
    for (int64_t k = arrow_.start[b]; k < arrow_.start[b + 1]; ++k) {
      const int32_t i = arrow_.neighbour[k];
      for (int32_t e = 0; e < q; ++e) {
        w[e] = 0.0;
        for (int32_t f = 0; f < q; ++f) w[e] += inverse_[(b * q + e) * q + f] * cross_[k * q + f] / scale_[i];
      }
      for (int32_t e = 0; e < q; ++e) {
        const int32_t entry = arrow_.cross_entry[k * q + e];
        if (entry >= 0) gradient[entry] -= 2.0 * g[i] * w[e];
        for (int32_t f = 0; f <= e; ++f) {
          const int32_t inside = arrow_.head_entry[(b * q + e) * q + f];
          if (inside >= 0) gradient[inside] += (e == f ? 1.0 : 2.0) * g[i] * w[e] * w[f];
        }
      }
    }
  }
}

void Reduced::add_head(double* gradient) const {
  const int32_t q = arrow_.size;
  for (int64_t b = 0; b < arrow_.blocks; ++b) {
    for (int32_t e = 0; e < q; ++e) {
      for (int32_t f = 0; f <= e; ++f) {
        const int64_t place = (b * q + e) * q + f;
        const int32_t entry = arrow_.head_entry[place];
        if (entry >= 0) gradient[entry] += (e == f ? 1.0 : 2.0) * inverse_[place];
      }
    }
  }
}

}  // namespace lgm
