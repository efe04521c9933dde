"""Another implementation, h5py, reads our containers: every type, shapes, bf16, text, and the manifest beside them."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy

PROGRAM = Path(os.environ["ROPEWALK_TEST_BUILD"], "write_container")


class Container(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name, "x.h5")
        subprocess.run([PROGRAM, cls.path], check=True)
        cls.file = h5py.File(cls.path, "r")

    @classmethod
    def tearDownClass(cls):
        cls.file.close()
        cls.folder.cleanup()

    def ramp(self, scale):
        return scale * (numpy.arange(15.0) - 7).reshape(3, 5)

    def test_floats(self):
        f32 = self.ramp(0.1).astype(numpy.float32)
        self.assertEqual(self.file["model/f64"].dtype, numpy.float64)
        numpy.testing.assert_array_equal(self.file["model/f64"][:], f32.astype(numpy.float64))
        self.assertEqual(self.file["model/f32"].dtype, numpy.float32)
        numpy.testing.assert_array_equal(self.file["model/f32"][:], f32)

    def test_bf16_has_values_and_not_only_bits(self):
        bits = self.ramp(0.1).astype(numpy.float32).view(numpy.uint32)
        rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(numpy.float32)
        numpy.testing.assert_array_equal(self.file["model/bf16"].astype(numpy.float32)[:], rounded)
        self.assertEqual(self.file["model/bf16"].id.get_type().get_size(), 2)

    def test_integers(self):
        numpy.testing.assert_array_equal(self.file["model/deep/er/i32"][:], self.ramp(1000).astype(numpy.int32))
        for bits in (8, 16, 32, 64):
            data = self.file[f"u{bits}"]
            self.assertEqual(data.dtype, numpy.dtype(f"uint{bits}"))
            self.assertEqual([int(v) for v in data[:].ravel()], list(range(2**bits - 15, 2**bits)))

    def test_empty_and_text(self):
        self.assertEqual(self.file["empty"].shape, (0, 4))
        self.assertEqual(self.file["meta"].shape, ())
        self.assertEqual(json.loads(self.file["meta"].asstr()[()]), {"name": "caf\u00e9"})

    def test_the_manifest_says_where_each_tensor_lies(self):
        manifest = json.loads(Path(f"{self.path}.manifest.json").read_text())
        self.assertEqual(len(manifest["entries"]), 10)
        for entry in manifest["entries"]:
            data = self.file[entry["path"]]
            if data.shape and data.size:
                self.assertEqual(data.id.get_offset(), entry["offset"])
                self.assertEqual(list(data.shape), entry["shape"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
