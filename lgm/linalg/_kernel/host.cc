// What the host calls by itself: analysis of patterns, registration of BLAS, settings. Plain C, so that one library serves
// every version of Python; it is declared once more, with types, in lgm/linalg/_library.py.
//
// Each function returns kDone or the kind of its error, whose words lgm_error() has.
#include <algorithm>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrow.h"
#include "blas.h"
#include "exported.h"
#include "ffi.h"
#include "likelihoods.h"
#include "ordering.h"
#include "registry.h"

namespace lgm {
namespace {

enum Answer : int32_t { kDone = 0, kBadArgument = 1, kNoMemory = 2, kOther = 3 };

std::string& last_error() {
  thread_local std::string words;
  return words;
}

// Exceptions end here: C has none.
template <class Body>
int32_t answered(const Body& body) {
  try {
    body();
    return kDone;
  } catch (const std::invalid_argument& error) {
    last_error() = error.what();
    return kBadArgument;
  } catch (const std::bad_alloc&) {
    last_error() = "not enough memory";
    return kNoMemory;
  } catch (const std::exception& error) {
    last_error() = error.what();
    return kOther;
  }
}

template <class T>
struct View {
  const T* data;
  int64_t size;

  std::vector<T> copy() const { return {data, data + size}; }
};

LowerPattern pattern_of(View<int64_t> indptr, View<int64_t> indices) {
  if (indptr.size == 0 || indptr.data[indptr.size - 1] != indices.size) {
    throw std::invalid_argument("indptr and indices do not belong together");
  }
  return {static_cast<int32_t>(indptr.size) - 1, indptr.data, indices.data};
}

std::vector<int32_t> permutation_of(View<int32_t> order, int32_t n) {
  std::vector<bool> seen(n, false);
  if (order.size != n) throw std::invalid_argument("the ordering has a wrong length");
  for (int64_t i = 0; i < order.size; ++i) {
    const int32_t v = order.data[i];
    if (v < 0 || v >= n || seen[v]) throw std::invalid_argument("the ordering is not a permutation");
    seen[v] = true;
  }
  return order.copy();
}

Signs signs_of(View<int32_t> negative, int32_t n) {
  Signs out(negative.size ? n : 0, 0);
  for (int64_t i = 0; i < negative.size; ++i) {
    if (negative.data[i] < 0 || negative.data[i] >= n) throw std::invalid_argument("no such row");
    out[negative.data[i]] = 1;
  }
  return out;
}

}  // namespace
}  // namespace lgm

using lgm::answered;

extern "C" {

// Of this thread's last call that failed.
LGM_EXPORT const char* lgm_error() { return lgm::last_error().c_str(); }

LGM_EXPORT int32_t lgm_predict_cost(const int64_t* indptr, int64_t indptr_size, const int64_t* indices,
                                    int64_t indices_size, const int32_t* order, int64_t order_size,
                                    const int32_t* negative, int64_t negative_size, lgm::Cost* cost) {
  return answered([&] {
    const lgm::LowerPattern a = lgm::pattern_of({indptr, indptr_size}, {indices, indices_size});
    const lgm::Signs signs = lgm::signs_of({negative, negative_size}, a.n);
    *cost = lgm::predict(a, lgm::permutation_of({order, order_size}, a.n), signs);
  });
}

LGM_EXPORT int32_t lgm_register_analysis(const char* key, const int64_t* indptr, int64_t indptr_size,
                                         const int64_t* indices, int64_t indices_size, const int32_t* order,
                                         int64_t order_size, const int32_t* negative, int64_t negative_size,
                                         lgm::Cost* cost, int64_t* workspace_bytes) {
  return answered([&] {
    const lgm::LowerPattern a = lgm::pattern_of({indptr, indptr_size}, {indices, indices_size});
    const lgm::Signs signs = lgm::signs_of({negative, negative_size}, a.n);
    const std::vector<int32_t> permutation = lgm::permutation_of({order, order_size}, a.n);
    auto analysis = lgm::Registry::instance().find(key);
    if (!analysis) analysis = lgm::Registry::instance().add(key, lgm::analyse(a, permutation, signs));
    *cost = analysis->symbolic.cost;
    *workspace_bytes = 8 * lgm::workspace_size(analysis->symbolic);
  });
}

// What iterative solves know of a pattern: `head` are the rows of blocks of this size, one block after the other.
LGM_EXPORT int32_t lgm_register_arrow(const char* key, const int64_t* indptr, int64_t indptr_size,
                                      const int64_t* indices, int64_t indices_size, const int32_t* head,
                                      int64_t head_size, int32_t size, const int32_t* border, int64_t border_size) {
  return answered([&] {
    const lgm::LowerPattern a = lgm::pattern_of({indptr, indptr_size}, {indices, indices_size});
    if (lgm::Arrows::instance().find(key)) return;
    const lgm::View<int32_t> rows{head, head_size}, last{border, border_size};
    lgm::Arrows::instance().add(key, lgm::arrow_of(a, rows.copy(), size, last.copy()));
  });
}

// Neighbour lists of a graph (both directions, no loops) -> order[new] = old, as many as there are nodes.
LGM_EXPORT int32_t lgm_minimum_degree(const int64_t* indptr, int64_t indptr_size, const int32_t* indices,
                                      int64_t indices_size, int32_t* order) {
  return answered([&] {
    lgm::Adjacency graph;
    graph.ptr = lgm::View<int64_t>{indptr, indptr_size}.copy();
    graph.list = lgm::View<int32_t>{indices, indices_size}.copy();
    const std::vector<int32_t> found = lgm::minimum_degree(graph);
    std::copy(found.begin(), found.end(), order);
  });
}

LGM_EXPORT int32_t lgm_writes_wide_info(void* potrf) { return lgm::blas::writes_wide_info(potrf); }

// Addresses of dgemm, dsymm, dsyrk, dtrsm, dtrmm, dpotrf, dtrtri, dlauum and dstev, the width of their integers, and how
// to ask for the library's number of threads and to change it, or zeros.
LGM_EXPORT void lgm_use_blas(void* const* routines, int32_t wide, int (*get_threads)(), void (*set_threads)(int)) {
  lgm::blas::use({routines[0], routines[1], routines[2], routines[3], routines[4], routines[5], routines[6], routines[7],
                  routines[8], wide != 0},
                 {get_threads, set_threads});
}

// Of each row: log-likelihood with its constants, and its derivatives of order one to three in eta; `out` has four
// numbers a row.
LGM_EXPORT int32_t lgm_likelihood(const char* name, int64_t n, const double* eta, const double* value,
                                  const double* trials, const double* weights, const double* own, int64_t own_size,
                                  double* out) {
  return answered([&] {
    const lgm::Likelihood which = lgm::likelihood_named(name);
    if (which == lgm::Likelihood::kUnknown || own_size != lgm::parameters_of(which)) {
      throw std::invalid_argument(std::string("not a likelihood of the kernel, or not its parameters: ") + name);
    }
    for (int64_t i = 0; i < n; ++i) {
      const lgm::Responses row{which, 1, value + i, trials + i, weights + i, own};
      double slope = 0.0, curvature = 0.0, third = 0.0;
      out[4 * i] = lgm::log_likelihood(row, eta + i, &slope, &curvature) + lgm::constants(row);
      lgm::third_derivatives(row, eta + i, &third);
      out[4 * i + 1] = slope;
      out[4 * i + 2] = -curvature;
      out[4 * i + 3] = third;
    }
  });
}

LGM_EXPORT void lgm_set_max_threads(int64_t threads) { lgm::set_max_threads(threads); }

}  // extern "C"
