#!/usr/bin/env python3
"""gpu_check without a GPU: what it packs, how it judges test programs and sanitizers, its table, and its errors."""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

SCRIPT = Path(__file__).resolve().parent / "gpu_check"
sys.path.insert(0, str(SCRIPT.parent))
LOADER = importlib.machinery.SourceFileLoader("gpu_check", str(SCRIPT))
gpu_check = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", LOADER))
LOADER.exec_module(gpu_check)

# A test program as gtest makes them: bits, a report, an exit code. RANDOM_BITS gives other bits each time.
PROGRAM = """#!/bin/bash
[ "$ROPEWALK_TEST_BACKENDS" = device ] || exit 9
{bits} >"$ROPEWALK_TEST_BITS"
cat >"${{1#--gtest_output=json:}}" <<END
{{"testsuites": [{{"testsuite": [{{"result": "COMPLETED"}}, {{"result": "SKIPPED"}}{more}]}}]}}
END
{end}
"""
SANITIZER = """#!/bin/bash
tool=$2
while [ $# -gt 0 ] && [[ $1 != */bin/* ]]; do shift; done
case "$tool $1" in
  "memcheck "*bad_test) echo "========= ERROR SUMMARY: 3 errors"; exit 86 ;;
  "racecheck "*) echo "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)" ;;
  "synccheck "*step_bench) echo "========= ERROR SUMMARY: 0 errors"; exit 1 ;;
  *) echo "========= ERROR SUMMARY: 0 errors" ;;
esac
"""


def script(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def program(bits="echo 1234", more="", end="true"):
    return PROGRAM.format(bits=bits, more=more, end=end)


def gpu_check_says(*arguments):
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


class GpuCheck(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def fake_build(self):
        build = self.folder / "build"
        for name in gpu_check.PROGRAMS + gpu_check.device_tests():
            script(build / name, program())
        script(build / "device" / gpu_check.LIBRARY, "no library")
        return build

    def machine(self, programs):
        for name, text in programs.items():
            script(self.folder / "packed" / "bin" / name, text)
        return gpu_check.Machine(self.folder / "packed", self.folder / "out")

    def quietly(self, function, *arguments):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            return function(*arguments), said.getvalue()

    def test_knows_the_programs_that_run_kernels(self):
        names = gpu_check.device_tests()
        for name in ("swiglu_test", "adamw_test", "clip_test", "attention_test", "gemm_test", "linear_test",
                     "log_n_factor_test", "device_test"):
            self.assertIn(name, names)
        for name in ("emulator_test", "units_test", "frequencies_test"):
            self.assertNotIn(name, names)

    def test_packs_programs_and_libraries_into_a_file_or_a_folder(self):
        build = self.fake_build()
        for to in (self.folder / "gpu.tar.xz", self.folder / "folder"):
            code, out, err = gpu_check_says("pack", build, to)
            self.assertEqual(code, 0, err)
            self.assertIn("MiB", out)
        with tarfile.open(self.folder / "gpu.tar.xz") as archive:
            archive.extractall(self.folder / "unpacked")
        for folder in (self.folder / "unpacked" / "gpu_check", self.folder / "folder"):
            self.assertEqual({f.name for f in (folder / "bin").iterdir()},
                             {*gpu_check.PROGRAMS, *gpu_check.device_tests()})
            self.assertEqual((folder / "lib" / gpu_check.ALIAS).readlink(), Path(gpu_check.LIBRARY))
            self.assertTrue(os.access(folder / "bin" / "ropewalk", os.X_OK))
            self.assertTrue((folder / "tools" / "torch_gpu.py").exists())

    def test_packs_the_libraries_that_a_program_needs_but_not_those_of_the_system(self):
        found = gpu_check.libraries_of(sys.executable, [])
        self.assertFalse({"libc.so.6", "libm.so.6", "linux-vdso.so.1"} & set(found))
        for name in ("libdnnl.so.2", "libstdc++.so.6", "libgomp.so.1", "libcublasLt.so.13", "libcurl.so.4"):
            self.assertIsNone(gpu_check.NOT_PACKED.match(name), name)
        for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libpthread.so.0", "ld-linux-x86-64.so.2"):
            self.assertIsNotNone(gpu_check.NOT_PACKED.match(name), name)

    def test_packs_nothing_from_half_a_build(self):
        build = self.fake_build()
        (build / "swiglu_test").unlink()
        code, _, err = gpu_check_says("pack", build, self.folder / "gpu.tar.xz")
        self.assertEqual((code, err), (2, f"error: {build} has no swiglu_test\n       tests/tools/gpu_check build\n"))

    def test_runs_each_test_three_times_and_compares_bits(self):
        machine = self.machine({
            "good_test": program(),
            "failing_test": program(more=', {"name": "C", "failures": [1]}', end="echo 'x.cpp:1: Failure'; exit 1"),
            "random_test": program(bits="echo $RANDOM$RANDOM"),
            "crashing_test": "#!/bin/bash\nkill -SEGV $$\n",
            "bitless_test": program(bits="true")})
        rows, said = self.quietly(gpu_check.run_tests, machine, 2)
        by_name = {row["program"]: row for row in rows}
        self.assertEqual({name for name, row in by_name.items() if row["good"]}, {"good_test"})
        counts = [by_name["failing_test"]["runs"][0][key] for key in ("passed", "failed", "skipped")]
        self.assertEqual(counts, [1, 1, 1])
        self.assertIn("x.cpp:1: Failure", said)
        self.assertIn("random_test: FAILED; exit codes [0, 0, 0], other bits", said)
        self.assertIn("bitless_test: FAILED", said)

    def test_stops_what_takes_too_long(self):
        machine = self.machine({"slow_test": "#!/bin/bash\nsleep 60 & wait\n"})
        self.assertEqual(machine.run([machine.bin / "slow_test"], "slow", 0.2), (None, ""))

    def test_reads_the_verdicts_of_compute_sanitizer(self):
        machine = self.machine({name: program() for name in ("good_test", "bad_test", "step_bench", "kernel_bench")})
        script(self.folder / "compute-sanitizer", SANITIZER)
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{self.folder}:{path}"
        try:
            rows, _ = self.quietly(gpu_check.run_sanitizers, machine, 2)
        finally:
            os.environ["PATH"] = path
        wrong = {(row["tool"], row["program"], row["verdict"]) for row in rows if row["verdict"] != "clean"}
        self.assertEqual(wrong, {("memcheck", "bad_test", "3 problems"),
                                 ("synccheck", "step_bench bf16", "exit code 1"),
                                 ("synccheck", "step_bench f32", "exit code 1")})
        self.assertEqual(len(rows), 4 * 4 + 2 * 2)

    # With programs that only say something; PyTorch too.
    def test_runs_all_stages_and_keeps_a_table_and_the_logs(self):
        line = lambda **values: "echo '" + json.dumps(values) + "'"
        self.machine({
            "a_test": program(),
            "kernel_bench": "#!/bin/bash\n" + line(what="ropewalk", kernel="gelu", shape=[2], dtype="f32", us=2, gbs=4,
                                                   tflops=0),
            "step_bench": "#!/bin/bash\n" + line(what="ropewalk", config="17M", dtype="bf16", graph=True,
                                                 tok_s_median=9)})
        steps, kernels = (line(what="torch", config="17M", dtype="bf16", how="eager", tok_s_median=3),
                          line(what="torch", kernel="gelu", shape=[2], dtype="f32", how="eager", us=4))
        script(self.folder / "compute-sanitizer", SANITIZER)
        script(self.folder / "python", f"""#!/bin/bash
case "$*" in
  *torch.__version__*) echo 2.11.0 ;;
  *" steps "*) [ -s "$3" ] && {steps} ;;
  *" kernels "*) [ -s "$3" ] && {kernels} ;;
esac
""")
        (self.folder / "packed" / "lib").mkdir()
        arguments = argparse.Namespace(what=self.folder / "packed", out=self.folder / "out", only=None, jobs=2)
        environment = {"PYTHON": str(self.folder / "python"), "PATH": f"{self.folder}:{os.environ['PATH']}"}
        device = {"name": "no GPU at all", "cuda": "13.0"}
        with mock.patch.dict(os.environ, environment), mock.patch.object(gpu_check, "cuda_device", lambda: device):
            code, said = self.quietly(gpu_check.run, arguments)
        table = (self.folder / "out" / "table.md").read_text()
        self.assertTrue(said.endswith(table + "\n"), said)
        for row in ("| a_test | 1 | 0 | 1 | ", "| gelu | 2 | f32 | 2 | 4 GB/s | 4 | 2 | PyTorch, eager | 2.00 |",
                    "| 17M | bf16 | - | 9 | 3 | - | 3.00 |", "- synccheck, step_bench bf16: exit code 1\n"):
            self.assertIn(row, table)
        self.assertEqual(code, 1)
        self.assertEqual({file.name for file in (self.folder / "out").iterdir()},
                         {"table.md", "results.json", "logs.tar.xz"})

    RESULTS = {
        "date": "2026-12-01", "torch": {"version": "2.11.0", "why": "2.11.0"},
        "machine": {"name": "NVIDIA H200", "driver": "580", "cuda": "13.0", "memory": "1 MiB", "clocks": "345 MHz"},
        "tests": [{"program": "a_test", "good": True, "same_bits": True,
                   "runs": [{"code": 0, "seconds": 2.0, "passed": 5, "failed": 0, "skipped": 1}]},
                  {"program": "b_test", "good": False, "same_bits": False,
                   "runs": [{"code": 0, "seconds": 1.0, "passed": 5, "failed": 0, "skipped": 0}]}],
        "sanitizers": [{"tool": "memcheck", "program": "a_test", "verdict": "clean"}],
        "kernels": [dict(zip(("what", "kernel", "shape", "dtype", "us", "gbs", "tflops", "how"), line)) for line in (
            ("ropewalk", "gelu", [8, 4], "f32", 10, 2000, 0, ""),
            ("ropewalk", "gemm", [8, 4, 2], "bf16", 20, 0, 400, ""),
            ("ropewalk", "attention", [1, 8, 2, 2, 64, 0], "bf16", 20, 0, 300, ""),
            ("ropewalk", "two_branch_attention", [1, 8, 2, 2, 64, 4], "bf16", 25, 0, 240, ""),
            ("torch", "gelu", [8, 4], "f32", 20, 0, 0, "eager"),
            ("torch", "gelu", [8, 4], "f32", 15, 0, 0, "compiled"))],
        "steps": [{"what": "ropewalk", "config": "17M", "dtype": "bf16", "graph": False, "tok_s_median": 2e6},
                  {"what": "ropewalk", "config": "17M", "dtype": "bf16", "graph": True, "tok_s_median": 2.2e6},
                  {"what": "torch", "config": "17M", "dtype": "bf16", "how": "compiled", "tok_s_median": 2e6}],
        "problems": []}

    def table_of(self, results):
        file = self.folder / "results.json"
        file.write_text(json.dumps(results))
        code, out, err = gpu_check_says("table", file)
        self.assertEqual(code, 0, err)
        return out

    def test_makes_a_table_of_the_results(self):
        table = self.table_of(self.RESULTS)
        for row in ("| a_test | 5 | 0 | 1 | 2.0 | passed, the same bits |",
                    "| b_test | 5 | 0 | 0 | 1.0 | OTHER BITS |",
                    "| a_test | clean | - | - | - |",
                    "| gelu | 8 x 4 | f32 | 10 | 2,000 GB/s | 15 | 1,333 | PyTorch, compiled | 1.50 |",
                    "| two_branch_attention | 1 x 8 x 2 x 2 x 64 x 4 | bf16 | 25 | 240 TFLOP/s | 20 | 300 | "
                    "one branch | 0.80 |",
                    "| gemm | 8 x 4 x 2 | bf16 | 20 | 400 TFLOP/s | - | - | - | - |",
                    "| 17M | bf16 | 2,000,000 | 2,200,000 | - | 2,000,000 | 1.10 |",
                    "## 1 problems", "- b_test: failed"):
            self.assertIn(row + "\n", table)

    def test_the_table_says_that_there_was_no_pytorch(self):
        kept = {key: [line for line in self.RESULTS[key] if line["what"] != "torch"] for key in ("kernels", "steps")}
        good = {**self.RESULTS, **kept, "tests": self.RESULTS["tests"][:1],
                "torch": {"version": "", "why": "no module"}}
        table = self.table_of(good)
        self.assertIn("No PyTorch: no module.", table)
        self.assertIn("There was no PyTorch to compare with.", table)
        self.assertIn("| 17M | bf16 | 2,000,000 | 2,200,000 | - | - | - |", table)
        self.assertTrue(table.endswith("No problems.\n"))

    def test_names_what_is_wrong_with_a_call(self):
        for arguments, message in ((["run", self.folder / "none"], f"there is no {self.folder}/none"),
                                   (["run", self.folder, "--only", "tests,beer"], "unknown stage 'beer'")):
            code, _, err = gpu_check_says(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(f"error: {message}\n       ", err)

    @unittest.skipIf(Path("/dev/nvidia0").exists(), "there is a GPU")
    def test_without_a_gpu_it_says_so(self):
        code, out, err = gpu_check_says("run", self.folder, "--out", self.folder / "out")
        self.assertEqual((code, out), (2, ""))
        self.assertRegex(err, r"^error: (there is no NVIDIA driver here|the driver has no CUDA device).*\n       .*\n$")
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
