// Effects of which every row has at most one, each integrated out by itself (lgm/posterior/leaves.py).
#pragma once

#include <cstdint>
#include <vector>

#include "likelihoods.h"

namespace lgm {

// The rows of each leaf next to each other.
class LeafRows {
 public:
  // `columns` and `starts` (n + 1) say which leaf each row has, if any.
  LeafRows(const Responses& y, const int32_t* columns, const int32_t* starts, int64_t leaves);

  int64_t leaves() const { return static_cast<int64_t>(starts_.size()) - 1; }
  int64_t size(int64_t leaf) const { return starts_[leaf + 1] - starts_[leaf]; }
  int64_t largest() const { return largest_; }
  const int64_t* rows(int64_t leaf) const { return rows_.data() + starts_[leaf]; }
  const std::vector<int64_t>& alone() const { return alone_; }  // rows without a leaf

  // Those of a leaf, with the likelihood's parameters.
  Responses of(int64_t leaf, const double* own) const;

 private:
  Likelihood likelihood_;
  std::vector<int64_t> starts_, rows_, alone_;
  std::vector<double> value_, trials_, weights_;
  int64_t largest_ = 0;
};

// What is searched for where all else is given: leaves with one effect t, density exp(sum l(eta + push t) - r t^2 / 2).
struct LeafProblem {
  const double* eta = nullptr;    // (n)
  const double* push = nullptr;   // (n)
  const double* r = nullptr;      // (leaves)
  const double* start = nullptr;  // (leaves), of the search for the top
  double fall = 0.0;              // in log density, from the top to the ends
  int64_t nodes = 0;              // between the ends, for the means
};

struct LeafCentres {
  double* top = nullptr;   // (leaves)
  double* axis = nullptr;  // the sd that the curvature at the top says
  double* low = nullptr;   // the ends, in units of that
  double* high = nullptr;
  double* mean = nullptr;
  double* slope = nullptr;      // means of l' and -l'' (n), the derivatives themselves in rows without a leaf
  double* curvature = nullptr;
};

void find_leaf_centres(const Responses& y, const LeafRows& leaves, const LeafProblem& problem, const LeafCentres& out);

}  // namespace lgm
