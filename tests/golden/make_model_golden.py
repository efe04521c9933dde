"""Loss and all gradients of small decoders by PyTorch's float64 autograd, for tests/golden/model_golden_test.cpp:

    tests/peers/run tests/golden/make_model_golden.py

writes model_*.json beside this file. Element i of weight k, in the order of the file, is

    centre + ((31 i² + 337 i + 101 k) mod 1021 - 510) / 1024        centre: 1 for a norm's weight, else 0

so that both sides have the same numbers, in f32 too."""
import json
from pathlib import Path

import torch
from decoder import IGNORE, Decoder, shapes

FOLDER = Path(__file__).resolve().parent
LLAMA = {"size": "", "vocab": 13, "layers": 2, "width": 8, "heads": 4, "kv_heads": 2, "head_width": 4, "hidden": 10,
         "context": 16, "tied": True, "norm": "rms", "norm_eps": 1e-5, "mlp": "swiglu", "attention_bias": "none",
         "mlp_bias": False, "qk_norm": False, "positions": "rope", "rope_base": 50.0, "rope_layout": "half",
         "dropout": 0.0}
CASES = {
    "tied": {},
    "untied": {"tied": False},
    "biases": {"attention_bias": "all", "mlp_bias": True, "qk_norm": True, "rope_layout": "interleaved"},
    "gpt": {"norm": "layer", "mlp": "gelu", "attention_bias": "all", "mlp_bias": True, "positions": "learned",
            "kv_heads": 4},
    "mixed": {"norm": "layer", "norm_eps": 1e-3, "mlp": "gelu_tanh", "tied": False, "kv_heads": 1, "head_width": 6,
              "qk_norm": True},
}
ROWS, LENGTH = 2, 9


def weight(index, name, shape):
    i = torch.arange(torch.Size(shape).numel())
    centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
    ramp = (31 * i * i + 337 * i + 101 * index) % 1021 - 510
    return (centre + ramp.to(torch.float64) / 1024).view(shape).requires_grad_()


def batch(config):
    """Targets are ignored in places, the second row has two documents, and its positions do not start at 0."""
    row, at = torch.arange(ROWS)[:, None], torch.arange(LENGTH)[None, :]
    target = (5 * at * at + 2 * at + 7 * row + 3) % config["vocab"]
    target[(at + row) % 4 == 2] = IGNORE
    first_key = torch.where((row == 1) & (at >= 4), 4, 0)
    return {"token": (3 * at * at + at + 5 * row + 1) % config["vocab"], "target": target,
            "position": at + 3 * row, "first_key": first_key}


def compute(case):
    """What the file of one case holds."""
    config = LLAMA | CASES[case]
    weights = {name: weight(k, name, shape) for k, (name, shape) in enumerate(shapes(config).items())}
    inputs = batch(config)
    nll = Decoder(config, weights).nll(**inputs)
    loss = nll.sum() / (inputs["target"] != IGNORE).sum()
    loss.backward()
    return {"model": config, **{name: value.tolist() for name, value in inputs.items()}, "loss": loss.item(),
            "nll": nll.tolist(),
            "gradients": [{"name": name, "shape": list(value.shape), "values": value.grad.flatten().tolist()}
                          for name, value in weights.items()]}


def text_of(golden):
    """JSON with a line for each entry and each gradient; every number by its shortest text that gives it back."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items() if key != "gradients"]
    gradients = ",\n".join(json.dumps(gradient) for gradient in golden["gradients"])
    return "{\n" + ",\n".join(lines) + ',\n"gradients": [\n' + gradients + "\n]\n}\n"


def path_of(case):
    return FOLDER / f"model_{case}.json"


if __name__ == "__main__":
    for name in CASES:
        path_of(name).write_text(text_of(compute(name)))
