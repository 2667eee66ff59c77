#include "blas.h"

#include <mutex>
#include <type_traits>

namespace lgm::blas {
namespace {

Routines table;
ThreadControl control;

std::mutex pin_mutex;
int pins = 0;
int saved_threads = 1;

// Fortran takes every argument by address; integers may be 32 or 64 bits wide.
template <class Int, class Value>
decltype(auto) widened(Value& value) {
  if constexpr (std::is_same_v<std::remove_const_t<Value>, int32_t>) {
    return static_cast<Int>(value);
  } else {
    return (value);
  }
}

template <class Value>
auto address(Value& value) {
  if constexpr (std::is_pointer_v<std::remove_reference_t<Value>>) {
    return value;
  } else {
    return &value;
  }
}

template <class Int, class... Args>
void call_with(void* routine, Args... args) {
  const auto apply = [&](auto... converted) {
    reinterpret_cast<void (*)(decltype(address(converted))...)>(routine)(address(converted)...);
  };
  apply(widened<Int>(args)...);
}

template <class... Args>
void call(void* routine, Args... args) {
  if (table.wide) {
    call_with<int64_t>(routine, args...);
  } else {
    call_with<int32_t>(routine, args...);
  }
}

// Routines take no const pointers; those that only read are trusted to do so.
double* writable(const double* p) { return const_cast<double*>(p); }

}  // namespace

bool writes_wide_info(void* potrf) {
  double negative = -1.0;
  int64_t info = -1;  // all bits set
  call_with<int64_t>(potrf, 'L', int32_t{1}, &negative, int32_t{1}, &info);
  return info == 1;  // otherwise the upper half still has its bits
}

void use(const Routines& routines, const ThreadControl& threads) {
  table = routines;
  control = threads;
}

bool available() {
  return table.gemm && table.symm && table.syrk && table.trsm && table.trmm && table.potrf && table.trtri &&
         table.lauum;
}

void gemm(char trans_a, char trans_b, int32_t m, int32_t n, int32_t k, double alpha, const double* a, int32_t lda,
          const double* b, int32_t ldb, double beta, double* c, int32_t ldc) {
  call(table.gemm, trans_a, trans_b, m, n, k, alpha, writable(a), lda, writable(b), ldb, beta, c, ldc);
}

void symm_left(int32_t m, int32_t n, double alpha, const double* a, int32_t lda, const double* b, int32_t ldb,
               double beta, double* c, int32_t ldc) {
  call(table.symm, 'L', 'L', m, n, alpha, writable(a), lda, writable(b), ldb, beta, c, ldc);
}

void syrk(int32_t n, int32_t k, double alpha, const double* a, int32_t lda, double beta, double* c, int32_t ldc) {
  call(table.syrk, 'L', 'N', n, k, alpha, writable(a), lda, beta, c, ldc);
}

void trsm_right(char trans, int32_t m, int32_t n, const double* l, int32_t ldl, double* b, int32_t ldb) {
  call(table.trsm, 'R', 'L', trans, 'N', m, n, 1.0, writable(l), ldl, b, ldb);
}

int32_t potrf(int32_t n, double* a, int32_t lda) {
  int64_t info = 0;  // a 32-bit library writes the lower half only, which is the whole of a small positive number
  if (table.wide) {
    call(table.potrf, 'L', n, a, lda, &info);
    return static_cast<int32_t>(info);
  }
  int32_t narrow_info = 0;
  call(table.potrf, 'L', n, a, lda, &narrow_info);
  return narrow_info;
}

void trmm_right(int32_t m, int32_t n, const double* l, int32_t ldl, double* b, int32_t ldb) {
  call(table.trmm, 'R', 'L', 'N', 'N', m, n, 1.0, writable(l), ldl, b, ldb);
}

void trmm_left(char trans, int32_t m, int32_t n, double alpha, const double* l, int32_t ldl, double* b, int32_t ldb) {
  call(table.trmm, 'L', 'L', trans, 'N', m, n, alpha, writable(l), ldl, b, ldb);
}

void trtri(int32_t n, double* l, int32_t ldl) {
  int64_t info = 0;
  call(table.trtri, 'L', 'N', n, l, ldl, &info);
}

void lauum(int32_t n, double* l, int32_t ldl) {
  int64_t info = 0;
  call(table.lauum, 'L', n, l, ldl, &info);
}

bool stev(int32_t n, double* d, double* e, double* v, double* work) {
  int64_t info = 0;
  call(table.stev, 'V', n, d, e, v, n, work, &info);
  return info == 0;
}

SingleThreaded::SingleThreaded() {
  if (!control.set || !control.get) return;
  const std::lock_guard<std::mutex> lock(pin_mutex);
  if (pins++ == 0) {
    saved_threads = control.get();
    if (saved_threads != 1) control.set(1);
  }
}

SingleThreaded::~SingleThreaded() {
  if (!control.set || !control.get) return;
  const std::lock_guard<std::mutex> lock(pin_mutex);
  if (--pins == 0 && saved_threads != 1) control.set(saved_threads);
}

}  // namespace lgm::blas
