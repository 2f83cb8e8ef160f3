"""The workloads of the device benchmarks in PyTorch and JAX, for the same table.

    python3 testdata/peers/peers.py [--device cuda|cpu] [--quick] [NAME ...]

Prints one line per workload and way of running it:

    BenchmarkDevice/softmax-8192x4096/torch-compile    0.0912 ms   0.0905 ms-min   2943.1 GB/s

NAME is a name or the beginning of some: "softmax", "decode", "gemm-bf16-4096". A
way whose library is not installed, or that fails, is left out with a line on stderr
that says why. Times are medians and minima over batches of runs; a batch ends with
a wait for the device. --quick takes few samples, and on a CPU sizes that one can do.

Decoding is GPT-2 small whose cache has a fixed size, as users of each library write
it: the row of a token is written at its position, queries attend under a mask.
"""

import argparse
import statistics
import sys
import tempfile
import time

# Sizes are those of package internal/workload: Full, and Reduced.
FULL = dict(
    copy=64 << 20, wide=16 << 20, rows=[(32768, 1024), (16384, 2048), (8192, 4096), (4096, 8192), (2048, 16384)],
    square=[4096, 8192], square_f32=4096, linear=(8192, 1024, 4096), batched=(64, 512), heads=16, head=64,
    lengths=[(16, 512), (4, 2048), (1, 8192)], queries_batch=8, queries=[(1, 2048), (1, 8192), (16, 8192)],
    chain=(100, 32), layers=30, batches=[1, 8], contexts=[128, 512, 1024],
    gpt2=dict(layers=12, width=768, heads=12, vocabulary=50257, context=1024),
)
REDUCED = dict(
    copy=1000, wide=500, rows=[(7, 64), (5, 130), (3, 1100)], square=[40, 64], square_f32=33, linear=(24, 32, 48),
    batched=(3, 32), heads=2, head=64, lengths=[(2, 40), (1, 80)], queries_batch=2, queries=[(1, 64), (5, 100)],
    chain=(10, 8), layers=4, batches=[1, 2], contexts=[24],
    gpt2=dict(layers=2, width=64, heads=4, vocabulary=101, context=24),
)


class Workload:
    """kind says which function; args are element type and shape; the rest is what a run moves and computes at least."""

    def __init__(self, kind, name, args, moved=0, flops=0, kernels=0, bench="BenchmarkDevice", tokens=0):
        self.kind, self.name, self.args, self.bench = kind, name, args, bench
        self.moved, self.flops, self.kernels, self.tokens = moved, flops, kernels, tokens

    def report(self, way, times):
        seconds = statistics.median(times)
        line = f"{self.bench}/{self.name}/{way}\t{seconds * 1e3:.4f} ms\t{min(times) * 1e3:.4f} ms-min"
        if self.moved:
            line += f"\t{self.moved / seconds / 1e9:.1f} GB/s"
        if self.flops:
            line += f"\t{self.flops / seconds / 1e12:.2f} TFLOP/s"
        if self.kernels:
            line += f"\t{seconds * 1e6 / self.kernels:.2f} us/kernel"
        if self.tokens:
            line += f"\t{self.tokens / seconds:.0f} tokens/s"
        print(line, flush=True)


def f32(*shape):
    return "f32", shape


def bf16(*shape):
    return "bf16", shape


def sized(what, n):
    return f"{what}-{4 * n >> 20}MiB" if 4 * n >= 1 << 20 else f"{what}-{4 * n}B"


def workloads(s):
    """Those of package internal/workload, by the same names."""
    w = [Workload("copy", sized("copy", s["copy"]), [f32(s["copy"])], 8 * s["copy"])]
    for n in reversed(s["square"]):
        w.append(Workload("matmul", f"gemm-bf16-{n}", [bf16(n, n)] * 2, flops=2 * n**3))
    w.append(Workload("pointwise", sized("pointwise", s["wide"]), [f32(s["wide"])] * 2, 12 * s["wide"]))
    for r, c in s["rows"]:
        w.append(Workload("softmax", f"softmax-{r}x{c}", [f32(r, c)], 8 * r * c))
        w.append(Workload("layernorm", f"layernorm-{r}x{c}", [f32(r, c), f32(c), f32(c)], 8 * r * c))
    r, c = s["rows"][len(s["rows"]) // 2]
    w.append(Workload("transpose", f"transpose-{r}x{c}", [f32(r, c)], 8 * r * c))
    b, h, e = s["queries_batch"], s["heads"], s["head"]
    for q, n in s["queries"]:
        w.append(Workload("attention", f"attention-bf16-{q}of{n}", [bf16(b, h, q, e)] + [bf16(b, h, n, e)] * 2, 4 * b * h * n * e))
    n = s["square_f32"]
    w.append(Workload("matmul", f"gemm-f32-{n}", [f32(n, n)] * 2, flops=2 * n**3))
    m, k, n = s["linear"]
    w.append(Workload("linear-gelu", f"linear-gelu-bf16-{m}x{k}x{n}", [bf16(m, k), bf16(k, n), bf16(n)], flops=2 * m * k * n))
    b, n = s["batched"]
    w.append(Workload("matmul", f"bmm-bf16-{b}x{n}", [bf16(b, n, n)] * 2, flops=2 * b * n**3))
    for b, n in s["lengths"]:
        w.append(Workload("causal", f"attention-bf16-{n}", [bf16(b, h, n, e)] * 3, flops=2 * b * h * n * n * e))
    w.append(Workload("add", "add-2x2", [f32(2, 2)] * 2, kernels=1))
    n, side = s["chain"]
    w.append(Workload(("chain", n), f"chain-{n}", [f32(side, side)], kernels=n))
    w.append(Workload("roundtrip", "roundtrip-2x2", [f32(2, 2)] * 2))
    w.append(Workload("roundtrip", sized("roundtrip", s["wide"]), [f32(s["wide"])] * 2))
    for dtype in "f32", "bf16":
        for batch in s["batches"]:
            for rows in s["contexts"]:
                name = f"{dtype}-b{batch}-c{rows}"
                w.append(Workload(("decode", dtype, batch, rows), name, [], bench="BenchmarkDeviceDecodeGPT2", tokens=batch))
    n = s["layers"]
    args = [f32(64, 64)] + [f32(64 + 16 * i, 80 + 16 * i) for i in range(n)]
    for how in "cold", "warm":  # with what an earlier process left on disk
        w.append(Workload(("start", how), f"start-{n}-{how}", args, bench="BenchmarkDeviceStart"))
    return w


def timed(run, wait, quick):
    """Seconds per run of each batch; a batch takes some milliseconds."""
    for _ in range(3):  # compiled, recorded, replayed
        run(), wait()
    start = time.perf_counter()
    run(), wait()
    once = max(time.perf_counter() - start, 1e-6)
    per_batch = max(1, min(1000, int(0.02 / once)))
    samples = []
    for _ in range(3 if quick else 25):
        start = time.perf_counter()
        for _ in range(per_batch):
            run()
        wait()
        samples.append((time.perf_counter() - start) / per_batch)
    return samples


def start_layers(x, weights, tanh):
    for i, w in enumerate(weights):
        x = tanh((x @ w) * ((0.5 + i / 100) / w.shape[0] ** 0.5))
    return x


class Torch:
    """The functions in PyTorch, and the ways to run them."""

    def __init__(self, device, quick, sizes):
        import torch

        self.torch, self.device, self.quick, self.sizes = torch, device, quick, sizes
        torch.backends.cuda.matmul.allow_tf32 = False
        self.types = {"f32": torch.float32, "bf16": torch.bfloat16}
        self.wait = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.ways = {"torch-eager": lambda f: f, "torch-compile": lambda f: torch.compile(f, dynamic=False)}
        if device == "cuda":
            self.ways["torch-reduce-overhead"] = lambda f: torch.compile(f, mode="reduce-overhead", dynamic=False)

    def function(self, kind):
        torch, F = self.torch, self.torch.nn.functional
        if kind[0] == "chain":

            def chain(x):
                for i in range(kind[1]):
                    x = torch.softmax(x, i & 1)
                return x

            return chain
        if kind[0] == "start":
            return lambda x, *weights: start_layers(x, weights, torch.tanh)
        attention = F.scaled_dot_product_attention
        return {
            "copy": lambda x: x.clone(),
            "pointwise": lambda x, r: F.gelu(x * 1.1 + 0.1, approximate="tanh") + r,
            "softmax": lambda x: torch.softmax(x, 1),
            "layernorm": lambda x, w, b: F.layer_norm(x, w.shape, w, b),
            "transpose": lambda x: x.t().contiguous(),
            "matmul": lambda a, b: a @ b,
            "linear-gelu": lambda x, w, b: F.gelu(x @ w + b, approximate="tanh"),
            "attention": attention,
            "causal": lambda q, k, v: attention(q, k, v, is_causal=True),
            "add": lambda a, b: a + b,
            "roundtrip": lambda a, b: (a.to(self.device) + b.to(self.device)).cpu(),
        }[kind]

    def tensor(self, dtype, shape, device=None):
        return self.torch.randn(shape, device=device or self.device).to(self.types[dtype])

    def decoder(self, dtype, batch, rows):
        """GPT-2 whose caches are buffers that a step writes one row of."""
        torch, F, g, device = self.torch, self.torch.nn.functional, self.sizes["gpt2"], self.device
        width, heads = g["width"], g["heads"]

        class Block(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.before, self.middle = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
                self.qkv, self.project = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
                self.widen, self.narrow = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)
                for name in "keys", "values":
                    self.register_buffer(name, torch.zeros(batch, heads, rows, width // heads))

            def forward(self, x, position, mask):
                q, k, v = (t.view(batch, 1, heads, -1).transpose(1, 2) for t in self.qkv(self.before(x)).split(width, 2))
                self.keys.index_copy_(2, position, k)
                self.values.index_copy_(2, position, v)
                y = F.scaled_dot_product_attention(q, self.keys, self.values, attn_mask=mask)
                x = x + self.project(y.transpose(1, 2).reshape(batch, 1, width))
                return x + self.narrow(F.gelu(self.widen(self.middle(x)), approximate="tanh"))

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.tokens = torch.nn.Embedding(g["vocabulary"], width)
                self.positions = torch.nn.Embedding(g["context"], width)
                self.blocks = torch.nn.ModuleList(Block() for _ in range(g["layers"]))
                self.last = torch.nn.LayerNorm(width)

            def forward(self, token, position):
                x = self.tokens(token) + self.positions(position)
                mask = (torch.arange(rows, device=token.device) <= position)[None, :]
                for block in self.blocks:
                    x = block(x, position, mask)
                return (self.last(x) @ self.tokens.weight.t())[:, -1].argmax(-1, keepdim=True)

        model = Model().to(device=device, dtype=self.types[dtype]).eval()
        return model, (torch.zeros(batch, 1, dtype=torch.int64, device=device), torch.tensor([rows - 1], device=device))

    def bench(self, w):
        for way, prepare in self.ways.items():
            try:
                self.torch._dynamo.reset()
                with self.torch.no_grad():
                    w.report(way, self.measure(w, prepare))
            except Exception as e:  # one way that fails must not hide the others
                print(f"{w.name}: {way}: {first_line(e)}", file=sys.stderr)

    def measure(self, w, prepare):
        if w.kind[0] == "decode":
            f, args = self.decoder(*w.kind[1:])
        else:
            f, args = self.function(w.kind), [self.tensor(d, s, "cpu" if w.kind == "roundtrip" else None) for d, s in w.args]
        if w.kind[0] == "start":
            return self.start(f, args, prepare, w.kind[1])
        f = prepare(f)
        return timed(lambda: f(*args), self.wait, self.quick)

    def start(self, f, args, prepare, how):
        """The first call; a warm one finds on disk what another has compiled."""
        import torch._inductor.config as config

        config.force_disable_caches = how == "cold"
        self.wait()
        for _ in range(1 if how == "cold" else 2):
            self.torch._dynamo.reset()
            begin = time.perf_counter()
            prepare(f)(*args), self.wait()
            took = time.perf_counter() - begin
        config.force_disable_caches = False
        return [took]


class Jax:
    """The functions in JAX, compiled."""

    def __init__(self, device, quick, sizes):
        import jax

        self.jax, self.quick, self.sizes = jax, quick, sizes
        self.device = jax.devices("gpu" if device == "cuda" else "cpu")[0]
        self.host = jax.devices("cpu")[0]
        self.types = {"f32": jax.numpy.float32, "bf16": jax.numpy.bfloat16}

    def function(self, kind):
        jax, jnp = self.jax, self.jax.numpy
        if kind[0] == "chain":

            def chain(x):
                for i in range(kind[1]):
                    x = jax.nn.softmax(x, i & 1)
                return x

            return chain

        if kind[0] == "start":
            return lambda x, *weights: start_layers(x, weights, jnp.tanh)

        def layer_norm(x, w, b):
            d = x - x.mean(-1, keepdims=True)
            return d * jax.lax.rsqrt((d * d).mean(-1, keepdims=True) + 1e-5) * w + b

        def attention(q, k, v, **options):  # takes batch, length, heads, head dimension
            return jax.nn.dot_product_attention(*(x.transpose(0, 2, 1, 3) for x in (q, k, v)), **options)

        return {
            "copy": lambda x: x.copy(),
            "pointwise": lambda x, r: jax.nn.gelu(x * 1.1 + 0.1, approximate=True) + r,
            "softmax": lambda x: jax.nn.softmax(x, 1),
            "layernorm": layer_norm,
            "transpose": lambda x: jnp.transpose(x),
            "matmul": lambda a, b: a @ b,
            "linear-gelu": lambda x, w, b: jax.nn.gelu(x @ w + b, approximate=True),
            "attention": attention,
            "causal": lambda q, k, v: attention(q, k, v, is_causal=True),
            "add": lambda a, b: a + b,
            "roundtrip": lambda a, b: a + b,
        }[kind]

    def tensor(self, dtype, shape, seed=0):
        return self.jax.random.normal(self.jax.random.PRNGKey(seed), shape, self.types[dtype])

    def decoder(self, dtype, batch, rows):
        """GPT-2 as a function of weights and a donated state."""
        jax, jnp, g = self.jax, self.jax.numpy, self.sizes["gpt2"]
        width, heads = g["width"], g["heads"]
        norm = lambda: (self.tensor(dtype, (width,)), self.tensor(dtype, (width,)))
        dense = lambda n, m: (self.tensor(dtype, (n, m)) * 0.02, self.tensor(dtype, (m,)))
        layer = lambda: (norm(), dense(width, 3 * width), dense(width, width), norm(), dense(width, 4 * width), dense(4 * width, width))
        weights = (self.tensor(dtype, (g["vocabulary"], width)), self.tensor(dtype, (g["context"], width)),
                   [layer() for _ in range(g["layers"])], norm())
        empty = lambda: [jnp.zeros((batch, heads, rows, width // heads), self.types[dtype]) for _ in range(g["layers"])]
        layer_norm = self.function("layernorm")
        affine = lambda p, x: x @ p[0] + p[1]

        def step(weights, token, position, keys, values):
            table, places, layers, last = weights
            x = table[token] + places[position]
            used = jnp.where(jnp.arange(rows) <= position, 0.0, -jnp.inf)
            for i, (before, qkv, project, middle, widen, narrow) in enumerate(layers):
                q, k, v = (t.reshape(batch, heads, 1, -1) for t in jnp.split(affine(qkv, layer_norm(x, *before)), 3, 1))
                keys[i] = jax.lax.dynamic_update_slice(keys[i], k, (0, 0, position, 0))
                values[i] = jax.lax.dynamic_update_slice(values[i], v, (0, 0, position, 0))
                scores = (q @ keys[i].swapaxes(2, 3)).astype(jnp.float32) * (width // heads) ** -0.5 + used
                y = jax.nn.softmax(scores, -1).astype(q.dtype) @ values[i]
                x = x + affine(project, y.reshape(batch, width))
                x = x + affine(narrow, jax.nn.gelu(affine(widen, layer_norm(x, *middle)), approximate=True))
            return (layer_norm(x, *last) @ table.T).argmax(-1), keys, values

        f = jax.jit(step, donate_argnums=(3, 4))
        state = [jnp.zeros(batch, jnp.int32), empty(), empty()]

        def run():
            state[:] = f(weights, state[0], rows - 1, state[1], state[2])

        return run, lambda: state[0].block_until_ready()

    def bench(self, w):
        try:
            f32 = "bf16" not in w.name
            with self.jax.default_device(self.device), self.jax.default_matmul_precision("highest" if f32 else "default"):
                w.report("jax", self.measure(w))
        except Exception as e:
            print(f"{w.name}: jax: {first_line(e)}", file=sys.stderr)

    def measure(self, w):
        jax = self.jax
        if w.kind[0] == "decode":
            run, wait = self.decoder(*w.kind[1:])
            return timed(run, wait, self.quick)
        args, f, last = [self.tensor(d, s) for d, s in w.args], jax.jit(self.function(w.kind)), []
        if w.kind == "roundtrip":
            import numpy

            args = [numpy.asarray(a) for a in args]
            return timed(lambda: numpy.asarray(f(*args)), lambda: None, self.quick)
        if w.kind[0] == "start":
            return self.start(w, args)
        run = lambda: last.__setitem__(slice(None), [f(*args)])
        return timed(run, lambda: last[0].block_until_ready(), self.quick)

    def start(self, w, args):
        """The first call; a warm one finds on disk what another has compiled."""
        jax = self.jax
        jax.block_until_ready(args)
        with tempfile.TemporaryDirectory() as folder:
            if w.kind[1] == "warm":
                jax.config.update("jax_compilation_cache_dir", folder)
                jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
                jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
            for _ in range(1 if w.kind[1] == "cold" else 2):
                jax.clear_caches()
                begin = time.perf_counter()
                jax.jit(self.function(w.kind))(*args).block_until_ready()
                took = time.perf_counter() - begin
            jax.config.update("jax_compilation_cache_dir", None)
        return [took]


def first_line(e):
    return f"{type(e).__name__}: {e}".splitlines()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all workloads by default")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="few samples; on a CPU also small sizes")
    parser.add_argument("--list", action="store_true", help="only print the names")
    args = parser.parse_args()
    sizes = REDUCED if args.quick and args.device == "cpu" else FULL
    every = workloads(sizes)
    full = lambda w: "decode-" + w.name if w.tokens else w.name
    for n in args.names:
        if not any(full(w).startswith(n) for w in every):
            parser.error(f"unknown workload {n}: expected {', '.join(full(w) for w in every)}, or how some begin")
    chosen = [w for w in every if not args.names or any(full(w).startswith(n) for n in args.names)]
    if args.list:
        print("\n".join(full(w) for w in chosen))
        return
    for name, library in {"torch": Torch, "jax": Jax}.items():
        try:
            peer = library(args.device, args.quick, sizes)
        except Exception as e:
            print(f"{name} is left out: {first_line(e)}", file=sys.stderr)
            continue
        for w in chosen:
            peer.bench(w)


if __name__ == "__main__":
    main()
