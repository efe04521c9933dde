"""What the checkers look at, and how they report."""
import re
import sys
from pathlib import Path

FOLDERS = ("core", "layers", "optim", "data", "train", "tests", "cmake", ".ci")
CXX = {".cpp", ".hpp", ".h", ".cu", ".cuh"}


def root():
    """The tree to check: the first argument, or the one that this file is in."""
    return Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])


def texts(top):
    """{path relative to `top`: contents} of every text file of the project."""
    files = [file for file in top.iterdir() if file.is_file()]
    for folder in FOLDERS:
        files += [file for file in (top / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    found = {}
    for file in sorted(files):
        try:
            found[file.relative_to(top).as_posix()] = file.read_bytes().decode()
        except UnicodeDecodeError:
            pass  # golden data
    return found


def is_cxx(path):
    return Path(path).suffix in CXX


def code(text):
    """A C++ text whose comments and string literals are blanked; lines stay where they are."""
    pattern = r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: "\n" * m[0].count("\n"), text, flags=re.S)


def finish(name, problems, looked_at):
    for problem in problems:
        print(problem)
    print(f"{name}: {len(problems)} problems in {looked_at} files")
    return 1 if problems or not looked_at else 0
