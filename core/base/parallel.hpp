#pragma once
#include <cstdint>
#ifdef RW_STD_THREADS
#include <algorithm>
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace rw {

// The number of threads that parallel_for uses. Set once, before the first op.
#ifdef RW_STD_THREADS
inline int& thread_count() {
  static int count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return count;
}
inline int threads() { return thread_count(); }
inline void set_threads(int count) { thread_count() = count; }
#else
inline int threads() { return omp_get_max_threads(); }
inline void set_threads(int count) { omp_set_num_threads(count); }
#endif

// Calls f(0) ... f(n - 1), each once, on the OpenMP team that oneDNN uses too (on std::thread in the ThreadSanitizer
// build, which does not know libgomp). f must not throw. Which thread runs which i may not show in a result.
template <class F>
void parallel_for(int64_t n, F&& f) {
#ifdef RW_STD_THREADS
  const int64_t team = std::min<int64_t>(threads(), n);
  std::vector<std::thread> workers;
  for (int64_t t = 1; t < team; ++t)
    workers.emplace_back([&f, t, team, n] {
      for (int64_t i = t; i < n; i += team) f(i);
    });
  for (int64_t i = 0; i < n; i += std::max<int64_t>(team, 1)) f(i);
  for (std::thread& worker : workers) worker.join();
#else
#pragma omp parallel for schedule(static) if (n > 1)
  for (int64_t i = 0; i < n; ++i) f(i);
#endif
}

// The same where the pieces differ in cost (causal tiles): a free thread takes the next one.
template <class F>
void parallel_for_uneven(int64_t n, F&& f) {
#ifdef RW_STD_THREADS
  parallel_for(n, f);
#else
#pragma omp parallel for schedule(dynamic, 1) if (n > 1)
  for (int64_t i = 0; i < n; ++i) f(i);
#endif
}

}  // namespace rw
