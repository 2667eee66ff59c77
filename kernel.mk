# Checks of the compiled kernel without Python: `make -f kernel.mk sanitize`, or include this from the Makefile.

KERNEL := lgm/linalg/_kernel
KERNEL_SOURCES := $(addprefix $(KERNEL)/,blas.cc elimination.cc lattices.cc leaves.cc likelihoods.cc newton.cc numeric.cc \
    odds.cc ordering.cc plan.cc supernodes.cc symbolic.cc)
KERNEL_CHECK := $(KERNEL)/tests/check.cc
CXX ?= c++

# Out-of-bounds and uninitialised accesses, leaks, undefined arithmetic, with a plain BLAS that the sanitizers see into.
.PHONY: sanitize sanitize-threads
sanitize: build/check-asan  ## the kernel by itself under address and undefined-behaviour sanitizers
	UBSAN_OPTIONS=print_stacktrace=1 ./$<

# Races between concurrent evaluations.
sanitize-threads: build/check-tsan  ## the kernel by itself under the thread sanitizer
	./$<

build/check-asan: $(KERNEL_CHECK) $(KERNEL_SOURCES) $(wildcard $(KERNEL)/*.h)
	@mkdir -p build
	$(CXX) -std=c++17 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -Wall -Wextra -o $@ $(KERNEL_CHECK) $(KERNEL_SOURCES) -pthread

build/check-tsan: $(KERNEL_CHECK) $(KERNEL_SOURCES) $(wildcard $(KERNEL)/*.h)
	@mkdir -p build
	$(CXX) -std=c++17 -g -O1 -fsanitize=thread -Wall -Wextra -o $@ $(KERNEL_CHECK) $(KERNEL_SOURCES) -pthread
