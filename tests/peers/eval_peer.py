"""What `ropewalk eval --per-token` says of a run, PyTorch says too: h5py reads the weights and the tokens, the decoder
of tests/golden, written from the formulas, has the same loss at every token."""
import json
import sys
import unittest
from pathlib import Path

import h5py
import numpy
import torch

sys.path[:0] = [str(Path(__file__).resolve().parents[k] / d) for k, d in ((1, "golden"), (0, "."))]
from decoder import IGNORE, Decoder, shapes
from ropewalk import InFolder, prepare, ropewalk

SHAPE = ["--layers", "2", "--width", "32", "--heads", "4", "--head-width", "8", "--hidden", "48", "--context", "32"]
LLAMA = ["--kv-heads", "2", "--rope-base", "100"]
BIASES = ["--kv-heads", "1", "--no-tied", "--attention-bias", "qkv", "--mlp-bias", "--qk-norm", "--rope-layout",
          "interleaved", "--dropout", "0.1"]
GPT = ["--kv-heads", "4", "--norm", "layer", "--mlp", "gelu", "--attention-bias", "all", "--mlp-bias", "--positions",
       "learned"]
TRAIN = ["--steps", "20", "--batch", "256", "--lr", "0.01", "--warmup", "2", "--eval-every", "20",
         "--sample-tokens", "0"]


def windows(tokens, starts, context, stride):
    """Inputs of Decoder.nll: windows every `stride` tokens, in which each token but the first is a target once."""
    rows = {"token": [], "target": [], "position": [], "first_key": []}
    begin = known = 0  # known: the last token that has been a target
    while known < len(tokens) - 1:
        at = numpy.minimum(numpy.arange(begin, begin + context), len(tokens) - 1)
        following = numpy.minimum(at + 1, len(tokens) - 1)
        document = starts[numpy.searchsorted(starts, at, side="right") - 1]
        rows["token"].append(tokens[at])
        rows["target"].append(numpy.where(following > numpy.maximum(at, known), tokens[following], IGNORE))
        rows["position"].append(numpy.arange(context))
        rows["first_key"].append(numpy.maximum(document - begin, 0))
        begin, known = begin + stride, following[-1]
    return {name: torch.from_numpy(numpy.stack(row).astype(numpy.int64)) for name, row in rows.items()}


class Eval(InFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        prepare(cls.folder)

    def check(self, name, model, dtype, stride, mask, tolerance):
        run = self.folder / name
        ropewalk("pretrain", "--data", self.folder / "data", "--out", run, "--dtype", dtype, *SHAPE, *model, *TRAIN)
        told = json.loads(ropewalk("eval", run, "--data", self.folder / "data", "--stride", stride, "--json",
                                   "--doc-mask" if mask else "--no-doc-mask", "--per-token", self.folder / "nll.npy"))
        nll = numpy.load(self.folder / "nll.npy").astype(numpy.float64)

        with h5py.File(Path(told["checkpoint"], "checkpoint.h5")) as file:
            config = json.loads(json.loads(file["meta"].asstr()[()])["model"])
            weights = {n: torch.from_numpy(file["model"][n][:].astype(numpy.float64)) for n in file["model"]}
        self.assertEqual({n: tuple(w.shape) for n, w in weights.items()}, shapes(config))
        with h5py.File(self.folder / "data" / "val.h5") as file:
            inputs = windows(file["tokens"][:].astype(numpy.int64), file["doc_starts"][:].astype(numpy.int64),
                             config["context"], stride)

        def expected(masked):
            keys = inputs["first_key"] if masked else torch.zeros_like(inputs["first_key"])
            with torch.no_grad():
                found = Decoder(config, weights).nll(**{**inputs, "first_key": keys})
            return found[inputs["target"] != IGNORE].numpy()

        self.assertEqual(len(nll), told["targets"])
        numpy.testing.assert_allclose(nll, expected(mask), rtol=tolerance)
        self.assertAlmostEqual(told["loss"], expected(mask).mean(), delta=tolerance * told["loss"])
        self.assertGreater(abs(nll - expected(not mask)).max(), 100 * tolerance)
        self.assertLess(told["loss"], 3.5)  # it has learnt: ln 256 is 5.5

    def test_llama(self):
        self.check("llama", LLAMA, "f32", 32, True, 1e-5)

    def test_llama_with_overlap(self):
        self.check("overlap", LLAMA, "f64", 11, True, 3e-7)

    def test_biases(self):
        self.check("biases", BIASES, "f32", 16, False, 1e-5)

    def test_gpt(self):
        self.check("gpt", GPT, "f64", 32, True, 3e-7)


if __name__ == "__main__":
    unittest.main()
