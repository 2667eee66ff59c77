#include "ffi.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "blas.h"
#include "numeric.h"
#include "parallel.h"
#include "registry.h"
#include "xla/ffi/api/ffi.h"

namespace lgm {
namespace {

namespace ffi = xla::ffi;
using Doubles = ffi::Buffer<ffi::F64>;
using DoublesOut = ffi::ResultBuffer<ffi::F64>;
using IntsOut = ffi::ResultBuffer<ffi::S32>;
using Dims = ffi::Span<const int64_t>;

std::atomic<int64_t> thread_limit{0};

// Waking a helper costs some microseconds, so the elements that it takes over must be worth more.
constexpr double kNanosecondsWorthSharing = 60e3;

double nanoseconds(const Symbolic& symbolic) {
  return 0.5 * symbolic.cost.flops + 2.0 * static_cast<double>(symbolic.panel_size) + 20.0 * symbolic.n;
}

// The size of what comes before the trailing `core` dimensions, or nothing if those do not fit (-1 fits all).
std::optional<int64_t> batch_of(Dims dims, std::initializer_list<int64_t> core) {
  if (dims.size() < core.size()) return std::nullopt;
  int64_t batch = 1;
  for (size_t d = 0; d + core.size() < dims.size(); ++d) batch *= dims[d];
  const bool fits = std::equal(core.begin(), core.end(), dims.end() - core.size(),
                               [](int64_t want, int64_t have) { return want < 0 || want == have; });
  return fits ? std::optional<int64_t>(batch) : std::nullopt;
}

// A call's analysis and batch size, or why it cannot be run.
struct Call {
  std::shared_ptr<Analysis> analysis;
  int64_t batch = 0;
  ffi::Error error = ffi::Error::Success();
};

Call begin(std::string_view key, const Doubles& values) {
  Call call{Registry::instance().find(std::string(key))};
  if (!call.analysis) {
    call.error = ffi::Error(ffi::ErrorCode::kNotFound, "lgm: analysis " + std::string(key) +
                                                           " is not known to this process; call the verb again");
    return call;
  }
  const auto batch = batch_of(values.dimensions(), {call.analysis->symbolic.nnz});
  if (batch) {
    call.batch = *batch;
  } else {
    call.error = ffi::Error(ffi::ErrorCode::kInvalidArgument, "lgm: values do not have one number per stored entry");
  }
  return call;
}

int64_t last(Dims dims) { return dims.size() == 0 ? 0 : dims.back(); }

// element(i) for every element of the batch, over threads if that pays.
template <class Element>
ffi::Error run(ffi::ThreadPool& pool, const Call& call, const Element& element) {
  const Symbolic& symbolic = call.analysis->symbolic;
  std::optional<blas::SingleThreaded> pin;
  if (symbolic.may_use_blas) pin.emplace();
  std::atomic<bool> out_of_memory{false};
  const auto guarded = [&](int64_t i) {
    try {
      element(i);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  };
  int64_t helpers = 0;
  if (call.batch > 1 && static_cast<double>(call.batch) * nanoseconds(symbolic) > 2 * kNanosecondsWorthSharing) {
    const int64_t limit = thread_limit.load();
    const int64_t threads = limit > 0 ? std::min(limit, pool.num_threads()) : pool.num_threads();
    helpers = std::max<int64_t>(0, std::min(threads, call.batch) - 1);
  }
  const auto schedule = [&pool](std::function<void()> task) { pool.Schedule(std::move(task)); };
  parallel_for(call.batch, helpers, schedule, guarded);
  if (out_of_memory) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "lgm: not enough memory for the factor");
  return ffi::Error::Success();
}

ffi::Error bad_shape(const char* what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, std::string("lgm: wrong shape of ") + what);
}

// values (..., nnz), rhs (..., n, k), normals (..., n, m) -> logdet (...), info (...), x like rhs, draws like normals
ffi::Error factor_solve_call(ffi::ThreadPool pool, std::string_view key, Doubles values, Doubles rhs, Doubles normals,
                             DoublesOut logdet, IntsOut info, DoublesOut x, DoublesOut draws) {
  Call call = begin(key, values);
  if (call.error.failure()) return call.error;
  const Symbolic& symbolic = call.analysis->symbolic;
  if (batch_of(rhs.dimensions(), {symbolic.n, -1}) != call.batch) return bad_shape("right-hand sides");
  if (batch_of(normals.dimensions(), {symbolic.n, -1}) != call.batch) return bad_shape("normals");
  const int64_t k = last(rhs.dimensions()), m = last(normals.dimensions());
  return run(pool, call, [&](int64_t i) {
    WorkspacePool<double>::Lease lease(call.analysis->workspaces, symbolic);
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
  return run(pool, call, [&](int64_t i) {
    WorkspacePool<double>::Lease lease(call.analysis->workspaces, symbolic);
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
  return run(pool, call, [&](int64_t i) {
    WorkspacePool<Dual>::Lease lease(call.analysis->dual_workspaces, symbolic);
    const int64_t at = i * symbolic.nnz;
    selected_inverse_tangent(symbolic, *lease, values.typed_data() + at, direction.typed_data() + at,
                             tangent->typed_data() + at);
  });
}

XLA_FFI_DEFINE_HANDLER(kFactorSolve, factor_solve_call,
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

XLA_FFI_DEFINE_HANDLER(kFactorSolveInvert, factor_solve_invert_call,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Attr<std::string_view>("analysis")
                           .Arg<Doubles>()
                           .Arg<Doubles>()
                           .Ret<Doubles>()
                           .Ret<ffi::Buffer<ffi::S32>>()
                           .Ret<Doubles>()
                           .Ret<Doubles>());

XLA_FFI_DEFINE_HANDLER(kSelectedInverseTangent, selected_inverse_tangent_call,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Attr<std::string_view>("analysis")
                           .Arg<Doubles>()
                           .Arg<Doubles>()
                           .Ret<Doubles>());

}  // namespace

void* factor_solve_handler() { return reinterpret_cast<void*>(kFactorSolve); }
void* factor_solve_invert_handler() { return reinterpret_cast<void*>(kFactorSolveInvert); }
void* selected_inverse_tangent_handler() { return reinterpret_cast<void*>(kSelectedInverseTangent); }

void set_max_threads(int64_t threads) { thread_limit = threads; }
int64_t max_threads() { return thread_limit; }

}  // namespace lgm
