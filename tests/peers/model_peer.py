"""The installed PyTorch computes what is stored in tests/golden, and its own modules agree with the decoder there."""
import json
import sys
import unittest
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
import make_model_golden as golden
from decoder import Decoder, shapes

TOLERANCE = 1e-12


def largest(values):
    return torch.as_tensor(values, dtype=torch.float64).abs().max().item()


class Model(unittest.TestCase):
    def close(self, got, stored, scale, what):
        difference = torch.tensor(got, dtype=torch.float64) - torch.tensor(stored, dtype=torch.float64)
        self.assertLessEqual(largest(difference), TOLERANCE * scale, what)

    def test_the_stored_values_are_pytorchs(self):
        for case in golden.CASES:
            stored, got = json.loads(golden.path_of(case).read_text()), golden.compute(case)
            floats = ("loss", "nll", "gradients")
            self.assertEqual({k: v for k, v in got.items() if k not in floats},
                             {k: v for k, v in stored.items() if k not in floats})
            for key in ("loss", "nll"):
                self.close(got[key], stored[key], largest(stored[key]), key)
            self.assertEqual([(g["name"], g["shape"]) for g in got["gradients"]],
                             [(g["name"], g["shape"]) for g in stored["gradients"]])
            scale = max(largest(g["values"]) for g in stored["gradients"])
            for g, s in zip(got["gradients"], stored["gradients"]):
                self.close(g["values"], s["values"], scale, f"{case} {g['name']}")

    def test_hugging_face_llama_has_the_same_logits(self):
        from transformers import LlamaConfig, LlamaForCausalLM
        for case in ("tied", "untied"):
            config = golden.LLAMA | golden.CASES[case]
            weights = {n: golden.weight(k, n, s).detach() for k, (n, s) in enumerate(shapes(config).items())}
            theirs = LlamaForCausalLM(LlamaConfig(
                vocab_size=config["vocab"], hidden_size=config["width"], intermediate_size=config["hidden"],
                num_hidden_layers=config["layers"], num_attention_heads=config["heads"],
                num_key_value_heads=config["kv_heads"], head_dim=config["head_width"],
                max_position_embeddings=config["context"], rms_norm_eps=config["norm_eps"],
                rope_parameters={"rope_type": "default", "rope_theta": config["rope_base"]},
                tie_word_embeddings=config["tied"])).double().eval()
            lost = theirs.load_state_dict(weights, strict=False)
            self.assertEqual((lost.unexpected_keys, lost.missing_keys),
                             ([], ["lm_head.weight"] if config["tied"] else []))
            inputs = golden.batch(config)
            inputs["first_key"] = torch.zeros_like(inputs["first_key"])
            with torch.no_grad():
                logits = theirs(input_ids=inputs["token"], position_ids=inputs["position"]).logits
                nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["target"].flatten(),
                                                        ignore_index=golden.IGNORE, reduction="none")
                ours = Decoder(config, weights).nll(**inputs).flatten()
            # Their rotation angles are f32.
            self.assertLessEqual(largest(ours - nll), 1e-5 * largest(nll), case)


if __name__ == "__main__":
    unittest.main()
