"""For tests/peers/smollm2: transformers, reading the same GGUF file itself, has the ids and the losses.

    smollm2_losses.py FOLDER ROPEWALK"""
import subprocess
import sys
from pathlib import Path

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS, MOST = 2048, 1e-3


def main():
    folder, ropewalk = Path(sys.argv[1]), sys.argv[2]
    text = (folder / "part.txt").read_text()
    told = subprocess.run([ropewalk, "tokenizer", "encode", folder / "model", text], capture_output=True, text=True,
                          check=True).stdout
    ours = [int(word) for word in told.split()]
    theirs = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")(text, split_special_tokens=True).input_ids
    assert ours == theirs, next((i, a, b) for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
    print(f"{len(ours)} ids are equal")

    info = subprocess.run([ropewalk, "tokenizer", "info", folder / "model"], capture_output=True, text=True, check=True)
    start = int(next(line for line in info.stdout.splitlines() if line.startswith("document start")).split()[2])
    tokens = torch.tensor([start, *ours])
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32)
    with torch.no_grad():
        logits = model(tokens[None, :TOKENS]).logits[0]
    nll = torch.nn.functional.cross_entropy(logits, tokens[1:TOKENS + 1], reduction="none").numpy()
    difference = numpy.abs(numpy.load(folder / "nll.npy")[:TOKENS] - nll)
    print(f"mean loss {nll.mean():.4f}; per token the largest difference is {difference.max():.2e} nats, "
          f"the mean {difference.mean():.2e}")
    assert difference.max() <= MOST


if __name__ == "__main__":
    main()
