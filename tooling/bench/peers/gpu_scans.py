"""Times of scans in flash-linear-attention, and of causal softmax attention in PyTorch, on a CUDA card.

`python3 gpu_scans.py SIZES`, with SIZES as src/gpu/scan-cases.ts has them, in JSON. The last line is
`{peer: {"delta rule 4,2048,16,128 forward": milliseconds, ...}}`. flash-linear-attention computes in bfloat16: its kernels
take no float32.
"""

import json
import sys

import torch
import torch.nn.functional as F

WARMUP, SAMPLES, CALLS = 3, 5, 10


def milliseconds(run):
    for _ in range(WARMUP):
        run()
    times = []
    for _ in range(SAMPLES):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(CALLS):
            run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / CALLS)
    return sorted(times)[SAMPLES // 2]


def scans_of_fla():
    """Name of a scan: function of q, k, v, beta and decay, all [batch, time, heads, ...]."""
    try:
        from fla.ops.delta_rule import chunk_delta_rule
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule
        from fla.ops.linear_attn import chunk_linear_attn
    except ImportError as error:
        print(f"no flash-linear-attention: {error}", file=sys.stderr)
        return {}
    return {
        "linear attention": lambda q, k, v, beta, g: chunk_linear_attn(q, k, v, normalize=False)[0],
        "delta rule": lambda q, k, v, beta, g: chunk_delta_rule(q, k, v, beta)[0],
        "gated delta rule": lambda q, k, v, beta, g: chunk_gated_delta_rule(q, k, v, g, beta)[0],
    }


def measure(name, run, inputs, size, times):
    key = f"{name} {size['batch']},{size['time']},{size['heads']},{size['dim']}"
    try:
        with torch.no_grad():
            times[f"{key} forward"] = milliseconds(lambda: run(*inputs))
        trained = [x.detach().requires_grad_() for x in inputs[:3]]
        times[f"{key} forward+backward"] = milliseconds(
            lambda: torch.autograd.grad(run(*trained, *inputs[3:]).sum(), trained)
        )
    except (RuntimeError, ValueError, AssertionError) as error:
        print(f"{key}: {error}", file=sys.stderr)


def main():
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA card")
    fla, attention = {}, {}
    for size in json.loads(sys.argv[1]):
        batch, time, heads, dim = (size[name] for name in ("batch", "time", "heads", "dim"))
        options = {"device": "cuda", "dtype": torch.bfloat16}
        q, k, v = (torch.randn(batch, time, heads, dim, **options) for _ in range(3))
        k = F.normalize(k, dim=-1)
        beta = torch.rand(batch, time, heads, **options)
        decay = -0.1 * torch.rand(batch, time, heads, device="cuda")
        for name, run in scans_of_fla().items():
            measure(name, run, (q, k, v, beta, decay), size, fla)
        full = [x.float().transpose(1, 2).contiguous() for x in (q, k, v)]
        for name in ("linear attention", "delta rule", "gated delta rule"):
            measure(name, lambda a, b, c: F.scaled_dot_product_attention(a, b, c, is_causal=True), full, size, attention)
    print(json.dumps({"flash-linear-attention (bfloat16)": fla, "softmax attention of PyTorch": attention}))


main()
