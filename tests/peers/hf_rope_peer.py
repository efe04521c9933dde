"""Every rope type of transformers, and sliding windows: our models there, models of theirs here. Logits at lengths
below and above the trained one, each with a model loaded for it: the tables of dynamic keep the longest text."""
import json
import sys
import unittest
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parent))
import transformers
from hf_peer import TOLERANCE, logits_of, our_logits, random_model, theirs
from ropewalk import InFolder, prepare, ropewalk

FIVE = transformers.__version__ >= "5"
TRAINED, MOST = 32, 64  # N; M = max_position_embeddings
LENGTHS = (5, TRAINED, TRAINED + 1, MOST, MOST + 1, 128)
IDS = [(7 * i * i + 3 * i + 11) % 256 for i in range(max(LENGTHS))]
SHORT, LONG = [1 + 0.05 * c for c in range(8)], [1.5 + 0.5 * c for c in range(8)]
N = {"original_max_position_embeddings": TRAINED}

TYPES = {
    "default": {},
    "linear": {"factor": 3.0},
    "dynamic": {"factor": 2.5},
    "yarn": {"factor": 4.0, **N},
    "yarn mscale": {"factor": 4.0, "mscale": 0.7, "mscale_all_dim": 1.3, **N},
    "yarn equal mscales": {"factor": 4.0, "mscale": 1.0, "mscale_all_dim": 1.0, **N},
    "yarn mscale alone": {"factor": 4.0, "mscale": 0.5, **N},
    "yarn attention_factor": {"factor": 4.0, "attention_factor": 1.25, "beta_fast": 3.0, "beta_slow": 0.5, **N},
    "yarn truncate": {"factor": 4.0, "truncate": False, **N},
    "yarn of M": {"factor": 4.0},
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, **N},
    "longrope": {"factor": 2.0, "short_factor": SHORT, "long_factor": LONG, **N},
    "longrope attention_factor": {"factor": 2.0, "short_factor": SHORT, "long_factor": LONG, "attention_factor": 1.1,
                                  **N},
}
FROM_FIVE = {
    "yarn of lengths": {"factor": None, **N},
    "longrope of lengths": {"short_factor": SHORT, "long_factor": LONG, **N},
    "llama3 of M": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "proportional": {"partial_rotary_factor": 0.5},
    "proportional factor": {"partial_rotary_factor": 0.25, "factor": 2.0},
}

SHAPE = ["--layers", "2", "--width", "32", "--heads", "2", "--kv-heads", "1", "--head-width", "16", "--hidden", "48",
         "--context", TRAINED, "--rope-base", "100"]
TRAIN = ["--steps", "30", "--batch", "480", "--lr", "0.01", "--warmup", "2", "--eval-every", "0", "--sample-tokens",
         "0"]
LISTS = ["--short-factor", ",".join(map(str, SHORT)), "--long-factor", ",".join(map(str, LONG))]
OURS = {
    "linear": ["--rope", "linear", "--factor", "3"],
    "ntk_old": ["--rope", "ntk_old", "--factor", "3"],
    "ntk_aware": ["--rope", "ntk_aware", "--factor", "3"],
    "dynamic": ["--rope", "dynamic", "--factor", "2.5"],
    "by_parts": ["--rope", "by_parts", "--factor", "4"],
    "by_parts rotations": ["--rope", "by_parts", "--factor", "4", "--rope-ramp", "rotations", "--beta-fast", "4"],
    "yarn": ["--rope", "yarn", "--factor", "4"],
    "yarn mscale": ["--rope", "yarn", "--factor", "4", "--mscale", "0.7", "--mscale-all-dim", "1.3"],
    "yarn truncate": ["--rope", "yarn", "--factor", "4", "--no-rope-truncate", "--attention-factor", "1.2"],
    "llama3": ["--rope", "llama3", "--factor", "8", "--rope-layout", "interleaved"],
    "longrope": ["--rope", "longrope", "--factor", "4", *LISTS],
    "inverse_leaky": ["--positions", "inverse_leaky", "--window", "8", "--far-step", "4"],
    "window": ["--qk-norm", "--positions", "window", "--window", "7"],
    "window yarn": ["--attention-bias", "qkv", "--positions", "window", "--window", "40", "--rope", "yarn", "--factor",
                    "4"],
}
OURS_FROM_FIVE = {"proportional": ["--rope", "proportional", "--rope-share", "0.5", "--factor", "2", "--rope-layout",
                                   "interleaved"]}
LONGER = {"linear": ["--rope", "linear"], "dynamic": ["--rope", "dynamic", "--factor", "1.5"],
          "yarn": ["--rope", "yarn"], "llama3": ["--rope", "llama3"], "longrope": ["--rope", "longrope", *LISTS]}
REFUSED = {
    "ntk_fixed": ["--rope", "ntk_fixed", "--factor", "2"],
    "rerope": ["--positions", "rerope", "--window", "8"],
    "log_n beyond": ["--log-n", "beyond"],
}


class Rope(InFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = prepare(cls.folder)

    def equal(self, checkpoint, folder):
        """The logits of a checkpoint and of a folder; the largest difference in shares of the largest logit."""
        for length in LENGTHS:
            got, wanted = our_logits(self.folder, checkpoint, IDS[:length]), logits_of(theirs(folder), IDS[:length])
            self.assertEqual(got.shape, wanted.shape)
            self.assertLessEqual(abs(got - wanted).max(), TOLERANCE * abs(wanted).max(), length)
        return wanted

    def export(self, run, folder):
        told = json.loads(ropewalk("export", "hf", run, "--out", folder, "--json"))
        self.assertGreater(told["compared_tokens"], TRAINED)
        self.assertLessEqual(told["largest_difference"], 1e-5 * told["largest_logit"])

    def test_theirs_here(self):
        plain = None
        for number, (name, fields) in enumerate({**TYPES, **(FROM_FIVE if FIVE else {})}.items()):
            kind = name.split()[0]
            there = self.folder / f"their{number}"
            random_model("llama", 100.0).save_pretrained(there)
            written = json.loads((there / "config.json").read_text())
            for key in ("rope_parameters", "rope_scaling", "rope_theta"):
                written.pop(key, None)
            written["max_position_embeddings"] = MOST
            if kind == "longrope":
                written.update(N)  # transformers 4 looks for it there only
            spellings = {
                "type": {"rope_theta": 100.0, "rope_scaling": {"type": kind, **fields}},
                "rope_type": {"rope_theta": 100.0, "rope_scaling": {"rope_type": kind, **fields}},
            }
            if FIVE:
                spellings["rope_parameters"] = {"rope_parameters": {"rope_type": kind, "rope_theta": 100.0, **fields}}
            for spelling, keys in spellings.items():
                with self.subTest(name, spelling=spelling):
                    (there / "config.json").write_text(json.dumps({**written, **keys}))
                    here = self.folder / f"here{number}{spelling}"
                    ropewalk("import", "hf", there, "--out", here)
                    logits = self.equal(here, there)
                    if plain is None:
                        plain = logits
                    elif kind != "default":
                        self.assertGreater(abs(logits - plain).max(), 100 * TOLERANCE * abs(plain).max())
                    if spelling == "rope_type":  # out again
                        again = self.folder / f"again{number}"
                        self.export(here, again)
                        self.equal(here, again)

    def test_their_windows_here(self):
        for name in ("qwen2", "qwen3"):
            for keys in ({"max_window_layers": 0}, {"layer_types": ["sliding_attention"] * 2}):
                with self.subTest(name, keys=keys):
                    there, here = (self.folder / f"{name}{list(keys)[0]}{end}" for end in ("there", "here"))
                    random_model(name, 100.0).save_pretrained(there)
                    written = json.loads((there / "config.json").read_text())
                    written.pop("layer_types", None)
                    written |= {"use_sliding_window": True, "sliding_window": 6, **keys}
                    (there / "config.json").write_text(json.dumps(written))
                    ropewalk("import", "hf", there, "--out", here)
                    self.equal(here, there)

    def test_ours_there(self):
        for name, model in {**OURS, **(OURS_FROM_FIVE if FIVE else {})}.items():
            with self.subTest(name):
                run, out = self.folder / name, self.folder / (name + "-hf")
                ropewalk("pretrain", "--data", self.data, "--out", run, *SHAPE, *model, *TRAIN)
                self.export(run, out)
                self.equal(run, out)

    def test_ours_that_were_made_longer(self):
        ropewalk("pretrain", "--data", self.data, "--out", self.folder / "short", *SHAPE, *TRAIN)
        for name, rope in LONGER.items():
            with self.subTest(name):
                run, out = self.folder / ("long-" + name), self.folder / (name + "-long-hf")
                ropewalk("finetune", "--from", self.folder / "short", "--data", self.data, "--out", run, "--context",
                         MOST, *rope, *TRAIN[:2], "--batch", "512", "--eval-every", "0", "--sample-tokens", "0")
                self.export(run, out)
                self.equal(run, out)

    def test_what_has_no_type_is_refused_or_said_aloud(self):
        for name, model in REFUSED.items():
            with self.subTest(name):
                run, out = self.folder / name, self.folder / (name + "-hf")
                ropewalk("pretrain", "--data", self.data, "--out", run, *SHAPE, *model, *TRAIN)
                with self.assertRaisesRegex(RuntimeError, name.replace(" ", ".*")):
                    ropewalk("export", "hf", run, "--out", out)
                self.assertFalse(out.exists())
                told = json.loads(ropewalk("export", "hf", run, "--out", out, "--as-base-rope", "--json"))
                self.assertIn(name.split()[0].replace("log_n", "log n"), told["lost"])
                got, wanted = (logits_of(theirs(out), IDS), our_logits(self.folder, run, IDS))
                self.assertGreater(abs(got - wanted).max(), 10 * TOLERANCE * abs(wanted).max())
                base = theirs(out).config
                self.assertEqual(getattr(base, "rope_theta", None) or base.rope_parameters["rope_theta"], 100.0)


if __name__ == "__main__":
    unittest.main()
