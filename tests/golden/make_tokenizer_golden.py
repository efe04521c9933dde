"""Ids of small tokenizers by the tokenizers package, for tests/golden/tokenizer_golden_test.cpp:

    tests/peers/run tests/golden/make_tokenizer_golden.py

writes tokenizer_*.json beside this file: the tokenizer.json itself, texts, and the ids of each with special tokens
taken for text."""
import json
from pathlib import Path

from small_tokenizers import STYLES, mixtures

TEXTS = ["", "a", " a", "Hello, world! It's 2024.\n\nNew  paragraph\t'quoted'\r\n", *list(mixtures(1))[:12]]
VOCAB = 420


def main():
    for name, make in STYLES.items():
        tokenizer, start = make(VOCAB)
        tokenizer.encode_special_tokens = True
        golden = {"start": tokenizer.token_to_id(start), "texts": TEXTS,
                  "ids": [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS],
                  "tokenizer": json.loads(tokenizer.to_str())}
        path = Path(__file__).with_name(f"tokenizer_{name}.json")
        path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
