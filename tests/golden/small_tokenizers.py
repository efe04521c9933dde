"""Small tokenizers in the styles of GPT-2, Llama 3, Qwen2, SmolLM2 and Llama 2, learnt by the tokenizers package, and
texts to try them on."""
import json
import random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

END = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
LLAMA3, QWEN2 = END % r"\p{N}{1,3}", END % r"\p{N}"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<s>", "</s>", "<unk>", "<0x41>"]


def mixtures(seed):
    """Random texts of words, spaces, marks, digits and anything else, with special spellings inside."""
    draw = random.Random(seed)
    some = ["the", " the", "'LL", "'\u017f", "don't", " 12345", "\u0661\u0662", "\n", "\r\n", "\n\n ", "\t", "  ",
            "    ", "\u00a0", "\u180e", "\u2003", "\u3000", "e\u0301", "\u1100\u1161\u11a8", "\u0345\u0334",
            "\U0001f469\u200d\U0001f4bb", "\u4e2d\u6587", "...", "!?\n", "_", "\x00", "\u2028", "\ufeff",
            "\u0958", "\u2126", *SPECIAL]
    for _ in range(400):
        parts = [draw.choice(some) if draw.random() < 0.8 else chr(draw.choice([draw.randrange(1, 0xD800),
                                                                               draw.randrange(0xE000, 0x110000)]))
                 for _ in range(draw.randrange(1, 40))]
        yield "".join(parts)


def train(tokenizer, trainer, alphabet=True):
    corpus = list(mixtures(2))
    for spelling in SPECIAL:
        corpus = [text.replace(spelling, "") for text in corpus]
    if alphabet:
        trainer = trainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        trainer = trainer()
    tokenizer.train_from_iterator(corpus, trainer)


def byte_level(steps, special, vocab, alphabet=True, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, lambda **options: trainers.BpeTrainer(vocab_size=vocab, special_tokens=special,
                                                           show_progress=False, **options), alphabet)
    return tokenizer


def byte_step(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def gpt2(vocab=900):
    tokenizer = byte_level([byte_step(True)], ["<|endoftext|>"], vocab)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer, "<|endoftext|>"


def llama3(vocab=900):
    steps = [pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"), byte_step(False)]
    tokenizer = byte_level(steps, [], vocab, ignore_merges=True)
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    start = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A",
                                      pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", start)])])
    return tokenizer, "<|begin_of_text|>"


def qwen2(vocab=900):
    steps = [pre_tokenizers.Split(Regex(QWEN2), behavior="isolated"), byte_step(False)]
    tokenizer = byte_level(steps, [], vocab)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<tool_call>", "<think>", "   "])
    return tokenizer, "<|endoftext|>"


def smollm2(vocab=900, **options):
    steps = [pre_tokenizers.Digits(individual_digits=True), byte_step(True)]
    return byte_level(steps, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], vocab, **options), "<|endoftext|>"


def llama2(vocab=1300, metaspace=None):
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    train(tokenizer, lambda: trainers.BpeTrainer(vocab_size=vocab, special_tokens=pieces, show_progress=False,
                                                 limit_alphabet=vocab // 6), False)
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


STYLES = {"gpt2": gpt2, "llama3": llama3, "qwen2": qwen2, "smollm2": smollm2, "llama2": llama2}
