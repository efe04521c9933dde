#!/usr/bin/env python3
"""What kernel_bench and step_bench time, in PyTorch, with the same keys in lines of JSON:

    torch_gpu.py kernels FILE                   FILE: lines of kernel_bench; each op in the ways that PyTorch has
    torch_gpu.py steps FILE [--config 124M]     FILE: lines of step_bench, or of step_bench CONFIG --describe

On a GPU, or with --device cpu, to see that all works. As Ropewalk's, a model in bf16 has weights in f32 that learn, and
a rounded copy to compute with. AdamW is the fused one; attention the fastest of flash, cuDNN's and the memory-efficient
one, measured at the model's shape."""
import argparse
import contextlib
import gc
import json
import statistics
import sys
import time

import torch
import torch._functorch.config
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
ATTENTION = {"flash": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION,
             "efficient": SDPBackend.EFFICIENT_ATTENTION, "math": SDPBackend.MATH}


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(work, device, target):
    """The best of three means over as many calls as take `target` seconds."""
    def mean(count):
        synchronize(device)
        begin = time.perf_counter()
        for _ in range(count):
            work()
        synchronize(device)
        return (time.perf_counter() - begin) / count

    mean(3)
    count = int(min(1000, max(1, target / mean(3))))
    return min(mean(count) for _ in range(3))


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


def usable_attention(q, k, v):
    """The names of the implementations that take these tensors, forward and backward."""
    names = []
    for name, backend in ATTENTION.items():
        if name == "math" and (names or q.shape[2] > 8192):
            continue  # all scores in memory
        try:
            with sdpa_kernel(backend):
                out = attention(q, k, v)
                torch.autograd.grad(out, (q, k, v), torch.ones_like(out))
            names.append(name)
        except RuntimeError:
            pass
    return names


class Kernels:
    def __init__(self, device, dtype):
        self.device, self.dtype = device, DTYPES[dtype]

    def random(self, *shape, dtype=None, grad=False):
        return torch.randn(*shape, device=self.device, dtype=dtype or self.dtype).requires_grad_(grad)

    def forward_and_backward(self, function, inputs, backward, compiled):
        """{how: work}"""
        ways = {"eager": function}
        if compiled:
            ways["compiled"] = torch.compile(function, dynamic=False)
        works = {}
        for how, f in ways.items():
            if backward:
                out = f(*inputs)
                outs = out if isinstance(out, tuple) else (out,)
                grads = tuple(torch.randn_like(o) for o in outs)
                wanted = tuple(i for i in inputs if i.requires_grad)
                works[how] = lambda outs=outs, grads=grads: torch.autograd.grad(outs, wanted, grads, retain_graph=True)
            else:
                def work(f=f):
                    with torch.no_grad():
                        f(*inputs)
                works[how] = work
        return works

    def attention(self, shape, backward):
        batch, length, heads, groups, d, _ = shape
        product = self.random(batch, length, (heads + 2 * groups) * d)
        parts = product.split([heads * d, groups * d, groups * d], -1)
        q, k, v = (p.unflatten(-1, (-1, d)).transpose(1, 2).detach().requires_grad_() for p in parts)
        d_out = self.random(batch, length, heads, d).transpose(1, 2)
        works = {}
        for name in usable_attention(q, k, v):
            def work(backend=ATTENTION[name]):
                with sdpa_kernel(backend), contextlib.nullcontext() if backward else torch.no_grad():
                    out = attention(q, k, v)
                    if backward:
                        torch.autograd.grad(out, (q, k, v), d_out)
            works[name] = work
        return works

    def norm(self, shape, kind, backward, compiled):
        width = shape[-1:]
        x, branch = self.random(*shape, grad=True), self.random(*shape, grad=True)
        weight, bias = self.random(*width, grad=True), self.random(*width, grad=True)

        def rms(x, branch, weight):
            h = x + branch
            return F.rms_norm(h, width, weight, 1e-5), h

        def layer(x, branch, weight, bias):
            h = x + branch
            return F.layer_norm(h, width, weight, bias, 1e-5), h

        function, inputs = (rms, (x, branch, weight)) if kind == "rms_norm" else (layer, (x, branch, weight, bias))
        return self.forward_and_backward(function, inputs, backward, compiled)

    def swiglu(self, shape, backward, compiled):
        both = self.random(shape[0], 2 * shape[1], grad=True)

        def function(both):
            g, u = both.chunk(2, -1)
            return F.silu(g) * u

        return self.forward_and_backward(function, (both,), backward, compiled)

    def gelu(self, shape, backward, compiled):
        x = self.random(*shape, grad=True)
        return self.forward_and_backward(lambda x: F.gelu(x, approximate="tanh"), (x,), backward, compiled)

    def rope(self, shape, compiled):
        rows, heads, d, length = shape
        x = self.random(rows, heads, d)
        cos, sin = self.random(length, d // 2, dtype=torch.float32), self.random(length, d // 2, dtype=torch.float32)
        position = torch.randint(length, (rows,), device=self.device)

        def function(x, cos, sin, position):
            return rotate(x, cos[position][:, None], sin[position][:, None])

        return self.forward_and_backward(function, (x, cos, sin, position), False, compiled)

    def embedding(self, shape, backward):
        rows, width, vocab = shape
        table, ids = self.random(vocab, width, grad=True), torch.randint(vocab, (rows,), device=self.device)
        return self.forward_and_backward(lambda table: F.embedding(ids, table), (table,), backward, False)

    def loss(self, shape, compiled):
        rows, width, vocab = shape
        x, w = self.random(rows, width, grad=True), (0.02 * self.random(vocab, width)).requires_grad_()
        target = torch.randint(vocab, (rows,), device=self.device)
        functions = {"eager": head_loss}
        if compiled:
            functions["compiled"] = torch.compile(head_loss, dynamic=False)
        return {how: lambda f=f: torch.autograd.grad(f(x, w, target), (x, w)) for how, f in functions.items()}

    def adamw(self, shape):
        p = self.random(*shape, dtype=torch.float32, grad=True)
        p.grad = torch.randn_like(p)
        low = p.detach().to(self.dtype)
        optimizer = torch.optim.AdamW([p], lr=1e-4, weight_decay=0.1, fused=True)

        def work():
            optimizer.step()
            if self.dtype != torch.float32:
                low.copy_(p.detach())

        return {"fused": work}

    def product(self, shape, kind):
        rows, n_in, n_out = shape
        x, w, dy = self.random(rows, n_in), self.random(n_out, n_in), self.random(rows, n_out)
        a, b = {"gemm": (x, w.t()), "gemm_data_gradient": (dy, w), "gemm_weight_gradient": (dy.t(), x)}[kind]
        return {"cuBLAS" if self.device == "cuda" else "mm": lambda: torch.mm(a, b)}

    def works(self, kernel, shape):
        """{how: work} of an op; empty if PyTorch has none."""
        compiled = self.dtype == torch.bfloat16 and self.device == "cuda"
        base, backward = kernel.removesuffix("_backward"), kernel.endswith("_backward")
        if kernel.startswith("attention"):
            return self.attention(shape, backward)
        if base in ("rms_norm", "layer_norm"):
            return self.norm(shape, base, backward, compiled)
        if base in ("swiglu", "gelu"):
            return getattr(self, base)(shape, backward, compiled)
        if base == "embedding":
            return self.embedding(shape, backward)
        if kernel == "rope":
            return self.rope(shape, compiled)
        if kernel == "linear_cross_entropy_with_gradient":
            return self.loss(shape, compiled)
        if kernel == "adamw":
            return self.adamw(shape)
        if kernel == "clip_factor":
            g = self.random(*shape, dtype=torch.float32)
            return {"vector_norm": lambda: torch.linalg.vector_norm(g)}
        if kernel.startswith("gemm"):
            return self.product(shape, kernel)
        return {}


def rotate(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1).to(x.dtype)


def head_loss(x, w, target):
    return F.cross_entropy(F.linear(x, w).float(), target)


def time_kernels(args, lines):
    for line in lines:
        kernel, shape, dtype = line["kernel"], line["shape"], line["dtype"]
        try:
            for how, work in Kernels(args.device, dtype).works(kernel, shape).items():
                us = 1e6 * seconds_of(work, args.device, args.seconds)
                print(json.dumps(dict(what="torch", kernel=kernel, shape=shape, dtype=dtype, how=how, us=us)),
                      flush=True)
        except Exception as error:  # the others are still of interest
            print(f"{kernel} {shape} {dtype}: {type(error).__name__}: {str(error)[:500]}", file=sys.stderr)
        work = None
        free(args.device)


def free(device):
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


class Block(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        width, self.d = c["width"], c["width"] // c["heads"]
        self.widths = [c["heads"] * self.d, c["kv_heads"] * self.d, c["kv_heads"] * self.d]
        linear = lambda n_in, n_out: torch.nn.Linear(n_in, n_out, bias=False)
        self.norm1, self.norm2 = (torch.nn.RMSNorm(width, eps=1e-5) for _ in range(2))
        self.qkv, self.out = linear(width, sum(self.widths)), linear(self.widths[0], width)
        self.gate_up, self.down = linear(width, 2 * c["hidden"]), linear(c["hidden"], width)

    def forward(self, x, cos, sin):
        parts = self.qkv(self.norm1(x)).split(self.widths, -1)
        q, k, v = (part.unflatten(-1, (-1, self.d)).transpose(1, 2) for part in parts)
        o = attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.out(o.transpose(1, 2).flatten(2))
        g, u = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(g) * u)


class Model(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embedding = torch.nn.Embedding(c["vocab"], c["width"])
        self.blocks = torch.nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = torch.nn.RMSNorm(c["width"], eps=1e-5)
        d = c["width"] // c["heads"]
        angle = torch.outer(torch.arange(c["length"]).float(), 10000.0 ** (-torch.arange(0, d, 2).float() / d))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for p in self.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, std=0.02)

    def forward(self, token, target):
        x = self.embedding(token)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return head_loss(self.norm(x).flatten(0, 1), self.embedding.weight, target.flatten())


def choose_attention(c, device, dtype):
    """Switches all implementations but the fastest off."""
    if device != "cuda":
        return "default"
    shape = [c["batch"], c["length"], c["heads"], c["kv_heads"], c["width"] // c["heads"], 0]
    times = {how: seconds_of(work, device, 0.02) for how, work in Kernels(device, dtype).attention(shape, True).items()}
    best = min(times, key=times.get)
    for name, switch in (("flash", "flash"), ("cuDNN", "cudnn"), ("efficient", "mem_efficient"), ("math", "math")):
        getattr(torch.backends.cuda, f"enable_{switch}_sdp")(name == best)
    return best


def time_steps(args, c, dtype, how):
    device = args.device
    best = choose_attention(c, device, dtype)
    torch.manual_seed(1)
    with torch.device(device):
        model = Model(c)
    weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
    model = model.to(DTYPES[dtype])
    computed_with = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    for w in weights:
        w.grad = torch.empty_like(w)
    run = torch.compile(model, dynamic=False) if how == "compiled" else model
    ids = lambda: torch.randint(c["vocab"], (c["batch"], c["length"]), device=device)
    marks = []

    def mark():
        if device == "cuda":
            marks.append(torch.cuda.Event(enable_timing=True))
            marks[-1].record()
        else:
            marks.append(time.perf_counter())

    mark()
    for _ in range(args.warm_up + args.steps):
        token, target = ids(), ids()
        loss = run(token, target)
        loss.backward()
        with torch.no_grad():
            torch._foreach_copy_([w.grad for w in weights], [p.grad for p in computed_with])
            model.zero_grad(set_to_none=True)
            torch.nn.utils.clip_grad_norm_(weights, 1.0, foreach=True)
            optimizer.step()
            torch._foreach_copy_(computed_with, weights)
        mark()
    synchronize(device)
    between = [a.elapsed_time(b) / 1e3 if device == "cuda" else b - a for a, b in zip(marks, marks[1:])][args.warm_up:]
    median, tokens = statistics.median(between), c["batch"] * c["length"]
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"what": "torch", "config": c["config"], "dtype": dtype, "how": how, "attention": best,
                      "parameters": parameters, "ms_median": median * 1e3, "ms_best": min(between) * 1e3,
                      "tok_s_median": tokens / median, "tok_s_best": tokens / min(between), "loss": loss.item()}),
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kernels", "steps"])
    parser.add_argument("file")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=0.03, help="of one measurement of a kernel (default: 0.03)")
    parser.add_argument("--config", help="only the model of this name")
    parser.add_argument("--dtype", choices=list(DTYPES), help="only this one (default: both, f32 eager)")
    parser.add_argument("--only", choices=["eager", "compiled"])
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--warm-up", type=int, default=5)
    args = parser.parse_args()
    with open(args.file) as file:
        lines = [json.loads(line) for line in file]
    torch.set_float32_matmul_precision("highest")
    torch._functorch.config.donated_buffer = False  # a backward is timed again and again
    if args.what == "kernels":
        return time_kernels(args, [line for line in lines if line.get("what") == "ropewalk"])
    for name, c in {line["config"]: line for line in lines}.items():
        for dtype, how in (("bf16", "compiled"), ("bf16", "eager"), ("f32", "eager")):
            if args.config in (None, name) and args.dtype in (None, dtype) and args.only in (None, how):
                try:
                    time_steps(args, c, dtype, how)
                except Exception as error:
                    print(f"{name} {dtype} {how}: {type(error).__name__}: {str(error)[:500]}", file=sys.stderr)
                free(args.device)


if __name__ == "__main__":
    sys.exit(main())
