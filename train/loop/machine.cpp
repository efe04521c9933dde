#include "train/loop/machine.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/user_error.hpp"
#include "core/device/choose.hpp"
#include "core/device/cuda.hpp"
#include "layers/transformer/config.hpp"

namespace rw {
namespace {

// The number behind `name:` in a file of /proc, in bytes.
double proc_value(const char* file, const std::string& name, double otherwise) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name + ':')) return std::stod(line.substr(name.size() + 1)) * 1024;
  return otherwise;
}

struct Category {
  const char* name;
  size_t MemoryPlan::*bytes;
};
constexpr Category kCategories[] = {{"weights", &MemoryPlan::weights}, {"gradients", &MemoryPlan::gradients},
                                    {"moments", &MemoryPlan::moments}, {"activations", &MemoryPlan::activations},
                                    {"scratch", &MemoryPlan::scratch}, {"workspace", &MemoryPlan::workspace},
                                    {"tokens", &MemoryPlan::tokens}};

}  // namespace

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  return "unknown";
}

double total_memory() { return proc_value("/proc/meminfo", "MemTotal", std::numeric_limits<double>::infinity()); }
double available_memory(Device device) {
  if (device.kind == Device::cuda) return static_cast<double>(cuda::device_info(device.index).free);
  return proc_value("/proc/meminfo", "MemAvailable", std::numeric_limits<double>::infinity());
}
double resident_memory() { return proc_value("/proc/self/status", "VmRSS", std::numeric_limits<double>::quiet_NaN()); }

void check_memory(size_t bytes, const std::string& advice, Device device) {
  const bool gpu = device.kind == Device::cuda;
  const double needed = static_cast<double>(bytes), available = available_memory(device);
  if (needed <= available) return;
  throw UserError(Exit::memory,
                  "needs " + bytes_text(needed) + ", " + bytes_text(available) + " are free" +
                      (gpu ? " on " + describe(device) : ""),
                  advice);
}

std::string bytes_text(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(units)) bytes /= 1000, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
  return text;
}

std::string memory_line(const MemoryPlan& plan, double available) {
  std::string text;
  for (const auto& [name, bytes] : kCategories)
    if (plan.*bytes > 0)
      text += (text.empty() ? "" : " · ") + std::string(name) + ' ' + bytes_text(static_cast<double>(plan.*bytes));
  return text + " · total " + bytes_text(static_cast<double>(plan.total())) + " of " + bytes_text(available);
}

std::string memory_table(const MemoryPlan& plan) {
  std::string text;
  for (const auto& [name, bytes] : kCategories) {
    if (plan.*bytes == 0) continue;
    char line[64];
    std::snprintf(line, sizeof line, "%-12s %10s\n", name, bytes_text(static_cast<double>(plan.*bytes)).c_str());
    text += line;
  }
  char line[64];
  std::snprintf(line, sizeof line, "%-12s %10s", "total", bytes_text(static_cast<double>(plan.total())).c_str());
  return text + line;
}

std::string memory_json(const MemoryPlan& plan) {
  nlohmann::ordered_json json;
  for (const auto& [name, bytes] : kCategories) json[name] = plan.*bytes;
  json["total"] = plan.total();
  return json.dump();
}

double step_flop(const ModelConfig& c, int64_t tokens, int64_t length) {
  // The embedding is looked up, not multiplied; the head is multiplied, whether it is the embedding or not.
  const int64_t looked_up = (c.tied ? 0 : c.vocab * c.width) + (c.learned_positions() ? c.context * c.width : 0);
  const auto multiplied = static_cast<double>(parameter_count(c) - looked_up);
  const auto attention = static_cast<double>(c.layers * length * c.heads * c.head_width);
  return 6 * (multiplied + attention) * static_cast<double>(tokens);
}

std::string describe(const ModelConfig& c) {
  char text[256];
  std::snprintf(
      text, sizeof text,
      "%lld layers × %lld, %lld heads / %lld kv × %lld, hidden %lld, vocab %lld, context %lld · %.2f M parameters",
      static_cast<long long>(c.layers), static_cast<long long>(c.width), static_cast<long long>(c.heads),
      static_cast<long long>(c.kv_heads), static_cast<long long>(c.head_width), static_cast<long long>(c.hidden),
      static_cast<long long>(c.vocab), static_cast<long long>(c.context),
      static_cast<double>(parameter_count(c)) / 1e6);
  return text;
}

}  // namespace rw
