"""The HTML of a report, as strict parsers see it: well-formed, nothing from elsewhere, nothing of a run's texts as
markup, curves where the numbers are, small however long the run was, and colours with contrast."""
import html.parser
import json
import math
import os
import random
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as tree
from pathlib import Path

SVG = "{http://www.w3.org/1999/xhtml}"
VOID = {"meta", "link", "input", "br", "wbr"}
EVIL = "</pre></svg><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x00\x1b\ufffe]]>"


class Strict(html.parser.HTMLParser):
    """Every element is closed, in order; no element that could run or fetch something."""

    def __init__(self):
        super().__init__()
        self.open, self.names, self.links = [], set(), []

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action", "data", "xlink:href")]
        assert not any(name.startswith("on") for name, _ in attributes), attributes
        assert not any(name == "style" for name, _ in attributes), attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def row(step, steps, draw):
    loss = 3 + 5 * math.exp(-8 * step / steps)
    return {"step": step, "tokens": step * 1024, "seconds": step * 0.25, "loss": loss + draw.gauss(0, 0.05),
            "ema": loss, "lr": 0.001 * (1 - step / steps), "grad_norm": 0.5 + draw.random(),
            "tokens_per_second": 4000 + draw.random(), "memory": 500_000_000}


def write_run(folder, steps, evil=""):
    folder.mkdir(parents=True)
    draw = random.Random(steps)
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as file:
        for step in range(1, steps + 1):
            line = row(step, steps, draw)
            if step % (steps // 10) == 0:
                line |= {"val_loss": line["ema"] + 0.1, "val_bits_per_byte": line["ema"] / 2,
                         "val_loss_by_position/0": 6.5, "val_loss_by_position/1": 5, "val_loss_by_position/2-3": 4}
            file.write(json.dumps(line) + "\n")
        file.write('{"step":' + str(steps + 1))
    prompt = json.dumps("<b>" + evil[:20])
    (folder / "run.toml").write_text(f"[train]\nsteps = {steps}\n[run]\nsample_prompt = {prompt}\n")
    start = f"ropewalk pretrain {evil}\n  date         now{evil}\n  host         {evil}\n\n"
    (folder / "command.txt").write_text(start)
    (folder / "samples.md").write_text(f"## step 5, {evil}\n\n{evil}\n\n    {evil}\n\n")
    status = {"state": "failed", "step": steps, "total_steps": steps + 1, "tokens": 5, "seconds": 7.5, "why": evil,
              "parent": evil}
    (folder / "status.json").write_text(json.dumps(status))


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        write_run(cls.folder / "runs" / "plain", 200)
        write_run(cls.folder / "runs" / "<i>evil&", 50, EVIL)
        write_run(cls.folder / "runs" / "long", 100_000)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def report(self, *runs):
        subprocess.run([os.environ["ROPEWALK_BINARY"], "report", *(f"runs/{run}" for run in runs), "-o", "out.html"],
                       cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        return (self.folder / "out.html").read_text(encoding="utf-8")

    def check(self, text):
        root = tree.fromstring(text)
        strict = Strict()
        strict.feed(text)
        strict.close()
        self.assertEqual(strict.open, [])
        self.assertFalse(strict.names & {"script", "img", "iframe", "object", "embed", "form", "base", "video"})
        self.assertEqual(strict.links, ["data:,"])
        self.assertNotRegex(text, r"@import|url\(|@font-face")
        return root

    def test_well_formed_and_alone(self):
        for runs in (["plain"], ["<i>evil&"], ["plain", "<i>evil&", "long"]):
            root = self.check(self.report(*runs))
            ids = [element.get("id") for element in root.iter() if element.get("id")]
            self.assertEqual(len(ids), len(set(ids)))
            for label in root.iter(SVG + "label"):
                self.assertIn(label.get("for"), ids)

    def test_texts_of_a_run_stay_texts(self):
        text = self.report("<i>evil&")
        self.assertNotIn("<i>", text)
        self.assertNotIn("<b>&lt;b", text)
        samples = [pre.text for pre in self.check(text).iter(SVG + "pre")]
        self.assertTrue(any("</pre></svg><script>alert(1)</script>" in sample for sample in samples), samples)

    def test_curves_are_where_the_numbers_are(self):
        """The first chart, by step: the moving average, read back from the picture by its own axis labels."""
        root = self.check(self.report("plain"))
        svg = next(svg for svg in root.iter(SVG + "svg") if svg.get("role") == "img")
        axis = []
        for label in svg.iter(SVG + "text"):
            if label.get("text-anchor") == "end":
                axis.append((float(label.get("y")) - 4.5, float(label.text)))
        (y0, v0), (y1, v1) = axis[0], axis[-1]
        plot = next(inner for inner in svg.iter(SVG + "svg") if inner.get("class") == "plot")
        top = float(plot.get("y")) - float(plot.get("viewBox").split()[1])
        lines = {line.get("class"): line.get("points") for line in plot.iter(SVG + "polyline")}
        self.assertEqual(set(lines), {"c0 faint", "c0", "c1"})
        points = [tuple(map(float, point.split(","))) for point in lines["c0"].split()]
        self.assertEqual(len(points), 200)
        for step in (1, 20, 100, 200):
            value = v0 + (top + points[step - 1][1] - y0) * (v1 - v0) / (y1 - y0)
            self.assertAlmostEqual(value, 3 + 5 * math.exp(-8 * step / 200), delta=0.01)
        right = [float(circle.get("cx")) for circle in plot.iter(SVG + "circle")]
        self.assertEqual(len(right), 10)
        for i, x in enumerate(right):
            self.assertAlmostEqual(x, 408 * (i + 1) / 10, delta=0.06)

    def test_a_long_run_makes_a_small_file(self):
        self.check(self.report("long"))
        self.assertLess((self.folder / "out.html").stat().st_size, 400_000)

    def test_contrast(self):
        """Text at least 4.5:1 and lines at least 3:1 against the ground, in light and in dark."""
        style = re.search(r"<style>(.*?)</style>", self.report("plain"), re.S)[1]
        light, dark = (dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", block))
                       for block in re.findall(r":root \{(.*?)\}", style, re.S))
        self.assertEqual(set(light), set(dark))

        def luminance(colour):
            parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
            linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        def contrast(a, b):
            high, low = sorted((luminance(a), luminance(b)), reverse=True)
            return (high + 0.05) / (low + 0.05)

        for theme in (light, dark):
            for name in ("text", "quiet", "good", "warning", "bad", "neutral"):
                for ground in ("ground", "panel"):
                    self.assertGreaterEqual(contrast(theme[name], theme[ground]), 4.5, f"{name} on {ground}")
            self.assertGreaterEqual(contrast(theme["text"], theme["accent"]), 4.5)
            for i in range(6):
                self.assertGreaterEqual(contrast(theme["text"], theme[f"h{i}"]), 4.5, i)
                self.assertGreaterEqual(contrast(theme[f"c{i}"], theme["ground"]), 3, i)


if __name__ == "__main__":
    unittest.main()
