"""Models of ours in Hugging Face transformers, and models of transformers here: logits, greedy text, losses, bits."""
import json
import sys
import unittest
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ropewalk import InFolder, built, prepare, ropewalk

transformers.utils.logging.disable_progress_bar()

TOLERANCE = 1e-4  # of the largest logit
CONTEXT = 80
SHAPE = ["--layers", "2", "--width", "32", "--heads", "4", "--hidden", "48", "--context", CONTEXT]
TRAIN = ["--steps", "60", "--batch", "480", "--lr", "0.01", "--warmup", "2", "--eval-every", "60",
         "--sample-tokens", "0"]
NARROW = ["--head-width", "8"]
KINDS = {
    "llama": ["--head-width", "16", "--kv-heads", "2", "--rope-base", "100"],
    "llama_untied": [*NARROW, "--kv-heads", "1", "--no-tied", "--rope-layout", "interleaved"],
    "llama_biases": [*NARROW, "--kv-heads", "4", "--attention-bias", "all", "--mlp-bias", "--dropout", "0.1"],
    "qwen2": [*NARROW, "--kv-heads", "2", "--attention-bias", "qkv", "--no-tied"],
    "qwen3": ["--head-width", "16", "--kv-heads", "2", "--qk-norm"],
    "gpt2": [*NARROW, "--kv-heads", "4", "--norm", "layer", "--mlp", "gelu_tanh", "--attention-bias", "all",
             "--mlp-bias", "--positions", "learned"],
}
IDS = [(7 * i * i + 3 * i + 11) % 256 for i in range(CONTEXT)]


def theirs(folder, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def our_logits(folder, checkpoint, ids):
    built("write_logits", checkpoint, folder / "logits.npy", *ids)
    return numpy.load(folder / "logits.npy")


def random_model(name, base=10000.0, tied=True):
    """As transformers draws it, with biases and norms away from their constants."""
    torch.manual_seed(5)
    if name == "gpt2":
        config = transformers.GPT2Config(vocab_size=260, n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT,
                                         bos_token_id=256, eos_token_id=256, initializer_range=0.2)
    else:
        kind = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config,
                "qwen3": transformers.Qwen3Config}[name]
        rope = {"rope_theta": base} if transformers.__version__ < "5" else {
            "rope_parameters": {"rope_type": "default", "rope_theta": base}}
        config = kind(vocab_size=260, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                      num_key_value_heads=2, max_position_embeddings=CONTEXT, bos_token_id=256, eos_token_id=[256, 3],
                      tie_word_embeddings=tied, initializer_range=0.2, **({} if name == "qwen2" else {"head_dim": 16}),
                      **rope)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


class HuggingFace(InFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = prepare(cls.folder)

    def close(self, got, wanted):
        self.assertEqual(got.shape, wanted.shape)
        self.assertLessEqual(abs(got - wanted).max(), TOLERANCE * abs(wanted).max())

    def test_ours_there(self):
        for name, model in KINDS.items():
            with self.subTest(name):
                run, out = self.folder / name, self.folder / (name + "-hf")
                ropewalk("pretrain", "--data", self.data, "--out", run, *SHAPE, *model, *TRAIN)
                told = json.loads(ropewalk("export", "hf", run, "--out", out, "--json"))
                self.assertLessEqual(told["largest_difference"], 1e-5 * told["largest_logit"])
                there = theirs(out)
                self.assertEqual(there.config.architectures[0].lower().split("for")[0].split("lm")[0],
                                 name.split("_")[0])
                for length in (1, 7, CONTEXT - 1, CONTEXT):
                    self.close(our_logits(self.folder, run, IDS[:length]), logits_of(there, IDS[:length]))

                self.check_greedy(run, there)

                tokenizer = transformers.AutoTokenizer.from_pretrained(out)
                text = "caf\u00e9 \n\n the  rope\t\U0001F600 walk"
                self.assertEqual(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"],
                                 list(text.encode()))
                self.assertEqual(there.config.eos_token_id, 256)

    def check_greedy(self, run, there):
        for prompt in ("the rope ", "yarn"):
            told = json.loads(ropewalk("generate", run, "-p", prompt, "-t", 0, "-n", 64, "--past-end", "--json"))
            self.assertEqual(len(told["tokens"]), 64)
            ids = [256, *prompt.encode()]
            for token in told["tokens"]:
                row = logits_of(there, ids)[-1]
                best = int(row.argmax())
                if token != best:
                    self.assertLessEqual(row[best] - row[token], TOLERANCE * abs(row).max(), "not the best token")
                ids.append(token)

    def test_theirs_here(self):
        cases = [("llama", 10000.0, True), ("llama", 500000.0, False), ("qwen2", 1000000.0, True),
                 ("qwen3", 77.0, False), ("gpt2", 0, True)]
        for k, (name, base, tied) in enumerate(cases):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                with self.subTest(name, base=base, dtype=dtype):
                    there, here = self.folder / f"t{k}{dtype}", self.folder / f"h{k}{dtype}"
                    random_model(name, base, tied).to(dtype).save_pretrained(there, max_shard_size="20KB")
                    told = json.loads(ropewalk("import", "hf", there, "--out", here, "--json"))
                    self.assertEqual(told["notes"], ["there is no tokenizer.json or tokenizer.model: no tokenizer was "
                                                     "imported"])
                    model = theirs(there)
                    ids = [i for i in IDS if i < 256]
                    self.close(our_logits(self.folder, here, ids), logits_of(model, ids))

                    # Out again: the same tensors, bit for bit.
                    again = self.folder / f"a{k}{dtype}"
                    kept = [] if dtype != torch.float16 else ["--dtype", "f16"]
                    ropewalk("export", "hf", here, "--out", again, *kept)
                    before = {n: t for f in there.glob("*.safetensors") for n, t in load_file(f).items()}
                    after = load_file(again / "model.safetensors")
                    if tied:
                        before.pop("lm_head.weight", None)
                    self.assertEqual(sorted(before), sorted(after))
                    for tensor, value in before.items():
                        self.assertEqual(value.dtype, after[tensor].dtype, tensor)
                        self.assertTrue(torch.equal(value, after[tensor]), tensor)
                    self.assertEqual(theirs(again).config.eos_token_id, model.config.eos_token_id)

    def test_losses(self):
        there, here = self.folder / "loss-there", self.folder / "loss-here"
        model = random_model("llama")
        model.save_pretrained(there)
        ropewalk("pretrain", "--data", self.data, "--out", self.folder / "bytes", *SHAPE, *KINDS["llama"], *TRAIN[2:],
                 "--steps", "1")
        ropewalk("export", "hf", self.folder / "bytes", "--out", self.folder / "bytes-hf")
        for file in ("tokenizer.json", "tokenizer_config.json"):
            (there / file).write_text((self.folder / "bytes-hf" / file).read_text())
        ropewalk("import", "hf", there, "--out", here)
        ropewalk("data", "prepare", "--tokenizer", here, "--val", "0.5", "--out", self.folder / "again",
                 self.folder / "text.txt")
        told = json.loads(ropewalk("eval", here, "--data", self.folder / "again", "--no-doc-mask", "--per-token",
                                   self.folder / "nll.npy", "--json"))
        nll = numpy.load(self.folder / "nll.npy")
        import h5py
        with h5py.File(self.folder / "again" / "val.h5") as file:
            tokens = file["tokens"][:].astype(numpy.int64)
        expected = []
        for begin in range(0, len(tokens) - 1, CONTEXT):
            window = torch.from_numpy(tokens[begin:begin + CONTEXT + 1])
            with torch.no_grad():
                rows = model(window[None, :-1]).logits[0]
            expected.append(torch.nn.functional.cross_entropy(rows, window[1:], reduction="none").numpy())
        numpy.testing.assert_allclose(nll, numpy.concatenate(expected), rtol=1e-4, atol=1e-5)
        self.assertAlmostEqual(told["loss"], float(nll.mean()), places=5)


if __name__ == "__main__":
    unittest.main()
