// Python's door to the kernel: analysis on the host, registration of BLAS and of the XLA handlers.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <stdexcept>

#include "arrow.h"
#include "blas.h"
#include "ffi.h"
#include "likelihoods.h"
#include "ordering.h"
#include "registry.h"

namespace nb = nanobind;

namespace lgm {
namespace {

using Int64s = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Doubles = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Int32s = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

LowerPattern pattern_of(const Int64s& indptr, const Int64s& indices) {
  if (indptr.size() == 0 || indptr.data()[indptr.size() - 1] != static_cast<int64_t>(indices.size())) {
    throw std::invalid_argument("indptr and indices do not belong together");
  }
  return {static_cast<int32_t>(indptr.size()) - 1, indptr.data(), indices.data()};
}

std::vector<int32_t> permutation_of(const Int32s& order, int32_t n) {
  std::vector<int32_t> out(order.data(), order.data() + order.size());
  std::vector<bool> seen(n, false);
  if (static_cast<int32_t>(out.size()) != n) throw std::invalid_argument("the ordering has a wrong length");
  for (const int32_t v : out) {
    if (v < 0 || v >= n || seen[v]) throw std::invalid_argument("the ordering is not a permutation");
    seen[v] = true;
  }
  return out;
}

Signs signs_of(const Int32s& negative, int32_t n) {
  Signs out(negative.size() ? n : 0, 0);
  for (size_t i = 0; i < negative.size(); ++i) {
    if (negative.data()[i] < 0 || negative.data()[i] >= n) throw std::invalid_argument("no such row");
    out[negative.data()[i]] = 1;
  }
  return out;
}

nb::dict describe(const Cost& cost) {
  nb::dict out;
  out["nnz_factor"] = cost.factor_entries;
  out["stored"] = cost.panel_entries;
  out["row_entries"] = cost.row_entries;
  out["largest_front"] = cost.largest_front;
  out["flops"] = cost.flops;
  return out;
}

nb::dict predict_cost(const Int64s& indptr, const Int64s& indices, const Int32s& order, const Int32s& negative) {
  const LowerPattern a = pattern_of(indptr, indices);
  const Signs signs = signs_of(negative, a.n);
  const std::vector<int32_t> permutation = permutation_of(order, a.n);
  Cost cost;
  {
    nb::gil_scoped_release unlocked;
    cost = predict(a, permutation, signs);
  }
  return describe(cost);
}

nb::dict register_analysis(const std::string& key, const Int64s& indptr, const Int64s& indices, const Int32s& order,
                           const Int32s& negative) {
  const LowerPattern a = pattern_of(indptr, indices);
  const Signs signs = signs_of(negative, a.n);
  const std::vector<int32_t> permutation = permutation_of(order, a.n);
  std::shared_ptr<Analysis> analysis;
  {
    nb::gil_scoped_release unlocked;
    analysis = Registry::instance().find(key);
    if (!analysis) analysis = Registry::instance().add(key, analyse(a, permutation, signs));
  }
  const Symbolic& symbolic = analysis->symbolic;
  nb::dict out = describe(symbolic.cost);
  out["fronts"] = symbolic.fronts.size();
  out["workspace_bytes"] = 8 * workspace_size(symbolic);
  return out;
}

// What iterative solves know of a pattern: `head` are the rows of blocks of this size, one block after the other.
void register_arrow(const std::string& key, const Int64s& indptr, const Int64s& indices, const Int32s& head,
                    int32_t size, const Int32s& border) {
  const LowerPattern a = pattern_of(indptr, indices);
  const std::vector<int32_t> rows(head.data(), head.data() + head.size());
  const std::vector<int32_t> last(border.data(), border.data() + border.size());
  nb::gil_scoped_release unlocked;
  if (!Arrows::instance().find(key)) Arrows::instance().add(key, arrow_of(a, rows, size, last));
}

// Neighbour lists of a graph (both directions, no loops) -> order[new] = old.
std::vector<int32_t> order_by_minimum_degree(const Int64s& indptr, const Int32s& indices) {
  Adjacency graph;
  graph.ptr.assign(indptr.data(), indptr.data() + indptr.size());
  graph.list.assign(indices.data(), indices.data() + indices.size());
  nb::gil_scoped_release unlocked;
  return minimum_degree(graph);
}

enum class Width { kNarrow, kWide, kUnsaid };

// SciPy's capsules carry the C signature of a routine as their name, which tells the width of its integers, unless
// these go by the name of a type that stands for either.
void* routine(nb::dict capsules, const char* name, Width& width) {
  nb::object capsule = capsules[name];
  const char* const signature = PyCapsule_GetName(capsule.ptr());
  if (!signature) throw std::runtime_error(std::string("SciPy's routine ") + name + " does not tell its signature");
  const std::string text = signature;
  if (text.find(", int *") != std::string::npos) {
    width = Width::kNarrow;
  } else if (text.find("int64") != std::string::npos) {
    width = Width::kWide;
  } else if (text.find("blas_int") != std::string::npos) {
    width = Width::kUnsaid;
  } else {
    throw std::runtime_error("cannot tell the integer width of SciPy's BLAS from the signature '" + text + "' of " +
                             name + "; lgm knows int, int64_t and blas_int");
  }
  return PyCapsule_GetPointer(capsule.ptr(), signature);
}

void use_blas(nb::dict blas_capsules, nb::dict lapack_capsules, uintptr_t get_threads, uintptr_t set_threads) {
  blas::Routines routines;
  Width found[9];
  routines.gemm = routine(blas_capsules, "dgemm", found[0]);
  routines.symm = routine(blas_capsules, "dsymm", found[1]);
  routines.syrk = routine(blas_capsules, "dsyrk", found[2]);
  routines.trsm = routine(blas_capsules, "dtrsm", found[3]);
  routines.trmm = routine(blas_capsules, "dtrmm", found[4]);
  routines.potrf = routine(lapack_capsules, "dpotrf", found[5]);
  routines.trtri = routine(lapack_capsules, "dtrtri", found[6]);
  routines.lauum = routine(lapack_capsules, "dlauum", found[7]);
  routines.stev = routine(lapack_capsules, "dstev", found[8]);
  routines.wide = blas::writes_wide_info(routines.potrf);
  for (const Width width : found) {
    if (width != Width::kUnsaid && (width == Width::kWide) != routines.wide) {
      throw std::runtime_error("SciPy's BLAS and LAPACK differ in the width of their integers");
    }
  }
  blas::use(routines, {reinterpret_cast<int (*)()>(get_threads), reinterpret_cast<void (*)(int)>(set_threads)});
}

nb::dict handlers() {
  nb::dict out;
  out["lgm_factor_solve"] = nb::capsule(factor_solve_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_factor_solve_invert"] = nb::capsule(factor_solve_invert_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_selected_inverse_tangent"] = nb::capsule(selected_inverse_tangent_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_multiply"] = nb::capsule(multiply_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_outer"] = nb::capsule(outer_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_rows_times"] = nb::capsule(rows_times_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_rows_transposed_times"] = nb::capsule(rows_transposed_times_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_rows_gram"] = nb::capsule(rows_gram_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_rows_quadratic"] = nb::capsule(rows_quadratic_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_find_mode"] = nb::capsule(find_mode_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_find_mode_and_slopes"] = nb::capsule(find_mode_and_slopes_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_find_mode_and_pairs"] = nb::capsule(find_mode_and_pairs_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_log_likelihoods"] = nb::capsule(log_likelihoods_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_leaf_heights"] = nb::capsule(leaf_heights_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_leaf_integrals"] = nb::capsule(leaf_integrals_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_leaf_draws"] = nb::capsule(leaf_draws_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_leaf_centres"] = nb::capsule(leaf_centres_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_iterate"] = nb::capsule(iterate_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_iterate_each"] = nb::capsule(iterate_each_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_iterate_variances"] = nb::capsule(iterate_variances_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_stored_multiply"] = nb::capsule(stored_multiply_handler(), "xla._CUSTOM_CALL_TARGET");
  out["lgm_stored_outer"] = nb::capsule(stored_outer_handler(), "xla._CUSTOM_CALL_TARGET");
  return out;
}

// Of each row: log-likelihood with its constants, and its derivatives of order one to three in eta.
nb::list likelihood(const std::string& name, const Doubles& eta, const Doubles& value, const Doubles& trials,
                    const Doubles& weights, const Doubles& own) {
  const Likelihood which = likelihood_named(name);
  if (which == Likelihood::kUnknown || static_cast<int32_t>(own.size()) != parameters_of(which)) {
    throw std::invalid_argument("not a likelihood of the kernel, or not its parameters: " + name);
  }
  for (const size_t size : {value.size(), trials.size(), weights.size()}) {
    if (size != eta.size()) throw std::invalid_argument("all arrays have one number per row");
  }
  nb::list out;
  for (size_t i = 0; i < eta.size(); ++i) {
    const Responses row{which, 1, value.data() + i, trials.data() + i, weights.data() + i, own.data()};
    double slope = 0.0, curvature = 0.0, third = 0.0;
    const double sum = log_likelihood(row, eta.data() + i, &slope, &curvature) + constants(row);
    third_derivatives(row, eta.data() + i, &third);
    out.append(nb::make_tuple(sum, slope, -curvature, third));
  }
  return out;
}

}  // namespace
}  // namespace lgm

NB_MODULE(_kernel_ext, module) {
  module.def("predict_cost", &lgm::predict_cost, nb::arg("indptr"), nb::arg("indices"), nb::arg("order"),
             nb::arg("negative"));
  module.def("register_analysis", &lgm::register_analysis, nb::arg("key"), nb::arg("indptr"), nb::arg("indices"),
             nb::arg("order"), nb::arg("negative"));
  module.def("register_arrow", &lgm::register_arrow, nb::arg("key"), nb::arg("indptr"), nb::arg("indices"),
             nb::arg("head"), nb::arg("size"), nb::arg("border"));
  module.def("minimum_degree", &lgm::order_by_minimum_degree, nb::arg("indptr"), nb::arg("indices"));
  module.def("use_blas", &lgm::use_blas, nb::arg("blas"), nb::arg("lapack"), nb::arg("get_threads"),
             nb::arg("set_threads"));
  module.def("handlers", &lgm::handlers);
  module.def("likelihood", &lgm::likelihood, nb::arg("name"), nb::arg("eta"), nb::arg("value"), nb::arg("trials"),
             nb::arg("weights"), nb::arg("own"));
  module.def("set_max_threads", &lgm::set_max_threads, nb::arg("threads"));
  module.def("max_threads", &lgm::max_threads);
}
