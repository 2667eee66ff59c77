// What the handlers have in common: shapes, batches, threads.
#pragma once

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
#include "exported.h"
#include "ffi.h"
#include "parallel.h"
#include "registry.h"
#include "xla/ffi/api/ffi.h"

// A handler of XLA's calls, which the host finds by its name.
#define LGM_HANDLER(name, call, ...)                            \
  extern "C" LGM_EXPORT XLA_FFI_Error* name(XLA_FFI_CallFrame*); \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(name, call, __VA_ARGS__)

namespace lgm {

namespace ffi = xla::ffi;
using Doubles = ffi::Buffer<ffi::F64>;
using DoublesOut = ffi::ResultBuffer<ffi::F64>;
using IntsOut = ffi::ResultBuffer<ffi::S32>;
using Dims = ffi::Span<const int64_t>;

// Waking a helper costs some microseconds, so the elements that it takes over must be worth more.
constexpr double kNanosecondsWorthSharing = 60e3;

// The size of what comes before the trailing `core` dimensions, or nothing if those do not fit (-1 fits all).
inline std::optional<int64_t> batch_of(Dims dims, std::initializer_list<int64_t> core) {
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

inline ffi::Error unknown(std::string_view key) {
  return ffi::Error(ffi::ErrorCode::kNotFound,
                    "lgm: analysis " + std::string(key) + " is not known to this process; call the verb again");
}

inline Call begin(std::string_view key, const Doubles& values) {
  Call call{Registry::instance().find(std::string(key))};
  if (!call.analysis) {
    call.error = unknown(key);
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

inline int64_t last(Dims dims) { return dims.size() == 0 ? 0 : dims.back(); }

inline int64_t threads_of(ffi::ThreadPool& pool) {
  const int64_t limit = max_threads();
  return limit > 0 ? std::min(limit, pool.num_threads()) : pool.num_threads();
}

inline Team::Schedule scheduled_on(ffi::ThreadPool& pool) {
  return [&pool](std::function<void()> task) { pool.Schedule(std::move(task)); };
}

// element(i) for every element of the batch, over threads if that pays. `cost` is an element's time in nanoseconds.
template <class Element>
ffi::Error run(ffi::ThreadPool& pool, int64_t batch, double cost, const Element& element) {
  std::atomic<bool> out_of_memory{false};
  const auto guarded = [&](int64_t i, int64_t) {
    try {
      element(i);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  };
  const bool pays = static_cast<double>(batch) * cost > 2 * kNanosecondsWorthSharing;
  const int64_t helpers = pays ? threads_of(pool) - 1 : 0;
  Team(helpers, scheduled_on(pool)).for_each(batch, guarded);
  if (out_of_memory) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "lgm: not enough memory for the factor");
  return ffi::Error::Success();
}

// The same where each element factors the matrix of the analysis: element(i, team), where threads that the batch has no
// use for are shared among its elements. `more` is what else it takes.
template <class Element>
ffi::Error run(ffi::ThreadPool& pool, const Call& call, const Element& element, double more = 0.0) {
  const Symbolic& symbolic = call.analysis->symbolic;
  std::optional<blas::SingleThreaded> pin;
  if (symbolic.may_use_blas) pin.emplace();
  const int64_t each = symbolic.top.empty() ? 1 : threads_of(pool) / std::max<int64_t>(1, call.batch);
  return run(pool, call.batch, nanoseconds(symbolic) + more, [&](int64_t i) {
    element(i, Team(std::max<int64_t>(0, each - 1), scheduled_on(pool)));
  });
}

inline ffi::Error bad_shape(const char* what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, std::string("lgm: wrong shape of ") + what);
}

}  // namespace lgm
