// Fill-reducing ordering by approximate minimum degree.
#pragma once

#include <cstdint>
#include <vector>

#include "elimination.h"

namespace lgm {

// order[new] = old for a graph without loops whose edges are listed in both directions.
std::vector<int32_t> minimum_degree(const Adjacency& graph);

}  // namespace lgm
