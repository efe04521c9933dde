#include <cublasLt.h>
#include <dlfcn.h>

#include <bit>
#include <map>

#include "core/base/user_error.hpp"
#include "core/math/gemm.hpp"
#include "core/math/gemm_layout.hpp"

namespace rw {
namespace {

// The functions of cuBLASLt, which is not linked: it is opened when the first product is asked for.
class CublasLt {
 public:
  static const CublasLt& get() {
    static const CublasLt library;
    return library;
  }

 private:
  void* const library_ = open();

  static void* open() {
    std::string why;
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
      if (void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
      why += std::string(why.empty() ? "" : "\n") + ::dlerror();
    }
    throw UserError(Exit::usage, "cannot open libcublasLt.so.13 or .so.12, which multiply matrices on a GPU",
                    why + "\nit comes with the CUDA toolkit; LD_LIBRARY_PATH may name its folder");
  }
  template <class F>
  F find(const char* name) const {
    void* const function = ::dlsym(library_, name);
    if (!function) throw Error(std::string("cuBLASLt has no function ") + name);
    return reinterpret_cast<F>(function);
  }

 public:
#define RW_FIND(name) decltype(&::name) name = find<decltype(&::name)>(#name)
  RW_FIND(cublasLtCreate);
  RW_FIND(cublasLtGetStatusName);
  RW_FIND(cublasLtMatmul);
  RW_FIND(cublasLtMatmulAlgoGetHeuristic);
  RW_FIND(cublasLtMatmulDescCreate);
  RW_FIND(cublasLtMatmulDescSetAttribute);
  RW_FIND(cublasLtMatmulPreferenceCreate);
  RW_FIND(cublasLtMatmulPreferenceSetAttribute);
  RW_FIND(cublasLtMatrixLayoutCreate);
#undef RW_FIND
};

// Throws Error, naming the product, unless cuBLASLt answers success.
struct Check {
  const char* op;
  CView c, a, b;

  void operator()(cublasStatus_t status) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    std::ostringstream text;
    text << op << ": cuBLASLt answers " << CublasLt::get().cublasLtGetStatusName(status) << " for c = " << c
         << ", a = " << a << ", b = " << b;
    throw Error(text.str());
  }
};

// What the choice of an algorithm depends on.
struct Key {
  BlasProduct product;
  DType out, in;
  bool accumulate;
  uint32_t out_alignment, first_alignment, second_alignment, bias_alignment;  // in bytes; 0: no bias
  auto operator<=>(const Key&) const = default;
};

uint32_t alignment(CView v) {
  constexpr uintptr_t kMost = 256;
  const uintptr_t at = reinterpret_cast<uintptr_t>(v.data) | kMost;
  return v.empty() ? 0 : static_cast<uint32_t>(at & -at);
}

struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t out = nullptr, first = nullptr, second = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

// Of one device, whose products all go to one stream: they share the workspace. Taking that first makes the device
// current, which is the one that a new handle is for. Nothing is destroyed: when the process ends CUDA may go before.
struct OnDevice {
  OnDevice(Device device, const Check& check) : workspace(device, kGemmWorkspace) {
    const CublasLt& lt = CublasLt::get();
    check(lt.cublasLtCreate(&handle));
    check(lt.cublasLtMatmulPreferenceCreate(&preference));
    prefer(check, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{workspace.bytes()});
    prefer(check, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  }
  static OnDevice& get(Device device, const Check& check) {
    static auto& all = *new std::map<int, OnDevice>;
    return all.try_emplace(device.index, device, check).first->second;
  }

  template <class T>
  void prefer(const Check& check, cublasLtMatmulPreferenceAttributes_t name, T value) const {
    check(CublasLt::get().cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof value));
  }

  Memory workspace;
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  std::map<Key, Plan> plans;
};

template <class T>
void set(const Check& check, cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t name, T value) {
  check(CublasLt::get().cublasLtMatmulDescSetAttribute(product, name, &value, sizeof value));
}

cudaDataType_t type_of(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// Sums in f32, those of a split sum too; the algorithm that cuBLASLt takes for the fastest. Each of its ways to split a
// sum has a fixed order.
Plan make_plan(const Check& check, const OnDevice& here, const Key& key, CView bias) {
  const CublasLt& lt = CublasLt::get();
  Plan plan;
  check(lt.cublasLtMatmulDescCreate(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const auto operation = [](bool transpose) { return int32_t{transpose ? CUBLAS_OP_T : CUBLAS_OP_N}; };
  set(check, plan.product, CUBLASLT_MATMUL_DESC_TRANSA, operation(key.product.transpose_first));
  set(check, plan.product, CUBLASLT_MATMUL_DESC_TRANSB, operation(key.product.transpose_second));
  if (!bias.empty()) {  // one element for each row of `out`
    set(check, plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
    set(check, plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(bias.data));
  }
  const auto lay_out = [&](cublasLtMatrixLayout_t& layout, DType dtype, const BlasMatrix& matrix) {
    check(lt.cublasLtMatrixLayoutCreate(&layout, type_of(dtype), static_cast<uint64_t>(matrix.rows),
                                        static_cast<uint64_t>(matrix.columns), matrix.stride));
  };
  lay_out(plan.out, key.out, key.product.out);
  lay_out(plan.first, key.in, key.product.first), lay_out(plan.second, key.in, key.product.second);

  here.prefer(check, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.first_alignment);
  here.prefer(check, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.second_alignment);
  here.prefer(check, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.out_alignment);
  here.prefer(check, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.out_alignment);
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  check(lt.cublasLtMatmulAlgoGetHeuristic(here.handle, plan.product, plan.first, plan.second, plan.out, plan.out,
                                          here.preference, 1, &best, &found));
  check(found > 0 ? best.state : CUBLAS_STATUS_NOT_SUPPORTED);
  plan.algorithm = best.algo;
  return plan;
}

void multiply(const char* op, Ctx& ctx, View c, CView a, bool transpose_a, CView b, bool transpose_b, CView bias,
              Grad store) {
  const Check check{op, c, a, b};
  OnDevice& here = OnDevice::get(ctx.device, check);
  const Key key{.product = blas_product(c, a, transpose_a, b, transpose_b),
                .out = c.dtype,
                .in = a.dtype,
                .accumulate = store == Grad::accumulate,
                .out_alignment = alignment(c),
                .first_alignment = alignment(b),
                .second_alignment = alignment(a),
                .bias_alignment = alignment(bias)};
  auto plan = here.plans.find(key);
  if (plan == here.plans.end()) plan = here.plans.emplace(key, make_plan(check, here, key, bias)).first;
  const auto& [product, out, first, second, algorithm] = plan->second;
  if (!bias.empty()) set(check, product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(bias.data));
  const float alpha = 1, beta = key.accumulate ? 1 : 0;
  check(CublasLt::get().cublasLtMatmul(here.handle, product, &alpha, b.data, first, a.data, second, &beta, c.data, out,
                                       c.data, out, &algorithm, here.workspace.data(), here.workspace.bytes(),
                                       static_cast<cudaStream_t>(ctx.stream.native)));
}

}  // namespace

void cuda::gemm_nt(Ctx& ctx, View c, CView a, CView b, CView bias, Grad store) {
  multiply("gemm_nt", ctx, c, a, false, b, true, bias, store);
}

void cuda::gemm_nn(Ctx& ctx, View c, CView a, CView b, Grad store) {
  multiply("gemm_nn", ctx, c, a, false, b, false, {}, store);
}

void cuda::gemm_tn(Ctx& ctx, View c, CView a, CView b, Grad store) {
  multiply("gemm_tn", ctx, c, a, true, b, false, {}, store);
}

}  // namespace rw
