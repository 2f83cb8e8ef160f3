"""The workloads of the device benchmarks in PyTorch and JAX, for the same table.

    python3 testdata/peers/peers.py [--device cuda|cpu] [--quick] [NAME ...]

Prints one line per workload and way of running it:

    BenchmarkDevice/softmax-8192x4096/torch-compile    0.0912 ms   2943.1 GB/s

A way whose library is not installed, or that fails, is left out with a line on
stderr that says why. Times are medians over batches of runs; a batch ends with a
wait for the device.
"""

import argparse
import statistics
import sys
import time

ROWS, COLS = 8192, 4096
WIDE = 16 << 20  # elements
GEMM = 4096
ATTENTION = 4, 16, 2048, 64  # batch, heads, length, head dimension

MATRIX = ("f32", (ROWS, COLS))
VECTOR = ("f32", (COLS,))
HEADS = ("bf16", ATTENTION)


def square(dtype):
    return (dtype, (GEMM, GEMM))


# Name -> (arguments: element type and shape, bytes moved at least, operations).
WORKLOADS = {
    "copy-256MiB": ([("f32", (64 << 20,))], 2 * 4 * (64 << 20), 0),
    "pointwise-64MiB": ([("f32", (WIDE,))] * 2, 3 * 4 * WIDE, 0),
    "softmax-8192x4096": ([MATRIX], 2 * 4 * ROWS * COLS, 0),
    "layernorm-8192x4096": ([MATRIX, VECTOR, VECTOR], 2 * 4 * ROWS * COLS, 0),
    "transpose-8192x4096": ([MATRIX], 2 * 4 * ROWS * COLS, 0),
    "gemm-bf16-4096": ([square("bf16")] * 2, 0, 2 * GEMM**3),
    "gemm-f32-4096": ([square("f32")] * 2, 0, 2 * GEMM**3),
    "attention-bf16": ([HEADS] * 3, 0, 2 * ATTENTION[0] * ATTENTION[1] * ATTENTION[2] ** 2 * ATTENTION[3]),
    "add-2x2": ([("f32", (2, 2))] * 2, 0, 0),
}


def timed(run, wait, quick):
    """Seconds per run: the median over batches that take a few milliseconds each."""
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
    return statistics.median(samples)


def report(name, way, seconds):
    _, moved, flops = WORKLOADS[name]
    line = f"BenchmarkDevice/{name}/{way}\t{seconds * 1e3:.4f} ms"
    if moved:
        line += f"\t{moved / seconds / 1e9:.1f} GB/s"
    if flops:
        line += f"\t{flops / seconds / 1e12:.2f} TFLOP/s"
    print(line, flush=True)


def bench_torch(names, device, quick):
    import torch
    import torch.nn.functional as F

    torch.backends.cuda.matmul.allow_tf32 = False
    functions = {
        "copy-256MiB": lambda x: x.clone(),
        "pointwise-64MiB": lambda x, r: F.gelu(x * 1.1 + 0.1, approximate="tanh") + r,
        "softmax-8192x4096": lambda x: torch.softmax(x, 1),
        "layernorm-8192x4096": lambda x, w, b: F.layer_norm(x, (COLS,), w, b),
        "transpose-8192x4096": lambda x: x.t().contiguous(),
        "gemm-bf16-4096": lambda a, b: a @ b,
        "gemm-f32-4096": lambda a, b: a @ b,
        "attention-bf16": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "add-2x2": lambda a, b: a + b,
    }
    types = {"f32": torch.float32, "bf16": torch.bfloat16}
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    ways = {"torch-eager": lambda f: f, "torch-compile": lambda f: torch.compile(f, dynamic=False)}
    if device == "cuda":
        ways["torch-reduce-overhead"] = lambda f: torch.compile(f, mode="reduce-overhead", dynamic=False)
    for name in names:
        args = [torch.randn(shape, device=device).to(types[dtype]) for dtype, shape in WORKLOADS[name][0]]
        for way, prepare in ways.items():
            try:
                torch._dynamo.reset()
                f = prepare(functions[name])
                with torch.no_grad():
                    report(name, way, timed(lambda: f(*args), wait, quick))
            except Exception as e:  # one way that fails must not hide the others
                print(f"{name}: {way}: {e}", file=sys.stderr)


def bench_jax(names, device, quick):
    import jax
    import jax.numpy as jnp

    def layer_norm(x, w, b):
        d = x - x.mean(1, keepdims=True)
        return d * jax.lax.rsqrt((d * d).mean(1, keepdims=True) + 1e-5) * w + b

    def attention(q, k, v):  # takes batch, length, heads, head dimension
        return jax.nn.dot_product_attention(*(x.transpose(0, 2, 1, 3) for x in (q, k, v)), is_causal=True)

    functions = {
        "copy-256MiB": lambda x: x.copy(),
        "pointwise-64MiB": lambda x, r: jax.nn.gelu(x * 1.1 + 0.1, approximate=True) + r,
        "softmax-8192x4096": lambda x: jax.nn.softmax(x, 1),
        "layernorm-8192x4096": layer_norm,
        "transpose-8192x4096": lambda x: jnp.transpose(x),
        "gemm-bf16-4096": lambda a, b: a @ b,
        "gemm-f32-4096": lambda a, b: jnp.matmul(a, b, precision="highest"),
        "attention-bf16": attention,
        "add-2x2": lambda a, b: a + b,
    }
    types = {"f32": jnp.float32, "bf16": jnp.bfloat16}
    key = jax.random.PRNGKey(0)
    with jax.default_device(jax.devices("gpu" if device == "cuda" else "cpu")[0]):
        for name in names:
            try:
                args = [jax.random.normal(key, shape, types[dtype]) for dtype, shape in WORKLOADS[name][0]]
                f, last = jax.jit(functions[name]), []
                run = lambda: last.__setitem__(slice(None), [f(*args)])
                report(name, "jax", timed(run, lambda: last[0].block_until_ready(), quick))
            except Exception as e:
                print(f"{name}: jax: {e}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}; all of them by default")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    args = parser.parse_args()
    unknown = [n for n in args.names if n not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]}: expected {', '.join(WORKLOADS)}")
    names = args.names or list(WORKLOADS)
    for library, bench in {"torch": bench_torch, "jax": bench_jax}.items():
        try:
            bench(names, args.device, args.quick)
        except Exception as e:
            print(f"{library} is left out: {e}", file=sys.stderr)


if __name__ == "__main__":
    main()
