// The logarithm of a product of many positive numbers.
#pragma once

#include <cmath>

namespace lgm {

// With few calls of log: the product is kept within a range in which the next factor, at most the square root of a
// finite double, can neither overflow nor lose digits.
class LogProduct {
 public:
  void multiply(double factor) {
    product_ *= factor;
    if (product_ > 1e140 || product_ < 1e-140) flush();
  }
  double log() {
    flush();
    return sum_;
  }

 private:
  void flush() {
    sum_ += std::log(product_);
    product_ = 1.0;
  }
  double product_ = 1.0;
  double sum_ = 0.0;
};

}  // namespace lgm
