// Numbers a + b e with e^2 = 0: arithmetic on them carries an exact directional derivative along.
#pragma once

#include <cmath>

namespace lgm {

struct Dual {
  double value = 0.0;
  double slope = 0.0;

  Dual() = default;
  Dual(double v) : value(v) {}  // NOLINT: constants must convert
  Dual(double v, double s) : value(v), slope(s) {}

  Dual& operator+=(const Dual& o) { return *this = Dual(value + o.value, slope + o.slope); }
  Dual& operator-=(const Dual& o) { return *this = Dual(value - o.value, slope - o.slope); }
  Dual& operator*=(const Dual& o) { return *this = Dual(value * o.value, value * o.slope + slope * o.value); }
};

inline Dual operator+(Dual a, const Dual& b) { return a += b; }
inline Dual operator-(Dual a, const Dual& b) { return a -= b; }
inline Dual operator-(const Dual& a) { return {-a.value, -a.slope}; }
inline Dual operator*(Dual a, const Dual& b) { return a *= b; }
inline Dual operator/(const Dual& a, const Dual& b) {
  const double quotient = a.value / b.value;
  return {quotient, (a.slope - quotient * b.slope) / b.value};
}
inline Dual sqrt(const Dual& a) {
  const double root = std::sqrt(a.value);
  return {root, 0.5 * a.slope / root};
}

inline double value_of(double a) { return a; }
inline double value_of(const Dual& a) { return a.value; }

}  // namespace lgm
