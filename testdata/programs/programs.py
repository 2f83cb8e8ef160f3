#!/usr/bin/env python3
"""Writes the traces of this folder and the results that PyTorch computes for them.

    python3 programs.py            # traces and expected results
    python3 programs.py mlp lstm   # only these

The models are written here twice: as the text of a trace, and as PyTorch code
that shares nothing with it but the seeded weights. The weights follow the rule
that jitc documents at tensor.Rule, reimplemented below in numpy. Needs numpy
and torch (any version from 1.13; expected results are computed in float64, so
versions do not matter).

An expected file, <program>[.<size>].npz, holds whole results by their names in
the trace, or parts of large ones: the key "logits[127,:]" is a section of the
result logits. README.md says within which tolerance they are compared.
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
K = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def words(seed, index):
    with np.errstate(over="ignore"):
        return mix(mix(np.uint64(seed) + K) + (index + np.uint64(1)) * K)


def generate(shape, kind, seed=0, mean=0.0, std=1.0, lo=0.0, hi=1.0):
    """The elements of a seeded rule, in float64."""
    n = int(np.prod(shape))
    i = np.arange(n, dtype=np.uint64)
    if kind == "ones":
        x = np.ones(n)
    elif kind == "zeros":
        x = np.zeros(n)
    elif kind == "ints":
        u = (words(seed, i) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        x = lo + np.floor((hi - lo) * u)
    elif kind == "uniform":
        u = (words(seed, i) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        x = lo + (hi - lo) * u
    elif kind == "normal":
        s = np.zeros(n, dtype=np.uint64)
        for k in range(3):
            w = words(seed, np.uint64(3) * i + np.uint64(k))
            for lane in range(4):
                s += (w >> np.uint64(16 * lane)) & np.uint64(0xFFFF)
        x = mean + std * ((s.astype(np.float64) - 393210) / 65536)
    else:
        raise ValueError(kind)
    return x.reshape(shape)


class Trace:
    """Collects the text of a trace and the tensors of its parameters."""

    def __init__(self, name, comment, sizes=None, where=""):
        self.name, self.comment, self.where = name, comment, where
        self.sizes = sizes or {}
        self.params, self.lines, self.tensors = [], [], {}
        self.seed = 0

    def param(self, name, shape, kind="normal", dtype="f32", **kw):
        if kind in ("normal", "ints", "uniform"):
            self.seed += 1
            kw["seed"] = self.seed
        attrs = ", ".join(f"{k}={v}" for k, v in sorted({**kw, "init": f'"{kind}"'}.items()))
        dims = ",".join(str(s) for s in shape)
        self.params.append(f'    %{name}: {dtype}[{dims}] {{{attrs}}},')
        concrete = [self.sizes.get(s, s) for s in shape]
        x = generate(concrete, kind, **kw)
        if dtype == "f32":  # weights are rounded to f32 once, then computed with in float64
            x = x.astype(np.float32)
        self.tensors[name] = torch.tensor(x.astype(np.int64 if dtype == "i64" else np.float64))
        return "%" + name

    def op(self, result, text):
        self.lines.append(f"  %{result}: {text}")
        return "%" + result

    def note(self, text):
        self.lines.append(f"  # {text}")

    def write(self, results, types):
        types = types[0] if len(types) == 1 else "(" + ", ".join(types) + ")"
        text = [f"# {c}" for c in self.comment] + [f"func @{self.name}("] + self.params
        text.append(f") -> {types}" + (f"\n    where {self.where} {{" if self.where else " {"))
        text += self.lines + ["  return " + ", ".join(results), "}", ""]
        with open(os.path.join(HERE, self.name + ".trace"), "w") as f:
            f.write("\n".join(text))


def save(name, results):
    arrays = {k: v.numpy().astype(np.float32) for k, v in results.items()}
    np.savez_compressed(os.path.join(HERE, name + ".npz"), **arrays)


def mlp(batch):
    t = Trace("mlp", ["A three-layer perceptron over images of 28x28, any batch size.",
                      "Weights and inputs are generated: jitc run mlp.trace --dim B=8"],
              {"B": batch}, "B in [1, 4096]")
    t.param("x", ["B", 784])
    widths = [784, 512, 256, 10]
    for i in range(3):
        t.param(f"w{i}", [widths[i + 1], widths[i]], std=widths[i] ** -0.5)
        t.param(f"b{i}", [widths[i + 1]], std=0.1)
    x = "%x"
    for i in range(3):
        x = t.op(f"h{i}", f"f32[B,{widths[i + 1]}] = linear({x}, %w{i}, %b{i})")
        if i < 2:
            x = t.op(f"a{i}", f'f32[B,{widths[i + 1]}] = gelu({x}) {{approximate="tanh"}}')
    p = t.op("probs", f"f32[B,10] = softmax({x}) {{axis=1}}")
    t.write([p], ["f32[B,10]"])

    w = t.tensors
    h = w["x"]
    for i in range(3):
        h = F.linear(h, w[f"w{i}"], w[f"b{i}"])
        if i < 2:
            h = 0.5 * h * (1 + torch.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3)))
    save(f"mlp.B={batch}", {"probs": torch.softmax(h, 1)})


def lstm(batch):
    n, m = 256, 512
    t = Trace("lstm", ["One step of an LSTM cell, any batch size. Gates in PyTorch's order i, f, g, o.",
                       "jitc run lstm.trace --dim B=4"], {"B": batch}, "B in [1, 1024]")
    t.param("x", ["B", n])
    t.param("h", ["B", m], std=0.5)
    t.param("c", ["B", m], std=0.5)
    t.param("w_ih", [4 * m, n], std=n**-0.5)
    t.param("w_hh", [4 * m, m], std=m**-0.5)
    t.param("b_ih", [4 * m], std=0.1)
    t.param("b_hh", [4 * m], std=0.1)
    t.op("gx", f"f32[B,{4 * m}] = linear(%x, %w_ih, %b_ih)")
    t.op("gh", f"f32[B,{4 * m}] = linear(%h, %w_hh, %b_hh)")
    t.op("gates", f"f32[B,{4 * m}] = add(%gx, %gh)")
    for k, (g, fn) in enumerate([("i", "sigmoid"), ("f", "sigmoid"), ("g", "tanh"), ("o", "sigmoid")]):
        t.op(f"{g}.raw", f"f32[B,{m}] = slice(%gates) {{limits=[B, {(k + 1) * m}], starts=[0, {k * m}]}}")
        t.op(g, f"f32[B,{m}] = {fn}(%{g}.raw)")
    t.op("fc", f"f32[B,{m}] = mul(%f, %c)")
    t.op("ig", f"f32[B,{m}] = mul(%i, %g)")
    t.op("c1", f"f32[B,{m}] = add(%fc, %ig)")
    t.op("ct", f"f32[B,{m}] = tanh(%c1)")
    t.op("h1", f"f32[B,{m}] = mul(%o, %ct)")
    t.write(["%h1", "%c1"], [f"f32[B,{m}]", f"f32[B,{m}]"])

    w = t.tensors
    cell = torch.nn.LSTMCell(n, m).double()
    with torch.no_grad():
        cell.weight_ih.copy_(w["w_ih"])
        cell.weight_hh.copy_(w["w_hh"])
        cell.bias_ih.copy_(w["b_ih"])
        cell.bias_hh.copy_(w["b_hh"])
        h1, c1 = cell(w["x"], (w["h"], w["c"]))
    save(f"lstm.B={batch}", {"h1": h1, "c1": c1})


def gpt2():
    s, d, heads, layers, vocab, ctx = 128, 768, 12, 12, 50257, 1024
    e = d // heads
    t = Trace("gpt2", ["GPT-2 small, forward pass over 128 tokens: 12 layers, d = 768, 124 M parameters.",
                       "Token ids and weights are generated by seeded rules."])
    t.param("ids", [s], "ints", "i64", lo=0.0, hi=float(vocab))
    t.param("wte", [vocab, d], std=0.02)
    t.param("wpe", [ctx, d], std=0.01)
    for i in range(layers):
        for name, shape, kw in [
            ("ln1.w", [d], dict(mean=1.0, std=0.1)), ("ln1.b", [d], dict(std=0.1)),
            ("attn.w", [d, 3 * d], dict(std=0.02)), ("attn.b", [3 * d], dict(std=0.02)),
            ("proj.w", [d, d], dict(std=0.02)), ("proj.b", [d], dict(std=0.02)),
            ("ln2.w", [d], dict(mean=1.0, std=0.1)), ("ln2.b", [d], dict(std=0.1)),
            ("fc.w", [d, 4 * d], dict(std=0.02)), ("fc.b", [4 * d], dict(std=0.02)),
            ("out.w", [4 * d, d], dict(std=0.02)), ("out.b", [d], dict(std=0.02)),
        ]:
            t.param(f"h{i}.{name}", shape, **kw)
    t.param("lnf.w", [d], mean=1.0, std=0.1)
    t.param("lnf.b", [d], std=0.1)

    t.op("tok", f"f32[{s},{d}] = embedding(%wte, %ids)")
    t.op("pos", f"f32[{s},{d}] = slice(%wpe) {{limits=[{s}, {d}], starts=[0, 0]}}")
    x = t.op("x", f"f32[{s},{d}] = add(%tok, %pos)")
    for i in range(layers):
        h = f"h{i}"
        t.note(f"layer {i}")
        t.op(f"{h}.n1", f"f32[{s},{d}] = layer_norm({x}, %{h}.ln1.w, %{h}.ln1.b) {{eps=1e-05}}")
        t.op(f"{h}.qkv", f"f32[{s},{3 * d}] = linear(%{h}.n1, %{h}.attn.w, %{h}.attn.b) {{transposed=false}}")
        for k, q in enumerate("qkv"):
            t.op(f"{h}.{q}0", f"f32[{s},{d}] = slice(%{h}.qkv) {{limits=[{s}, {(k + 1) * d}], starts=[0, {k * d}]}}")
            t.op(f"{h}.{q}1", f"f32[{s},{heads},{e}] = reshape(%{h}.{q}0)")
            t.op(f"{h}.{q}", f"f32[{heads},{s},{e}] = transpose(%{h}.{q}1) {{perm=[1, 0, 2]}}")
        t.op(f"{h}.att", f"f32[{heads},{s},{e}] = scaled_dot_product_attention(%{h}.q, %{h}.k, %{h}.v) {{causal=true}}")
        t.op(f"{h}.att1", f"f32[{s},{heads},{e}] = transpose(%{h}.att) {{perm=[1, 0, 2]}}")
        t.op(f"{h}.att2", f"f32[{s},{d}] = reshape(%{h}.att1)")
        t.op(f"{h}.proj", f"f32[{s},{d}] = linear(%{h}.att2, %{h}.proj.w, %{h}.proj.b) {{transposed=false}}")
        t.op(f"{h}.mid", f"f32[{s},{d}] = add({x}, %{h}.proj)")
        t.op(f"{h}.n2", f"f32[{s},{d}] = layer_norm(%{h}.mid, %{h}.ln2.w, %{h}.ln2.b) {{eps=1e-05}}")
        t.op(f"{h}.fc", f"f32[{s},{4 * d}] = linear(%{h}.n2, %{h}.fc.w, %{h}.fc.b) {{transposed=false}}")
        t.op(f"{h}.act", f'f32[{s},{4 * d}] = gelu(%{h}.fc) {{approximate="tanh"}}')
        t.op(f"{h}.out", f"f32[{s},{d}] = linear(%{h}.act, %{h}.out.w, %{h}.out.b) {{transposed=false}}")
        x = t.op(f"{h}.x", f"f32[{s},{d}] = add(%{h}.mid, %{h}.out)")
    t.op("final", f"f32[{s},{d}] = layer_norm({x}, %lnf.w, %lnf.b) {{eps=1e-05}}")
    t.op("logits", f"f32[{s},{vocab}] = linear(%final, %wte)")
    t.write(["%logits"], [f"f32[{s},{vocab}]"])

    w = t.tensors
    h = w["wte"][w["ids"]] + w["wpe"][:s]
    mask = torch.full((s, s), float("-inf"), dtype=torch.float64).triu(1)
    for i in range(layers):
        def p(name):
            return w[f"h{i}.{name}"]
        n = F.layer_norm(h, (d,), p("ln1.w"), p("ln1.b"), 1e-5)
        q, k, v = (n @ p("attn.w") + p("attn.b")).split(d, 1)
        q, k, v = (a.view(s, heads, e).permute(1, 0, 2) for a in (q, k, v))
        a = torch.softmax(q @ k.transpose(1, 2) / e**0.5 + mask, -1) @ v
        h = h + a.permute(1, 0, 2).reshape(s, d) @ p("proj.w") + p("proj.b")
        n = F.layer_norm(h, (d,), p("ln2.w"), p("ln2.b"), 1e-5)
        u = n @ p("fc.w") + p("fc.b")
        u = 0.5 * u * (1 + torch.tanh((2 / np.pi) ** 0.5 * (u + 0.044715 * u**3)))
        h = h + u @ p("out.w") + p("out.b")
    logits = F.layer_norm(h, (d,), w["lnf.w"], w["lnf.b"], 1e-5) @ w["wte"].T
    save("gpt2", {"logits[0,:]": logits[0], "logits[127,:]": logits[127], "logits[:,0:50257:257]": logits[:, ::257]})


def gpt2_step(rows):
    """One token behind those in the caches; the caches are noise of a likely size."""
    d, heads, layers, vocab, ctx, at = 768, 12, 12, 50257, 1024, 100
    e = d // heads
    t = Trace("gpt2_step", ["GPT-2 small, one step of decoding: a token behind the 100 that caches of C rows hold.",
                            "Its row is written into them; queries attend under a mask. The caches are generated.",
                            "jitc run gpt2_step.trace --dim C=128"], {"C": rows}, "C in [101, 1024]")
    t.param("token", [1], "ints", "i64", lo=0.0, hi=float(vocab))
    t.param("position", [], "ints", "i64", lo=float(at), hi=float(at + 1))
    t.param("wte", [vocab, d], std=0.02)
    t.param("wpe", [ctx, d], std=0.01)
    for i in range(layers):
        for name, shape, kw in [
            ("ln1.w", [d], dict(mean=1.0, std=0.1)), ("ln1.b", [d], dict(std=0.1)),
            ("attn.w", [d, 3 * d], dict(std=0.02)), ("attn.b", [3 * d], dict(std=0.02)),
            ("proj.w", [d, d], dict(std=0.02)), ("proj.b", [d], dict(std=0.02)),
            ("ln2.w", [d], dict(mean=1.0, std=0.1)), ("ln2.b", [d], dict(std=0.1)),
            ("fc.w", [d, 4 * d], dict(std=0.02)), ("fc.b", [4 * d], dict(std=0.02)),
            ("out.w", [4 * d, d], dict(std=0.02)), ("out.b", [d], dict(std=0.02)),
        ]:
            t.param(f"h{i}.{name}", shape, **kw)
    t.param("lnf.w", [d], mean=1.0, std=0.1)
    t.param("lnf.b", [d], std=0.1)
    cache = f"f32[1,{heads},C,{e}]"
    for i in range(layers):
        t.param(f"h{i}.keys", [1, heads, "C", e], std=0.6)
        t.param(f"h{i}.values", [1, heads, "C", e], std=0.6)

    t.op("zero", "i64[] = constant() {value=0}")
    t.op("row", "i64[C] = iota() {axis=0}")
    t.op("now", "i64[C] = broadcast(%position) {axes=[]}")
    t.op("le", "bool[C] = le(%row, %now)")
    t.op("used", "bool[1,C] = reshape(%le)")
    t.op("tok", f"f32[1,{d}] = embedding(%wte, %token)")
    t.op("pos0", f"f32[{d}] = gather(%wpe, %position) {{axis=0}}")
    t.op("pos", f"f32[1,{d}] = reshape(%pos0)")
    x = t.op("x", f"f32[1,{d}] = add(%tok, %pos)")
    written = []
    for i in range(layers):
        h = f"h{i}"
        t.note(f"layer {i}")
        t.op(f"{h}.n1", f"f32[1,{d}] = layer_norm({x}, %{h}.ln1.w, %{h}.ln1.b) {{eps=1e-05}}")
        t.op(f"{h}.qkv", f"f32[1,{3 * d}] = linear(%{h}.n1, %{h}.attn.w, %{h}.attn.b) {{transposed=false}}")
        for k, q in enumerate("qkv"):
            t.op(f"{h}.{q}0", f"f32[1,{d}] = slice(%{h}.qkv) {{limits=[1, {(k + 1) * d}], starts=[0, {k * d}]}}")
            t.op(f"{h}.{q}", f"f32[1,{heads},1,{e}] = reshape(%{h}.{q}0)")
        for q, old in ("k", "keys"), ("v", "values"):
            written.append((t.op(f"{h}.{old}1", f"{cache} = dynamic_update_slice(%{h}.{old}, %{h}.{q}, %zero, %zero, %position, %zero)"), cache))
        t.op(f"{h}.att", f"f32[1,{heads},1,{e}] = scaled_dot_product_attention(%{h}.q, %{h}.keys1, %{h}.values1, %used)")
        t.op(f"{h}.att1", f"f32[1,{d}] = reshape(%{h}.att)")
        t.op(f"{h}.proj", f"f32[1,{d}] = linear(%{h}.att1, %{h}.proj.w, %{h}.proj.b) {{transposed=false}}")
        t.op(f"{h}.mid", f"f32[1,{d}] = add({x}, %{h}.proj)")
        t.op(f"{h}.n2", f"f32[1,{d}] = layer_norm(%{h}.mid, %{h}.ln2.w, %{h}.ln2.b) {{eps=1e-05}}")
        t.op(f"{h}.fc", f"f32[1,{4 * d}] = linear(%{h}.n2, %{h}.fc.w, %{h}.fc.b) {{transposed=false}}")
        t.op(f"{h}.act", f'f32[1,{4 * d}] = gelu(%{h}.fc) {{approximate="tanh"}}')
        t.op(f"{h}.out", f"f32[1,{d}] = linear(%{h}.act, %{h}.out.w, %{h}.out.b) {{transposed=false}}")
        x = t.op(f"{h}.x", f"f32[1,{d}] = add(%{h}.mid, %{h}.out)")
    t.op("final", f"f32[1,{d}] = layer_norm({x}, %lnf.w, %lnf.b) {{eps=1e-05}}")
    t.op("logits", f"f32[1,{vocab}] = linear(%final, %wte)")
    t.write(["%logits"] + [r for r, _ in written], [f"f32[1,{vocab}]"] + [ty for _, ty in written])

    w = t.tensors
    h = w["wte"][w["token"]] + w["wpe"][at]
    rest = {}
    for i in range(layers):
        def p(name):
            return w[f"h{i}.{name}"]
        n = F.layer_norm(h, (d,), p("ln1.w"), p("ln1.b"), 1e-5)
        q, k, v = ((n @ p("attn.w") + p("attn.b"))[0, c * d:(c + 1) * d].view(heads, e) for c in range(3))
        y = []
        for j in range(heads):  # over what the cache holds and the new row, with no mask
            keys = torch.cat([p("keys")[0, j, :at], k[j:j + 1]])
            values = torch.cat([p("values")[0, j, :at], v[j:j + 1]])
            y.append(torch.softmax(q[j] @ keys.T / e**0.5, -1) @ values)
        h = h + torch.cat(y)[None] @ p("proj.w") + p("proj.b")
        n = F.layer_norm(h, (d,), p("ln2.w"), p("ln2.b"), 1e-5)
        u = n @ p("fc.w") + p("fc.b")
        u = 0.5 * u * (1 + torch.tanh((2 / np.pi) ** 0.5 * (u + 0.044715 * u**3)))
        h = h + u @ p("out.w") + p("out.b")
        if i in (0, layers - 1):  # the new row, and the ones about it
            for name, row in ("keys", k), ("values", v):
                rest[f"h{i}.{name}1[0,:,{at - 1}:{at + 1},:]"] = torch.stack([p(name)[0, :, at - 1], row], 1)
    logits = F.layer_norm(h, (d,), w["lnf.w"], w["lnf.b"], 1e-5) @ w["wte"].T
    save(f"gpt2_step.C={rows}", {"logits[0,0:50257:7]": logits[0, ::7], **rest})


def resnet18():
    t = Trace("resnet18", ["ResNet-18, forward pass over one image of 224x224, batch norm in inference mode.",
                           "The image and the weights are generated by seeded rules."])
    t.param("x", [1, 3, 224, 224])
    body = []  # (result, text), emitted after the parameters

    def conv(name, x, cin, cout, size, k, stride, pad):
        t.param(name + ".w", [cout, cin, k, k], std=(2.0 / (cin * k * k)) ** 0.5)
        for stat, kind, kw in [("mean", "normal", dict(std=0.1)), ("var", "uniform", dict(lo=0.5, hi=1.5)),
                               ("gamma", "uniform", dict(lo=0.5, hi=1.0)), ("beta", "normal", dict(std=0.1))]:
            t.param(f"{name}.{stat}", [cout], kind, **kw)
        out = (size + 2 * pad - k) // stride + 1
        ty = f"f32[1,{cout},{out},{out}]"
        body.append((name, f"{ty} = convolution({x}, %{name}.w) {{padding_high=[{pad}, {pad}], padding_low=[{pad}, {pad}], strides=[{stride}, {stride}]}}"))
        body.append((name + ".bn", f"{ty} = batch_norm(%{name}, %{name}.mean, %{name}.var, %{name}.gamma, %{name}.beta) {{eps=1e-05}}"))
        return f"%{name}.bn", out, ty

    def relu(name, x, ty):
        body.append((name, f"{ty} = relu({x})"))
        return "%" + name

    x, size, ty = conv("stem", "%x", 3, 64, 224, 7, 2, 3)
    x = relu("stem.relu", x, ty)
    size = (size + 2 - 3) // 2 + 1
    body.append(("pool", f"f32[1,64,{size},{size}] = max_pool({x}) {{padding=[1, 1], strides=[2, 2], window=[3, 3]}}"))
    x, cin, blocks = "%pool", 64, []
    for stage, cout in enumerate([64, 128, 256, 512]):
        for block in range(2):
            name = f"s{stage}.{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            y, out, ty = conv(name + ".a", x, cin, cout, size, 3, stride, 1)
            y = relu(name + ".a.relu", y, ty)
            y, out, ty = conv(name + ".b", y, cout, cout, out, 3, 1, 1)
            if stride != 1:
                x, _, _ = conv(name + ".d", x, cin, cout, size, 1, stride, 0)
            body.append((name + ".sum", f"{ty} = add({y}, {x})"))
            x = relu(name, f"%{name}.sum", ty)
            blocks.append((name, stride))
            cin, size = cout, out
    body.append(("mean", f"f32[1,512] = mean({x}) {{axes=[2, 3]}}"))
    t.param("fc.w", [1000, 512], std=512**-0.5)
    t.param("fc.b", [1000], std=0.1)
    body.append(("logits", "f32[1,1000] = linear(%mean, %fc.w, %fc.b)"))
    for r, text in body:
        t.op(r, text)
    t.write(["%logits"], ["f32[1,1000]"])

    w = t.tensors

    def cb(name, x, stride, pad):
        y = F.conv2d(x, w[name + ".w"], stride=stride, padding=pad)
        return F.batch_norm(y, w[name + ".mean"], w[name + ".var"], w[name + ".gamma"], w[name + ".beta"], False, 0.0, 1e-5)

    h = F.max_pool2d(F.relu(cb("stem", w["x"], 2, 3)), 3, 2, 1)
    for name, stride in blocks:
        y = cb(name + ".b", F.relu(cb(name + ".a", h, stride, 1)), 1, 1)
        if stride != 1:
            h = cb(name + ".d", h, stride, 0)
        h = F.relu(y + h)
    save("resnet18", {"logits": F.linear(h.mean((2, 3)), w["fc.w"], w["fc.b"])})


PROGRAMS = {
    "mlp": lambda: (mlp(3), mlp(8)),
    "lstm": lambda: (lstm(1), lstm(4)),
    "gpt2": gpt2,
    "gpt2_step": lambda: (gpt2_step(128), gpt2_step(300)),
    "resnet18": resnet18,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PROGRAMS:
        PROGRAMS[name]()
