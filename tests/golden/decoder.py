"""A decoder in plain PyTorch, written from the formulas and not from our C++: what the golden data and the peer tests
compare with. Weights are a dictionary by Hugging Face's Llama names, the configuration is that of a checkpoint."""
import math

import torch
from torch.nn import functional

IGNORE = -1


def shapes(config):
    """{name: shape} of every weight."""
    c, d, hidden = config["width"], config["head_width"], config["hidden"]
    query, key = config["heads"] * d, config["kv_heads"] * d
    found = {"model.embed_tokens.weight": (config["vocab"], c)}
    if config["positions"] == "learned":
        found["model.embed_positions.weight"] = (config["context"], c)

    def norm(name):
        found[name + ".weight"] = (c,)
        if config["norm"] == "layer" and config["mlp_bias"]:
            found[name + ".bias"] = (c,)

    def linear(name, out, of, bias):
        found[name + ".weight"] = (out, of)
        if bias:
            found[name + ".bias"] = (out,)

    for layer in (f"model.layers.{i}." for i in range(config["layers"])):
        norm(layer + "input_layernorm")
        for name, out, of in (("q", query, c), ("k", key, c), ("v", key, c), ("o", c, query)):
            biased = ("all",) if name == "o" else ("all", "qkv")
            linear(f"{layer}self_attn.{name}_proj", out, of, config["attention_bias"] in biased)
        if config["qk_norm"]:
            found[layer + "self_attn.q_norm.weight"] = found[layer + "self_attn.k_norm.weight"] = (d,)
        norm(layer + "post_attention_layernorm")
        if config["mlp"] == "swiglu":
            linear(layer + "mlp.gate_proj", hidden, c, config["mlp_bias"])
        linear(layer + "mlp.up_proj", hidden, c, config["mlp_bias"])
        linear(layer + "mlp.down_proj", c, hidden, config["mlp_bias"])
    norm("model.norm")
    if not config["tied"]:
        found["lm_head.weight"] = (config["vocab"], c)
    return found


def rms_norm(x, weight, eps):
    return weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def rotate(x, position, config):
    """x [B, H, T, d], each pair of numbers as one complex number times e^(i · position · base^(-2c/d))."""
    d = config["head_width"]
    theta = config["rope_base"] ** (-2 * torch.arange(d // 2, dtype=torch.float64) / d)
    angle = position[:, None, :, None].to(torch.float64) * theta
    cos, sin = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
    a, b = (x[..., :d // 2], x[..., d // 2:]) if config["rope_layout"] == "half" else (x[..., 0::2], x[..., 1::2])
    pairs = torch.stack((a * cos - b * sin, a * sin + b * cos), -2 if config["rope_layout"] == "half" else -1)
    return pairs.flatten(-2)


class Decoder:
    def __init__(self, config, weights):
        self.config, self.weights = config, weights

    def norm(self, name, x):
        weight, eps = self.weights[name + ".weight"], self.config["norm_eps"]
        if self.config["norm"] == "rms":
            return rms_norm(x, weight, eps)
        return functional.layer_norm(x, weight.shape, weight, self.weights.get(name + ".bias"), eps)

    def linear(self, name, x):
        return functional.linear(x, self.weights[name + ".weight"], self.weights.get(name + ".bias"))

    def attention(self, name, x, position, first_key):
        config, (batch, length, _) = self.config, x.shape
        q, k, v = (self.linear(f"{name}.{part}_proj", x).view(batch, length, -1, config["head_width"]).transpose(1, 2)
                   for part in "qkv")
        if config["qk_norm"]:
            q, k = (rms_norm(h, self.weights[f"{name}.{part}_norm.weight"], config["norm_eps"])
                    for part, h in (("q", q), ("k", k)))
        if config["positions"] == "rope":
            q, k = rotate(q, position, config), rotate(k, position, config)
        group = config["heads"] // config["kv_heads"]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        score = q @ k.transpose(-1, -2) / math.sqrt(config["head_width"])
        key, query = torch.arange(length), torch.arange(length)[:, None]
        visible = (first_key[:, :, None] <= key) & (key <= query)
        score = score.masked_fill(~visible[:, None], -math.inf)
        return self.linear(f"{name}.o_proj", (score.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def mlp(self, name, x):
        up = self.linear(name + ".up_proj", x)
        if self.config["mlp"] == "swiglu":
            up = functional.silu(self.linear(name + ".gate_proj", x)) * up
        else:
            up = functional.gelu(up, approximate="tanh" if self.config["mlp"] == "gelu_tanh" else "none")
        return self.linear(name + ".down_proj", up)

    def nll(self, token, target, position, first_key):
        """Negative log-likelihood of each target, 0 where it is IGNORE. All [B, T]."""
        x = self.weights["model.embed_tokens.weight"][token]
        if self.config["positions"] == "learned":
            x = x + self.weights["model.embed_positions.weight"][position]
        for layer in (f"model.layers.{i}." for i in range(self.config["layers"])):
            normed = self.norm(layer + "input_layernorm", x)
            x = x + self.attention(layer + "self_attn", normed, position, first_key)
            x = x + self.mlp(layer + "mlp", self.norm(layer + "post_attention_layernorm", x))
        head = self.weights["model.embed_tokens.weight" if self.config["tied"] else "lm_head.weight"]
        logits = functional.linear(self.norm("model.norm", x), head)
        nll = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE, reduction="none")
        return nll.view(target.shape)
