// The kernel against dense arithmetic, in C++ alone, so that it can be compiled with sanitizers; see kernel.mk.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "../blas.h"
#include "../lattices.h"
#include "../leaves.h"
#include "../newton.h"
#include "../numeric.h"
#include "../ordering.h"
#include "../parallel.h"
#include "../products.h"
#include "../registry.h"

namespace {

// Plain versions of the BLAS routines with Fortran calling convention, so that the sanitizers see every access.
template <class Int>
void plain_gemm(char* ta, char* tb, Int* m, Int* n, Int* k, double* alpha, double* a, Int* lda, double* b, Int* ldb,
                double* beta, double* c, Int* ldc) {
  for (Int j = 0; j < *n; ++j) {
    for (Int i = 0; i < *m; ++i) {
      double sum = 0.0;
      for (Int p = 0; p < *k; ++p) {
        sum += (*ta == 'N' ? a[i + p * *lda] : a[p + i * *lda]) * (*tb == 'N' ? b[p + j * *ldb] : b[j + p * *ldb]);
      }
      double& out = c[i + j * *ldc];
      out = *alpha * sum + (*beta == 0.0 ? 0.0 : *beta * out);
    }
  }
}

template <class Int>
void plain_symm(char*, char*, Int* m, Int* n, double* alpha, double* a, Int* lda, double* b, Int* ldb, double* beta,
                double* c, Int* ldc) {
  for (Int j = 0; j < *n; ++j) {
    for (Int i = 0; i < *m; ++i) {
      double sum = 0.0;
      for (Int p = 0; p < *m; ++p) sum += a[std::max(i, p) + std::min(i, p) * *lda] * b[p + j * *ldb];
      double& out = c[i + j * *ldc];
      out = *alpha * sum + (*beta == 0.0 ? 0.0 : *beta * out);
    }
  }
}

template <class Int>
void plain_syrk(char*, char*, Int* n, Int* k, double* alpha, double* a, Int* lda, double* beta, double* c, Int* ldc) {
  for (Int j = 0; j < *n; ++j) {
    for (Int i = j; i < *n; ++i) {
      double sum = 0.0;
      for (Int p = 0; p < *k; ++p) sum += a[i + p * *lda] * a[j + p * *lda];
      c[i + j * *ldc] = *alpha * sum + *beta * c[i + j * *ldc];
    }
  }
}

template <class Int>
void plain_trsm(char*, char*, char* trans, char*, Int* m, Int* n, double*, double* l, Int* ldl, double* b, Int* ldb) {
  for (Int step = 0; step < *n; ++step) {
    const Int j = *trans == 'N' ? *n - 1 - step : step;
    for (Int i = 0; i < *m; ++i) {
      double sum = b[i + j * *ldb];
      for (Int p = 0; p < *n; ++p) {
        if (*trans == 'N' && p > j) sum -= b[i + p * *ldb] * l[p + j * *ldl];
        if (*trans == 'T' && p < j) sum -= b[i + p * *ldb] * l[j + p * *ldl];
      }
      b[i + j * *ldb] = sum / l[j + j * *ldl];
    }
  }
}

template <class Int>
void plain_potrf(char*, Int* n, double* a, Int* lda, Int* info) {
  *info = 0;
  for (Int j = 0; j < *n; ++j) {
    for (Int i = j; i < *n; ++i) {
      for (Int p = 0; p < j; ++p) a[i + j * *lda] -= a[i + p * *lda] * a[j + p * *lda];
    }
    if (a[j + j * *lda] <= 0.0) {  // lets NaN through, as some libraries do
      *info = j + 1;
      return;
    }
    a[j + j * *lda] = std::sqrt(a[j + j * *lda]);
    for (Int i = j + 1; i < *n; ++i) a[i + j * *lda] /= a[j + j * *lda];
  }
}

template <class Int>
void plain_trmm(char* side, char*, char* trans, char*, Int* m, Int* n, double* alpha, double* l, Int* ldl, double* b,
                Int* ldb) {
  const Int order = *side == 'R' ? *n : *m, vectors = *side == 'R' ? *m : *n;
  std::vector<double> product(order);
  for (Int v = 0; v < vectors; ++v) {  // rows of B from the right, columns from the left
    const auto entry = [&](Int p) -> double& { return *side == 'R' ? b[v + p * *ldb] : b[p + v * *ldb]; };
    const bool of_columns = (*side == 'R') != (*trans == 'T');
    for (Int j = 0; j < order; ++j) {
      product[j] = 0.0;
      for (Int p = of_columns ? j : 0; p < (of_columns ? order : j + 1); ++p) {
        product[j] += entry(p) * (of_columns ? l[p + j * *ldl] : l[j + p * *ldl]);
      }
    }
    for (Int j = 0; j < order; ++j) entry(j) = *alpha * product[j];
  }
}

template <class Int>
void plain_trtri(char*, char*, Int* n, double* l, Int* ldl, Int* info) {
  *info = 0;
  for (Int j = 0; j < *n; ++j) {  // column j of the inverse needs only columns from j on
    std::vector<double> x(*n, 0.0);
    for (Int i = j; i < *n; ++i) {
      double sum = i == j ? 1.0 : 0.0;
      for (Int p = j; p < i; ++p) sum -= l[i + p * *ldl] * x[p];
      x[i] = sum / l[i + i * *ldl];
    }
    for (Int i = j; i < *n; ++i) l[i + j * *ldl] = x[i];
  }
}

template <class Int>
void plain_lauum(char*, Int* n, double* l, Int* ldl, Int* info) {
  *info = 0;
  for (Int j = 0; j < *n; ++j) {
    for (Int i = j; i < *n; ++i) {
      double sum = 0.0;
      for (Int p = i; p < *n; ++p) sum += l[p + i * *ldl] * l[p + j * *ldl];
      l[i + j * *ldl] = sum;
    }
  }
}

int threads = 3;  // of the pretended library

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

// A library whose integers have 32 bits, or 64.
template <class Int>
void use_plain_blas() {
  lgm::blas::Routines routines;
  routines.gemm = reinterpret_cast<void*>(plain_gemm<Int>);
  routines.symm = reinterpret_cast<void*>(plain_symm<Int>);
  routines.syrk = reinterpret_cast<void*>(plain_syrk<Int>);
  routines.trsm = reinterpret_cast<void*>(plain_trsm<Int>);
  routines.potrf = reinterpret_cast<void*>(plain_potrf<Int>);
  routines.trmm = reinterpret_cast<void*>(plain_trmm<Int>);
  routines.trtri = reinterpret_cast<void*>(plain_trtri<Int>);
  routines.lauum = reinterpret_cast<void*>(plain_lauum<Int>);
  routines.wide = lgm::blas::writes_wide_info(routines.potrf);
  require(routines.wide == (sizeof(Int) == 8), "width of integers");
  lgm::blas::use(routines, {[] { return threads; }, [](int t) { threads = t; }});
}

struct Matrix {
  int32_t n = 0;
  std::vector<int64_t> ptr, row;
  std::vector<double> values;
  std::vector<double> dense;  // n x n

  lgm::LowerPattern pattern() const { return {n, ptr.data(), row.data()}; }
};

// Every pair for which `linked(i, j)`, i > j, is stored; the diagonal dominates.
Matrix make(int32_t n, const std::function<bool(int32_t, int32_t)>& linked, std::mt19937& random) {
  Matrix a;
  a.n = n;
  a.ptr.push_back(0);
  a.dense.assign(static_cast<size_t>(n) * n, 0.0);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  for (int32_t j = 0; j < n; ++j) {
    a.row.push_back(j);
    for (int32_t i = j + 1; i < n; ++i) {
      if (!linked(i, j)) continue;
      a.row.push_back(i);
      a.dense[i + static_cast<size_t>(j) * n] = a.dense[j + static_cast<size_t>(i) * n] = uniform(random);
    }
    a.ptr.push_back(static_cast<int64_t>(a.row.size()));
  }
  for (int32_t j = 0; j < n; ++j) {
    double reach = 1.0;
    for (int32_t i = 0; i < n; ++i) reach += std::abs(a.dense[i + static_cast<size_t>(j) * n]);
    a.dense[j + static_cast<size_t>(j) * n] = reach;
    for (int64_t e = a.ptr[j]; e < a.ptr[j + 1]; ++e) {
      a.values.push_back(a.dense[a.row[e] + static_cast<size_t>(j) * n]);
    }
  }
  return a;
}

std::vector<double> dense_inverse(const Matrix& a, double& logdet) {
  std::vector<double> inverse = a.dense;
  int n = a.n, info = 0;
  plain_potrf(nullptr, &n, inverse.data(), &n, &info);
  require(info == 0, "dense factor");
  logdet = 0.0;
  for (int j = 0; j < n; ++j) logdet += 2.0 * std::log(inverse[j + static_cast<size_t>(j) * n]);
  plain_trtri(nullptr, nullptr, &n, inverse.data(), &n, &info);
  plain_lauum(nullptr, &n, inverse.data(), &n, &info);
  for (int j = 0; j < n; ++j) {
    for (int i = j + 1; i < n; ++i) inverse[j + static_cast<size_t>(i) * n] = inverse[i + static_cast<size_t>(j) * n];
  }
  return inverse;
}

// Of all analyses: whether even the smallest are divided among threads.
lgm::Division division;
constexpr lgm::Division kUndivided{HUGE_VAL, HUGE_VAL}, kDivided{0.0, 0.0};

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * (1.0 + std::abs(b)); }

std::vector<int32_t> minimum_degree_of(const Matrix& a) {
  lgm::Adjacency graph;
  graph.ptr.push_back(0);
  for (int32_t j = 0; j < a.n; ++j) {
    for (int32_t i = 0; i < a.n; ++i) {
      if (i != j && a.dense[i + static_cast<size_t>(j) * a.n] != 0.0) graph.list.push_back(i);
    }
    graph.ptr.push_back(static_cast<int64_t>(graph.list.size()));
  }
  return lgm::minimum_degree(graph);
}

void check_verbs(const Matrix& a, const std::vector<int32_t>& order, int32_t columns) {
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, {}, division));
  const lgm::Symbolic& symbolic = analysis.symbolic;
  double logdet = 0.0;
  const std::vector<double> inverse = dense_inverse(a, logdet);
  std::vector<double> b(static_cast<size_t>(a.n) * columns), x(b.size()), again(b.size()), selected(a.values.size());
  for (size_t k = 0; k < b.size(); ++k) b[k] = std::cos(static_cast<double>(k));
  std::vector<double> draws(b.size());
  {
    lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, symbolic);
    const lgm::Outcome fused =
        lgm::factor_solve_invert(symbolic, *lease, a.values.data(), {b.data(), columns}, x.data(), selected.data());
    const lgm::Outcome plain = lgm::factor_solve(symbolic, *lease, a.values.data(), {b.data(), columns}, again.data(),
                                                 {b.data(), columns}, draws.data());
    require(fused.info == 0 && plain.info == 0 && near(fused.logdet, logdet) && plain.logdet == fused.logdet, "logdet");
  }
  for (int32_t i = 0; i < a.n; ++i) {
    for (int32_t c = 0; c < columns; ++c) {
      double sum = 0.0;
      for (int32_t j = 0; j < a.n; ++j) sum += inverse[i + static_cast<size_t>(j) * a.n] * b[j * columns + c];
      require(near(x[i * columns + c], sum) && near(again[i * columns + c], sum), "solve");
    }
  }
  for (int32_t c = 0; c < columns; ++c) {  // u = P' L^-T P z has u'Qu = z'z
    double have = 0.0, want = 0.0;
    for (int32_t i = 0; i < a.n; ++i) {
      want += b[i * columns + c] * b[i * columns + c];
      for (int32_t j = 0; j < a.n; ++j) {
        have += draws[i * columns + c] * a.dense[i + static_cast<size_t>(j) * a.n] * draws[j * columns + c];
      }
    }
    require(near(have, want), "draws");
  }
  for (int32_t j = 0; j < a.n; ++j) {
    for (int64_t e = a.ptr[j]; e < a.ptr[j + 1]; ++e) {
      require(near(selected[e], inverse[a.row[e] + static_cast<size_t>(j) * a.n]), "selected inverse");
    }
  }
}

// Products with the matrix, and of two sets of vectors in its pattern.
void check_products(const Matrix& a, const std::vector<int32_t>& order, int32_t columns) {
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, {}, division));
  const lgm::Symbolic& symbolic = analysis.symbolic;
  std::vector<double> x(static_cast<size_t>(a.n) * columns), y(x.size()), product(x.size()), pairs(a.values.size());
  for (size_t k = 0; k < x.size(); ++k) {
    x[k] = std::cos(static_cast<double>(k)), y[k] = std::sin(static_cast<double>(3 * k));
  }
  for (const double diagonal : {1.0, 2.0}) {
    lgm::multiply(symbolic, a.values.data(), x.data(), columns, diagonal, product.data());
    lgm::outer(symbolic, x.data(), y.data(), columns, diagonal, pairs.data());
    double by_product = 0.0, by_pairs = 0.0;
    for (int32_t i = 0; i < a.n; ++i) {
      for (int32_t c = 0; c < columns; ++c) {
        double sum = 0.0;
        for (int32_t j = 0; j < a.n; ++j) {
          sum += (i == j ? diagonal : 1.0) * a.dense[i + static_cast<size_t>(j) * a.n] * x[j * columns + c];
        }
        require(near(product[i * columns + c], sum), "product");
        by_product += y[i * columns + c] * product[i * columns + c];
      }
    }
    for (size_t e = 0; e < a.values.size(); ++e) by_pairs += a.values[e] * pairs[e];
    require(near(by_pairs, by_product), "transpose of the product");
  }
}

void check_tangent(const Matrix& a, const std::vector<int32_t>& order) {
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, {}, division));
  double logdet = 0.0;
  const std::vector<double> inverse = dense_inverse(a, logdet);
  std::vector<double> direction(a.values.size()), tangent(a.values.size());
  for (size_t e = 0; e < direction.size(); ++e) direction[e] = std::sin(static_cast<double>(e));
  lgm::WorkspacePool<lgm::Dual>::Lease lease(analysis.dual_workspaces, analysis.symbolic);
  lgm::selected_inverse_tangent(analysis.symbolic, *lease, a.values.data(), direction.data(), tangent.data());
  const auto z = [&](int64_t i, int64_t j) { return inverse[i + static_cast<size_t>(j) * a.n]; };
  for (int32_t j = 0; j < a.n; ++j) {
    for (int64_t e = a.ptr[j]; e < a.ptr[j + 1]; ++e) {
      const int64_t i = a.row[e];
      double want = 0.0;
      for (int32_t l = 0; l < a.n; ++l) {
        for (int64_t f = a.ptr[l]; f < a.ptr[l + 1]; ++f) {
          const int64_t k = a.row[f];
          want -= direction[f] * (k == l ? z(i, k) * z(l, j) : z(i, k) * z(l, j) + z(i, l) * z(k, j));
        }
      }
      require(near(tangent[e], want), "tangent of the selected inverse");
    }
  }
}

void check_failure(Matrix a, const std::vector<int32_t>& order, double bad) {
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, {}, division));
  const int32_t row = a.n / 2;
  a.values[a.ptr[row]] = bad;
  std::vector<double> x(a.n), selected(a.values.size());
  const std::vector<double> b(a.n, 1.0);
  lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, analysis.symbolic);
  const lgm::Outcome outcome = lgm::factor_solve_invert(analysis.symbolic, *lease, a.values.data(), {b.data(), 1},
                                                        x.data(), selected.data());
  require(outcome.info > 0 && std::isnan(outcome.logdet) && std::isnan(x[0]) && std::isnan(selected.back()), "failure");
}

// Concurrent evaluations on one analysis, and those that are shared by threads, give the bits of a single one.
void check_threads(const Matrix& a, const std::vector<int32_t>& order) {
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, {}, division));
  constexpr int64_t kCount = 24, kColumns = 2;
  std::vector<std::vector<double>> found(kCount + 1);
  const std::vector<double> b(a.n * kColumns, 1.0);
  std::mutex mutex;
  std::vector<std::thread> helpers;
  const auto schedule = [&](const std::function<void()>& task) {
    const std::lock_guard<std::mutex> lock(mutex);
    helpers.emplace_back(task);
  };
  const auto evaluate = [&](int64_t i, const lgm::Team& team) {
    lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, analysis.symbolic, team);
    std::vector<double> x(b.size()), selected(a.values.size()), again(b.size()), draws(b.size());
    const lgm::Outcome fused = lgm::factor_solve_invert(analysis.symbolic, *lease, a.values.data(),
                                                        {b.data(), kColumns}, x.data(), selected.data());
    lgm::factor_solve(analysis.symbolic, *lease, a.values.data(), {b.data(), kColumns}, again.data(),
                      {b.data(), kColumns}, draws.data());
    found[i] = {fused.logdet};
    for (const auto* part : {&x, &selected, &again, &draws}) {
      found[i].insert(found[i].end(), part->begin(), part->end());
    }
  };
  {
    const lgm::blas::SingleThreaded pin;
    require(threads == 1, "BLAS is pinned inside");
    lgm::Team(3, schedule).for_each(kCount, [&](int64_t i, int64_t) { evaluate(i, {}); });
    evaluate(kCount, lgm::Team(2, schedule));
  }
  require(threads == 3, "BLAS is restored outside");
  for (std::thread& helper : helpers) helper.join();
  for (const auto& one : found) require(one == found[0], "threads change no bit");
}

// However the work is divided, what fails is the row that fails first.
void check_first_failure(const Matrix& a, const std::vector<int32_t>& order, std::mt19937& random) {
  lgm::Analysis whole(lgm::analyse(a.pattern(), order, {}, kUndivided));
  lgm::Analysis divided(lgm::analyse(a.pattern(), order, {}, kDivided));
  std::vector<double> values = a.values;
  const auto info = [&](lgm::Analysis& analysis) {
    lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, analysis.symbolic);
    const lgm::ConstVectors none;
    return lgm::factor_solve(analysis.symbolic, *lease, values.data(), none, nullptr, none, nullptr).info;
  };
  for (int32_t bad = 0; bad < std::min(a.n, 6); ++bad) {
    values[a.ptr[random() % a.n]] = -1e3;
    require(info(whole) > 0 && info(divided) == info(whole), "the row that fails first");
  }
}

// H whose rows sum to zero under a multiplier, with the anchor kappa at its first place and the slack that takes it
// off.
Matrix bordered(const Matrix& h, double kappa) {
  Matrix a;
  a.n = h.n + 2;
  a.ptr.push_back(0);
  a.dense.assign(static_cast<size_t>(a.n) * a.n, 0.0);
  const auto store = [&](int32_t i, int32_t j, double value) {
    a.row.push_back(i), a.values.push_back(value);
    a.dense[i + static_cast<size_t>(j) * a.n] = a.dense[j + static_cast<size_t>(i) * a.n] = value;
  };
  for (int32_t j = 0; j < h.n; ++j) {
    for (int64_t e = h.ptr[j]; e < h.ptr[j + 1]; ++e) {
      store(static_cast<int32_t>(h.row[e]), j, h.values[e] + (e == 0 ? kappa : 0.0));
    }
    store(h.n, j, 1.0);
    if (j == 0) store(h.n + 1, j, kappa);
    a.ptr.push_back(static_cast<int64_t>(a.row.size()));
  }
  for (int32_t j = h.n; j < a.n; ++j) {
    store(j, j, j == h.n ? 0.0 : kappa);
    a.ptr.push_back(static_cast<int64_t>(a.row.size()));
  }
  return a;
}

// Solutions and the inverse of a bordered matrix, and draws under its constraint.
void check_bordered(const Matrix& h, std::vector<int32_t> order) {
  const Matrix a = bordered(h, 2.0);
  order.insert(order.end(), {h.n, h.n + 1});
  lgm::Signs negative(a.n, 0);
  negative[h.n] = 1;
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, negative, division));
  constexpr int32_t kColumns = 3;
  std::vector<double> b(static_cast<size_t>(a.n) * kColumns), x(b.size()), draws(b.size()), selected(a.values.size());
  for (size_t k = 0; k < b.size(); ++k) b[k] = std::cos(static_cast<double>(k));
  lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, analysis.symbolic);
  const lgm::Outcome plain = lgm::factor_solve(analysis.symbolic, *lease, a.values.data(), {b.data(), kColumns},
                                               x.data(), {b.data(), kColumns}, draws.data());
  const lgm::Outcome fused = lgm::factor_solve_invert(analysis.symbolic, *lease, a.values.data(), {nullptr, 0}, nullptr,
                                                      selected.data());
  require(plain.info == 0 && fused.info == 0 && plain.logdet == fused.logdet, "bordered factor");
  for (int32_t c = 0; c < kColumns; ++c) {
    double total = 0.0;
    for (int32_t i = 0; i < h.n; ++i) total += draws[i * kColumns + c];
    require(std::abs(total) < 1e-9, "draws within a constraint");
    for (int32_t i = 0; i < a.n; ++i) {
      double sum = 0.0;
      for (int32_t j = 0; j < a.n; ++j) sum += a.dense[i + static_cast<size_t>(j) * a.n] * x[j * kColumns + c];
      require(near(sum, b[i * kColumns + c]), "bordered solve");
    }
  }
  double trace = 0.0;  // of the product of the matrix with its inverse
  for (int32_t j = 0; j < a.n; ++j) {
    for (int64_t e = a.ptr[j]; e < a.ptr[j + 1]; ++e) trace += (a.row[e] == j ? 1.0 : 2.0) * a.values[e] * selected[e];
  }
  require(near(trace, a.n), "bordered inverse");
}

// A small model: rows with up to three effects each, all pairs of them in the pattern of `a`; the first rows of `a` are
// those of effects.
struct Model {
  std::vector<double> data, value, trials, weights, offset, pull, scale, start;
  std::vector<int32_t> columns, starts, pairs;
};

Model make_model(const Matrix& a, int32_t effects) {
  Model m;
  m.starts.push_back(0);
  for (int32_t row = 0; row < 2 * effects; ++row) {
    const int32_t j = row % effects;
    std::vector<int64_t> entries{a.ptr[j]};
    const bool more = a.ptr[j + 1] - a.ptr[j] > 1 && a.row[a.ptr[j] + 1] < effects;
    if (more && row % 3) entries.push_back(a.ptr[j] + 1);
    const int64_t i = entries.size() > 1 ? a.row[entries[1]] : j;
    m.columns.push_back(j), m.data.push_back(1.0 + 0.1 * (row % 5)), m.pairs.push_back(static_cast<int32_t>(a.ptr[j]));
    if (i != j) {
      m.columns.push_back(static_cast<int32_t>(i)), m.data.push_back(0.5 - 0.2 * (row % 4));
      m.pairs.push_back(static_cast<int32_t>(entries[1])), m.pairs.push_back(static_cast<int32_t>(a.ptr[i]));
    }
    m.starts.push_back(static_cast<int32_t>(m.columns.size()));
    m.value.push_back(row % 3), m.trials.push_back(3.0), m.weights.push_back(1.0 + 0.5 * (row % 2));
    m.offset.push_back(0.1 * (row % 7) - 0.3);
  }
  for (int32_t j = 0; j < a.n; ++j) {
    m.pull.push_back(j < effects ? 0.1 : 0.0), m.scale.push_back(j < effects ? 0.4 + 0.1 * (j % 4) : 1.0);
    m.start.push_back(0.0);
  }
  return m;
}

// Pairs about the mean are weighted by what the density has there beside the normal one; eta, spread and shift are those
// of `at`. A multiplier has no part in any of them.
void check_pairs(lgm::Analysis& analysis, const lgm::LatentProblem& problem, int32_t multiplier,
                 const std::vector<double>& start, const lgm::Slopes& at) {
  constexpr int32_t kPairs = 3;
  const lgm::Symbolic& symbolic = analysis.symbolic;
  const int64_t n = problem.rows.n;
  const int32_t d = symbolic.n;
  std::vector<double> normals(d * kPairs), eta(n), spread(n), shift(d), drawn(d * kPairs), log_weights(2 * kPairs);
  for (size_t i = 0; i < normals.size(); ++i) normals[i] = std::sin(1.0 + 2.7 * i);
  std::vector<double> v = start, slope(n), curvature(n);
  lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, symbolic);
  const lgm::Mode mode = lgm::find_mode_and_pairs(
      symbolic, *lease, problem, v.data(),
      {{normals.data(), kPairs}, eta.data(), spread.data(), shift.data(), drawn.data(), log_weights.data()});
  for (int64_t i = 0; i < n; ++i) require(near(eta[i], at.eta[i]) && near(spread[i], at.spread[i]), "rows at the mode");

  // Of a point: its quadratic form in the prior, and the linear predictors without the offset.
  const auto prior = [&](const std::vector<double>& x) {
    double quad = 0.0;
    for (int32_t j = 0; j < d; ++j) {
      for (int64_t e = symbolic.pattern_ptr[j]; e < symbolic.pattern_ptr[j + 1]; ++e) {
        const int32_t i = symbolic.pattern_row[e];
        quad += (i == j ? 1.0 : 2.0) * problem.values[e] * x[i] * x[j];
      }
    }
    return quad;
  };
  const auto predictors = [&](const std::vector<double>& x) {
    std::vector<double> scaled(x);
    for (int32_t j = 0; j < d; ++j) scaled[j] *= problem.scale[j];
    std::vector<double> out(n);
    lgm::times(problem.rows, scaled.data(), 1, out.data());
    return out;
  };
  lgm::log_likelihood(problem.responses, eta.data(), slope.data(), curvature.data());
  const std::vector<double> weights = curvature;  // of the rows, at the mode
  for (int32_t c = 0; c < 2 * kPairs; ++c) {
    std::vector<double> x(d, 0.0), point(d, 0.0);
    for (int32_t j = 0; j < d; ++j) {
      if (j == multiplier) continue;
      require(near(shift[j], at.shift[j]), "shift of pairs");
      x[j] = (c < kPairs ? 1.0 : -1.0) * drawn[j * kPairs + c % kPairs];
      point[j] = v[j] + shift[j] + x[j];
    }
    std::vector<double> there = predictors(point);
    const std::vector<double> away = predictors(x);
    double normal = 0.5 * prior(x), joint = -0.5 * prior(point);
    for (int64_t i = 0; i < n; ++i) {
      normal += 0.5 * weights[i] * away[i] * away[i];
      there[i] += problem.offset[i];
    }
    for (int32_t j = 0; j < d; ++j) joint += problem.pull[j] * point[j];
    joint += lgm::log_likelihood(problem.responses, there.data(), slope.data(), curvature.data());
    joint += lgm::constants(problem.responses);
    require(std::abs(log_weights[c] - (joint - mode.joint + normal)) < 1e-8, "weights of pairs");
  }
}

// The search ends where no direction gains, and its derivatives are those of its value.
void check_search(const Matrix& h, std::vector<int32_t> order, const char* name, bool constrained) {
  const Matrix a = constrained ? bordered(h, 2.0) : h;
  lgm::Signs negative;
  if (constrained) {
    order.insert(order.end(), {h.n, h.n + 1});
    negative.assign(a.n, 0);
    negative[h.n] = 1;
  }
  lgm::Analysis analysis(lgm::analyse(a.pattern(), order, negative, division));
  const lgm::Symbolic& symbolic = analysis.symbolic;
  Model m = make_model(a, h.n);
  const auto n = static_cast<int64_t>(m.value.size());
  const double own = 1.7;
  std::vector<double> values = a.values, v(a.n), by_values(values.size()), by_scale(a.n), shift(a.n);
  std::vector<double> eta(n), spread(n), lean(n);
  lgm::WorkspacePool<double>::Lease lease(analysis.workspaces, symbolic);
  const auto problem = [&] {
    lgm::LatentProblem p;
    p.rows = {n, m.data.data(), m.columns.data(), m.starts.data(), m.pairs.data()};
    p.responses = {lgm::likelihood_named(name), n, m.value.data(), m.trials.data(), m.weights.data(), &own};
    p.offset = m.offset.data(), p.pull = m.pull.data();
    p.values = values.data(), p.scale = m.scale.data();
    return p;
  };
  const auto value = [&] {
    v = m.start;
    const lgm::Mode mode = lgm::find_mode(symbolic, *lease, problem(), v.data());
    return mode.joint - 0.5 * mode.logdet;
  };
  v = m.start;
  const lgm::Slopes slopes{by_values.data(), by_scale.data(), eta.data(), spread.data(), shift.data(), lean.data()};
  const lgm::Mode mode = lgm::find_mode_and_slopes(symbolic, *lease, problem(), v.data(), slopes);
  require(mode.gain < 1e-15 && mode.joint - 0.5 * mode.logdet == value(), "search");
  if (constrained) require(std::abs(std::accumulate(v.begin(), v.begin() + h.n, 0.0)) < 1e-9, "constraint");
  check_pairs(analysis, problem(), constrained ? h.n : -1, m.start, slopes);
  const auto slope = [&](double& x) {
    const double h = 1e-4, at = x;
    x = at + h;
    const double above = value();
    x = at - h;
    const double below = value();
    x = at;
    return (above - below) / (2.0 * h);
  };
  const auto close = [](double x, double y) { return std::abs(x - y) < 1e-5 * (1.0 + std::abs(y)); };
  for (size_t e = 0; e < values.size(); e += 1 + values.size() / 7) {
    require(close(by_values[e], slope(values[e])), "slope by the prior's precision");
  }
  for (int32_t j = 0; j < h.n; j += 1 + h.n / 7) require(close(by_scale[j], slope(m.scale[j])), "slope by the scale");
  m.offset[0] = std::numeric_limits<double>::quiet_NaN();
  require(std::isnan(value()) && std::isnan(v[0]), "a search that fails");
}

void check_searches(std::mt19937& random) {
  for (const int32_t n : {1, 2, 13, 40}) {
    const Matrix a = make(n, [](int32_t i, int32_t j) { return i == j + 1 || i == j + 5; }, random);
    const std::vector<int32_t> order = minimum_degree_of(a);
    for (const char* name : {"poisson_log", "binomial_logit", "binomial_probit", "binomial_cloglog",
                             "negativebinomial_log", "gaussian_identity"}) {
      check_search(a, order, name, false);
      if (n > 1) check_search(a, order, name, true);
    }
  }
}

// Leaves with no rows, one and several, and rows without a leaf: sums and means as the trapezoidal rule with many more
// nodes has them, the top where nothing gains, the ends where the density has fallen far enough.
void check_leaves(const char* name, bool many_trials) {
  constexpr int64_t kRows = 23, kLeaves = 6, kColumns = 5, kNodes = 41;
  const double places[kColumns] = {0.0, 1.0, 2.0, -1500.0, 900.0};  // some so far out that exponentials are not finite
  std::vector<double> value(kRows), trials(kRows, 3.0), weights(kRows), eta(kRows), push(kRows);
  std::vector<int32_t> columns, starts{0}, leaf_of(kRows, -1);
  for (int64_t i = 0; i < kRows; ++i) {
    value[i] = static_cast<double>(i % 3 == 0), weights[i] = 1.0 + 0.5 * static_cast<double>(i % 2);
    eta[i] = 0.2 * static_cast<double>(i % 7) - 0.6, push[i] = 0.7 + 0.1 * static_cast<double>(i % 4);
    if (i % 5 != 4) {  // leaf 2 has no rows, the last one a single row
      leaf_of[i] = i == 0 ? 5 : static_cast<int32_t>(std::vector<int>{0, 1, 3, 4}[i % 4]);
      columns.push_back(leaf_of[i]);
    }
    starts.push_back(static_cast<int32_t>(columns.size()));
  }
  const double own = 1.7;
  const lgm::Responses y{lgm::likelihood_named(name), kRows, value.data(), many_trials ? trials.data() : nullptr,
                         weights.data(), &own};
  const lgm::LeafRows leaves(y, columns.data(), starts.data(), kLeaves);
  const auto height = [&](int64_t leaf, double t) {
    double sum = 0.0, slope = 0.0, curvature = 0.0;
    for (int64_t i = 0; i < kRows; ++i) {
      const double at = eta[i] + push[i] * t;
      if (leaf_of[i] == leaf) sum += lgm::log_likelihood(lgm::part_of(y, i, 1), &at, &slope, &curvature);
    }
    return sum;
  };

  std::vector<double> wide(kRows * kColumns), sums(kNodes * kLeaves * kColumns);
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t c = 0; c < kColumns; ++c) wide[i * kColumns + c] = eta[i] + push[i] * places[c];
  }
  lgm::leaf_heights(leaves, &own, wide.data(), push.data(), kColumns, kNodes, sums.data());
  for (int64_t k = 0; k < kNodes; k += 9) {
    for (int64_t g = 0; g < kLeaves; ++g) {
      for (int64_t c = 0; c < kColumns; ++c) {
        const double sum = sums[(k * kLeaves + g) * kColumns + c], wanted = height(g, places[c] + static_cast<double>(k));
        require(std::isfinite(wanted) ? near(sum, wanted) : !std::isfinite(sum), "heights of leaves");
      }
    }
  }

  const std::vector<double> r(kLeaves, 0.4), start(kLeaves, 0.3), ones(kLeaves, 1.0);
  std::vector<double> flat(kRows * kColumns), corner(kLeaves * kColumns), heights(sums.size());
  std::vector<double> integrals(kLeaves * kColumns), means(integrals.size()), variances(integrals.size());
  for (int64_t i = 0; i < kRows; ++i) std::fill_n(&flat[i * kColumns], kColumns, eta[i]);
  for (int64_t g = 0; g < kLeaves; ++g) std::copy_n(places, kColumns, &corner[g * kColumns]);
  lgm::integrate_leaves(leaves, &own,
                        {flat.data(), push.data(), r.data(), corner.data(), ones.data(), kColumns, kNodes},
                        {heights.data(), integrals.data(), means.data(), variances.data()});
  for (int64_t g = 0; g < kLeaves; ++g) {
    for (int64_t c = 0; c < kColumns; ++c) {
      double mass = 0.0, first = 0.0, second = 0.0;
      for (int64_t k = 0; k < kNodes; ++k) {
        const double t = places[c] + static_cast<double>(k), sum = sums[(k * kLeaves + g) * kColumns + c];
        const double own_height = heights[(k * kLeaves + g) * kColumns + c];
        if (std::isfinite(sum)) require(near(own_height, sum - 0.5 * r[g] * t * t), "heights of integrated leaves");
        const double w = std::exp(sum - 0.5 * r[g] * t * t - height(g, 0.0));
        mass += w, first += w * t, second += w * t * t;
      }
      if (!(mass > 1e-250) || !std::isfinite(mass)) continue;
      require(near(integrals[g * kColumns + c], std::log(mass)), "integral of a leaf");
      require(near(means[g * kColumns + c], first / mass), "mean over nodes");
      require(std::abs(variances[g * kColumns + c] - (second / mass - first / mass * first / mass)) < 1e-8, "variance");
    }
  }
  constexpr int64_t kDraws = 3;
  const int32_t chosen[kDraws] = {2, 0, 2};
  std::vector<double> uniform(kLeaves * kDraws, 0.25), drawn(uniform.size());
  for (int64_t g = 0; g < kLeaves; ++g) uniform[g * kDraws + 2] = 0.75;
  lgm::draw_along({heights.data(), chosen, uniform.data(), kNodes, kLeaves, kColumns, kDraws, 8}, drawn.data());
  for (int64_t g = 0; g < kLeaves; ++g) {
    const double* const own_draws = &drawn[g * kDraws];
    require(own_draws[0] < own_draws[2] && own_draws[0] >= 0.0 && own_draws[2] <= kNodes - 1.0, "draws of a leaf");
    require(own_draws[1] >= 0.0 && own_draws[1] <= kNodes - 1.0, "draws of another column");
  }

  constexpr double kFall = 16.0;
  std::vector<double> top(kLeaves), axis(kLeaves), low(kLeaves), high(kLeaves), mean(kLeaves), slope(kRows, 7.0);
  std::vector<double> curvature(kRows, 7.0);
  const lgm::LeafCentres found{top.data(),  axis.data(),  low.data(),      high.data(),
                               mean.data(), slope.data(), curvature.data()};
  lgm::find_leaf_centres(y, leaves, {eta.data(), push.data(), r.data(), start.data(), kFall, kNodes}, found);
  for (int64_t g = 0; g < kLeaves; ++g) {
    const auto density = [&](double t) { return height(g, t) - 0.5 * r[g] * t * t; };
    const double t = top[g], best = density(t);
    require(best >= density(t - 1e-3) && best >= density(t + 1e-3), "top of a leaf");
    for (const double end : {low[g], high[g]}) {
      require(density(t + end * axis[g]) <= best - 0.99 * kFall, "end of a leaf");
    }
    constexpr int32_t kFine = 4001;
    double mass = 0.0, place = 0.0;
    std::vector<double> slopes(kRows), curvatures(kRows);
    for (int32_t k = 0; k < kFine; ++k) {
      const double s = t + axis[g] * (low[g] + (high[g] - low[g]) * k / (kFine - 1)), w = std::exp(density(s) - best);
      mass += w, place += w * s;
      for (int64_t i = 0; i < kRows; ++i) {
        const double at = eta[i] + push[i] * s;
        double first = 0.0, second = 0.0;
        lgm::log_likelihood(lgm::part_of(y, i, 1), &at, &first, &second);
        slopes[i] += w * first, curvatures[i] += w * second;
      }
    }
    require(std::abs(mean[g] - place / mass) < 1e-4, "mean of a leaf");
    for (int64_t i = 0; i < kRows; ++i) {
      if (leaf_of[i] != g) continue;
      require(std::abs(slope[i] - slopes[i] / mass) < 1e-4, "mean slope of a row");
      require(std::abs(curvature[i] - curvatures[i] / mass) < 1e-4, "mean curvature of a row");
    }
  }
  for (int64_t i = 0; i < kRows; ++i) {
    double s = 0.0, w = 0.0;
    lgm::log_likelihood(lgm::part_of(y, i, 1), &eta[i], &s, &w);
    if (leaf_of[i] < 0) require(slope[i] == s && curvature[i] == w, "rows without a leaf");
  }
}

// Fronts of several tiles, with rows below and without.
void check_tiles(std::mt19937& random) {
  division = kDivided;
  const Matrix a = make(560, [](int32_t i, int32_t j) { return i >= 280 || i / 140 == j / 140; }, random);
  std::vector<int32_t> natural(a.n);
  std::iota(natural.begin(), natural.end(), 0);
  check_verbs(a, natural, 2);
  check_failure(a, natural, -1.0);
  check_threads(a, natural);
}

void check_all(const Matrix& a, std::mt19937& random) {
  std::vector<int32_t> natural(a.n);
  std::iota(natural.begin(), natural.end(), 0);
  std::vector<int32_t> shuffled = natural;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  for (const auto& order : {natural, shuffled, minimum_degree_of(a)}) {
    check_verbs(a, order, 1);
    check_verbs(a, order, 3);
    check_verbs(a, order, 70);
    check_products(a, order, 1);
    check_products(a, order, 3);
    if (a.n <= 60) check_tangent(a, order);
    check_bordered(a, order);
    check_first_failure(a, order, random);
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    for (const double bad : {-1.0, 0.0, kNaN, std::numeric_limits<double>::infinity()}) {
      check_failure(a, order, bad);
    }
    check_threads(a, order);
  }
}

void check_shapes(int32_t trials) {
  std::mt19937 random(1);
  for (int32_t trial = 0; trial < trials; ++trial) {
    const int32_t n = 1 + static_cast<int32_t>(random() % 50);
    const double density = 4.0 / n * static_cast<double>(random() % 100) / 100.0;
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    check_all(make(n, [&](int32_t, int32_t) { return uniform(random) < density; }, random), random);
  }
  const auto grid = [](int32_t side) {
    return [side](int32_t i, int32_t j) { return i == j + side || (i == j + 1 && i % side != 0); };
  };
  check_all(make(15 * 15, grid(15), random), random);
  check_all(make(120, [](int32_t i, int32_t j) { return i == j + 1; }, random), random);
  check_all(make(90, [](int32_t, int32_t) { return true; }, random), random);
  std::uniform_real_distribution<double> share(0.0, 1.0);
  const auto balanced = [&](int32_t i, int32_t j) {
    return i >= 120 && j < 120 && share(random) < (j < 100 ? 0.9 : 0.3);
  };
  check_all(make(210, balanced, random), random);
  check_all(make(150, [](int32_t i, int32_t j) { return i >= 145 || (i / 3 == j / 3 && i < 145); }, random), random);
}

}  // namespace

int main() {
  use_plain_blas<int32_t>();
  std::mt19937 random(2);
  for (const lgm::Division& one : {kUndivided, kDivided}) {
    division = one;
    check_searches(random);
    check_shapes(20);
  }
  check_tiles(random);
  for (const bool many_trials : {false, true}) check_leaves("binomial_logit", many_trials);
  for (const char* name : {"poisson_log", "negativebinomial_log", "gaussian_identity"}) check_leaves(name, false);
  use_plain_blas<int64_t>();
  check_shapes(1);
  std::puts("the kernel agrees with dense arithmetic");
  return 0;
}
