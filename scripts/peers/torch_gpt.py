"""The peer of `scripts/bench_train.py`: a GPT-2 without biases and its training loop, in PyTorch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from train import allocator


class Block(nn.Module):
    """Attention and MLP of a `bench_train.Shape`; PyTorch's own fused attention."""

    def __init__(self, shape: Any):
        super().__init__()
        size = shape.model_size
        linear, norm = partial(nn.Linear, bias=False), partial(nn.LayerNorm, size, bias=False)
        self.num_heads = shape.num_heads
        self.norm_1, self.norm_2 = norm(), norm()
        self.qkv, self.out = linear(size, 3 * size), linear(size, size)
        self.up, self.down = linear(size, 4 * size), linear(4 * size, size)

    def forward(self, x):
        batch, length, size = x.shape
        split = lambda t: t.view(batch, length, self.num_heads, -1).transpose(1, 2)
        q, k, v = map(split, self.qkv(self.norm_1(x)).split(size, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, size))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    """Tokens and targets to the mean cross entropy."""

    def __init__(self, shape: Any):
        super().__init__()
        self.embed = nn.Embedding(shape.vocab_size, shape.model_size)
        self.positions = nn.Embedding(shape.seq_len, shape.model_size)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.norm = nn.LayerNorm(shape.model_size, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, tokens, targets):
        x = self.embed(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.embed.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def train(shape: Any, *, is_compiled: bool, log_every: int) -> Callable[[int], float]:
    """PyTorch's usual loop, as a function of a number of steps: random windows, backward, clip, AdamW."""
    allocator.keep_freed_pages()
    torch.manual_seed(0)
    model = Gpt(shape)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=decayed, weight_decay=0.1), dict(params=others, weight_decay=0.0)]
    fused = dict(fused=True) if is_compiled else {}
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), **fused)
    loss_of = torch.compile(model) if is_compiled else model
    text = np.random.default_rng(0).integers(0, 64, 1_000_000).astype(np.uint16)
    rng = np.random.default_rng(1)

    def batch():
        starts = rng.integers(0, len(text) - shape.seq_len - 1, shape.batch_size)
        rows = np.stack([text[start : start + shape.seq_len + 1] for start in starts]).astype(np.int64)
        return torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])

    def run_steps(num_steps: int) -> float:
        read = float("nan")
        for step in range(1, num_steps + 1):
            loss = loss_of(*batch())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % log_every == 0:
                read = loss.item()
        return read

    return run_steps
