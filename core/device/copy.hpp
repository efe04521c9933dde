// Copies between tensors, of the host or of the context's device, and what goes with them. All are put on ctx.stream;
// in a dry run nothing is done.
#pragma once
#include "core/ctx.hpp"

namespace rw {

// to = from, row by row: equal rows, widths and dtypes, disjoint. With a device involved host memory has to stay as it
// is until synchronize() returns.
void copy(const Ctx&, View to, CView from);
// Zero bytes; v has no gaps.
void fill_zero(const Ctx&, View v);
// Waits for everything on ctx.stream.
void synchronize(const Ctx&);

}  // namespace rw
