#include <cstdint>

#include "ffi_support.h"
#include "products.h"

namespace lgm {
namespace {

// About a nanosecond each.
double cost_of(const Symbolic& symbolic, int64_t m) { return static_cast<double>((symbolic.nnz + symbolic.n) * m); }

// values (..., nnz), x (..., n, m) -> S x like x
ffi::Error multiply_call(ffi::ThreadPool pool, std::string_view key, double diagonal, Doubles values, Doubles x,
                         DoublesOut out) {
  const Call call = begin(key, values);
  if (call.error.failure()) return call.error;
  const Symbolic& symbolic = call.analysis->symbolic;
  if (batch_of(x.dimensions(), {symbolic.n, -1}) != call.batch) return bad_shape("vectors");
  const int64_t m = last(x.dimensions()), size = symbolic.n * m;
  return run(pool, call.batch, cost_of(symbolic, m), [&](int64_t i) {
    multiply(symbolic, values.typed_data() + i * symbolic.nnz, x.typed_data() + i * size, m, diagonal,
             out->typed_data() + i * size);
  });
}

// x, y (..., n, m) -> sums of products (..., nnz)
ffi::Error outer_call(ffi::ThreadPool pool, std::string_view key, double diagonal, Doubles x, Doubles y,
                      DoublesOut out) {
  const auto analysis = Registry::instance().find(std::string(key));
  if (!analysis) return unknown(key);
  const Symbolic& symbolic = analysis->symbolic;
  const auto batch = batch_of(x.dimensions(), {symbolic.n, -1});
  const int64_t m = last(x.dimensions()), size = symbolic.n * m;
  if (!batch || batch_of(y.dimensions(), {symbolic.n, m}) != batch ||
      batch_of(out->dimensions(), {symbolic.nnz}) != batch) {
    return bad_shape("vectors");
  }
  return run(pool, *batch, cost_of(symbolic, m), [&](int64_t i) {
    outer(symbolic, x.typed_data() + i * size, y.typed_data() + i * size, m, diagonal,
          out->typed_data() + i * symbolic.nnz);
  });
}

}  // namespace

LGM_HANDLER(lgm_multiply, multiply_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Attr<double>("diagonal")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());

LGM_HANDLER(lgm_outer, outer_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Attr<double>("diagonal")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());

}  // namespace lgm
