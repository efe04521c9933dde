#include "train/cli/command.hpp"

namespace rw::cli {

Command tokenizer_train_command();
Command tokenizer_encode_command();
Command tokenizer_decode_command();
Command tokenizer_info_command();
Command data_prepare_command();
Command data_info_command();
Command data_sample_command();
Command pretrain_command();
Command finetune_command();
Command resume_command();
Command eval_command();
Command generate_command();
Command inspect_command();
Command report_command();
Command study_command();
Command doctor_command();
Command estimate_command();
Command import_hf_command();
Command import_gguf_command();
Command export_hf_command();
Command export_gguf_command();
Command export_safetensors_command();
Command export_npy_command();
Command convert_command();
Command presets_command();
Command base_command();
Command config_show_command();
Command config_check_command();
Command config_diff_command();

std::vector<Command> commands() {
  return {tokenizer_train_command(),
          tokenizer_encode_command(),
          tokenizer_decode_command(),
          tokenizer_info_command(),
          data_prepare_command(),
          data_info_command(),
          data_sample_command(),
          pretrain_command(),
          finetune_command(),
          resume_command(),
          eval_command(),
          generate_command(),
          inspect_command(),
          report_command(),
          study_command(),
          doctor_command(),
          estimate_command(),
          import_hf_command(),
          import_gguf_command(),
          export_hf_command(),
          export_gguf_command(),
          export_safetensors_command(),
          export_npy_command(),
          convert_command(),
          presets_command(),
          base_command(),
          config_show_command(),
          config_check_command(),
          config_diff_command()};
}

}  // namespace rw::cli
