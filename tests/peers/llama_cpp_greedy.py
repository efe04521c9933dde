"""For tests/peers/smollm2: llama.cpp goes on with the same tokens.

    llama_cpp_greedy.py RUN FILE.gguf ROPEWALK"""
import json
import subprocess
import sys

import llama_cpp

PROMPT, TOKENS, F32 = "It was a truth universally acknowledged, that", 32, 0


def main():
    run, file, ropewalk = sys.argv[1:]
    command = [ropewalk, "generate", run, "--prompt", PROMPT, "--temperature", "0", "--tokens", str(TOKENS),
               "--context", "256", "--past-end", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ours = json.loads(told)["tokens"][-TOKENS:]
    model = llama_cpp.Llama(file, n_ctx=256, type_k=F32, type_v=F32, flash_attn=False, logits_all=False, verbose=False)
    prompt = model.tokenize(PROMPT.encode(), add_bos=True, special=False)
    theirs = []
    for token in model.generate(prompt, temp=0.0, repeat_penalty=1.0):
        theirs.append(token)
        if len(theirs) == TOKENS:
            break
    assert ours == theirs, (ours, theirs)
    print(f"{TOKENS} greedy tokens are equal: {model.detokenize(theirs).decode()!r}")


if __name__ == "__main__":
    main()
