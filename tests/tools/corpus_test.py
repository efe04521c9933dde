#!/usr/bin/env python3
"""train/corpus without the network: its reader of R's format; what it says when packages cannot be had, or differ."""
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "train" / "corpus"
loader = importlib.machinery.SourceFileLoader("corpus", str(SCRIPT))
sys.dont_write_bytecode = True
corpus = importlib.util.module_from_spec(importlib.util.spec_from_loader("corpus", loader))
loader.exec_module(corpus)

OFFLINE = '#!/bin/sh\necho "E: Could not resolve \'deb.debian.org\'" >&2\nexit 100\n'
# apt-get download, of packages with a novel and a program `bible` that are not the real ones.
CHANGED = """#!/bin/sh
for package in bible-kjv bible-kjv-text r-cran-janeaustenr; do
  data=p/usr/lib/R/site-library/janeaustenr/data
  mkdir -p p/DEBIAN p/usr/bin $data
  printf 'Package: %s\\nVersion: 2\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' $package >p/DEBIAN/control
  cp "$NOVEL" $data/Rdata.rdb
  printf '#!/bin/sh\\necho "Ge1:1 In the end"\\n' >p/usr/bin/bible
  chmod +x p/usr/bin/bible
  dpkg-deb -b p ${package}_2_all.deb >&2
done
"""


def number(value):
    return value.to_bytes(4, "big")


def vector(lines, version=3, kind=16):
    encoding = number(5) + b"UTF-8" if version == 3 else b""
    record = b"X\n" + number(version) + number(0x40201) + number(0x30500) + encoding + number(kind) + number(len(lines))
    for line in lines:
        record += number(0x40009) + number(len(line.encode())) + line.encode()
    return record


class Corpus(unittest.TestCase):
    def test_strings(self):
        lines = ["EMMA", "", "a pound: \u00a3"]
        for version in (2, 3):
            self.assertEqual(corpus.strings(vector(lines, version)), lines)
        self.assertEqual(corpus.strings(vector(lines, version=4)), [])
        self.assertEqual(corpus.strings(vector(lines, kind=13)), [])
        self.assertEqual(corpus.strings(b"A\n" + vector(lines)[2:]), [])

    def test_novels(self):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "usr/lib/R/site-library/janeaustenr/data")
            data.mkdir(parents=True)
            records = [vector(["EMMA", "x"]), vector(["another text"]), vector(["Persuasion", "y"])]
            (data / "Rdata.rdb").write_bytes(b"".join(number(len(r)) + zlib.compress(r) for r in records))
            self.assertEqual(corpus.novels(Path(folder)), {"emma.txt": ["EMMA", "x"],
                                                           "persuasion.txt": ["Persuasion", "y"]})

    def run_with(self, apt_get):
        """Exit code and stderr of the script where apt-get is the text given."""
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            record = vector(["EMMA", "another text"])
            (folder / "novel").write_bytes(number(len(record)) + zlib.compress(record))
            for name, text in (("apt-get", apt_get), ("apt-cache", "#!/bin/sh\n")):
                (folder / name).write_text(text)
                (folder / name).chmod(0o755)
            done = subprocess.run([sys.executable, SCRIPT, folder / "out"], capture_output=True, text=True, env={
                **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "NOVEL": str(folder / "novel")})
            self.assertFalse((folder / "out").exists())
            return done.returncode, done.stderr

    def test_offline(self):
        code, text = self.run_with(OFFLINE)
        self.assertEqual(code, 3)
        self.assertIn("error: cannot download bible-kjv, bible-kjv-text, r-cran-janeaustenr\n", text)
        self.assertIn("Could not resolve", text)
        self.assertNotIn("Traceback", text)

    def test_changed(self):
        code, text = self.run_with(CHANGED)
        self.assertEqual(code, 3)
        self.assertIn("error: the package with novels has changed\n", text)
        self.assertIn("expected 4025029 bytes", text)


if __name__ == "__main__":
    unittest.main()
