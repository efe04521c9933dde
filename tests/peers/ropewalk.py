"""The program under test, and small texts and runs for it."""
import os
import random
import subprocess
import tempfile
import unittest
from pathlib import Path


class InFolder(unittest.TestCase):
    """Tests of one class share a folder, which goes with them."""
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.holder.name)

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()


def program(name, *arguments):
    """What a program of the build prints; RuntimeError with what it says if it fails."""
    done = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def ropewalk(*arguments):
    return program(os.environ["ROPEWALK_BINARY"], *arguments)


def built(name, *arguments):
    return program(Path(os.environ["ROPEWALK_TEST_BUILD"], name), *arguments)


def documents(seed, count=60):
    draw = random.Random(seed)
    words = "the rope walk turns a strand of hemp into yarn caf\u00e9 and".split()
    return ["".join(draw.choice(words) + " " for _ in range(draw.randrange(3, 40))) + "\n" for _ in range(count)]


def prepare(folder, tokenizer="bytes"):
    """FOLDER/data of documents, some held out."""
    (folder / "text.txt").write_text("%\n".join(documents(1)))
    ropewalk("data", "prepare", "--tokenizer", tokenizer, "--document-separator", "%", "--val", "0.3", "--out",
             folder / "data", folder / "text.txt")
    return folder / "data"
