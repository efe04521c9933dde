"""The package gguf reads what `export gguf` writes and writes what `import gguf` reads, of every number type;
transformers, reading the file itself, has the losses of the checkpoint."""
import json
import sys
import unittest
from pathlib import Path

import gguf
import h5py
import numpy
import torch
from gguf import GGMLQuantizationType as Kind

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ropewalk import InFolder, prepare, ropewalk

def options(**changed):
    shape = {"layers": 2, "width": 64, "heads": 4, "kv-heads": 2, "head-width": 16, "hidden": 96, "context": 32,
             "rope-base": 100} | {name.replace("_", "-"): value for name, value in changed.items()}
    return [word for name, value in shape.items() for word in (f"--{name}", value)]


MODELS = {
    "tied": options(),
    "untied": ["--no-tied", "--mlp-bias", *options(attention_bias="all")],
    "interleaved": options(rope_layout="interleaved", attention_bias="qkv"),
    "plain": ["--no-tied", *options(rope_layout="interleaved")],
    "odd": options(width=40, hidden=48, head_width=6),  # no rows of whole blocks
}
TRAIN = ["--steps", "3", "--batch", "256", "--lr", "0.01", "--warmup", "1", "--eval-every", "0", "--sample-tokens",
         "0", "--quiet"]
WRITTEN = {"f32": Kind.F32, "f16": Kind.F16, "bf16": Kind.BF16, "q8_0": Kind.Q8_0}
READ = [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1]
PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk"}


def their_name(name):
    for ours, theirs in PARTS.items():
        name = name.replace(ours, theirs)
    return name


def turned(name, weight, head_width):
    """Rows of each head from pairs (c, c + d/2) to (2c, 2c + 1), for what is rotated."""
    if not any(part in name for part in (".q_proj.", ".k_proj.")):
        return weight
    heads = weight.reshape(-1, 2, head_width // 2, *weight.shape[1:])
    return numpy.ascontiguousarray(heads.swapaxes(1, 2)).reshape(weight.shape)


def checkpoint_of(run):
    folder = Path(run, "checkpoints", Path(run, "checkpoints", "latest").read_text().strip())
    with h5py.File(folder / "checkpoint.h5") as file:
        config = json.loads(json.loads(file["meta"].asstr()[()])["model"])
        return config, {n: file["model"][n][:].astype(numpy.float32) for n in file["model"]}



class Gguf(InFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        prepare(cls.folder)
        for name, model in MODELS.items():
            ropewalk("pretrain", "--data", cls.folder / "data", "--out", cls.folder / name, *model, *TRAIN)

    def check_keys(self, reader, config):
        kinds = gguf.GGUFValueType
        u32, f32, flag, text = kinds.UINT32, kinds.FLOAT32, kinds.BOOL, kinds.STRING
        heads, width = config["heads"], config["head_width"]
        expected = {
            "general.architecture": (text, "llama"), "general.type": (text, "model"),
            "llama.vocab_size": (u32, config["vocab"]), "llama.context_length": (u32, config["context"]),
            "llama.embedding_length": (u32, config["width"]), "llama.block_count": (u32, config["layers"]),
            "llama.feed_forward_length": (u32, config["hidden"]), "llama.attention.head_count": (u32, heads),
            "llama.attention.head_count_kv": (u32, config["kv_heads"]), "llama.attention.key_length": (u32, width),
            "llama.attention.value_length": (u32, width), "llama.rope.dimension_count": (u32, width),
            "llama.attention.layer_norm_rms_epsilon": (f32, numpy.float32(config["norm_eps"])),
            "llama.rope.freq_base": (f32, numpy.float32(config["rope_base"])),
            "tokenizer.ggml.add_bos_token": (flag, True)}
        for key, (kind, value) in expected.items():
            field = reader.get_field(key)
            self.assertIsNotNone(field, key)
            self.assertEqual((field.types, field.contents()), ([kind], value), key)
        tokens = reader.get_field("tokenizer.ggml.tokens").contents()
        self.assertEqual(len(tokens), config["vocab"])
        self.assertEqual(len(set(tokens)), len(tokens))

    def test_theirs_reads_ours(self):
        for name in MODELS:
            config, weights = checkpoint_of(self.folder / name)
            for kind, number in WRITTEN.items():
                file = self.folder / f"{name}-{kind}.gguf"
                said = ropewalk("export", "gguf", self.folder / name, "--out", file, "--dtype", kind)
                self.assertIn("read again", said)
                reader = gguf.GGUFReader(file)
                self.check_keys(reader, config)
                found = {t.name: t for t in reader.tensors}
                self.assertEqual(sorted(found), sorted(their_name(n) for n in weights))
                for ours, weight in weights.items():
                    tensor = found[their_name(ours)]
                    if config["rope_layout"] == "half":
                        weight = turned(ours, weight, config["head_width"])
                    wanted = Kind.F32 if weight.ndim == 1 else number
                    if wanted == Kind.Q8_0 and weight.shape[-1] % 32:
                        wanted = Kind.F16
                    self.assertEqual(tensor.tensor_type, wanted, tensor.name)
                    self.assertEqual([int(n) for n in tensor.shape], list(reversed(weight.shape)), tensor.name)
                    expected = gguf.dequantize(gguf.quantize(weight, wanted), wanted)
                    numpy.testing.assert_array_equal(gguf.dequantize(tensor.data, tensor.tensor_type).reshape(
                        weight.shape), expected, f"{name} {kind} {tensor.name}")

    def test_ours_reads_theirs(self):
        draw = numpy.random.default_rng(2)
        heads, kv, d, width, hidden, vocab, layers = 4, 2, 16, 64, 96, 40, 2
        shapes = {"token_embd.weight": (vocab, width), "output_norm.weight": (width,), "output.weight": (vocab, width)}
        for i in range(layers):
            shapes |= {f"blk.{i}.{n}": s for n, s in {
                "attn_norm.weight": (width,), "ffn_norm.weight": (width,), "attn_q.weight": (heads * d, width),
                "attn_k.weight": (kv * d, width), "attn_v.weight": (kv * d, width), "attn_q.bias": (heads * d,),
                "attn_k.bias": (kv * d,), "attn_v.bias": (kv * d,), "attn_output.weight": (width, heads * d),
                "ffn_gate.weight": (hidden, width), "ffn_up.weight": (hidden, width),
                "ffn_down.weight": (width, hidden)}.items()}
        for kind in READ:
            file = self.folder / f"theirs-{kind.name}.gguf"
            writer = gguf.GGUFWriter(file, "llama")
            writer.add_context_length(32)
            writer.add_embedding_length(width)
            writer.add_block_count(layers)
            writer.add_feed_forward_length(hidden)
            writer.add_head_count(heads)
            writer.add_head_count_kv(kv)
            writer.add_layer_norm_rms_eps(1e-5)
            writer.add_rope_freq_base(5000.0)
            writer.add_rope_dimension_count(d)
            writer.add_vocab_size(vocab)
            writer.add_tokenizer_model("none")
            expected = {}
            for name, shape in shapes.items():
                values = draw.normal(size=shape).astype(numpy.float32)
                own = Kind.F32 if values.ndim == 1 else kind
                raw = gguf.quantize(values, own)
                expected[name] = gguf.dequantize(raw, own).reshape(shape)
                writer.add_tensor(name, raw, raw_dtype=own)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            out = self.folder / f"from-{kind.name}"
            ropewalk("import", "gguf", file, "--out", out)
            config, weights = checkpoint_of(out)
            self.assertEqual((config["layers"], config["width"], config["heads"], config["kv_heads"],
                              config["head_width"], config["hidden"], config["context"], config["vocab"],
                              config["tied"], config["norm_eps"], config["rope_base"], config["attention_bias"],
                              config["mlp_bias"], config["rope_layout"]),
                             (layers, width, heads, kv, d, hidden, 32, vocab, False, 1e-5, 5000.0, "qkv", False,
                              "half"))
            self.assertEqual(sorted(their_name(n) for n in weights), sorted(shapes))
            for ours, weight in weights.items():
                numpy.testing.assert_array_equal(turned(ours, weight, d), expected[their_name(ours)],
                                                 f"{kind.name} {ours}")

    def test_transformers_has_the_same_losses(self):
        from transformers import AutoModelForCausalLM
        for name in ("tied", "plain"):  # of this architecture they read no biases
            run, file = self.folder / name, self.folder / f"{name}-losses.gguf"
            ropewalk("export", "gguf", run, "--out", file, "--dtype", "f32")
            nll = self.folder / f"{name}.npy"
            ropewalk("eval", run, "--data", self.folder / "data", "--no-doc-mask", "--per-token", nll)
            ours = numpy.load(nll)
            model = AutoModelForCausalLM.from_pretrained(self.folder, gguf_file=file.name, dtype=torch.float32)
            with h5py.File(self.folder / "data" / "val.h5") as data:
                tokens = torch.from_numpy(data["tokens"][:33].astype(numpy.int64))
            with torch.no_grad():
                logits = model(tokens[None, :32]).logits[0]
            theirs = torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none").numpy()
            numpy.testing.assert_allclose(ours[:32], theirs, rtol=1e-4)


if __name__ == "__main__":
    unittest.main()
