// Handlers through which XLA calls the kernel.
#pragma once

#include <cstdint>

namespace lgm {

// Handlers as addresses for registration; all share one calling convention.
void* factor_solve_handler();
void* factor_solve_invert_handler();
void* selected_inverse_tangent_handler();
void* multiply_handler();
void* outer_handler();
void* rows_times_handler();
void* rows_transposed_times_handler();
void* rows_gram_handler();
void* rows_quadratic_handler();
void* find_mode_handler();
void* find_mode_and_slopes_handler();
void* find_mode_and_pairs_handler();
void* log_likelihoods_handler();
void* leaf_heights_handler();
void* leaf_integrals_handler();
void* leaf_draws_handler();
void* leaf_centres_handler();
void* iterate_handler();
void* iterate_each_handler();
void* iterate_variances_handler();
void* stored_multiply_handler();
void* stored_outer_handler();

// Upper limit on the threads that share one batch; 0 for as many as XLA's pool has. Results do not depend on it.
void set_max_threads(int64_t threads);
int64_t max_threads();

}  // namespace lgm
