"""Hugging Face's tokenizers and ours give the same ids: theirs read by ours, and ours read by theirs."""
import json
import os
import random
import subprocess
import tempfile
import unicodedata
import unittest
from pathlib import Path

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

SOURCE = Path(os.environ["ROPEWALK_SOURCE"])
BUILD = Path(os.environ["ROPEWALK_TEST_BUILD"])
END = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
LLAMA3, QWEN2 = END % r"\p{N}{1,3}", END % r"\p{N}"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<s>", "</s>", "<unk>", "<0x41>"]


def every_character():
    """Characters that some version of Unicode assigns, and some that none does, in order and out of it."""
    out = [chr(c) for c in range(1, 0x110000)
           if not 0xD800 <= c < 0xE000 and (unicodedata.category(chr(c)) not in ("Cn", "Co") or c % 61 == 0)]
    return "".join(out)


def mixtures(seed):
    """Random texts of words, spaces, marks, digits and anything else, with special spellings inside."""
    draw = random.Random(seed)
    some = ["the", " the", "'LL", "'\u017f", "don't", " 12345", "\u0661\u0662", "\n", "\r\n", "\n\n ", "\t", "  ", "    ",
            "\u00a0", "\u180e", "\u2003", "\u3000", "e\u0301", "\u1100\u1161\u11a8", "\u0345\u0334", "\U0001f469\u200d\U0001f4bb",
            "\u4e2d\u6587", "...", "!?\n", "_", "\x00", "\u2028", "\ufeff", "\u0958", "\u2126", *SPECIAL]
    for _ in range(400):
        parts = [draw.choice(some) if draw.random() < 0.8 else chr(draw.choice([draw.randrange(1, 0xD800),
                                                                               draw.randrange(0xE000, 0x110000)]))
                 for _ in range(draw.randrange(1, 40))]
        yield "".join(parts)


def texts():
    yield from ("", "a", " a", "  a", "a ", "\n", " \n a", "Hello, world! It's 2024.\n\nNew  paragraph\t'quoted'\r\n")
    yield (SOURCE / "README.md").read_text()
    everything = every_character()
    yield everything
    yield "".join(c + " " for c in everything[::7])
    yield "".join(random.Random(5).sample(everything, 30_000))
    yield from mixtures(1)


TEXTS = list(texts())


def train(tokenizer, trainer, byte_level=True):
    corpus = [(SOURCE / "README.md").read_text(), (SOURCE / "LICENSE").read_text(), *mixtures(2)]
    for spelling in SPECIAL:
        corpus = [text.replace(spelling, "") for text in corpus]
    if byte_level:
        trainer = trainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        trainer = trainer()
    tokenizer.train_from_iterator(corpus, trainer)


def byte_level(steps, special, vocab=900, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, lambda **o: trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False, **o))
    return tokenizer


def byte_step(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def gpt2():
    tokenizer = byte_level([byte_step(True)], ["<|endoftext|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer, "<|endoftext|>"


def llama3():
    steps = [pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"), byte_step(False)]
    tokenizer = byte_level(steps, [], ignore_merges=True)
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    start = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", start)])])
    return tokenizer, "<|begin_of_text|>"


def qwen2():
    steps = [pre_tokenizers.Split(Regex(QWEN2), behavior="isolated"), byte_step(False)]
    tokenizer = byte_level(steps, [])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<tool_call>", "<think>", "   "])
    return tokenizer, "<|endoftext|>"


def smollm2():
    steps = [pre_tokenizers.Digits(individual_digits=True), byte_step(True)]
    return byte_level(steps, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), "<|endoftext|>"


def llama2(metaspace=None):
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    train(tokenizer, lambda: trainers.BpeTrainer(vocab_size=1300, special_tokens=pieces, show_progress=False,
                                                 limit_alphabet=200), False)
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    if metaspace:
        tokenizer.normalizer = None
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(**metaspace)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        tokenizer.pre_tokenizer = None
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1",
                                                             special_tokens=[("<s>", 1)])
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = [t for t in file["added_tokens"] if t["id"] < 3]
    return Tokenizer.from_str(json.dumps(file)), "<s>"


class Ours:
    """What write_tokenizers says of the tokenizer in a folder."""

    def __init__(self, folder, texts):
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts))
        out = subprocess.run([BUILD / "write_tokenizers", "encode", folder, path], check=True, capture_output=True)
        answer = json.loads(out.stdout)
        self.start, self.ids, self.back = answer["start"], answer["ids"], answer["texts"]
        self.parts = answer["parts"]


def first_difference(theirs, ours):
    at = next((i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b), min(len(theirs), len(ours)))
    return at, theirs[max(at - 5, 0):at + 8], ours[max(at - 5, 0):at + 8]


class Peer(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def same_ids(self, fast, ours, texts, name):
        for text, ids, parts in zip(texts, ours.ids, ours.parts):
            theirs = fast.encode(text, add_special_tokens=False, split_special_tokens=True)
            if theirs != ids:
                at, a, b = first_difference(theirs, ids)
                self.fail(f"{name}: {text[:60]!r} at {at}: theirs {fast.convert_ids_to_tokens(a)} {a}, "
                          f"ours {fast.convert_ids_to_tokens(b)} {b}")
            self.assertEqual(parts, ids, f"{name}: {text[:60]!r} in parts")

    def theirs(self, made, lossless=lambda text: text, name=None):
        tokenizer, start = made
        tokenizer.save(self.folder.name + "/tokenizer.json")
        fast = PreTrainedTokenizerFast(tokenizer_file=self.folder.name + "/tokenizer.json", split_special_tokens=True)
        ours = Ours(self.folder.name, TEXTS)
        self.same_ids(fast, ours, TEXTS, name)
        self.assertEqual(ours.start, tokenizer.token_to_id(start))
        for text, back in zip(TEXTS, ours.back):
            if lossless:
                self.assertEqual(lossless(text), back, name)

    def test_gpt2(self):
        self.theirs(gpt2())

    def test_llama3(self):
        self.theirs(llama3())

    def test_qwen2_normalizes(self):
        self.theirs(qwen2(), normalizers.NFC().normalize_str)

    def test_smollm2(self):
        self.theirs(smollm2())

    def test_llama2(self):
        self.theirs(llama2(), lambda text: text.replace("\u2581", " "))

    def test_metaspace(self):
        for scheme in ("first", "always", "never"):
            for split in (True, False):
                self.theirs(llama2({"prepend_scheme": scheme, "split": split}), None, f"{scheme} {split}")

    def exported(self, kind, texts, config):
        folder = Path(self.folder.name) / f"{kind}-{bool(config)}"
        subprocess.run([BUILD / "write_tokenizers", "write", kind, SOURCE / "README.md", folder], check=True)
        if config:
            (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
        fast = AutoTokenizer.from_pretrained(folder)
        self.assertEqual(fast.model_max_length, 77)
        ours = Ours(folder / "ours", texts)
        self.same_ids(fast, ours, texts, kind)
        self.assertEqual(fast.bos_token_id, ours.start)
        self.assertEqual(fast("a")["input_ids"][0], ours.start)
        for text, back in zip(texts, ours.back):
            self.assertEqual(text, back)
            if "\ufffd" not in text:
                self.assertEqual(text, fast.decode(fast.encode(text, add_special_tokens=False,
                                                               split_special_tokens=True)))
        # And theirs of ours is ours again.
        again = Ours(folder, texts)
        self.assertEqual(again.ids, ours.ids)
        self.assertEqual((again.back, again.start), (ours.back, ours.start))

    def test_ours_in_auto_tokenizer(self):
        for config in (False, True):
            self.exported("bytes", TEXTS, config)
            for kind in ("sentencepiece", "sentencepiece-prefix"):
                self.exported(kind, [text.replace("\u2581", "") for text in TEXTS], config)

    def test_sentencepiece_with_a_space_before(self):
        subprocess.run([BUILD / "write_tokenizers", "write", "sentencepiece-prefix", SOURCE / "README.md",
                        self.folder.name], check=True)
        model = sentencepiece.SentencePieceProcessor(model_file=self.folder.name + "/ours/tokenizer.model")
        texts = [text.replace("\u2581", "").replace("\0", "") for text in TEXTS]
        ours = Ours(self.folder.name + "/ours", texts)
        for text, ids, back in zip(texts, ours.ids, ours.back):
            self.assertEqual(model.encode(text), ids)
            self.assertEqual(text, back)


if __name__ == "__main__":
    unittest.main()
