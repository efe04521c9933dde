// Loss and every gradient of small decoders against PyTorch's float64 autograd. The data and the formula of the
// weights are those of make_model_golden.py.
#include <gtest/gtest.h>

#include "core/file/json.hpp"
#include "tests/support/files.hpp"
#include "tests/support/model.hpp"
#include "train/checkpoint/checkpoint.hpp"
#include "train/checkpoint/model_json.hpp"

namespace rw::test {
namespace {

constexpr double kExact = 1e-10;
constexpr double kSingle = 1e-5;  // three times the largest that was seen
// A tensor whose gradient is zero but for rounding (a key's bias without rope: it moves all scores of a query alike) is
// measured by the largest gradient of all, times this.
constexpr double kFloor = 1e-2;

Json golden(const std::string& name) {
  const char* source = std::getenv("ROPEWALK_SOURCE");
  if (!source) throw std::runtime_error("ROPEWALK_SOURCE is not set");
  return Json::parse(read_file(std::filesystem::path(source) / "tests" / "golden" / ("model_" + name + ".json")));
}

ModelConfig config_of(const Json& data) { return model_from_json(data.at("model").dump()); }

void set(Buffer& buffer, const Json& rows) {
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t t = 0; t < rows[r].size(); ++t)
      buffer.view().as<int32_t>()[static_cast<int64_t>(r)][static_cast<int64_t>(t)] = rows[r][t].get<int32_t>();
}

struct Twin {
  DType dtype;
  bool plain;
  double tolerance;
};
constexpr Twin kTwins[] = {{DType::f64, true, kExact}, {DType::f32, true, kSingle}, {DType::f32, false, kSingle}};

// The model of a file, with its weights and its batch, or with another configuration than the file's.
class Golden {
 public:
  Golden(const Json& data, const ModelConfig& config, const Twin& twin)
      : m(config, twin.dtype, static_cast<int64_t>(data.at("token").size()),
          static_cast<int64_t>(data.at("token").at(0).size())),
        data_(data) {
    m.workspace->ctx.plain = twin.plain;
    set(m.token, data.at("token"));
    set(m.target, data.at("target"));
    set(m.position, data.at("position"));
    set(m.first_key, data.at("first_key"));
    m.model.each([&](const Param& p) { add_state(tensors, p, p.grad, p.grad); });
    for (const StateTensor& tensor : tensors) fill(tensor);
  }

  void run() {
    int64_t targets = 0;
    for (const Json& row : data_.at("target"))
      for (const Json& id : row) targets += id.get<int32_t>() != kIgnore;
    m.train(m.batch(), 1 / static_cast<double>(targets), Grad::overwrite);
    loss = 0;
    for (double v : TestModel::values(m.nll)) loss += v / static_cast<double>(targets);
  }

  // How far the loss and the gradients are from the file's, each relative to its size.
  std::map<std::string, double> errors() const {
    double most = 0;
    for (const Json& gradient : data_.at("gradients"))
      most = std::max(most, largest(gradient.at("values").get<std::vector<double>>()));
    std::map<std::string, double> out = {{"loss", std::abs(loss / data_.at("loss").get<double>() - 1)}};
    for (const StateTensor& tensor : tensors) {
      const auto expected = gradient_of(tensor.name).at("values").get<std::vector<double>>();
      out[tensor.name] =
          largest_difference(TestModel::values(tensor.m), expected) / std::max(largest(expected), kFloor * most);
    }
    return out;
  }
  double error() const {
    double most = 0;
    for (const auto& [name, error] : errors()) most = std::max(most, error);
    return most;
  }

  TestModel m;
  std::vector<StateTensor> tensors;  // m and v are the gradient
  double loss = 0;

 private:
  const Json& gradient_of(const std::string& name) const { return data_.at("gradients").at(index_of(name)); }
  size_t index_of(const std::string& name) const {
    const Json& gradients = data_.at("gradients");
    for (size_t k = 0; k < gradients.size(); ++k)
      if (gradients[k].at("name") == name) return k;
    throw std::runtime_error("the golden data does not have " + name);
  }

  void fill(const StateTensor& tensor) const {
    const auto k = static_cast<int64_t>(index_of(tensor.name)), count = tensor.value.shape.elements();
    if (static_cast<size_t>(count) != gradient_of(tensor.name).at("values").size())
      throw std::runtime_error("size of " + tensor.name);
    const bool of_norm = tensor.name.find("norm") != std::string::npos && tensor.name.ends_with("weight");
    visit_dtype<double, float>(tensor.value.dtype, [&]<class T>() {
      for (int64_t i = 0; i < count; ++i)
        tensor.value.as<T>().data[i] = static_cast<T>(
            (of_norm ? 1 : 0) + static_cast<double>((31 * i * i + 337 * i + 101 * k) % 1021 - 510) / 1024);
    });
  }

  const Json& data_;
};

class ModelGolden : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Cases, ModelGolden, testing::Values("tied", "untied", "biases", "gpt", "mixed"),
                         [](const testing::TestParamInfo<const char*>& test) { return std::string(test.param); });

TEST_P(ModelGolden, LossAndGradientsAreThoseOfPyTorch) {
  const Json data = golden(GetParam());
  for (const Twin& twin : kTwins) {
    Golden g(data, config_of(data), twin);
    EXPECT_EQ(g.tensors.size(), data.at("gradients").size());
    g.run();
    for (const auto& [name, error] : g.errors()) {
      EXPECT_LE(error, twin.tolerance) << name << " of " << twin.dtype << (twin.plain ? " plain" : " fast");
    }
  }
}

// The comparison is itself checked: what is slightly another model, batch or gradient is found.
struct Sabotage {
  const char *what, *file;
  void (*config)(ModelConfig&);
  void (*before)(Golden&);  // running
  void (*after)(Golden&);
};
std::ostream& operator<<(std::ostream& out, const Sabotage& s) { return out << s.what; }

constexpr auto kNothing = [](auto&) {};
const Sabotage kSabotages[] = {
    {"norm_eps", "tied", [](ModelConfig& c) { c.norm_eps *= 1.01; }, kNothing, kNothing},
    {"layer_norm_eps", "gpt", [](ModelConfig& c) { c.norm_eps *= 1.01; }, kNothing, kNothing},
    {"rope_base", "tied", [](ModelConfig& c) { c.rope.base += 1e-3; }, kNothing, kNothing},
    {"rope_layout_half", "tied", [](ModelConfig& c) { c.rope_layout = RopeLayout::interleaved; }, kNothing, kNothing},
    {"rope_layout_interleaved", "biases", [](ModelConfig& c) { c.rope_layout = RopeLayout::half; }, kNothing, kNothing},
    {"norm_kind", "mixed", [](ModelConfig& c) { c.norm = NormKind::rms; }, kNothing, kNothing},
    {"gelu_form", "gpt", [](ModelConfig& c) { c.mlp = MlpKind::gelu_tanh; }, kNothing, kNothing},
    {"gelu_tanh_form", "mixed", [](ModelConfig& c) { c.mlp = MlpKind::gelu; }, kNothing, kNothing},
    {"no_qk_norm", "mixed", [](ModelConfig& c) { c.qk_norm = false; }, kNothing, kNothing},
    {"documents", "untied", kNothing, [](Golden& g) { g.m.first_key.view().as<int32_t>()[1][8] = 5; }, kNothing},
    {"ignored_target", "tied", kNothing, [](Golden& g) { g.m.target.view().as<int32_t>()[0][2] = 1; }, kNothing},
    {"learned_position", "gpt", kNothing, [](Golden& g) { g.m.position.view().as<int32_t>()[0][8] = 7; }, kNothing},
    {"one_gradient", "untied", kNothing, kNothing,
     [](Golden& g) { g.m.model.blocks[1].attention.qkv.weight.grad.as<double>()[20][3] += 1e-9; }},
};

class ModelGoldenSabotage : public testing::TestWithParam<Sabotage> {};
INSTANTIATE_TEST_SUITE_P(Sabotages, ModelGoldenSabotage, testing::ValuesIn(kSabotages),
                         [](const testing::TestParamInfo<Sabotage>& test) { return std::string(test.param.what); });

TEST_P(ModelGoldenSabotage, IsFound) {
  const Json data = golden(GetParam().file);
  ModelConfig config = config_of(data);
  GetParam().config(config);
  Golden g(data, config, kTwins[0]);
  GetParam().before(g);
  g.run();
  GetParam().after(g);
  EXPECT_GT(g.error(), kExact);
}

}  // namespace
}  // namespace rw::test
