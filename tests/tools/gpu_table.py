"""The table that gpu_check writes, from what it keeps in results.json."""

SANITIZERS = ["memcheck", "racecheck", "initcheck", "synccheck"]


def rows_of(header, rows):
    line = lambda cells: "| " + " | ".join(str(c) for c in cells) + " |"
    return [line(header), line(["---"] * len(header)), *(line(row) for row in rows), ""]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def test_rows(results):
    for row in results["tests"]:
        first = row["runs"][0]
        codes = [r["code"] for r in row["runs"]]
        verdict = ("passed, the same bits" if row["good"] else "exit codes " + ", ".join(map(str, codes))
                   if any(codes) or None in codes else "OTHER BITS")
        yield [row["program"], first["passed"], first["failed"], first["skipped"],
               f"{sum(r['seconds'] for r in row['runs']) / len(row['runs']):.1f}", verdict]


def sanitizer_rows(results):
    programs = dict.fromkeys(row["program"] for row in results["sanitizers"])
    verdict = {(row["program"], row["tool"]): row["verdict"] for row in results["sanitizers"]}
    for program in programs:
        yield [program, *(verdict.get((program, tool), "-") for tool in SANITIZERS)]


def kernel_rows(results):
    """Each op beside PyTorch's fastest; attention with two branches beside that with one."""
    ours = [line for line in results["kernels"] if line["what"] == "ropewalk"]
    key = lambda line: (line["kernel"], tuple(line["shape"]), line["dtype"])
    peers = {}
    for line in sorted((line for line in results["kernels"] if line["what"] == "torch"), key=lambda line: line["us"]):
        peers.setdefault(key(line), (line["us"], "PyTorch, " + line["how"]))
    for line in ours:
        if line["kernel"].startswith("attention"):
            peers["two_branch_" + line["kernel"], tuple(line["shape"][:-1]), line["dtype"]] = (line["us"], "one branch")
    for line in ours:
        two = line["kernel"].startswith("two_branch")
        us, peer = peers.get((line["kernel"], tuple(line["shape"][:-1]), line["dtype"]) if two else key(line), (0, ""))
        rate, unit = (line["tflops"], "TFLOP/s") if line["tflops"] else (line["gbs"], "GB/s")
        yield [line["kernel"], " x ".join(map(str, line["shape"])), line["dtype"], number(line["us"]),
               f"{number(rate)} {unit}",
               *([number(us), number(rate * line["us"] / us), peer, f"{us / line['us']:.2f}"] if us else ["-"] * 4)]


def step_rows(results):
    speed = {}
    for line in results["steps"]:
        how = ("graph" if line.get("graph") else "steps") if line["what"] == "ropewalk" else line["how"]
        speed.setdefault((line["config"], line["dtype"]), {})[how] = line["tok_s_median"]
    for (config, dtype), by in speed.items():
        cell = lambda how: number(by[how]) if how in by else "-"
        ours = max((by[how] for how in ("steps", "graph") if how in by), default=None)
        theirs = max((value for how, value in by.items() if how not in ("steps", "graph")), default=None)
        yield [config, dtype, cell("steps"), cell("graph"), cell("eager"), cell("compiled"),
               f"{ours / theirs:.2f}" if ours and theirs else "-"]


def table(results):
    machine = {"clocks_after": "unknown", **results["machine"]}
    torch = results["torch"]
    text = [f"# On a GPU, {results['date']}", "",
            "{name}, driver {driver} (CUDA {cuda}), {memory}. ".format(**machine) +
            "Clocks of SM and memory, and the most: {clocks} before, {clocks_after} after. ".format(**machine) +
            (f"PyTorch {torch['version']}." if torch["version"] else f"No PyTorch: {torch['why']}."), ""]
    if "tests" in results:
        text += ["## Tests", "", "Three runs of each program. Seconds are their mean.", "",
                 *rows_of(["program", "passed", "failed", "skipped", "seconds", "all runs"], test_rows(results))]
    if "sanitizers" in results:
        text += ["## compute-sanitizer", ""]
        text += (rows_of(["program", *SANITIZERS], sanitizer_rows(results)) if results["sanitizers"] else
                 ["Not found.", ""])
    if "kernels" in results:
        without = "" if torch["version"] else " There was no PyTorch to compare with."
        text += ["## Kernels", "", "Beside PyTorch's fastest on this GPU; two branches of attention beside one. "
                 "Attention's shape: B, T, heads, heads of keys, d, near." + without, "",
                 *rows_of(["op", "shape", "dtype", "µs", "rate", "peer's µs", "its rate", "peer", "times as fast"],
                          kernel_rows(results)),
                 "## Training steps", "", "Tokens per second. The last column: our faster over PyTorch's faster." +
                 without, "",
                 *rows_of(["model", "dtype", "Ropewalk", "as graphs", "PyTorch eager", "compiled", "times as fast"],
                          step_rows(results))]
    bad = problems_of(results)
    text += [f"## {len(bad)} problems", "", *(f"- {problem}" for problem in bad)] if bad else ["No problems."]
    return "\n".join(text).rstrip() + "\n"


def problems_of(results):
    bad = [f"{row['program']}: failed" for row in results.get("tests", []) if not row["good"]]
    if "tests" in results and not results["tests"]:
        bad.append("no test program was found")
    bad += [f"{row['tool']}, {row['program']}: {row['verdict']}" for row in results.get("sanitizers", [])
            if row["verdict"] != "clean"]
    return bad + results.get("problems", [])
