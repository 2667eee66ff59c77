#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "ffi_support.h"
#include "iterate.h"
#include "products.h"

namespace lgm {
namespace {

// Where systems count as solved: differences of gradients are second derivatives, so values keep their digits.
constexpr double kTolerance = 1e-11;
// Lanczos' vectors are kept, so many at most and no more bytes than this for each of the threads.
constexpr int64_t kMostSteps = 400, kFewestSteps = 30;
constexpr double kMostBytes = 2e9;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Limits limits_of(const Arrow& arrow) {
  const double room = kMostBytes / (8.0 * kWide * static_cast<double>(std::max<int64_t>(arrow.rest, 1)));
  return {kTolerance, std::clamp(static_cast<int64_t>(room), kFewestSteps, kMostSteps)};
}

int32_t code(Ended ended) { return static_cast<int32_t>(ended); }

// One matrix at a time, whose parts share the threads.
template <class Body>
ffi::Error iterate(ffi::ThreadPool& pool, std::string_view key, const Doubles& values, const Body& body) {
  const auto arrow = Arrows::instance().find(std::string(key));
  if (!arrow) return unknown(key);
  if (static_cast<int64_t>(values.element_count()) != arrow->nnz) return bad_shape("values");
  ffi::Error error = ffi::Error::Success();
  const Loop loop = [&](int64_t count, const std::function<void(int64_t)>& each) {
    const double cost = 100.0 * static_cast<double>(arrow->nnz * kWide);
    const ffi::Error found = run(pool, count, cost, each);
    if (found.failure()) error = found;
  };
  try {
    Iterated iterated(*arrow, values.typed_data(), limits_of(*arrow), loop);
    body(*arrow, iterated);
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "lgm: not enough memory");
  }
  return error;
}

void spoil(DoublesOut& out) { std::fill_n(out->typed_data(), out->element_count(), kNan); }

// values (nnz,), rhs (n, k), normals (n, m) -> logdet (), x like rhs, draws like normals, gradient (nnz or 0,), info
ffi::Error iterate_call(ffi::ThreadPool pool, std::string_view key, int64_t probes, int64_t seed, Doubles values,
                        Doubles rhs, Doubles normals, DoublesOut logdet, DoublesOut x, DoublesOut draws,
                        DoublesOut gradient, IntsOut info) {
  return iterate(pool, key, values, [&](const Arrow&, Iterated& found) {
    const bool wanted = gradient->element_count() > 0;
    std::vector<double> each(probes, kNan);
    std::fill_n(gradient->typed_data(), gradient->element_count(), 0.0);
    if (found.ended() == Ended::kWell && probes) {
      found.log_determinants(seed, probes, each.data(), wanted ? gradient->typed_data() : nullptr);
    }
    if (found.ended() == Ended::kWell && rhs.element_count()) {
      found.solve(rhs.typed_data(), last(rhs.dimensions()), x->typed_data());
    }
    if (found.ended() == Ended::kWell && normals.element_count()) {
      found.sample(normals.typed_data(), last(normals.dimensions()), draws->typed_data());
    }
    logdet->typed_data()[0] = std::accumulate(each.begin(), each.end(), 0.0) / static_cast<double>(probes);
    info->typed_data()[0] = code(found.ended());
    if (found.ended() == Ended::kWell) return;
    for (DoublesOut* out : {&logdet, &x, &draws, &gradient}) spoil(*out);
  });
}

// values (nnz,), directions (d, nnz) -> logdets (probes,), slopes (probes, d), info
ffi::Error iterate_each_call(ffi::ThreadPool pool, std::string_view key, int64_t probes, int64_t seed, Doubles values,
                             Doubles directions, DoublesOut logdets, DoublesOut slopes, IntsOut info) {
  return iterate(pool, key, values, [&](const Arrow&, Iterated& found) {
    if (found.ended() == Ended::kWell) {
      found.log_determinants(seed, probes, logdets->typed_data(), directions.typed_data(),
                             directions.dimensions()[0], slopes->typed_data());
    }
    info->typed_data()[0] = code(found.ended());
    if (found.ended() == Ended::kWell) return;
    for (DoublesOut* out : {&logdets, &slopes}) spoil(*out);
  });
}

// values (nnz,) -> diagonal of the inverse (n,), its standard errors (n,), the inverse on the pattern (nnz,), info
ffi::Error iterate_variances_call(ffi::ThreadPool pool, std::string_view key, int64_t draws, int64_t seed,
                                  Doubles values, DoublesOut diagonal, DoublesOut error, DoublesOut inverse,
                                  IntsOut info) {
  return iterate(pool, key, values, [&](const Arrow&, Iterated& found) {
    if (found.ended() == Ended::kWell) {
      found.variances(seed, draws, diagonal->typed_data(), error->typed_data(), inverse->typed_data());
    }
    info->typed_data()[0] = code(found.ended());
    if (found.ended() == Ended::kWell) return;
    for (DoublesOut* out : {&diagonal, &error, &inverse}) spoil(*out);
  });
}

// values (..., nnz), x (..., n, m) -> S x like x
ffi::Error stored_multiply_call(std::string_view key, double diagonal, Doubles values, Doubles x, DoublesOut out) {
  const auto arrow = Arrows::instance().find(std::string(key));
  if (!arrow) return unknown(key);
  const auto batch = batch_of(values.dimensions(), {arrow->nnz});
  if (!batch || batch_of(x.dimensions(), {arrow->n, -1}) != batch) return bad_shape("vectors");
  const int64_t m = last(x.dimensions()), size = arrow->n * m;
  for (int64_t i = 0; i < *batch; ++i) {
    multiply(*arrow, values.typed_data() + i * arrow->nnz, x.typed_data() + i * size, m, diagonal,
             out->typed_data() + i * size);
  }
  return ffi::Error::Success();
}

// x, y (..., n, m) -> sums of products (..., nnz)
ffi::Error stored_outer_call(std::string_view key, double diagonal, Doubles x, Doubles y, DoublesOut out) {
  const auto arrow = Arrows::instance().find(std::string(key));
  if (!arrow) return unknown(key);
  const int64_t m = last(x.dimensions()), size = arrow->n * m;
  const auto batch = batch_of(x.dimensions(), {arrow->n, -1});
  if (!batch || batch_of(y.dimensions(), {arrow->n, m}) != batch) return bad_shape("vectors");
  for (int64_t i = 0; i < *batch; ++i) {
    outer(*arrow, x.typed_data() + i * size, y.typed_data() + i * size, m, diagonal, out->typed_data() + i * arrow->nnz);
  }
  return ffi::Error::Success();
}

}  // namespace

LGM_HANDLER(lgm_iterate, iterate_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Attr<int64_t>("probes")
                .Attr<int64_t>("seed")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<ffi::Buffer<ffi::S32>>());

LGM_HANDLER(lgm_iterate_each, iterate_each_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Attr<int64_t>("probes")
                .Attr<int64_t>("seed")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<ffi::Buffer<ffi::S32>>());

LGM_HANDLER(lgm_iterate_variances, iterate_variances_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<std::string_view>("analysis")
                .Attr<int64_t>("draws")
                .Attr<int64_t>("seed")
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<ffi::Buffer<ffi::S32>>());

LGM_HANDLER(lgm_stored_multiply, stored_multiply_call,
            ffi::Ffi::Bind()
                .Attr<std::string_view>("analysis")
                .Attr<double>("diagonal")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());

LGM_HANDLER(lgm_stored_outer, stored_outer_call,
            ffi::Ffi::Bind()
                .Attr<std::string_view>("analysis")
                .Attr<double>("diagonal")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());

}  // namespace lgm
