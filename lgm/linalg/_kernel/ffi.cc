#include "ffi.h"

#include <atomic>

#include "ffi_support.h"
#include "numeric.h"

namespace lgm {
namespace {

std::atomic<int64_t> thread_limit{0};

// values (..., nnz), rhs (..., n, k), normals (..., n, m) -> logdet (...), info (...), x like rhs, draws like normals
ffi::Error factor_solve_call(ffi::ThreadPool pool, std::string_view key, Doubles values, Doubles rhs, Doubles normals,
                             DoublesOut logdet, IntsOut info, DoublesOut x, DoublesOut draws) {
  Call call = begin(key, values);
  if (call.error.failure()) return call.error;
  const Symbolic& symbolic = call.analysis->symbolic;
  if (batch_of(rhs.dimensions(), {symbolic.n, -1}) != call.batch) return bad_shape("right-hand sides");
  if (batch_of(normals.dimensions(), {symbolic.n, -1}) != call.batch) return bad_shape("normals");
  const int64_t k = last(rhs.dimensions()), m = last(normals.dimensions());
  return run(pool, call, [&](int64_t i, const Team& team) {
    WorkspacePool<double>::Lease lease(call.analysis->workspaces, symbolic, team);
    const int64_t rhs_at = i * symbolic.n * k, normals_at = i * symbolic.n * m;
    const Outcome outcome = factor_solve(symbolic, *lease, values.typed_data() + i * symbolic.nnz,
                                         {rhs.typed_data() + rhs_at, static_cast<int32_t>(k)}, x->typed_data() + rhs_at,
                                         {normals.typed_data() + normals_at, static_cast<int32_t>(m)},
                                         draws->typed_data() + normals_at);
    logdet->typed_data()[i] = outcome.logdet;
    info->typed_data()[i] = outcome.info;
  });
}

// values (..., nnz), rhs (..., n, k) -> logdet (...), info (...), x like rhs, selected inverse like values
ffi::Error factor_solve_invert_call(ffi::ThreadPool pool, std::string_view key, Doubles values, Doubles rhs,
                                    DoublesOut logdet, IntsOut info, DoublesOut x, DoublesOut selected) {
  Call call = begin(key, values);
  if (call.error.failure()) return call.error;
  const Symbolic& symbolic = call.analysis->symbolic;
  if (batch_of(rhs.dimensions(), {symbolic.n, -1}) != call.batch) return bad_shape("right-hand sides");
  const int64_t k = last(rhs.dimensions());
  return run(pool, call, [&](int64_t i, const Team& team) {
    WorkspacePool<double>::Lease lease(call.analysis->workspaces, symbolic, team);
    const int64_t values_at = i * symbolic.nnz, rhs_at = i * symbolic.n * k;
    const Outcome outcome = factor_solve_invert(symbolic, *lease, values.typed_data() + values_at,
                                                {rhs.typed_data() + rhs_at, static_cast<int32_t>(k)},
                                                x->typed_data() + rhs_at, selected->typed_data() + values_at);
    logdet->typed_data()[i] = outcome.logdet;
    info->typed_data()[i] = outcome.info;
  });
}

// values (..., nnz), direction like values -> tangent like values
ffi::Error selected_inverse_tangent_call(ffi::ThreadPool pool, std::string_view key, Doubles values, Doubles direction,
                                         DoublesOut tangent) {
  Call call = begin(key, values);
  if (call.error.failure()) return call.error;
  const Symbolic& symbolic = call.analysis->symbolic;
  if (batch_of(direction.dimensions(), {symbolic.nnz}) != call.batch) return bad_shape("the direction");
  return run(pool, call, [&](int64_t i, const Team& team) {
    WorkspacePool<Dual>::Lease lease(call.analysis->dual_workspaces, symbolic, team);
    const int64_t at = i * symbolic.nnz;
    selected_inverse_tangent(symbolic, *lease, values.typed_data() + at, direction.typed_data() + at,
                             tangent->typed_data() + at);
  });
}

}  // namespace

LGM_HANDLER(lgm_factor_solve, factor_solve_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<ffi::Buffer<ffi::S32>>()
                .Ret<Doubles>()
                .Ret<Doubles>());

LGM_HANDLER(lgm_factor_solve_invert, factor_solve_invert_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<ffi::Buffer<ffi::S32>>()
                .Ret<Doubles>()
                .Ret<Doubles>());

LGM_HANDLER(lgm_selected_inverse_tangent, selected_inverse_tangent_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());

void set_max_threads(int64_t threads) { thread_limit = threads; }
int64_t max_threads() { return thread_limit; }

}  // namespace lgm
