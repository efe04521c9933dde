// The cases of the ops of this folder.
#pragma once
#include "tests/support/backend.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {

struct Case {
  int64_t rows, width, gap;  // gap: elements between rows
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.rows << 'x' << c.width << " gap " << c.gap;
}

// {1, odd, tile - 1, tile, tile + 1, large}; the tiles are vectors of 4, 8 and 16, and on a GPU blocks of 8
// rows by 32 elements or, where all rows are aligned, vectors, 1024 at most above each other. A gap of 3 leaves rows
// unaligned.
inline std::vector<Case> cases(DType dtype) {
  if (dtype == DType::bf16)  // vectors of 8
    return {{1, 1, 0},   {5, 15, 0},  {3, 16, 3},   {7, 248, 0}, {8, 256, 8},
            {9, 264, 0}, {2, 33, 16}, {8193, 8, 0}, {8201, 1, 0}};
  std::vector<Case> all;
  for (int64_t rows : {1, 5, 16})
    for (int64_t width : {1, 5, 15, 16, 17, 31, 32, 33, 129})
      for (int64_t gap : {0, 3, 16}) all.push_back({rows, width, gap});
  all.insert(all.end(), {{7, 124, 0}, {8, 128, 4}, {9, 132, 0}});
  all.insert(all.end(), {{2, 4104, 0}, {3, 2049, 8}, {2063, 8, 0}, {8193, 4, 0}, {8201, 1, 0}, {40, 768, 16}});
  return all;
}

inline std::vector<double> scaled_normal(size_t n, unsigned seed, double scale) {
  auto values = normal(n, seed);
  for (double& v : values) v *= scale;
  return values;
}

// What rounding v, where it is stored, may add to an error.
inline double rounding(double v, DType dtype) { return dtype == DType::bf16 ? 0x1p-8 * std::abs(v) : 0; }

inline View shifted(const Tensor& tensor) {  // overlaps the tensor, but is not the same
  View v = tensor;
  v.data += size_of(v.dtype);
  return v;
}

}  // namespace rw::test
