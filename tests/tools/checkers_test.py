#!/usr/bin/env python3
"""Each rule of the checkers finds a planted fault, and a clean tree passes."""
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
CLEAN = {
    "core/a.hpp": "// <<< in a comment is fine\n#pragma once\n#include <vector>\n",
    "core/a.cpp": '#include "core/a.hpp"\n\n#include <thread>\n\nconst char* text = "std::thread <<<";\n',
    "core/a_test.cpp": '#include "core/a.hpp"\n#include "tests/support/s.hpp"\n',
    "core/base/parallel.hpp": "#pragma once\n#include <thread>\ninline void f() { std::thread t; }\n",
    "core/file/hdf5_layout.cpp": "#include <hdf5.h>\n",
    "core/device/cuda_toolkit.cpp": "#include <cuda_runtime.h>\nvoid f() { cudaMalloc(0, 0); }\n",
    "layers/b.hpp": '#pragma once\n#include "core/a.hpp"\n',
    "layers/d-inl.hpp": '#include "core/a.hpp"\n',
    "train/c.cpp": '#include "layers/b.hpp"\n',
    "tests/support/s.hpp": '#pragma once\n#include "core/a.hpp"\n',
    "train/tool": "#!/bin/bash\ntrue\n",
}
INCLUDE_FAULTS = [
    ({"core/x.cpp": '#include "layers/b.hpp"\n'}, 'core/x.cpp:1: #include "layers/b.hpp": core may include only core'),
    ({"layers/x.cpp": '#include "train/y.hpp"\n', "train/y.hpp": "#pragma once\n"}, "layers/x.cpp:1:"),
    ({"data/x.cpp": '#include "optim/y.hpp"\n', "optim/y.hpp": "#pragma once\n"}, "data may include only core, data"),
    ({"core/x_test.cpp": '#include "layers/b.hpp"\n'}, "core/x_test.cpp:1:"),
    ({"train/x.cpp": '#include "tests/support/s.hpp"\n'}, "only tests include tests"),
    ({"core/x.cpp": '#include "core/y_test.hpp"\n', "core/y_test.hpp": "#pragma once\n"}, "only tests include tests"),
    ({"core/x.cpp": '\n  #  include "core/a.cpp"\n'}, "core/x.cpp:2:"),
    ({"core/x.cpp": '#include "core/gone.hpp"\n'}, "no such file"),
    ({"core/x.cpp": "#include <core/a.hpp>\n"}, "write it in quotes"),
    ({"core/x.hpp": '#include "core/y.hpp"\n', "core/y.hpp": '#include "core/x.hpp"\n'},
     "files include each other: core/x.hpp -> core/y.hpp -> core/x.hpp"),
    ({"core/x.hpp": '#include "core/x.hpp"\n'}, "files include each other"),
    ({"core/x.hpp": "#include <cuda_bf16.h>\n"}, "a CUDA header can be reached: core/x.hpp -> cuda_bf16.h"),
    ({"core/x.hpp": '#include "core/y.cuh"\n', "core/y.cuh": "#include <cublasLt.h>\n"},
     "core/x.hpp -> core/y.cuh -> cublasLt.h"),
    ({"core/x.cpp": "#include <hdf5.h>\n"}, "<hdf5.h> belongs only in core/file/hdf5_layout.cpp"),
    ({"train/x.cpp": "#include <mpi.h>\n", "train/y.cpp": "#include <mpi.h>\n"}, "<mpi.h> is in train/x.cpp already"),
    ({"core/x.cu": "#include <nccl.h>\n", "core/y.cu": "#include <nccl.h>\n"}, "<nccl.h> is in core/x.cu already"),
]
STYLE_FAULTS = [
    ({"layers/x.cu": "void f() { kernel<<<1, 1>>>(); }\n"}, "layers/x.cu:1: a kernel is started by"),
    ({"layers/x.cu": "void* p;\nint f() { return cudaMallocAsync(&p, 1, 0); }\n"}, "layers/x.cu:2: device memory"),
    ({"CMakeLists.txt": "add_compile_options(-march=" + "native)\n"}, "CMakeLists.txt:1: the instruction set"),
    ({"CMakePresets.json": '{"a": "-ffast-' + 'math"}\n'}, "CMakePresets.json:1: it breaks the guard"),
    ({"core/x.cpp": "void f() {\n  std::thread t;\n}\n"}, "core/x.cpp:2: threads come from"),
    ({"core/x.cpp": "void f() {\n#pragma omp parallel\n}\n"}, "core/x.cpp:2: threads come from"),
    ({"core/x.cpp": "// TO" + "DO: more\n"}, "core/x.cpp:1: finish it"),
    ({"README.md": "FIX" + "ME\n"}, "README.md:1: finish it"),
    ({"core/x.cpp": "int a;\n\tint b;\n"}, "core/x.cpp:2: tab"),
    ({"core/x.cpp": "int a; \n"}, "core/x.cpp:1: space at the end"),
    ({"core/x.cpp": "// " + "x" * 118 + "\n"}, "core/x.cpp:1: 121 columns"),
    ({"core/x.hpp": "int a();\n"}, "core/x.hpp:1: no #pragma once"),
    ({"train/x": "true"}, "train/x: no end of line"),
]


def run(checker, planted):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**CLEAN, **planted}.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        Path(folder, ".clang-format").write_text((TOOLS.parents[1] / ".clang-format").read_text())
        done = subprocess.run([sys.executable, TOOLS / checker, folder], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Checkers(unittest.TestCase):
    def check(self, checker, faults):
        code, text = run(checker, {})
        self.assertEqual(code, 0, text)
        for planted, expected in faults:
            code, text = run(checker, planted)
            self.assertEqual(code, 1, f"{planted}\n{text}")
            self.assertIn(expected, text)

    def test_includes(self):
        self.check("check_includes", INCLUDE_FAULTS)

    def test_style(self):
        self.check("check_style", STYLE_FAULTS)

    def test_long_files_are_listed_and_not_refused(self):
        code, text = run("check_style", {"core/x.cpp": "int f();\n" * 401})
        self.assertEqual(code, 0)
        self.assertIn("note: core/x.cpp has 401 lines", text)

    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
    def test_formatting(self):
        code, text = run("check_style", {"core/x.cpp": "int  f( );\n"})
        self.assertEqual(code, 1)
        self.assertIn("core/x.cpp:1:", text)

    def test_an_empty_tree_is_not_fine(self):
        with tempfile.TemporaryDirectory() as folder:
            for checker in ("check_includes", "check_style"):
                self.assertEqual(subprocess.run([sys.executable, TOOLS / checker, folder],
                                                stdout=subprocess.DEVNULL).returncode, 1)


if __name__ == "__main__":
    unittest.main()
