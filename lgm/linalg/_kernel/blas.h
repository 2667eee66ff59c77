// The few BLAS and LAPACK routines that the kernel needs, taken at run time from addresses handed in by the host.
// Nothing is linked, so the kernel uses whatever library SciPy was built with. All matrices are column-major, all
// triangles lower.
#pragma once

#include <cstdint>

namespace lgm::blas {

// Addresses with Fortran calling convention. `wide` says that their integers have 64 bits instead of 32.
struct Routines {
  void* gemm = nullptr;
  void* symm = nullptr;
  void* syrk = nullptr;
  void* trsm = nullptr;
  void* trmm = nullptr;
  void* potrf = nullptr;
  void* trtri = nullptr;
  void* lauum = nullptr;
  void* stev = nullptr;
  bool wide = false;
};

// How to ask the library for its number of threads and to change it; both null if it has no such functions.
struct ThreadControl {
  int (*get)() = nullptr;
  void (*set)(int) = nullptr;
};

// Whether this dpotrf has 64-bit integers: it is asked to fail, and the width of the answer is looked at. Arguments are
// given as small 64-bit numbers, which a little-endian machine can also read as 32-bit ones.
bool writes_wide_info(void* potrf);

void use(const Routines& routines, const ThreadControl& threads);
bool available();

void gemm(char trans_a, char trans_b, int32_t m, int32_t n, int32_t k, double alpha, const double* a, int32_t lda,
          const double* b, int32_t ldb, double beta, double* c, int32_t ldc);
// C = alpha A B + beta C with A symmetric (m x m).
void symm_left(int32_t m, int32_t n, double alpha, const double* a, int32_t lda, const double* b, int32_t ldb,
               double beta, double* c, int32_t ldc);
// C = alpha A A' + beta C with C symmetric (n x n), A n x k.
void syrk(int32_t n, int32_t k, double alpha, const double* a, int32_t lda, double beta, double* c, int32_t ldc);
// B = B op(L)^-1 with op the identity ('N') or the transpose ('T'); B is m x n.
void trsm_right(char trans, int32_t m, int32_t n, const double* l, int32_t ldl, double* b, int32_t ldb);
// B = B L; B is m x n.
void trmm_right(int32_t m, int32_t n, const double* l, int32_t ldl, double* b, int32_t ldb);
// B = alpha op(L) B; B is m x n.
void trmm_left(char trans, int32_t m, int32_t n, double alpha, const double* l, int32_t ldl, double* b, int32_t ldb);
// Cholesky factor in place; the number of the failing pivot, from 1, or 0.
int32_t potrf(int32_t n, double* a, int32_t lda);
// L^-1 in place.
void trtri(int32_t n, double* l, int32_t ldl);
// L'L in place, its lower triangle.
void lauum(int32_t n, double* l, int32_t ldl);
// Eigenvalues, in d, and eigenvectors, in v (n x n), of a symmetric tridiagonal matrix with diagonal d and the n - 1
// entries e beside it; whether they were found. `work` holds max(1, 2n - 2) numbers; e is overwritten.
bool stev(int32_t n, double* d, double* e, double* v, double* work);

// While one of these exists, the library runs on one thread: its threads would make results depend on their number
// and wait on each other in thousands of small calls. The first to come saves the setting, the last to go restores it.
class SingleThreaded {
 public:
  SingleThreaded();
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;
};

}  // namespace lgm::blas
