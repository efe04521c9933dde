#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/emulator/test_kernels.hpp"
#include "tests/support/error.hpp"

namespace rw::test {

using simt::Dim, simt::Order;

inline const std::vector<Order> kOrders = {{Order::forward}, {Order::reverse}, {Order::shuffled}};

struct Shaped {
  Dim grid, block;
  size_t shared_bytes = 0;
};

inline void start(std::string_view kernel, const Shaped& shape, Memory memory) {
  Arena none = Arena::measuring("none", {});
  Ctx ctx{.device = {Device::cuda, 0}, .saved = none, .scratch = none};
  memory.ctx = &ctx;
  start(kernel, shape.grid, shape.block, shape.shared_bytes, memory);
}

// What a right kernel makes of `in`: the same in every order.
template <class Out, class In = int>
std::vector<Out> result(std::string_view kernel, const Shaped& shape, size_t size, const std::vector<In>& in = {},
                        int n = 0) {
  std::vector<std::vector<Out>> each;
  for (const Order& order : kOrders) {
    simt::order() = order;
    each.emplace_back(size);
    start(kernel, shape, {.out = each.back().data(), .in = in.data(), .n = n});
  }
  EXPECT_THAT(each, testing::Each(each[0])) << kernel;
  return each[0];
}

}  // namespace rw::test
