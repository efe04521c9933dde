"""Other implementations read what a run is made of: h5py the token files and a checkpoint, and Python's SentencePiece
the tokenizer, which gives every document the ids that are in the token file."""
import json
import os
import random
import subprocess
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy
import sentencepiece

PROGRAM = Path(os.environ["ROPEWALK_TEST_BUILD"], "write_run_files")


def text(seed):
    """Words, digits, runs of spaces and empty lines, a tab, letters that no vocabulary of 400 has."""
    draw = random.Random(seed)
    words = "the rope walk is long and old hemp was spun there by hand caf\u00e9 \u4e2d\u6587 \U0001f642 1887 3.25 \t"
    ends = [" ", " ", " ", "  ", "\n", "\n\n", ", ", ". "]
    return "".join(draw.choice(words.split(" ")) + draw.choice(ends) for _ in range(4000)) + "end\n"


class RunFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = Path(cls.folder.name)
        cls.documents = {"train": [text(1), text(2)], "val": [text(3)]}
        for name, documents in cls.documents.items():
            (folder / f"{name}.txt").write_bytes("%\n".join(documents).encode())
        subprocess.run([PROGRAM, folder, folder / "train.txt", folder / "val.txt"], check=True)
        cls.data = {name: h5py.File(folder / "data" / f"{name}.h5", "r") for name in cls.documents}
        cls.checkpoint = h5py.File(folder / "checkpoints" / "step-000007" / "checkpoint.h5", "r")

    @classmethod
    def tearDownClass(cls):
        for file in (*cls.data.values(), cls.checkpoint):
            file.close()
        cls.folder.cleanup()

    def test_sentencepiece_gives_the_same_ids(self):
        for name, file in self.data.items():
            model = sentencepiece.SentencePieceProcessor(model_proto=file["tokenizer/tokenizer.model"][:].tobytes())
            meta = json.loads(file["meta"].asstr()[()])
            self.assertEqual(meta["vocab"], model.get_piece_size())
            self.assertEqual(meta["document_start"], model.piece_to_id("<s>"))
            tokens = [int(id) for id in file["tokens"][:]]
            starts = [int(at) for at in file["doc_starts"][:]] + [len(tokens)]
            self.assertEqual(len(starts), len(self.documents[name]) + 1)
            self.assertEqual(meta["tokens"], len(tokens))
            for document, begin, end in zip(self.documents[name], starts, starts[1:]):
                self.assertEqual(tokens[begin], meta["document_start"])
                self.assertEqual(tokens[begin + 1:end], model.encode(document))

    def test_checkpoint(self):
        ramp = (numpy.arange(15, dtype=numpy.float32) / 8).reshape(3, 5)
        for group, first in (("model", 0), ("optim/m", 100), ("optim/v", 200)):
            data = self.checkpoint[f"{group}/model.norm.weight"]
            self.assertEqual(data.dtype, numpy.float32)
            numpy.testing.assert_array_equal(data[:], ramp + first)
        self.assertEqual(json.loads(self.checkpoint["meta"].asstr()[()])["step"], 7)
        self.assertEqual(self.checkpoint["tokenizer/tokenizer.model"][:].tobytes(),
                         self.data["train"]["tokenizer/tokenizer.model"][:].tobytes())


if __name__ == "__main__":
    unittest.main()
