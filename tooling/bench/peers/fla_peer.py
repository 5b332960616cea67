"""The peer `flash-linear-attention`: `python3 fla_peer.py`, on a CUDA card.

Its programs have the names and numbers of torch_peer.py. The library's kernels take bfloat16 and arrays
`[batch, steps, heads, channels]`; inputs and gradients are brought into that form once, before anything is timed.
"""

import fla
import torch
from fla.ops.delta_rule import chunk_delta_rule
from fla.ops.gated_delta_rule import chunk_gated_delta_rule
from fla.ops.linear_attn import chunk_linear_attn

from torch_peer import Backward, Forward, delta_rule_inputs, gated_delta_rule_inputs, sequences, serve, uniform


def turned(x):
    """Steps before heads, or back."""
    return x.transpose(1, 2).contiguous()


def arranged(q, k, v, *others):
    """Decays, which are near 1, stay in float32."""
    return [turned(x).bfloat16() for x in (q, k, v, *others[:1])] + [turned(x) for x in others[1:]]


def linear_attention(q, k, v):
    # Its default is a scale of 1 / sqrt(channels), ours and PyTorch's 1.
    return chunk_linear_attn(q, k, v, scale=1.0, normalize=False)[0]


def delta_rule(q, k, v, beta):
    return chunk_delta_rule(q, k, v, beta, scale=1.0)[0]


def gated_delta_rule(q, k, v, beta, decay):
    # It takes the logarithm of what the state is multiplied with.
    return chunk_gated_delta_rule(q, k, v, decay.log(), beta, scale=1.0)[0]


def forward(make_inputs, compute):
    def program(p):
        inputs = arranged(*make_inputs(p))
        return Forward(lambda: compute(*inputs), turned)

    return program


def backward(make_inputs, compute, seed):
    def program(p):
        inputs = make_inputs(p)
        gradient = turned(uniform(inputs[0].shape, seed)).bfloat16()
        return Backward(arranged(*inputs), gradient, compute, lambda *gradients: [turned(x) for x in gradients])

    return program


PROGRAMS = {
    "linear attention": forward(sequences, linear_attention),
    "linear attention backward": backward(sequences, linear_attention, 4),
    "delta rule": forward(delta_rule_inputs, delta_rule),
    "delta rule backward": backward(delta_rule_inputs, delta_rule, 5),
    "gated delta rule": forward(gated_delta_rule_inputs, gated_delta_rule),
    "gated delta rule backward": backward(gated_delta_rule_inputs, gated_delta_rule, 5),
}

if __name__ == "__main__":
    serve(PROGRAMS, fla.__version__, on_cuda=True)
