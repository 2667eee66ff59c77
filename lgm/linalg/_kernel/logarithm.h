// The logarithm without a call, so that a loop of it becomes vector instructions.
#pragma once

#include <cstdint>
#include <cstring>

namespace lgm {

// log(x) for finite x >= 1e-307, to two units in the last place. With x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2),
// and s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + 2 s^2/3 + 2 s^4/5 + ...), by nine terms of that series: the
// next is 5e-17 s.
inline double log_normal(double x) {
  constexpr uint64_t kRootHalf = 0x3FE6A09E667F3BCD;  // bits of sqrt(1/2)
  constexpr uint64_t kBias = uint64_t{1023} << 52;
  constexpr uint64_t kWhole = 0x4330000000000000;  // of 2^52, of which the last bits are a whole number to be added
  constexpr double kShift = 4503599627370496.0 + 1023.0;
  constexpr double kLog2High = 6.93147180369123816490e-01;  // its product with k has no rounding error
  constexpr double kLog2Low = 1.90821492927058770002e-10;
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint64_t power = (bits - kRootHalf + kBias) >> 52;  // k + 1023
  const uint64_t whole = power | kWhole, rest = bits - (power << 52) + kBias;
  double k, m;
  std::memcpy(&k, &whole, sizeof k);
  std::memcpy(&m, &rest, sizeof m);
  k -= kShift;
  const double f = m - 1.0, s = f / (2.0 + f), half = 0.5 * f * f;
  const double z = s * s, z2 = z * z, z4 = z2 * z2;
  const double first = (2.0 / 3.0 + z * (2.0 / 5.0)) + z2 * (2.0 / 7.0 + z * (2.0 / 9.0));
  const double second = (2.0 / 11.0 + z * (2.0 / 13.0)) + z2 * (2.0 / 15.0 + z * (2.0 / 17.0));
  const double series = z * (first + z4 * (second + z4 * (2.0 / 19.0)));
  return k * kLog2High - ((half - (s * (half + series) + k * kLog2Low)) - f);
}

// log(1 + x) for finite x >= 0, as exactly.
inline double log_one_plus(double x) {
  const double sum = 1.0 + x;
  return log_normal(sum) + (x - (sum - 1.0)) / sum;  // what the sum rounds off
}

}  // namespace lgm
