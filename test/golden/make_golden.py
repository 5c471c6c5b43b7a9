"""Makes the golden values of a tiny random BERT with adapters: run `python test/golden/make_golden.py`.

Needs PyTorch, transformers and onnx. Writes beside itself:
  eager/{model.onnx,config.json}  opset 14, eager attention
  sdpa/{model.onnx,config.json}   opset 17, scaled-dot-product attention
  manifest.json, values.bin       batch, versions, losses; float32 tensors by name, offset and shape

The backbone is made by transformers; adapters, head, loss and AdamW are written out below in float64, so that the
values come from formulas that are nobody's library. Adapters: Houlsby et al. 2019, `x + up(gelu_tanh(down(x)))` after
each output projection, before residual and LayerNorm. Dropout is off.
"""

import json
import math
import shutil
import sys
from pathlib import Path

import torch
import transformers
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
SEED = 20190702
BOTTLENECK, CLASSES, STEPS = 4, 3, 10
RATE, BETAS, EPSILON, DECAY, CLIP = 1e-2, (0.9, 0.999), 1e-8, 0.01, 1.0
LENGTHS = [7, 1, 5, 3]


def make_model():
    torch.manual_seed(SEED)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = transformers.BertModel(config).eval()
    with torch.no_grad():  # nothing trivial: a dropped or swapped tensor must show
        for name, parameter in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1 + 0.1 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.15 * torch.randn_like(parameter))
    return model, config


def export(model, config, folder, opset, attention):
    target = HERE / folder
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    state = model.state_dict()
    config._attn_implementation = attention
    again = transformers.BertModel(config).eval()
    again.load_state_dict(state)
    again.config.return_dict = False
    ids = torch.ones(2, 5, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    outputs = ["last_hidden_state", "pooler_output"]
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in names + outputs[:1]}
    axes[outputs[1]] = {0: "batch_size"}
    torch.onnx.export(again, (ids, ids, ids * 0), str(target / "model.onnx"), input_names=names, output_names=outputs,
                      dynamic_axes=axes, opset_version=opset, do_constant_folding=True, dynamo=False)
    plain = {key: value for key, value in config.to_dict().items() if key in (
        "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "hidden_act", "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id")}
    plain["architectures"] = ["BertModel"]
    (target / "config.json").write_text(json.dumps(plain, indent=2) + "\n")


def public_norms(state):
    """LayerNorms under the names of the package's parameters."""
    norms = {"embeddings.layer_norm": "embeddings.LayerNorm"}
    for i in range(2):
        norms[f"layer.{i}.attention.layer_norm"] = f"encoder.layer.{i}.attention.output.LayerNorm"
        norms[f"layer.{i}.ffn.layer_norm"] = f"encoder.layer.{i}.output.LayerNorm"
    return {f"{name}.{part}": state[f"{torch_name}.{part}"]
            for name, torch_name in norms.items() for part in ("weight", "bias")}


def trained_parameters(state, hidden):
    torch.manual_seed(SEED + 1)
    parameters = public_norms(state)
    for i in range(2):
        for place in ("attention", "ffn"):
            base = f"layer.{i}.{place}.adapter"
            parameters[f"{base}.down.weight"] = 0.1 * torch.randn(BOTTLENECK, hidden)
            parameters[f"{base}.down.bias"] = 0.1 * torch.randn(BOTTLENECK)
            parameters[f"{base}.up.weight"] = 0.1 * torch.randn(hidden, BOTTLENECK)
            parameters[f"{base}.up.bias"] = 0.1 * torch.randn(hidden)
    parameters["head.weight"] = 0.3 * torch.randn(CLASSES, hidden)
    parameters["head.bias"] = 0.3 * torch.randn(CLASSES)
    return {name: value.detach().float().double().requires_grad_() for name, value in parameters.items()}


def norm(x, p, name):
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"], 1e-12)


def adapter(x, p, name):
    if f"{name}.down.weight" not in p:
        return x
    down = F.linear(x, p[f"{name}.down.weight"], p[f"{name}.down.bias"])
    return x + F.linear(F.gelu(down, approximate="tanh"), p[f"{name}.up.weight"], p[f"{name}.up.bias"])


def encode_row(ids, types, w, p):
    """One sequence alone, [length, hidden]: padding cannot enter."""
    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])
    table = "embeddings.{}_embeddings.weight"
    h = w[table.format("word")][ids] + w[table.format("position")][:len(ids)] + w[table.format("token_type")][types]
    h = norm(h, p, "embeddings.layer_norm")
    for i in range(2):
        layer = f"encoder.layer.{i}"
        q, k, v = (linear(h, f"{layer}.attention.self.{part}").view(len(ids), 4, -1).transpose(0, 1)
                   for part in ("query", "key", "value"))
        weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), -1)
        context = (weights @ v).transpose(0, 1).reshape(len(ids), -1)
        out = adapter(linear(context, f"{layer}.attention.output.dense"), p, f"layer.{i}.attention.adapter")
        h = norm(out + h, p, f"layer.{i}.attention.layer_norm")
        up = F.gelu(linear(h, f"{layer}.intermediate.dense"))
        out = adapter(linear(up, f"{layer}.output.dense"), p, f"layer.{i}.ffn.adapter")
        h = norm(out + h, p, f"layer.{i}.ffn.layer_norm")
    return h


def logits_of(batch, w, p):
    rows = [encode_row(ids, types, w, p) for ids, types in zip(batch["ids"], batch["types"])]
    return F.linear(torch.stack([row[0] for row in rows]), p["head.weight"], p["head.bias"])


def check_encoder(model, batch, rows):
    """Our formulas against transformers' own model, row by row."""
    for ids, types, hidden in zip(batch["ids"], batch["types"], rows):
        with torch.no_grad():
            theirs = model(input_ids=ids[None], token_type_ids=types[None])[0][0]
        difference = float((theirs.double() - hidden).abs().max())
        if difference > 1e-5:
            sys.exit(f"the encoder written out here is {difference} away from transformers' BertModel")


def adamw(p, moments, t):
    total = math.sqrt(sum(float((v.grad ** 2).sum()) for v in p.values()))
    factor = min(1.0, CLIP / (total + 1e-6))
    with torch.no_grad():
        for name, value in p.items():
            m, v = moments[name]
            gradient = value.grad * factor
            if value.dim() == 2:
                value.mul_(1 - RATE * DECAY)
            m.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
            v.mul_(BETAS[1]).add_(gradient ** 2, alpha=1 - BETAS[1])
            value.sub_(RATE / (1 - BETAS[0] ** t) * m / (v.sqrt() / math.sqrt(1 - BETAS[1] ** t) + EPSILON))


def main():
    model, config = make_model()
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    export(model, config, "eager", 14, "eager")
    export(model, config, "sdpa", 17, "sdpa")

    torch.manual_seed(SEED + 2)
    batch = {"ids": [torch.randint(1, 50, (n,)) for n in LENGTHS],
             "types": [(torch.arange(n) >= n // 2 + 1).long() for n in LENGTHS]}
    labels = torch.tensor([2, 0, 1, 1])
    weights = {name: value.double() for name, value in state.items() if value.is_floating_point()}
    p = trained_parameters(state, config.hidden_size)

    tensors = {f"initial/{name}": value.detach().clone() for name, value in p.items()}
    frozen = {name: value.double() for name, value in public_norms(state).items()}
    for row, (ids, types) in enumerate(zip(batch["ids"], batch["types"])):
        tensors[f"hidden/{row}"] = encode_row(ids, types, weights, frozen)
    check_encoder(model, batch, [tensors[f"hidden/{row}"] for row in range(len(LENGTHS))])
    tensors["logits"] = logits_of(batch, weights, p).detach()

    losses, norms = [], []
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in p.items()}
    for t in range(1, STEPS + 1):
        for value in p.values():
            value.grad = None
        loss = F.cross_entropy(logits_of(batch, weights, p), labels)
        loss.backward()
        if t == 1:
            tensors.update({f"gradients/{name}": value.grad.clone() for name, value in p.items()})
        losses.append(loss.item())
        norms.append(math.sqrt(sum(float((v.grad ** 2).sum()) for v in p.values())))
        adamw(p, moments, t)

    index, chunks, offset = {}, [], 0
    for name, value in tensors.items():
        index[name] = {"offset": offset, "shape": list(value.shape)}
        chunks.append(value.detach().float().contiguous().numpy().astype("<f4").tobytes())
        offset += value.numel()
    (HERE / "values.bin").write_bytes(b"".join(chunks))
    manifest = {
        "generator": "test/golden/make_golden.py", "seed": SEED,
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__},
        "bottleneck": BOTTLENECK, "outputs": CLASSES, "activation": "gelu_tanh", "pool": "cls",
        "optimizer": {"learningRate": RATE, "betas": BETAS, "epsilon": EPSILON, "weightDecay": DECAY, "clipNorm": CLIP},
        "inputIds": [row.tolist() for row in batch["ids"]], "tokenTypeIds": [row.tolist() for row in batch["types"]],
        "labels": labels.tolist(), "losses": losses, "gradientNorms": norms, "tensors": index,
    }
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
