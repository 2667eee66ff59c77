#include <cstdint>

#include "ffi_support.h"
#include "newton.h"
#include "rows.h"

namespace lgm {
namespace {

using Ints = ffi::Buffer<ffi::S32>;

// Rows come once for a whole batch.
Rows rows_of(const Doubles& data, const Ints& columns, const Ints& starts, const Ints& pairs) {
  return {static_cast<int64_t>(starts.element_count()) - 1, data.typed_data(), columns.typed_data(),
          starts.typed_data(), pairs.typed_data()};
}

bool fits(const Doubles& data, const Ints& columns, const Ints& starts) {
  return starts.element_count() > 0 && data.element_count() == columns.element_count() &&
         starts.typed_data()[starts.element_count() - 1] == static_cast<int64_t>(data.element_count());
}

constexpr double kNanosecondsOfAPoint = 12.0;  // of one row at one point

// About a nanosecond each.
double cost_of(size_t entries, int64_t columns) { return static_cast<double>(entries) * static_cast<double>(columns); }

// x (..., d, m) -> A x (..., n, m)
ffi::Error rows_times_call(ffi::ThreadPool pool, Doubles x, Doubles data, Ints columns, Ints starts, DoublesOut out) {
  const Rows a = rows_of(data, columns, starts, columns);
  const auto batch = batch_of(x.dimensions(), {-1, -1});
  if (!fits(data, columns, starts) || !batch || batch_of(out->dimensions(), {a.n, -1}) != batch) {
    return bad_shape("rows or vectors");
  }
  const int64_t m = last(x.dimensions()), d = x.dimensions()[x.dimensions().size() - 2];
  return run(pool, *batch, cost_of(data.element_count(), m), [&](int64_t i) {
    times(a, x.typed_data() + i * d * m, m, out->typed_data() + i * a.n * m);
  });
}

// g (..., n, m) -> A'g (..., d, m)
ffi::Error rows_transposed_times_call(ffi::ThreadPool pool, Doubles g, Doubles data, Ints columns, Ints starts,
                                      DoublesOut out) {
  const Rows a = rows_of(data, columns, starts, columns);
  const auto batch = batch_of(g.dimensions(), {a.n, -1});
  if (!fits(data, columns, starts) || !batch || batch_of(out->dimensions(), {-1, -1}) != batch) {
    return bad_shape("rows or vectors");
  }
  const int64_t m = last(g.dimensions()), d = out->dimensions()[out->dimensions().size() - 2];
  return run(pool, *batch, cost_of(data.element_count(), m), [&](int64_t i) {
    transposed_times(a, g.typed_data() + i * a.n * m, m, d, out->typed_data() + i * d * m);
  });
}

// w (..., n) -> A'WA (..., nnz)
ffi::Error rows_gram_call(ffi::ThreadPool pool, double factor, Doubles w, Doubles data, Ints columns, Ints starts,
                          Ints pairs, DoublesOut out) {
  const Rows a = rows_of(data, columns, starts, pairs);
  const auto batch = batch_of(w.dimensions(), {a.n});
  if (!fits(data, columns, starts) || !batch || batch_of(out->dimensions(), {-1}) != batch) {
    return bad_shape("rows or weights");
  }
  const int64_t nnz = last(out->dimensions());
  return run(pool, *batch, cost_of(pairs.element_count(), 1), [&](int64_t i) {
    double* const to = out->typed_data() + i * nnz;
    std::fill_n(to, nnz, 0.0);
    add_gram(a, w.typed_data() + i * a.n, factor, to);
  });
}

// z (..., nnz) -> a_i' Z a_i (..., n)
ffi::Error rows_quadratic_call(ffi::ThreadPool pool, double factor, Doubles z, Doubles data, Ints columns, Ints starts,
                               Ints pairs, DoublesOut out) {
  const Rows a = rows_of(data, columns, starts, pairs);
  const auto batch = batch_of(z.dimensions(), {-1});
  if (!fits(data, columns, starts) || !batch || batch_of(out->dimensions(), {a.n}) != batch) {
    return bad_shape("rows or entries");
  }
  const int64_t nnz = last(z.dimensions());
  return run(pool, *batch, cost_of(pairs.element_count(), 1), [&](int64_t i) {
    quadratic(a, z.typed_data() + i * nnz, factor, out->typed_data() + i * a.n);
  });
}

// What a search takes. The prior's values, the scales, the likelihood's parameters and the start have batch dimensions;
// the rest is common to all.
struct SearchArguments {
  Doubles values, scale, own, start;
  Doubles data;
  Ints columns, starts, pairs;
  Doubles offset, value, trials, weights, pull;

  const char* wrong(const Symbolic& symbolic, int64_t batch, int32_t parameters) const {
    if (batch_of(scale.dimensions(), {symbolic.n}) != batch) return "scales";
    if (batch_of(own.dimensions(), {parameters}) != batch) return "the likelihood's parameters";
    if (batch_of(start.dimensions(), {symbolic.n}) != batch) return "the start";
    if (!fits(data, columns, starts)) return "rows";
    const size_t n = starts.element_count() - 1, d = symbolic.n;
    for (const Doubles& array : {offset, value, weights}) {
      if (array.element_count() != n) return "offset, response or weights";
    }
    if (trials.element_count() != n && trials.element_count() != 0) return "trials";
    if (pull.element_count() != d) return "the prior's parts";
    return nullptr;
  }

  LatentProblem problem(const Symbolic& symbolic, Likelihood likelihood, int64_t i) const {
    LatentProblem out;
    out.rows = rows_of(data, columns, starts, pairs);
    out.responses = {likelihood,           out.rows.n,
                     value.typed_data(),   trials.element_count() ? trials.typed_data() : nullptr,
                     weights.typed_data(), own.typed_data() + i * parameters_of(likelihood)};
    out.offset = offset.typed_data();
    out.pull = pull.typed_data();
    out.values = values.typed_data() + i * symbolic.nnz;
    out.scale = scale.typed_data() + i * symbolic.n;
    return out;
  }

  // Of a handful of steps.
  double cost(const Symbolic& symbolic) const {
    return 3.0 * nanoseconds(symbolic) +
           5.0 * (static_cast<double>(pairs.element_count()) + 20.0 * static_cast<double>(value.element_count()));
  }
};

// A search for each element, and `more` nanoseconds after it: `find(symbolic, workspace, problem, v, i)`.
template <class Find>
ffi::Error search(ffi::ThreadPool& pool, std::string_view key, std::string_view family, const SearchArguments& given,
                  DoublesOut& mode, DoublesOut& joint, DoublesOut& logdet, DoublesOut& gain,
                  ffi::ResultBuffer<ffi::S32>& counts, const Find& find, double more = 0.0) {
  Call call = begin(key, given.values);
  if (call.error.failure()) return call.error;
  const Symbolic& symbolic = call.analysis->symbolic;
  const Likelihood likelihood = likelihood_named(family);
  if (likelihood == Likelihood::kUnknown) {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "lgm: no likelihood " + std::string(family));
  }
  if (const char* const what = given.wrong(symbolic, call.batch, parameters_of(likelihood))) return bad_shape(what);
  const auto element = [&](int64_t i, const Team& team) {
    WorkspacePool<double>::Lease lease(call.analysis->workspaces, symbolic, team);
    double* const v = mode->typed_data() + i * symbolic.n;
    std::copy_n(given.start.typed_data() + i * symbolic.n, symbolic.n, v);
    const Mode found = find(symbolic, *lease, given.problem(symbolic, likelihood, i), v, i);
    joint->typed_data()[i] = found.joint;
    logdet->typed_data()[i] = found.logdet;
    gain->typed_data()[i] = found.gain;
    counts->typed_data()[2 * i] = found.factorisations;
    counts->typed_data()[2 * i + 1] = found.steps;
  };
  return run(pool, call, element, given.cost(symbolic) + more);
}

// -> mode like the start, J (...), log-determinant (...), gain (...), factorisations and steps (..., 2)
ffi::Error find_mode_call(ffi::ThreadPool pool, std::string_view key, std::string_view family, Doubles values,
                          Doubles scale, Doubles own, Doubles start, Doubles data, Ints columns, Ints starts,
                          Ints pairs, Doubles offset, Doubles value, Doubles trials, Doubles weights, Doubles pull,
                          DoublesOut mode, DoublesOut joint, DoublesOut logdet,
                          DoublesOut gain, ffi::ResultBuffer<ffi::S32> counts) {
  const SearchArguments given{values, scale, own,   start,  data,    columns,
                              starts, pairs, offset, value, trials, weights, pull};
  return search(pool, key, family, given, mode, joint, logdet, gain, counts,
                [](const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem, double* v,
                   int64_t) { return find_mode(symbolic, workspace, problem, v); });
}

// -> the same, and derivatives by values and scales, like these; eta and s (..., n), shift (..., d), lean (..., n)
ffi::Error find_mode_and_slopes_call(ffi::ThreadPool pool, std::string_view key, std::string_view family,
                                     Doubles values, Doubles scale, Doubles own, Doubles start, Doubles data,
                                     Ints columns, Ints starts, Ints pairs, Doubles offset, Doubles value,
                                     Doubles trials, Doubles weights, Doubles pull, DoublesOut mode, DoublesOut joint,
                                     DoublesOut logdet, DoublesOut gain, ffi::ResultBuffer<ffi::S32> counts,
                                     DoublesOut by_values, DoublesOut by_scale,
                                     DoublesOut eta, DoublesOut spread, DoublesOut shift, DoublesOut lean) {
  const SearchArguments given{values, scale, own,   start,  data,    columns,
                              starts, pairs, offset, value, trials, weights, pull};
  return search(pool, key, family, given, mode, joint, logdet, gain, counts,
                [&](const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem, double* v,
                    int64_t i) {
                  const int64_t n = problem.rows.n;
                  const Slopes out{by_values->typed_data() + i * symbolic.nnz, by_scale->typed_data() + i * symbolic.n,
                                   eta->typed_data() + i * n, spread->typed_data() + i * n,
                                   shift->typed_data() + i * symbolic.n, lean->typed_data() + i * n};
                  return find_mode_and_slopes(symbolic, workspace, problem, v, out);
                });
}

// normals (..., d, m) -> the mode and all about it; eta and s (..., n), shift (..., d), draws like the normals, log
// weights (..., 2m)
ffi::Error find_mode_and_pairs_call(ffi::ThreadPool pool, std::string_view key, std::string_view family, Doubles values,
                                    Doubles scale, Doubles own, Doubles start, Doubles normals, Doubles data,
                                    Ints columns, Ints starts, Ints pairs, Doubles offset, Doubles value,
                                    Doubles trials, Doubles weights, Doubles pull, DoublesOut mode, DoublesOut joint,
                                    DoublesOut logdet, DoublesOut gain, ffi::ResultBuffer<ffi::S32> counts,
                                    DoublesOut eta, DoublesOut spread, DoublesOut shift, DoublesOut drawn,
                                    DoublesOut log_weights) {
  const SearchArguments given{values, scale, own,   start,  data,    columns,
                              starts, pairs, offset, value, trials, weights, pull};
  const int64_t m = last(normals.dimensions()), d = last(start.dimensions());
  if (batch_of(normals.dimensions(), {d, m}) != batch_of(start.dimensions(), {d})) return bad_shape("normals");
  const double more = kNanosecondsOfAPoint * 2.0 * static_cast<double>(m) * static_cast<double>(value.element_count());
  return search(
      pool, key, family, given, mode, joint, logdet, gain, counts,
      [&](const Symbolic& symbolic, Workspace<double>& workspace, const LatentProblem& problem, double* v, int64_t i) {
        const int64_t n = problem.rows.n, size = d * m;
        const lgm::Pairs out{{normals.typed_data() + i * size, static_cast<int32_t>(m)},
                             eta->typed_data() + i * n,
                             spread->typed_data() + i * n,
                             shift->typed_data() + i * d,
                             drawn->typed_data() + i * size,
                             log_weights->typed_data() + i * 2 * m};
        return find_mode_and_pairs(symbolic, workspace, problem, v, out);
      },
      more);
}

auto with_rows() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Doubles>().Arg<Doubles>().Arg<Ints>().Arg<Ints>().Ret<Doubles>();
}

auto with_pairs() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<double>("factor")
      .Arg<Doubles>()
      .Arg<Doubles>()
      .Arg<Ints>()
      .Arg<Ints>()
      .Arg<Ints>()
      .Ret<Doubles>();
}

auto with_own() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<std::string_view>("analysis")
      .Attr<std::string_view>("family")
      .Arg<Doubles>()
      .Arg<Doubles>()
      .Arg<Doubles>()
      .Arg<Doubles>();
}

template <class Binding>
auto with_common(Binding own) {
  return std::move(own)
      .template Arg<Doubles>()
      .template Arg<Ints>()
      .template Arg<Ints>()
      .template Arg<Ints>()
      .template Arg<Doubles>()
      .template Arg<Doubles>()
      .template Arg<Doubles>()
      .template Arg<Doubles>()
      .template Arg<Doubles>()
      .template Ret<Doubles>()
      .template Ret<Doubles>()
      .template Ret<Doubles>()
      .template Ret<Doubles>()
      .template Ret<ffi::Buffer<ffi::S32>>();
}

auto with_search() { return with_common(with_own()); }

}  // namespace

LGM_HANDLER(lgm_rows_times, rows_times_call, with_rows());
LGM_HANDLER(lgm_rows_transposed_times, rows_transposed_times_call, with_rows());
LGM_HANDLER(lgm_rows_gram, rows_gram_call, with_pairs());
LGM_HANDLER(lgm_rows_quadratic, rows_quadratic_call, with_pairs());
LGM_HANDLER(lgm_find_mode, find_mode_call, with_search());
LGM_HANDLER(
    lgm_find_mode_and_slopes, find_mode_and_slopes_call,
    with_search().Ret<Doubles>().Ret<Doubles>().Ret<Doubles>().Ret<Doubles>().Ret<Doubles>().Ret<Doubles>());
LGM_HANDLER(lgm_find_mode_and_pairs, find_mode_and_pairs_call,
            with_common(with_own().Arg<Doubles>())
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>());

}  // namespace lgm
