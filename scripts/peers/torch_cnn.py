"""The peer of `scripts/bench_cnn.py`: a plain convolutional network and its training loop, in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from train import allocator


def network(shape: Any) -> nn.Sequential:
    """The net of a `bench_cnn.Shape`."""
    layers: list[nn.Module] = []
    size = 1
    for channels in shape.channels:
        is_normed = shape.norm == "batch"
        layers.append(nn.Conv2d(size, channels, 3, padding=1, bias=not is_normed))
        layers += [nn.BatchNorm2d(channels)] if is_normed else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        size = channels
    side = shape.image_size // 2 ** len(shape.channels)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(size * side * side, shape.num_classes))


def train(
    shape: Any, data: tuple[np.ndarray, np.ndarray], *, is_fast: bool, is_compiled: bool, log_every: int
) -> Callable[[int], float]:
    """PyTorch's usual loop, as a function of a number of steps: random rows, backward, clip, AdamW.

    `is_fast`: channels last, and the fused optimizer.
    """
    allocator.keep_freed_pages()
    torch.manual_seed(0)
    layout = torch.channels_last if is_fast else torch.contiguous_format
    model: Any = network(shape).to(memory_format=layout)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=decayed, weight_decay=0.1), dict(params=others, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), **(dict(fused=True) if is_fast else {}))
    logits_of = torch.compile(model) if is_compiled else model
    inputs, labels = torch.from_numpy(data[0]).permute(0, 3, 1, 2), torch.from_numpy(data[1]).long()
    rng = np.random.default_rng(1)

    def run_steps(num_steps: int) -> float:
        read = float("nan")
        for step in range(1, num_steps + 1):
            rows = torch.from_numpy(rng.integers(0, len(labels), shape.batch_size))
            loss = F.cross_entropy(logits_of(inputs[rows].contiguous(memory_format=layout)), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % log_every == 0:
                read = loss.item()
        return read

    return run_steps
