// The exponential without a call, so that a loop of it becomes vector instructions.
#pragma once

#include <cstdint>
#include <cstring>

namespace lgm {

// exp(x) for |x| <= 708, to two units in the last place. With k the whole number next to x in units of log 2, it is
// 2^k exp(r), |r| <= log(2) / 2, by fourteen terms of its series: the next is 4e-18.
inline double exp_within(double x) {
  constexpr double kInverseLog2 = 1.4426950408889634074;
  constexpr double kLog2High = 6.93147180369123816490e-01;  // its product with k has no rounding error
  constexpr double kLog2Low = 1.90821492927058770002e-10;
  constexpr double kToWhole = 6755399441055744.0;  // 1.5 * 2^52: the sum's last bits are the whole number
  const double shifted = x * kInverseLog2 + kToWhole;
  const double k = shifted - kToWhole;
  const double r = (x - k * kLog2High) - k * kLog2Low;
  // Pairs of terms, then pairs of pairs: no term waits for all that follow it.
  const double r2 = r * r, r4 = r2 * r2;
  const double first = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0));
  const double second = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
  const double third = (1.0 / 40320.0 + r * (1.0 / 362880.0)) + r2 * (1.0 / 3628800.0 + r * (1.0 / 39916800.0));
  const double fourth = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0);
  const double sum = first + r4 * (second + r4 * (third + r4 * fourth));
  uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 52) + (uint64_t{1023} << 52);
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

// exp(given) for given <= 0, as exactly, and zero below -708, about 3e-308.
inline double exp_negative(double given) {
  constexpr double kLeast = -708.0;
  const double found = exp_within(given < kLeast ? kLeast : given);  // NaN stays
  return given < kLeast ? 0.0 : found;
}

}  // namespace lgm
