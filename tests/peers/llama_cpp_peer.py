"""llama.cpp, as the package xllamacpp has it, opens what `export gguf` writes and gives the same probabilities of the
next token, after texts below and above the trained length; read again here, the file is the same model."""
import json
import sys
import unittest
from pathlib import Path

import numpy
import xllamacpp

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ropewalk import InFolder, built, prepare, ropewalk

TOLERANCE = 1e-4
TRAINED, CONTEXT = 32, 128
LENGTHS = (7, TRAINED, TRAINED + 1, 120)
IDS = [(7 * i * i + 3 * i + 11) % 256 for i in range(CONTEXT)]
SHAPE = ["--layers", "2", "--width", "64", "--heads", "2", "--kv-heads", "1", "--head-width", "32", "--hidden", "96",
         "--context", CONTEXT, "--trained-context", TRAINED, "--rope-base", "100"]
TRAIN = ["--steps", "12", "--batch", "512", "--lr", "0.01", "--warmup", "2", "--eval-every", "0", "--sample-tokens",
         "0"]
MODELS = {
    "plain": [],
    "interleaved": ["--rope-layout", "interleaved"],
    "linear": ["--rope", "linear", "--factor", "3"],
    "yarn": ["--rope", "yarn", "--factor", "4"],
    "yarn-attention": ["--rope", "yarn", "--factor", "4", "--attention-factor", "1.4"],
    "by_parts": ["--rope", "by_parts", "--factor", "4"],
    "ntk_aware": ["--rope", "ntk_aware", "--factor", "3"],
}
REFUSED = {"yarn beta_fast": ["--rope", "yarn", "--factor", "4", "--beta-fast", "8"],
           "rope llama3": ["--rope", "llama3", "--factor", "4"],
           "positions leaky": ["--positions", "leaky", "--window", "8"]}


def server(file):
    wanted = xllamacpp.CommonParams()
    wanted.model.path, wanted.n_ctx, wanted.n_parallel = str(file), CONTEXT, 1
    wanted.n_gpu_layers, wanted.warmup, wanted.fit_params, wanted.verbosity = 0, False, False, 0
    wanted.cache_type_k = wanted.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    wanted.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    wanted.cpuparams.n_threads = 1
    return xllamacpp.Server(wanted)


def log_probabilities(there, prompt, count):
    """Of the token after the prompt, by id. A drawn end of the text is told without them: then another is drawn."""
    for seed in range(20):
        told = there.handle_completions({"prompt": prompt, "max_tokens": 1, "logprobs": count, "temperature": 1.0,
                                         "seed": seed, "cache_prompt": False})
        told = json.loads(told) if isinstance(told, str) else told
        if told["choices"][0]["logprobs"]:
            (first,) = told["choices"][0]["logprobs"]["content"]
            return {token["id"]: token["logprob"] for token in first["top_logprobs"]}
    raise AssertionError("twenty times an end of the text: " + json.dumps(told))


class LlamaCpp(InFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = prepare(cls.folder)

    def train(self, name, model):
        run = self.folder / name.replace(" ", "_")
        ropewalk("pretrain", "--data", self.data, "--out", run, *SHAPE, *model, *TRAIN)
        return run

    def our_logits(self, run, length):
        built("write_logits", run, self.folder / "logits.npy", *IDS[:length])
        return numpy.load(self.folder / "logits.npy").astype(numpy.float64)

    def test_the_same_probabilities(self):
        for name, model in MODELS.items():
            with self.subTest(name):
                run = self.train(name, model)
                file, again = run.with_suffix(".gguf"), self.folder / (name + "-again")
                ropewalk("export", "gguf", run, "--out", file, "--dtype", "f32")
                ropewalk("import", "gguf", file, "--out", again)
                there = server(file)
                for length in LENGTHS:
                    logits = self.our_logits(run, length)
                    ours = logits[-1] - numpy.logaddexp.reduce(logits[-1])
                    theirs = log_probabilities(there, IDS[:length], len(ours))
                    self.assertEqual(len(theirs), len(ours))
                    difference = max(abs(ours[token] - value) for token, value in theirs.items())
                    self.assertLessEqual(difference, TOLERANCE * abs(ours).max(), length)
                    self.assertLessEqual(abs(self.our_logits(again, length) - logits).max(),
                                         TOLERANCE * abs(logits).max())

    def test_what_it_would_compute_otherwise_is_refused(self):
        for name, model in REFUSED.items():
            with self.subTest(name):
                run = self.train(name, model)
                with self.assertRaisesRegex(RuntimeError, name):
                    ropewalk("export", "gguf", run, "--out", run.with_suffix(".gguf"))


if __name__ == "__main__":
    unittest.main()
