"""The peers `pytorch` and `pytorch-cuda`: `python3 torch_peer.py THREADS [cuda]`.

Answers the requests of src/harness/protocol.ts, one JSON object per line. The programs are those of src/programs: the
same shapes and the same numbers (`uniform`, `integers`), written as a user of PyTorch would write them, with its
layers, its optimiser and its default memory layout, in eager mode.
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F

SHORTEST_SAMPLE = 1.0
SHORTEST_AWAITED_SAMPLE = 20.0
DIGEST_LENGTH = 64
LEARNING_RATE = 1e-3
CHECKED_STEPS = 3
MASK = 0xFFFFFFFF


# ---- numbers that every peer makes for itself; the twin of src/programs/values.ts ----


def hashes(count, seed):
    h = torch.arange(count, dtype=torch.int64) * 0x9E3779B1 + seed * 0x85EBCA6B & MASK
    h = (h ^ (h >> 16)) * 0x7FEB352D & MASK
    h = (h ^ (h >> 15)) * 0x846CA68B & MASK
    return h ^ (h >> 16)


def uniform(shape, seed, scale=1.0):
    count = math.prod(shape)
    return ((hashes(count, seed).double() / 2**31 - 1) * scale).float().reshape(shape)


def integers(shape, seed, limit):
    return (hashes(math.prod(shape), seed) % limit).reshape(shape)


def digest(*results):
    values, squares, count = [], 0.0, 0
    each = math.ceil(DIGEST_LENGTH / len(results))
    for result in results:
        flat = result.detach().contiguous().reshape(-1).double()
        values += flat[:: max(1, flat.numel() // each)][:each].tolist()
        squares += float((flat * flat).sum())
        count += flat.numel()
    return {"values": values, "scale": math.sqrt(squares / max(1, count))}


# ---- single operations ----


class Forward:
    def __init__(self, compute, arrange=lambda result: result):
        self.compute, self.arrange = compute, arrange

    def run(self):
        with torch.no_grad():
            self.compute()

    def check(self):
        with torch.no_grad():
            return digest(self.arrange(self.compute()))


class Backward:
    """`compute`, then its gradient for all `inputs`, given the gradient of its result."""

    def __init__(self, inputs, gradient, compute, arrange=lambda *gradients: gradients):
        self.inputs = [x.requires_grad_() for x in inputs]
        self.gradient, self.compute, self.arrange = gradient, compute, arrange

    def gradients(self):
        return torch.autograd.grad(self.compute(*self.inputs), self.inputs, self.gradient)

    def run(self):
        self.gradients()

    def check(self):
        return digest(*self.arrange(*self.gradients()))


def forward(make_inputs, compute):
    """A program for `compute` of the inputs of its parameters."""
    return lambda p: Forward(lambda inputs=make_inputs(p): compute(*inputs))


def backward(make_inputs, compute, seed):
    """The same with its gradient, whose result is a sequence; `seed` is that of the result's gradient."""
    return lambda p: Backward(make_inputs(p), uniform([p["batch"], p["heads"], p["length"], p["dim"]], seed), compute)


ELEMENTWISE = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: x * y,
    "exp": lambda x, y: torch.exp(x),
    "tanh": lambda x, y: torch.tanh(x),
    "gelu": lambda x, y: F.gelu(x),
}


def gemm(p):
    a, b = uniform(p["a"], 1), uniform(p["b"], 2)
    if p.get("transposeA"):
        return Forward(lambda: a.transpose(-1, -2) @ b)
    return Forward(lambda: a @ b)


def elementwise(p):
    x, y = uniform(p["shape"], 1, 3), uniform(p["other"], 2, 3)
    operation = ELEMENTWISE[p["operation"]]
    return Forward(lambda: operation(x, y))


def reduction(p):
    x, axis = uniform(p["shape"], 1), p.get("axis")
    if p["operation"] == "max":
        return Forward(lambda: torch.amax(x, dim=() if axis is None else axis))
    return Forward(lambda: torch.sum(x) if axis is None else torch.sum(x, dim=axis))


def softmax(p):
    x = uniform(p["shape"], 1, 3)
    return Forward(lambda: torch.softmax(x, -1))


def softmax_backward(p):
    return Backward([uniform(p["shape"], 1, 3)], uniform(p["shape"], 4), lambda x: torch.softmax(x, -1))


def layer_norm_inputs(p):
    width = p["shape"][-1:]
    return [uniform(p["shape"], 1, 3), uniform(width, 2), uniform(width, 3)]


def layer_norm(p):
    x, scale, offset = layer_norm_inputs(p)
    return Forward(lambda: F.layer_norm(x, scale.shape, scale, offset, 1e-5))


def layer_norm_backward(p):
    compute = lambda x, scale, offset: F.layer_norm(x, scale.shape, scale, offset, 1e-5)
    return Backward(layer_norm_inputs(p), uniform(p["shape"], 4), compute)


def embedding(p):
    indices = integers([p["count"]], 3, p["entries"])
    table = uniform([p["entries"], p["width"]], 1)
    return Backward([table], uniform([p["count"], p["width"]], 4), lambda t: F.embedding(indices, t))


def to_nchw(x):
    return x.permute(0, 3, 1, 2).contiguous()


def convolution_inputs(p):
    """Inputs come as [batch, height, width, channels], filters as [3, 3, channels, filters]."""
    x = to_nchw(uniform(p["shape"], 1))
    weight = uniform([3, 3, p["shape"][3], p["filters"]], 2, 0.1).permute(3, 2, 0, 1).contiguous()
    return x, weight, p["strides"]


def convolution(p):
    x, weight, strides = convolution_inputs(p)
    program = Forward(lambda: F.conv2d(x, weight, stride=strides, padding=1))
    with torch.no_grad():
        expected = digest(program.compute().permute(0, 2, 3, 1))
    program.check = lambda: expected
    return program


def convolution_backward(p):
    x, weight, strides = convolution_inputs(p)
    compute = lambda x, weight: F.conv2d(x, weight, stride=strides, padding=1)
    with torch.no_grad():
        batch, filters, height, width = compute(x, weight).shape
    gradient = to_nchw(uniform([batch, height, width, filters], 4))
    arrange = lambda dx, dw: (dx.permute(0, 2, 3, 1), dw.permute(2, 3, 1, 0))
    return Backward([x, weight], gradient, compute, arrange)


def transpose(p):
    x = uniform(p["shape"], 1)
    return Forward(lambda: x.permute(p["permutation"]).contiguous())


def dispatch(p):
    a, b = uniform([4], 1), uniform([4], 2)
    return Forward(lambda: a + b)


def dispatch_with_gradient(p):
    factor = uniform([4], 2)

    def chain(y):
        for _ in range(p["count"]):
            y = y + factor
        return y

    return Backward([uniform([4], 1)], uniform([4], 4), chain)


# ---- training steps ----


class Training:
    """Forward, backward, Adam. Parameters get the shared numbers before the optimiser is made."""

    def __init__(self, model, loss):
        self.loss = loss
        self.optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def run(self):
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return loss

    def check(self):
        losses = [self.run().item() for _ in range(CHECKED_STEPS)]
        return {"values": losses, "scale": losses[0]}


class Seeds:
    """Numbered seeds in the order of src/programs/training-programs.ts; biases are zeros and take none."""

    def __init__(self):
        self.seed = 100

    def values(self, shape, scale):
        self.seed += 1
        return uniform(shape, self.seed - 1, scale)

    def linear(self, layer):
        inputs, outputs = layer.in_features, layer.out_features
        with torch.no_grad():
            layer.weight.copy_(self.values([inputs, outputs], 1 / math.sqrt(inputs)).T)
            layer.bias.zero_()
        return layer


class Block(torch.nn.Module):
    def __init__(self, width, heads, feed_forward, seeds):
        super().__init__()
        self.heads = heads
        self.norm1 = torch.nn.LayerNorm(width)
        self.project = seeds.linear(torch.nn.Linear(width, 3 * width))
        self.output = seeds.linear(torch.nn.Linear(width, width))
        self.norm2 = torch.nn.LayerNorm(width)
        self.expand = seeds.linear(torch.nn.Linear(width, feed_forward))
        self.contract = seeds.linear(torch.nn.Linear(feed_forward, width))

    def forward(self, x):
        batch, length, width = x.shape
        projected = self.project(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.contract(F.relu(self.expand(self.norm2(x))))


class Transformer(torch.nn.Module):
    def __init__(self, p):
        super().__init__()
        seeds, width = Seeds(), p["width"]
        self.table = torch.nn.Embedding.from_pretrained(seeds.values([p["vocabulary"], width], 0.5), freeze=False)
        self.positions = torch.nn.Parameter(seeds.values([p["length"], width], 0.5))
        blocks = (Block(width, p["heads"], p["feedForward"], seeds) for _ in range(p["layers"]))
        self.blocks = torch.nn.Sequential(*blocks)
        self.norm = torch.nn.LayerNorm(width)
        self.head = seeds.linear(torch.nn.Linear(width, p["vocabulary"]))

    def forward(self, symbols):
        return self.head(self.norm(self.blocks(self.table(symbols) + self.positions)))


def transformer(p):
    model = Transformer(p)
    symbols = integers([p["batch"], p["length"]], 3, p["vocabulary"])
    labels = integers([p["batch"] * p["length"]], 4, p["vocabulary"])
    return Training(model, lambda: F.cross_entropy(model(symbols).view(-1, p["vocabulary"]), labels))


def mlp(p):
    seeds = Seeds()
    layers = [seeds.linear(torch.nn.Linear(a, b)) for a, b in ((784, 512), (512, 512), (512, 10))]
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    x, labels = uniform([p["batch"], 784], 1), integers([p["batch"]], 2, 10)
    return Training(model, lambda: F.cross_entropy(model(x), labels))


class Lstm(torch.nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        seeds, scale = Seeds(), 1 / math.sqrt(hidden)
        self.cell = torch.nn.LSTM(inputs, hidden, batch_first=True)
        with torch.no_grad():
            self.cell.weight_ih_l0.copy_(seeds.values([inputs, 4 * hidden], scale).T)
            self.cell.weight_hh_l0.copy_(seeds.values([hidden, 4 * hidden], scale).T)
            self.cell.bias_ih_l0.zero_()
            self.cell.bias_hh_l0.zero_()
        # nn.LSTM has two biases that are only ever added; training one of them is the same model as elsewhere.
        self.cell.bias_hh_l0.requires_grad_(False)
        self.head = seeds.linear(torch.nn.Linear(hidden, 10))

    def forward(self, x):
        states, _ = self.cell(x)
        return self.head(states[:, -1])


def lstm(p):
    model = Lstm(p["inputs"], p["hidden"])
    x, labels = uniform([p["batch"], p["length"], p["inputs"]], 1), integers([p["batch"]], 2, 10)
    return Training(model, lambda: F.cross_entropy(model(x), labels))


class Cnn(torch.nn.Module):
    def __init__(self):
        super().__init__()
        seeds = Seeds()
        self.layers = torch.nn.ModuleList()
        for i, (inputs, outputs) in enumerate(((3, 32), (32, 64), (64, 64))):
            layer = torch.nn.Conv2d(inputs, outputs, 3, stride=1 if i == 0 else 2, padding=1)
            with torch.no_grad():
                values = seeds.values([3, 3, inputs, outputs], 1 / math.sqrt(9 * inputs))
                layer.weight.copy_(values.permute(3, 2, 0, 1))
                layer.bias.zero_()
            self.layers.append(layer)
        self.head = seeds.linear(torch.nn.Linear(64, 10))

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x.mean((2, 3)))


def cnn(p):
    model = Cnn()
    x, labels = to_nchw(uniform([p["batch"], 32, 32, 3], 1)), integers([p["batch"]], 2, 10)
    return Training(model, lambda: F.cross_entropy(model(x), labels))


# ---- layers that are applied again and again: the Neural Data Router, the universal Transformer ----


def visits(length):
    """For each query, positions from near to far, right before left, itself last; and the inverse."""
    order = []
    for i in range(length):
        row = [j for d in range(1, length) for j in (i + d, i - d) if 0 <= j < length]
        order.append(row + [i])
    order = torch.tensor(order)
    return order, order.argsort(1)


class ColumnLayer(torch.nn.Module):
    """Parameters in the order of src/programs/routing-programs.ts: matrices are [inputs, outputs]."""

    def __init__(self, p, seeds):
        super().__init__()
        self.heads, self.length = p["heads"], p["length"]
        width = p["width"]
        self.is_router = p["layer"] == "neuralDataRouter"
        self.projection = self.matrix(seeds, width, 3 * width + (2 * self.heads if self.is_router else 0))
        if self.is_router:
            self.content_bias = torch.nn.Parameter(torch.zeros(width))
            self.direction_bias = torch.nn.Parameter(torch.zeros(2 * self.heads))
            self.coefficients = torch.nn.Parameter(torch.tensor([(width // self.heads) ** -0.5, 1.0, 0.0]))
        self.output = self.matrix(seeds, width, width)
        self.norm = torch.nn.LayerNorm(width)
        self.expand = seeds.linear(torch.nn.Linear(width, p["feedForward"]))
        self.contract = seeds.linear(torch.nn.Linear(p["feedForward"], width))
        self.update_norm = torch.nn.LayerNorm(width)
        if self.is_router:
            self.gate_input = seeds.linear(torch.nn.Linear(width, width))
            self.gate_output = seeds.linear(torch.nn.Linear(width, width))
            torch.nn.init.constant_(self.gate_output.bias, -3.0)
            order, rank = visits(p["length"])
            self.register_buffer("order", order)
            self.register_buffer("rank", rank)
            positions = torch.arange(p["length"])
            self.register_buffer("is_left", positions[None, :] < positions[:, None])
            self.register_buffer("diagonal", torch.eye(p["length"], dtype=torch.bool))

    def matrix(self, seeds, inputs, outputs):
        return torch.nn.Parameter(seeds.values([inputs, outputs], inputs**-0.5))

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def attend(self, h):
        width = h.shape[2]
        if not self.is_router:
            q, k, v = (self.split(x) for x in (h @ self.projection).split(width, 2))
            attended = F.scaled_dot_product_attention(q, k, v)
        else:
            projected = h @ self.projection
            q = self.split(projected[..., :width] + self.content_bias)
            k, v = self.split(projected[..., width : 2 * width]), self.split(projected[..., 2 * width : 3 * width])
            left, right = (projected[..., 3 * width :] + self.direction_bias).split(self.heads, 2)
            content, direction, bias = self.coefficients
            preference = torch.where(self.is_left, left.transpose(1, 2)[..., None], right.transpose(1, 2)[..., None])
            z = content * (q @ k.transpose(2, 3)) + direction * preference + bias
            z = z.masked_fill(self.diagonal, -1e9)
            z = z.gather(3, self.order.expand_as(z))
            unmatched = F.logsigmoid(-z)
            visited = (F.logsigmoid(z) + unmatched.cumsum(3) - unmatched).exp()
            attended = visited.gather(3, self.rank.expand_as(visited)) @ v
        return attended.transpose(1, 2).reshape(h.shape) @ self.output

    def forward(self, h):
        u = self.norm(h + self.attend(h))
        update = self.contract(F.relu(self.expand(u)))
        if not self.is_router:
            return self.update_norm(u + update)
        gate = torch.sigmoid(self.gate_output(F.relu(self.gate_input(u))))
        return h + gate * (self.update_norm(update) - h)


class RepeatedLayer(torch.nn.Module):
    def __init__(self, p):
        super().__init__()
        seeds, width = Seeds(), p["width"]
        table = seeds.values([p["vocabulary"], width], p["vocabulary"] ** -0.5)
        self.table = torch.nn.Embedding.from_pretrained(table, freeze=False)
        self.layer, self.layers = ColumnLayer(p, seeds), p["layers"]
        self.head = seeds.linear(torch.nn.Linear(width, p["classes"]))
        positions = torch.zeros(p["length"], width)
        if p["layer"] == "universal":
            angles = torch.arange(p["length"])[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
            positions[:, 0::2], positions[:, 1::2] = angles.sin(), angles.cos()
        self.register_buffer("positions", positions)

    def forward(self, symbols):
        h = self.table(symbols) + self.positions
        for _ in range(self.layers):
            h = self.layer(h)
        return self.head(h[:, -1])


def repeated_layer_step(p):
    model = RepeatedLayer(p)
    symbols, labels = integers([p["batch"], p["length"]], 3, p["vocabulary"]), integers([p["batch"]], 4, p["classes"])
    return Training(model, lambda: F.cross_entropy(model(symbols), labels))


# ---- the delta rule: over chunks of time (a triangular system each), and as a loop over time ----


def delta_rule_inputs(p):
    shape = [p["batch"], p["heads"], p["length"], p["dim"]]
    beta = uniform(shape[:3], 4, 0.5) + 0.5
    return [uniform(shape, 1), uniform(shape, 2, math.sqrt(3 / p["dim"])), uniform(shape, 3), beta]


def delta_rule_over_chunks(q, k, v, beta, decay=None, chunk=64):
    q, k, v, beta = (x.unflatten(2, (-1, chunk)) for x in (q, k, v, beta.unsqueeze(-1)))
    if decay is None:
        between, from_start, to_end, whole = 1, 1, 1, None
    else:
        sums = decay.log().unflatten(2, (-1, chunk)).cumsum(3)
        between = (sums.unsqueeze(-1) - sums.unsqueeze(-2)).tril().exp()
        from_start, to_end = sums.exp().unsqueeze(-1), (sums[..., -1:] - sums).exp().unsqueeze(-1)
        whole = from_start[:, :, :, -1:]
    system = (k @ k.transpose(-1, -2) * beta * between).tril(-1) + torch.eye(chunk)
    solved = torch.linalg.solve_triangular(
        system, torch.cat([beta * v, beta * from_start * k], -1), upper=False, unitriangular=True
    )
    fresh, erased = solved[..., : v.shape[-1]], solved[..., v.shape[-1] :]
    attended = (q @ k.transpose(-1, -2) * between).tril()
    queries, keys = q * from_start, k * to_end
    state, outputs = torch.zeros_like(v[:, :, 0].transpose(-1, -2) @ k[:, :, 0]), []
    for n in range(q.shape[2]):
        writes = fresh[:, :, n] - erased[:, :, n] @ state.transpose(-1, -2)
        outputs.append(queries[:, :, n] @ state.transpose(-1, -2) + attended[:, :, n] @ writes)
        state = (state if whole is None else state * whole[:, :, n]) + writes.transpose(-1, -2) @ keys[:, :, n]
    return torch.cat(outputs, 2)


def delta_rule_over_steps(q, k, v, beta):
    state = torch.zeros(*v.shape[:2], v.shape[-1], k.shape[-1])
    outputs = []
    for q_t, k_t, v_t, beta_t in zip(q.unbind(2), k.unbind(2), v.unbind(2), beta.unbind(2)):
        predicted = (state @ k_t.unsqueeze(-1)).squeeze(-1)
        state = state + (beta_t.unsqueeze(-1) * (v_t - predicted)).unsqueeze(-1) * k_t.unsqueeze(-2)
        outputs.append((state @ q_t.unsqueeze(-1)).squeeze(-1))
    return torch.stack(outputs, 2)


def gated_delta_rule_inputs(p):
    inputs = delta_rule_inputs(p)
    return [*inputs, uniform(inputs[3].shape, 6, 0.05) + 0.95]


# ---- linear attention, over chunks of time; for chunks of 64 steps, decays near 1 may be divided by ----

CHUNK = 64


def sequences(p):
    shape = [p["batch"], p["heads"], p["length"], p["dim"]]
    return [uniform(shape, seed) for seed in (1, 2, 3)]


def in_chunks(x):
    return x.unflatten(2, (-1, CHUNK))


def linear_attention_over_chunks(q, k, v):
    q, k, v = in_chunks(q), in_chunks(k), in_chunks(v)
    written = v.transpose(-1, -2) @ k
    states = written.cumsum(2) - written
    return (q @ states.transpose(-1, -2) + (q @ k.transpose(-1, -2)).tril() @ v).flatten(2, 3)


def gated_linear_attention_over_chunks(q, k, v, decay):
    q, k, v, decay = in_chunks(q), in_chunks(k), in_chunks(v), in_chunks(decay)
    products = decay.cumprod(3)
    q, k, whole = q * products, k / products, products[:, :, :, -1:]
    written = v.transpose(-1, -2) @ (k * whole)
    state, states = torch.zeros_like(written[:, :, 0]), []
    for n in range(q.shape[2]):
        states.append(state)
        state = state * whole[:, :, n] + written[:, :, n]
    states = torch.stack(states, 2)
    return (q @ states.transpose(-1, -2) + (q @ k.transpose(-1, -2)).tril() @ v).flatten(2, 3)


def gated_sequences(p):
    return [*sequences(p), uniform([p["batch"], p["heads"], p["length"], p["dim"]], 5, 0.05) + 0.95]


# ---- softmax attention over the last elements; the fused one for all of them takes no mask ----


def windowed(p):
    if p["window"] >= p["length"]:
        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    places = torch.arange(p["length"])
    distance = places[:, None] - places[None, :]
    mask = (distance >= 0) & (distance < p["window"])
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def windowed_attention(p):
    inputs, attend = sequences(p), windowed(p)
    return Forward(lambda: attend(*inputs))


def windowed_attention_backward(p):
    inputs = sequences(p)
    return Backward(inputs, uniform(inputs[0].shape, 4), windowed(p))


# ---- fast weights with recurrence: loops over time ----


def delta_write(state, key, value, rate):
    predicted = (state @ key.unsqueeze(-1)).squeeze(-1)
    return state + (rate.unsqueeze(-1) * (value - predicted)).unsqueeze(-1) * key.unsqueeze(-2)


def fast_net_inputs(p, *gates):
    vectors = [p["batch"], p["heads"], *gates, p["length"], p["dim"]]
    rates = lambda seed: uniform(vectors[:-1], seed, 0.5) + 0.5
    written = [uniform(vectors, 1), uniform(vectors, 2, math.sqrt(3 / p["dim"])), uniform(vectors, 3), rates(4)]
    return [*written, uniform(vectors, 5).softmax(-1), uniform(vectors, 6), rates(7)]


def fast_net_over_steps(inputs, cell):
    """Writes and reads both matrices, one step after the other; `cell` makes an output of what they give together."""
    *batch, _, dim = inputs[0].shape
    w, r = torch.zeros(*batch, dim, dim), torch.zeros(*batch, dim, dim)
    query, outputs = torch.full([*batch, dim], 1 / dim), []
    for q, k, v, beta, recurrent_k, recurrent_v, recurrent_beta in zip(*(x.unbind(len(batch)) for x in inputs)):
        w, r = delta_write(w, k, v, beta), delta_write(r, recurrent_k, recurrent_v, recurrent_beta)
        y = cell((w @ q.unsqueeze(-1) + r @ query.unsqueeze(-1)).squeeze(-1))
        query = y.softmax(-1)
        if len(batch) > 2:
            query = query.unsqueeze(2)  # the same for all gates
        outputs.append(y)
    return torch.stack(outputs, 2)


def delta_rnn_over_steps(*inputs):
    return fast_net_over_steps(inputs, lambda read: read)


def delta_lstm_over_steps(*inputs):
    memory = 0

    def cell(read):
        nonlocal memory
        i, u, o = read.unbind(2)
        gate = i.sigmoid()
        memory = gate * u + (1 - gate) * memory
        return o.sigmoid() * memory

    return fast_net_over_steps(inputs, cell)


def recurrent_delta_inputs(p):
    dim, vectors = p["dim"], [p["batch"], p["heads"], p["length"], p["dim"]]
    scale = math.sqrt(3 / dim)
    fed = [uniform(vectors, 1), uniform(vectors, 2), uniform(vectors, 3), uniform(vectors[:-1], 4)]
    weights = [uniform([p["heads"], dim, dim], seed, scale) for seed in (5, 6, 7)]
    return [*fed, *weights, uniform([p["heads"], dim], 8, scale)]


def recurrent_delta_over_steps(q, k, v, beta, weight_q, weight_k, weight_v, weight_b):
    state, y, outputs = torch.zeros(*v.shape[:2], v.shape[-1], k.shape[-1]), torch.zeros_like(v[:, :, 0]), []
    for q_t, k_t, v_t, beta_t in zip(*(x.unbind(2) for x in (q, k, v, beta))):
        feedback = y.tanh().unsqueeze(-1)
        query, key = ((x + (r @ feedback).squeeze(-1)).softmax(-1) for x, r in ((q_t, weight_q), (k_t, weight_k)))
        value = v_t + (weight_v @ feedback).squeeze(-1)
        rate = (beta_t + (weight_b.unsqueeze(-2) @ feedback).squeeze(-1).squeeze(-1)).sigmoid()
        state = delta_write(state, key, value, rate)
        y = (state @ query.unsqueeze(-1)).squeeze(-1)
        outputs.append(y)
    return torch.stack(outputs, 2)


delta_lstm_inputs = lambda p: fast_net_inputs(p, 3)


# ---- self-referential weight matrices: a loop over time ----


def self_referential_inputs(p):
    dim = p["dim"]
    x = uniform([p["batch"], p["heads"], p["length"], dim], 1)
    return [x, uniform([p["heads"], dim, 3 * dim + 4], 2, math.sqrt(3 / dim))]


def self_referential_over_steps(x, weights):
    dim = x.shape[-1]
    sizes = [dim, dim, dim, 4]
    blocks = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))
    w, outputs = weights.expand(x.shape[0], *weights.shape), []
    for x_t in x.unbind(2):
        y, query, key, rates = (x_t.unsqueeze(-2) @ w).squeeze(-2).split(sizes, -1)
        query, key = query.softmax(-1).unsqueeze(-2), key.softmax(-1).unsqueeze(-2)
        write = rates.sigmoid()[..., blocks].unsqueeze(-2) * (query @ w - key @ w)
        w = w + key.transpose(-1, -2) @ write
        outputs.append(y)
    return torch.stack(outputs, 2)


# ---- real-time recurrent learning of an e-LSTM, step by step and in the authors' order of operations: outer products of local
# factors and inputs, added to the decayed sensitivities, and their products with the error, summed over the batch ----


class Sensitivities:
    def __init__(self, p):
        batch, steps, inputs, hidden = p["batch"], p["steps"], p["inputs"], p["hidden"]
        scale = 1 / math.sqrt(inputs)
        self.x = uniform([batch, steps, inputs], 1)
        weight, recurrent = uniform([inputs, 2 * hidden], 2, scale), uniform([2 * hidden], 3, scale)
        self.recurrent = recurrent.split(hidden)
        self.errors = uniform([batch, steps, hidden], 5)
        sums = self.x @ weight + uniform([2 * hidden], 4, scale)
        c, self.trace = torch.zeros(batch, hidden), []
        for total_z, total_f in zip(*(part.unbind(1) for part in sums.split(hidden, -1))):
            z = torch.tanh(total_z + self.recurrent[0] * c)
            f = torch.sigmoid(total_f + self.recurrent[1] * c)
            self.trace.append((c, z, f))
            c = f * c + (1 - f) * z
        self.shape = [batch, hidden, inputs]
        self.reset()

    def reset(self):
        self.matrices = [torch.zeros(self.shape) for _ in range(2)]
        self.vectors = [torch.zeros(self.shape[:2]) for _ in range(4)]

    def update(self):
        matrices = [torch.zeros(self.shape[1:]) for _ in range(2)]
        vectors = [torch.zeros(self.shape[1]) for _ in range(4)]
        for t, (c, z, f) in enumerate(self.trace):
            dz, df = (1 - f) * (1 - z**2), (c - z) * f * (1 - f)
            a = f + dz * self.recurrent[0] + df * self.recurrent[1]
            x, error = self.x[:, t].unsqueeze(1), self.errors[:, t]
            for i, local in enumerate((dz, df)):
                self.matrices[i] = a.unsqueeze(-1) * self.matrices[i] + local.unsqueeze(-1) * x
                self.vectors[i] = a * self.vectors[i] + local * c
                self.vectors[i + 2] = a * self.vectors[i + 2] + local
                matrices[i] += (error.unsqueeze(-1) * self.matrices[i]).sum(0)
                vectors[i] += (error * self.vectors[i]).sum(0)
                vectors[i + 2] += (error * self.vectors[i + 2]).sum(0)
        return torch.cat(matrices).T, torch.cat(vectors[:2]), torch.cat(vectors[2:])

    def run(self):
        with torch.no_grad():
            self.update()

    def check(self):
        with torch.no_grad():
            self.reset()
            return digest(*self.update())


# ---- vector quantisation, with the operations in the order of the authors of the Kohonen VAE: one-hot assignments times the
# matrix of the neighbourhood, and the result, transposed, times the vectors ----


def quantiser_inputs(p):
    return uniform([p["vectors"], p["size"]], 1), uniform([p["codes"], p["size"]], 2)


def quantiser_distances(p):
    vectors, codes = quantiser_inputs(p)
    return Forward(lambda: vectors @ codes.T)


def nearest(vectors, codes):
    return ((vectors**2).sum(1, keepdim=True) + (codes**2).sum(1) - 2 * vectors @ codes.T).argmin(1)


def nearest_codes(p):
    vectors, codes = quantiser_inputs(p)
    return Forward(lambda: nearest(vectors, codes))


class QuantiserStep:
    """Training steps of a quantiser from the given codes, on a grid of two axes, as equal as possible."""

    DECAY, EPSILON, COMMITMENT, SHRINKAGE, WIDTH = 0.99, 1e-5, 0.25, 0.1, 10

    def __init__(self, p):
        self.p = p
        self.vectors, self.first = quantiser_inputs(p)
        across = next(n for n in range(math.isqrt(p["codes"]), 0, -1) if p["codes"] % n == 0)
        place = torch.arange(p["codes"])
        places = torch.stack([place % (p["codes"] // across), place // (p["codes"] // across)], 1).float()
        self.grid = torch.cdist(places, places)
        self.reset()

    def reset(self):
        self.step, self.codes, self.sums = 0, self.first.clone(), self.first.clone()
        self.counts = torch.ones(self.p["codes"])

    def neighbourhood(self):
        narrowing = 1 + self.SHRINKAGE * self.step
        if self.p["neighborhood"] == "none":
            return None
        if self.p["neighborhood"] == "gaussian":
            return torch.exp(-self.grid * narrowing / self.WIDTH)
        return ((self.grid < 1.5) / narrowing).fill_diagonal_(1)

    def run(self):
        with torch.no_grad():
            indices = nearest(self.vectors, self.codes)
            one_hot = F.one_hot(indices, self.p["codes"]).float()
            chosen = self.codes[indices]
            loss = self.COMMITMENT * F.mse_loss(chosen, self.vectors)
            share = one_hot.mean(0)
            torch.exp(-(share * torch.log(share + 1e-10)).sum())
            neighbourhood = self.neighbourhood()
            spread = one_hot if neighbourhood is None else one_hot @ neighbourhood
            counts = self.DECAY * self.counts + (1 - self.DECAY) * spread.sum(0)
            total = counts.sum()
            self.counts = (counts + self.EPSILON) / (total + self.p["codes"] * self.EPSILON) * total
            self.sums = self.DECAY * self.sums + (1 - self.DECAY) * spread.T @ self.vectors
            self.codes = self.sums / self.counts.unsqueeze(1)
            self.step += 1
            return loss

    def check(self):
        self.reset()
        return digest(self.run(), self.codes)


# ---- mixtures of experts, with a loop over experts ----


def expert_layer_inputs(p):
    tokens, size, experts, expert_size = p["tokens"], p["size"], p["experts"], p["expertSize"]
    gates, indices = uniform([tokens, experts], 4).topk(p["active"])
    x, keys = uniform([tokens, size], 1), uniform([experts, size, expert_size], 2)
    return x, keys, uniform([experts, expert_size, size], 3), indices, gates


def expert_products(p):
    x, keys, _, indices, _ = expert_layer_inputs(p)

    def compute():
        y = x.new_zeros(*indices.shape, keys.shape[2])
        for expert in range(len(keys)):
            token, slot = (indices == expert).nonzero(as_tuple=True)
            y[token, slot] = x[token] @ keys[expert]
        return y

    return Forward(compute)


def over_experts(x, keys, values, indices, gates):
    y = torch.zeros_like(x)
    for expert in range(len(keys)):
        token, slot = (indices == expert).nonzero(as_tuple=True)
        hidden = F.relu(x[token] @ keys[expert])
        y = y.index_add(0, token, hidden @ values[expert] * gates[token, slot].unsqueeze(1))
    return y


def expert_layers(p):
    inputs = expert_layer_inputs(p)
    return Forward(lambda: over_experts(*inputs))


class Experts(torch.nn.Module):
    def __init__(self, p):
        super().__init__()
        seeds, self.active = Seeds(), p["active"]
        size, experts, expert_size = p["size"], p["experts"], p["expertSize"]
        self.keys = torch.nn.Parameter(seeds.values([experts, size, expert_size], 1 / math.sqrt(size)))
        scale = 1 / math.sqrt(experts * expert_size)
        self.values = torch.nn.Parameter(seeds.values([experts, expert_size, size], scale))
        self.router = torch.nn.Parameter(seeds.values([size, experts], 1 / math.sqrt(size)))

    def forward(self, x):
        gates, indices = torch.sigmoid(x @ self.router).topk(self.active)
        return over_experts(x, self.keys, self.values, indices, gates)


def block_step(make_block):
    def step(p):
        block, x = make_block(p), uniform([p["tokens"], p["size"]], 1)
        return Training(block, lambda: (block(x) ** 2).mean())

    return step


def dense_block(p):
    seeds, size, hidden = Seeds(), p["size"], p["hiddenSize"]
    expand, contract = (seeds.linear(torch.nn.Linear(*sizes)) for sizes in ((size, hidden), (hidden, size)))
    return torch.nn.Sequential(expand, torch.nn.ReLU(), contract)


PROGRAMS = {
    "gemm": gemm,
    "elementwise": elementwise,
    "reduction": reduction,
    "quantiser distances": quantiser_distances,
    "nearest codes": nearest_codes,
    "quantiser step": QuantiserStep,
    "softmax": softmax,
    "softmax backward": softmax_backward,
    "layer norm": layer_norm,
    "layer norm backward": layer_norm_backward,
    "embedding": embedding,
    "convolution": convolution,
    "convolution backward": convolution_backward,
    "transpose": transpose,
    "dispatch": dispatch,
    "dispatch with gradient": dispatch_with_gradient,
    "delta rule": forward(delta_rule_inputs, delta_rule_over_chunks),
    "delta rule backward": backward(delta_rule_inputs, delta_rule_over_chunks, 5),
    "delta rule loop backward": backward(delta_rule_inputs, delta_rule_over_steps, 5),
    "gated delta rule": forward(gated_delta_rule_inputs, delta_rule_over_chunks),
    "gated delta rule backward": backward(gated_delta_rule_inputs, delta_rule_over_chunks, 5),
    "linear attention": forward(sequences, linear_attention_over_chunks),
    "linear attention backward": backward(sequences, linear_attention_over_chunks, 4),
    "windowed attention": windowed_attention,
    "windowed attention backward": windowed_attention_backward,
    "gated linear attention": forward(gated_sequences, gated_linear_attention_over_chunks),
    "gated linear attention backward": backward(gated_sequences, gated_linear_attention_over_chunks, 4),
    "delta rnn": forward(fast_net_inputs, delta_rnn_over_steps),
    "delta rnn backward": backward(fast_net_inputs, delta_rnn_over_steps, 9),
    "delta lstm": forward(delta_lstm_inputs, delta_lstm_over_steps),
    "delta lstm backward": backward(delta_lstm_inputs, delta_lstm_over_steps, 9),
    "recurrent delta": forward(recurrent_delta_inputs, recurrent_delta_over_steps),
    "recurrent delta backward": backward(recurrent_delta_inputs, recurrent_delta_over_steps, 9),
    "self-referential": forward(self_referential_inputs, self_referential_over_steps),
    "sensitivities": Sensitivities,
    "self-referential backward": backward(self_referential_inputs, self_referential_over_steps, 5),
    "repeated layer step": repeated_layer_step,
    "expert products": expert_products,
    "expert layers": expert_layers,
    "expert block step": block_step(Experts),
    "dense block step": block_step(dense_block),
    "transformer": transformer,
    "mlp": mlp,
    "lstm": lstm,
    "cnn": cnn,
}


# ---- the protocol ----


class Unsupported(Exception):
    pass


def nothing():
    pass


class Peer:
    """`settle` waits for a device that works on while the program goes ahead."""

    def __init__(self, programs, settle=nothing):
        self.programs, self.settle = programs, settle
        self.program, self.inner = None, 1
        self.shortest = SHORTEST_SAMPLE if settle is nothing else SHORTEST_AWAITED_SAMPLE

    def answer(self, request):
        command = request["command"]
        if command == "prepare":
            return self.prepare(request)
        if command == "measure":
            return self.measure(request["milliseconds"])
        if command == "memory":
            raise Unsupported("no memory test")
        self.program = None
        return None

    def prepare(self, request):
        if request["program"] not in self.programs:
            raise Unsupported(f"no program '{request['program']}'")
        self.program = self.programs[request["program"]](request["parameters"])
        checked = self.program.check()
        begin = now = milliseconds()
        call = math.inf
        while True:
            before = now
            self.program.run()
            self.settle()
            now = milliseconds()
            call = min(call, now - before)
            if now - begin >= request["warmUp"]:
                break
        self.inner = max(1, math.ceil(self.shortest / max(call, 1e-4)))
        return {"digest": checked, "call": call}

    def measure(self, duration):
        run, inner, samples = self.program.run, self.inner, []
        before = milliseconds()
        end = before + duration
        while True:
            for _ in range(inner):
                run()
            self.settle()
            now = milliseconds()
            samples.append((now - before) / inner)
            before = now
            if now >= end:
                return {"samples": samples}


def milliseconds():
    return time.perf_counter() * 1000


def serve(programs, version, on_cuda):
    """Answers requests until `quit` or the end of the input."""
    if on_cuda:
        torch.set_default_device("cuda")
    # The first optimiser loads half of PyTorch; not during a measurement.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    identity = {
        "version": version,
        "threads": torch.get_num_threads(),
        "detail": torch.cuda.get_device_name() if on_cuda else torch.backends.cpu.get_cpu_capability(),
    }
    send({"id": 0, "result": identity})
    peer = Peer(programs, torch.cuda.synchronize if on_cuda else nothing)
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "quit":
            break
        try:
            send({"id": request["id"], "result": peer.answer(request)})
        except Exception as error:  # every failure is an answer; the benchmark decides what it means
            unsupported = isinstance(error, Unsupported)
            send({"id": request["id"], "error": f"{type(error).__name__}: {error}", "unsupported": unsupported})


def send(reply):
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve(PROGRAMS, torch.__version__, sys.argv[2:] == ["cuda"])
