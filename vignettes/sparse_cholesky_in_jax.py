# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Can sparse Cholesky be written in plain JAX?
#
# Latent Gaussian models need $\log|H|$ of a large sparse matrix and its gradient, thousands of times. JAX has no sparse
# Cholesky factorisation, and a question that keeps coming back is whether one needs native code for it: a
# factorisation is only loops, JAX compiles loops, and JAX differentiates them. Here are the three ways, timed:
#
# 1. loops in plain JAX, differentiated by JAX;
# 2. the same loops with a derivative written by hand (`jax.custom_vjp`);
# 3. `lgm.linalg`: a native kernel behind JAX's foreign function interface.
#
# The gradient that all three must find is known: $\partial \log|H| / \partial H_{ij} = (H^{-1})_{ij}$, on the entries
# that $H$ stores. We check that first.

# %%
import time
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from lgm.linalg import analyse, logdet

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## The gradient of a log-determinant is the inverse
#
# A stored off-diagonal number stands for two entries of the symmetric matrix, so its derivative is twice that of one.


# %%
def lattice(side):
    """Precision of a field on a square lattice: four neighbours, diagonally dominant."""
    line = sp.diags_array([np.full(side - 1, -1.0), np.full(side, 2.2), np.full(side - 1, -1.0)], offsets=[-1, 0, 1])
    one = sp.eye_array(side)
    return sp.csc_array(sp.kron(line, one) + sp.kron(one, line))


H = lattice(10)
sym = analyse(H)
gradient = jax.grad(logdet, argnums=1)(sym, sym.values(H))
inverse = np.linalg.inv(H.toarray())[sym.pattern.rows, sym.pattern.cols]
twice = np.where(sym.pattern.rows == sym.pattern.cols, 1.0, 2.0)
print("largest difference:", float(np.max(np.abs(gradient - twice * inverse))))

# %% [markdown]
# The inverse itself is dense. Only its entries on the pattern of $H$ are wanted, and Takahashi's recursion finds them
# from the factor at about twice the cost of the factorisation. Differentiating a factorisation in reverse *is* that
# recursion, if it is done well.
#
# ## Loops in plain JAX
#
# Column $j$ of $L$ in $PHP' = LL'$ is what is left of column $j$ of the matrix after the columns $k$ with
# $L_{jk} \ne 0$ have been subtracted. JAX wants fixed shapes, so all columns are padded to the longest one, and so
# are the lists of the $k$. Position $n$ is a bin for padding.


# %%
def column_tables(H):
    """Padded lists that describe the factor: made once, on the host.

    Returns the stored entries of H by column (rows and where to find their values), the rows of every column of L, and
    for every row j the earlier columns k with L[j, k] != 0 together with the place of j in column k.
    """
    sym = analyse(H, ordering="amd")
    n = sym.n
    place = np.empty(n, dtype=int)
    place[sym.order] = np.arange(n)
    i, j = place[sym.pattern.rows], place[sym.pattern.cols]
    low, high = np.maximum(i, j), np.minimum(i, j)
    entries = [[] for _ in range(n)]
    for e in range(sym.nnz):
        entries[high[e]].append((low[e], e))
    structure = [set(r for r, _ in column) for column in entries]
    for k in range(n):  # a column's rows go to its parent, the first row below the diagonal
        below = structure[k] - {k}
        if below:
            parent = min(below)
            structure[parent] |= below
    rows = [sorted(s) for s in structure]
    earlier = [[] for _ in range(n)]
    for k in range(n):
        for at, r in enumerate(rows[k][1:], start=1):
            earlier[r].append((k, at))

    def pad(lists, fill):
        width = max(map(len, lists)) or 1
        return jnp.asarray([list(x) + [fill] * (width - len(x)) for x in lists])

    return {
        "a_rows": pad([[r for r, _ in c] for c in entries], n),
        "a_from": pad([[e for _, e in c] for c in entries], sym.nnz),
        "rows": pad(rows, n),
        "k": pad([[k for k, _ in x] for x in earlier], n),
        "at": pad([[at for _, at in x] for x in earlier], 0),
    }, sym


def column(j, values, columns, tables):
    """Column j of the factor, given the ones before it (rows of `columns`, the last of which is zero)."""
    n = tables["rows"].shape[0]
    k, at = tables["k"][j], tables["at"][j]
    work = jnp.zeros(n + 1).at[tables["a_rows"][j]].add(values[tables["a_from"][j]])
    rows_of_k = jnp.where((k < n)[:, None], tables["rows"][jnp.minimum(k, n - 1)], n)
    work = work.at[rows_of_k].add(-columns[k, at][:, None] * columns[k])
    left = jnp.where(tables["rows"][j] < n, work[tables["rows"][j]], 0.0)
    return left / jnp.sqrt(left[0])


def factor_by_loops(values, tables):
    n, width = tables["rows"].shape
    padded = jnp.append(values, 0.0)
    columns = jnp.zeros((n + 1, width))
    return jax.lax.fori_loop(0, n, lambda j, c: c.at[j].set(column(j, padded, c, tables)), columns)


def logdet_by_loops(values, tables):
    return 2.0 * jnp.sum(jnp.log(factor_by_loops(values, tables)[:-1, 0]))


# %% [markdown]
# ## The same with a derivative by hand
#
# Reverse mode runs the loop backwards. JAX's own version keeps what every step computed; but all of that can be found
# again from the finished factor, so a rule by hand keeps the factor only. With $w$ for what was left of the column and
# bars for derivatives of the result,
# $$\bar w_i = \bar L_{ij} / L_{jj}, \quad
#   \bar w_j = \tfrac12 \big(\bar L_{jj} - \textstyle\sum_{i>j} \bar L_{ij} L_{ij} / L_{jj}\big) / L_{jj}, \quad
#   \bar L_{ik} \mathrel{-}= L_{jk} \bar w_i, \quad \bar L_{jk} \mathrel{-}= \textstyle\sum_i \bar w_i L_{ik}.$$


# %%
@partial(jax.custom_vjp, nondiff_argnums=())
def logdet_by_hand(values, tables):
    return logdet_by_loops(values, tables)


def forward(values, tables):
    columns = factor_by_loops(values, tables)
    return 2.0 * jnp.sum(jnp.log(columns[:-1, 0])), (columns, values, tables)


def backward(kept, cotangent):
    columns, values, tables = kept
    n = tables["rows"].shape[0]

    def step(count, state):
        bar, by_values = state
        j = n - 1 - count
        own, own_bar, rows = columns[j], bar[j], tables["rows"][j]
        w_bar = own_bar / own[0]
        w_bar = w_bar.at[0].set(0.5 * (own_bar[0] - jnp.sum(w_bar[1:] * own[1:])) / own[0])
        dense = jnp.zeros(n + 1).at[rows].add(w_bar).at[n].set(0.0)
        by_values = by_values.at[tables["a_from"][j]].add(dense[tables["a_rows"][j]])
        k, at = tables["k"][j], tables["at"][j]
        seen = jnp.where((k < n)[:, None], dense[tables["rows"][jnp.minimum(k, n - 1)]], 0.0)
        bar = bar.at[k, at].add(-jnp.sum(seen * columns[k], axis=1))
        return bar.at[k].add(-columns[k, at][:, None] * seen), by_values

    bar = jnp.zeros_like(columns).at[:-1, 0].set(2.0 * cotangent / columns[:-1, 0])
    _, by_values = jax.lax.fori_loop(0, n, step, (bar, jnp.zeros(values.size + 1)))
    return by_values[:-1], jax.tree.map(lambda t: np.zeros(t.shape, jax.dtypes.float0), tables)


logdet_by_hand.defvjp(forward, backward)

# %% [markdown]
# All three agree on a small lattice.

# %%
tables, sym = column_tables(lattice(8))
values = jnp.asarray(sym.values(lattice(8)))
reference = jax.grad(logdet, argnums=1)(sym, values)
for name, function in {"autodiff": logdet_by_loops, "by hand": logdet_by_hand}.items():
    found = jax.jit(jax.grad(function))(values, tables)
    print(f"{name:9s} value {float(function(values, tables) - logdet(sym, values)):8.1e}", end="  ")
    print(f"gradient {float(jnp.max(jnp.abs(found - reference))):8.1e}")

# %% [markdown]
# ## Time and memory
#
# Value and gradient, compiled, median of a few calls. The memory is what the compiler reserves for intermediate
# results, and so is known without a run; the kernel adds its own workspace to it. What would need more than a gigabyte
# is compiled and not run.

# %%
SIDES = (10, 18, 32, 56, 100)
LIMIT = 2**30


def seconds(function, *arguments):
    """Median over at least three calls."""
    jax.block_until_ready(function(*arguments))
    times = []
    while len(times) < 3 or (sum(times) < 0.5 and len(times) < 200):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return float(np.median(times))


results = {"autodiff": [], "by hand": [], "lgm.linalg": []}
for side in SIDES:
    tables, sym = column_tables(lattice(side))
    values = jnp.asarray(sym.values(lattice(side)))
    best = analyse(lattice(side))
    cases = {
        "autodiff": (logdet_by_loops, (values, tables), 0),
        "by hand": (logdet_by_hand, (values, tables), 0),
        "lgm.linalg": (partial(logdet, best), (values,), best.workspace_bytes),
    }
    for name, (function, arguments, extra) in cases.items():
        compiled = jax.jit(jax.value_and_grad(function)).lower(*arguments).compile()
        memory = compiled.memory_analysis().temp_size_in_bytes + extra
        taken = seconds(compiled, *arguments) if memory < LIMIT else np.nan
        results[name].append((sym.n, taken, memory))
        print(f"n = {sym.n:6d}  {name:11s} {1e3 * taken:10.2f} ms {memory / 2**20:10.1f} MiB")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for name, rows in results.items():
    n, taken, memory = np.transpose(rows)
    axes[0].loglog(n, 1e3 * taken, "o-", label=name)
    axes[1].loglog(n, memory / 2**20, "o-", label=name)
axes[0].set(xlabel="n", ylabel="milliseconds", title="Value and gradient of log|H|")
axes[1].set(xlabel="n", ylabel="MiB", title="Memory beside arguments and results")
axes[0].legend()
plt.show()

# %% [markdown]
# ## What to take away
#
# - The loops compile, and their compilation is not the problem: JAX keeps them rolled.
# - Differentiated by JAX, memory is the problem: every step leaves its whole state behind, so memory grows like the
#   square of what the factor needs.
# - A rule by hand cures the memory. The time stays: one column at a time, padded to the longest, through gathers and
#   scatters, uses a small part of a processor that is built for dense blocks.
# - The kernel groups columns with the same pattern into dense blocks (supernodes), treats these with BLAS, and finds
#   the inverse on the pattern in a second pass over the same blocks. To JAX it is one operation whose derivative is
#   known.
#
# That is why `lgm` carries a small compiled kernel, and why everything above it is plain JAX.
