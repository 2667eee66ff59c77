// Log-likelihoods without Newton's method around them: at columns of effects, and of leaves at their nodes.
#include <cstdint>
#include <vector>

#include "ffi_support.h"
#include "lattices.h"
#include "leaves.h"
#include "rows.h"

namespace lgm {
namespace {

using Ints = ffi::Buffer<ffi::S32>;

constexpr double kNanosecondsOfARow = 12.0;
constexpr int64_t kTogether = 128;  // rows whose linear predictors are there at once

// The response of all rows, which comes once for a whole batch.
struct Answers {
  Doubles value, trials, weights;

  Responses with(Likelihood likelihood, const double* own) const {
    return {likelihood,         static_cast<int64_t>(value.element_count()),
            value.typed_data(), trials.element_count() ? trials.typed_data() : nullptr,
            weights.typed_data(), own};
  }
  bool fits(size_t n) const {
    return value.element_count() == n && weights.element_count() == n &&
           (trials.element_count() == n || trials.element_count() == 0);
  }
};

ffi::Error unknown(std::string_view family) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "lgm: no likelihood " + std::string(family));
}

// x (..., d, m), parameters (..., p) -> sums over the rows of the log-likelihoods at offset + A x (..., m)
ffi::Error log_likelihoods_call(ffi::ThreadPool pool, std::string_view family, Doubles x, Doubles own, Doubles data,
                                Ints columns, Ints starts, Doubles offset, Doubles value, Doubles trials,
                                Doubles weights, DoublesOut out) {
  const Likelihood likelihood = likelihood_named(family);
  if (likelihood == Likelihood::kUnknown) return unknown(family);
  const Answers answers{value, trials, weights};
  const auto batch = batch_of(x.dimensions(), {-1, -1});
  const size_t n = value.element_count();
  const int64_t parameters = parameters_of(likelihood);
  if (!batch || starts.element_count() != n + 1 || offset.element_count() != n || !answers.fits(n) ||
      batch_of(own.dimensions(), {parameters}) != batch ||
      batch_of(out->dimensions(), {last(x.dimensions())}) != batch) {
    return bad_shape("rows, responses or vectors");
  }
  const int64_t m = last(x.dimensions()), d = x.dimensions()[x.dimensions().size() - 2];
  const double cost = static_cast<double>(m) * (static_cast<double>(data.element_count()) +
                                                kNanosecondsOfARow * static_cast<double>(n));
  return run(pool, *batch, cost, [&](int64_t element) {
    const Responses y = answers.with(likelihood, own.typed_data() + element * parameters);
    double* const to = out->typed_data() + element * m;
    std::fill_n(to, m, constants(y));
    std::vector<double> eta(kTogether * m), sums(m);
    for (int64_t first = 0; first < y.n; first += kTogether) {
      const int64_t count = std::min(kTogether, y.n - first);
      const Rows a{count, data.typed_data(), columns.typed_data(), starts.typed_data() + first, nullptr};
      times(a, x.typed_data() + element * d * m, m, eta.data());
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t c = 0; c < m; ++c) eta[i * m + c] += offset.typed_data()[first + i];
      }
      log_likelihoods(part_of(y, first, count), eta.data(), m, sums.data());
      for (int64_t c = 0; c < m; ++c) to[c] += sums[c];
    }
  });
}

// eta (..., n, m), edge (..., n), parameters (..., p) -> heights (..., count, leaves, m)
ffi::Error leaf_heights_call(ffi::ThreadPool pool, std::string_view family, Doubles eta, Doubles edge, Doubles own,
                             Ints columns, Ints starts, Doubles value, Doubles trials, Doubles weights,
                             DoublesOut out) {
  const Likelihood likelihood = likelihood_named(family);
  if (likelihood == Likelihood::kUnknown) return unknown(family);
  const Answers answers{value, trials, weights};
  const int64_t n = value.element_count(), parameters = parameters_of(likelihood);
  const auto batch = batch_of(eta.dimensions(), {n, -1});
  if (!batch || !answers.fits(n) || static_cast<int64_t>(starts.element_count()) != n + 1 ||
      batch_of(edge.dimensions(), {n}) != batch || batch_of(own.dimensions(), {parameters}) != batch ||
      batch_of(out->dimensions(), {-1, -1, last(eta.dimensions())}) != batch) {
    return bad_shape("rows, responses or nodes");
  }
  const int64_t m = last(eta.dimensions()), rank = static_cast<int64_t>(out->dimensions().size());
  const int64_t count = out->dimensions()[rank - 3], size = out->dimensions()[rank - 2];
  const LeafRows leaves(answers.with(likelihood, own.typed_data()), columns.typed_data(), starts.typed_data(), size);
  const double cost = kNanosecondsOfARow * static_cast<double>(n * m * count);
  return run(pool, *batch, cost, [&](int64_t element) {
    leaf_heights(leaves, own.typed_data() + element * parameters, eta.typed_data() + element * n * m,
                 edge.typed_data() + element * n, m, count, out->typed_data() + element * count * size * m);
  });
}

// eta (..., n, m), push (..., n), r (..., leaves), corner (..., leaves, m), edge (..., leaves), parameters (..., p) ->
// heights (..., nodes, leaves, m), log integrals, means and variances (..., leaves, m)
ffi::Error leaf_integrals_call(ffi::ThreadPool pool, std::string_view family, Doubles eta, Doubles push, Doubles r,
                               Doubles corner, Doubles edge, Doubles own, Ints columns, Ints starts, Doubles value,
                               Doubles trials, Doubles weights, DoublesOut heights, DoublesOut log_integral,
                               DoublesOut mean, DoublesOut variance) {
  const Likelihood likelihood = likelihood_named(family);
  if (likelihood == Likelihood::kUnknown) return unknown(family);
  const Answers answers{value, trials, weights};
  const int64_t n = value.element_count(), parameters = parameters_of(likelihood);
  const int64_t size = last(r.dimensions()), m = last(eta.dimensions());
  const auto batch = batch_of(eta.dimensions(), {n, -1});
  if (!batch || !answers.fits(n) || static_cast<int64_t>(starts.element_count()) != n + 1 ||
      batch_of(push.dimensions(), {n}) != batch || batch_of(r.dimensions(), {size}) != batch ||
      batch_of(corner.dimensions(), {size, m}) != batch || batch_of(edge.dimensions(), {size}) != batch ||
      batch_of(own.dimensions(), {parameters}) != batch || batch_of(heights->dimensions(), {-1, size, m}) != batch) {
    return bad_shape("rows, responses or lines of nodes");
  }
  const int64_t nodes = heights->dimensions()[heights->dimensions().size() - 3];
  const LeafRows leaves(answers.with(likelihood, own.typed_data()), columns.typed_data(), starts.typed_data(), size);
  const double cost = kNanosecondsOfARow * static_cast<double>(n * m * nodes);
  return run(pool, *batch, cost, [&](int64_t element) {
    const LeafLines lines{eta.typed_data() + element * n * m, push.typed_data() + element * n,
                          r.typed_data() + element * size,    corner.typed_data() + element * size * m,
                          edge.typed_data() + element * size, m,
                          nodes};
    const auto of_leaves = [&](auto& array) { return array->typed_data() + element * size * m; };
    const LeafSums found{heights->typed_data() + element * nodes * size * m, of_leaves(log_integral), of_leaves(mean),
                         of_leaves(variance)};
    integrate_leaves(leaves, own.typed_data() + element * parameters, lines, found);
  });
}

// heights (..., nodes, leaves, m), uniform (..., leaves, draws), chosen (..., draws) -> places (..., leaves, draws)
ffi::Error leaf_draws_call(ffi::ThreadPool pool, int64_t finer, Doubles heights, Doubles uniform, Ints chosen,
                           DoublesOut out) {
  const int64_t draws = last(chosen.dimensions());
  const auto batch = batch_of(chosen.dimensions(), {-1});
  if (heights.dimensions().size() < 3 || finer < 1) return bad_shape("heights");
  const auto core = heights.dimensions().end() - 3;
  const int64_t nodes = core[0], size = core[1], m = core[2];
  if (batch_of(heights.dimensions(), {-1, -1, -1}) != batch || nodes < 2 ||
      batch_of(uniform.dimensions(), {size, draws}) != batch || batch_of(out->dimensions(), {size, draws}) != batch) {
    return bad_shape("heights, uniform numbers or columns");
  }
  if (std::any_of(chosen.typed_data(), chosen.typed_data() + chosen.element_count(),
                  [m](int32_t c) { return c < 0 || c >= m; })) {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "lgm: draws from columns that are not there");
  }
  const double cost = kNanosecondsOfARow * static_cast<double>(size) *
                      static_cast<double>(nodes * std::min(m, draws) + finer * draws);
  return run(pool, *batch, cost, [&](int64_t element) {
    const LeafDraws problem{heights.typed_data() + element * nodes * size * m, chosen.typed_data() + element * draws,
                            uniform.typed_data() + element * size * draws,     nodes, size, m, draws, finer};
    draw_along(problem, out->typed_data() + element * size * draws);
  });
}

// eta and push (..., n), r and start (..., leaves), parameters (..., p) -> top, axis, low, high, mean (..., leaves),
// slope and curvature (..., n)
ffi::Error leaf_centres_call(ffi::ThreadPool pool, std::string_view family, double fall, int64_t nodes, Doubles eta,
                             Doubles push, Doubles r, Doubles start, Doubles own, Ints columns, Ints starts,
                             Doubles value, Doubles trials, Doubles weights, DoublesOut top, DoublesOut axis,
                             DoublesOut low, DoublesOut high, DoublesOut mean, DoublesOut slope,
                             DoublesOut curvature) {
  const Likelihood likelihood = likelihood_named(family);
  if (likelihood == Likelihood::kUnknown) return unknown(family);
  const Answers answers{value, trials, weights};
  const int64_t n = value.element_count(), parameters = parameters_of(likelihood), size = last(r.dimensions());
  const auto batch = batch_of(eta.dimensions(), {n});
  if (!batch || nodes < 2 || !answers.fits(n) || static_cast<int64_t>(starts.element_count()) != n + 1 ||
      batch_of(push.dimensions(), {n}) != batch || batch_of(r.dimensions(), {size}) != batch ||
      batch_of(start.dimensions(), {size}) != batch || batch_of(own.dimensions(), {parameters}) != batch) {
    return bad_shape("rows, responses or leaves");
  }
  const LeafRows leaves(answers.with(likelihood, own.typed_data()), columns.typed_data(), starts.typed_data(), size);
  const double cost = kNanosecondsOfARow * static_cast<double>(n) * static_cast<double>(nodes + 30);
  return run(pool, *batch, cost, [&](int64_t element) {
    const auto row = [&](const auto& array) { return array.typed_data() + element * n; };
    const auto leaf = [&](const auto& array) { return array.typed_data() + element * size; };
    const Responses y = answers.with(likelihood, own.typed_data() + element * parameters);
    const LeafProblem problem{row(eta), row(push), leaf(r), leaf(start), fall, nodes};
    const LeafCentres found{leaf(*top),  leaf(*axis), leaf(*low),     leaf(*high),
                            leaf(*mean), row(*slope), row(*curvature)};
    find_leaf_centres(y, leaves, problem, found);
  });
}

auto with_family() { return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Attr<std::string_view>("family"); }

}  // namespace

LGM_HANDLER(lgm_log_likelihoods, log_likelihoods_call,
            with_family()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Ints>()
                .Arg<Ints>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());
LGM_HANDLER(lgm_leaf_heights, leaf_heights_call,
            with_family()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Ints>()
                .Arg<Ints>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>());
LGM_HANDLER(lgm_leaf_integrals, leaf_integrals_call,
            with_family()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Ints>()
                .Arg<Ints>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>());
LGM_HANDLER(lgm_leaf_draws, leaf_draws_call,
            ffi::Ffi::Bind()
                .Ctx<ffi::ThreadPool>()
                .Attr<int64_t>("finer")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Ints>()
                .Ret<Doubles>());
LGM_HANDLER(lgm_leaf_centres, leaf_centres_call,
            with_family()
                .Attr<double>("fall")
                .Attr<int64_t>("nodes")
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Ints>()
                .Arg<Ints>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Arg<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>()
                .Ret<Doubles>());

}  // namespace lgm
