"""The capacity experiment for DPFP-1, once more and independently, in PyTorch.

    python3 capacity_in_pytorch.py [keys=100] [seeds=8] [steps=1500]

Prints the least evaluation loss of every seed. Near the capacity of the memory some seeds lose a few pairs for good (each costs
0.5 / keys), here as in the experiment of this package.
"""

import sys

import torch
from torch.nn.functional import one_hot

KEY_SIZE, BATCH = 64, 32


def dpfp(x):
    x = torch.cat([x.relu(), (-x).relu()], -1)
    return x * x.roll(1, -1)


def permutations(rows, count):
    return torch.rand(rows, count).argsort(-1)


def train(count, seed, steps):
    torch.manual_seed(seed)
    size = int(1.1 * 2 * count)
    symbols = torch.nn.Parameter(torch.randn(count, size))
    to_key, to_query = torch.nn.Linear(size + count, KEY_SIZE), torch.nn.Linear(size, KEY_SIZE)
    for layer in (to_key, to_query):
        torch.nn.init.uniform_(layer.weight, -(KEY_SIZE**-0.5), KEY_SIZE**-0.5)
    optimizer = torch.optim.Adam([symbols, *to_key.parameters(), *to_query.parameters()], lr=1e-3)

    def loss_of(keys, values, queries, targets):
        pairs = torch.cat([one_hot(values, count).float(), symbols[keys]], -1)
        weights = dpfp(to_query(symbols[queries])) @ dpfp(to_key(pairs)).transpose(1, 2)
        recalled = weights @ one_hot(values, count).float() / (weights.sum(-1, keepdim=True) + 1e-6)
        return 0.5 * (recalled - one_hot(targets, count)).square().sum(-1).mean()

    best = float("inf")
    for step in range(1, steps + 1):
        keys, values = permutations(BATCH, count), permutations(BATCH, count)
        asked = torch.randint(count, (BATCH, 1))
        loss = loss_of(keys, values, keys.gather(1, asked), values.gather(1, asked))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            with torch.no_grad():
                keys, values = permutations(20, count), permutations(20, count)
                best = min(best, loss_of(keys, values, keys, values).item())
            if best <= 0.001:
                break
    return best, step


if __name__ == "__main__":
    count, seeds, steps = [int(x) for x in sys.argv[1:]] + [100, 8, 1500][len(sys.argv) - 1 :]
    for seed in range(1, seeds + 1):
        loss, made = train(count, seed, steps)
        print(f"seed {seed}: loss {loss:.4f} after {made} steps", flush=True)
