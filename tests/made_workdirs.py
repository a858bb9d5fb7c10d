"""Workdirs written by hand, with every file that a run may leave."""

import datetime
import json
import math
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "seed": 0,
    "data": {"source": "packages", "files": "", "tokenizer": "bpe:2048", "seq_len": 128},
    "model": {"name": "transformer", "num_layers": 4, "model_size": 128, "tie_embeddings": True},
    "objective": {"name": "lm", "z_loss": 1e-4},
    "train": {"num_steps": 2000, "batch_size": 16},
    "optimizer": {"name": "adamw", "learning_rate": 4e-3, "schedule": {"name": "cosine", "warmup_steps": 50}},
    "eval": {"val": {"split": "val", "every": 250}, "code": {"split": "val", "every": 250}},
}
PROVENANCE = {
    "seed": "default",
    "data.source": "file",
    "data.files": "default",
    "data.tokenizer": "file",
    "data.seq_len": "file",
    "model.name": "file",
    "model.num_layers": "argument",
    "model.model_size": "file",
    "model.tie_embeddings": "default",
    "objective.name": "file",
    "objective.z_loss": "file",
    "train.num_steps": "command line",
    "train.batch_size": "file",
    "optimizer.name": "file",
    "optimizer.learning_rate": "command line",
    "optimizer.schedule.name": "file",
    "optimizer.schedule.warmup_steps": "default",
    "eval.val.split": "file",
    "eval.val.every": "file",
    "eval.code.split": "file",
    "eval.code.every": "file",
}
DERIVED: dict[str, Any] = {
    "num_devices": 8,
    "mesh": {"data": 2, "fsdp": 4},
    "tokens_per_step": 2048,
    "num_params": 1_053_824,
    "train_flops_per_token": 7_102_464,
    "data.train": {
        "rows": 56_284,
        "tokens": 7_204_233,
        "bytes": 19_311_787,
        "fingerprint": "fd22f19fe46e91e757d4baa3ed667",
        "parts": {"books": {"weight": 0.75, "rows": 40_000}, "code": {"weight": 0.25, "rows": 16_284}},
        "bad_records": [{"name": "books/0017.txt", "reason": "not UTF-8"}],
    },
    "data.val": {"rows": 1_415, "tokens": 181_061, "bytes": 454_317, "fingerprint": "181eb4007fb1dd4c5cba3edecdd"},
}
SESSIONS: list[dict[str, Any]] = [
    {
        "session": "a",
        "started": "2026-11-22T10:00:00+00:00",
        "start_step": 0,
        "num_steps": 2000,
        "overrides": ["optimizer.learning_rate=4e-3"],
        "code": {"revision": "66b7a40", "difference": "", "jax": "0.10.2"},
        "devices": {"kind": "TPU v6 lite", "count": 8, "processes": 2},
        "startup_s": {"imports": 3.1, "data": 5.25, "state": 1.0},
        "exit": "SIGTERM",
    },
    {
        "session": "b",
        "started": "2026-11-22T11:00:00+00:00",
        "start_step": 1000,
        "num_steps": 2000,
        "overrides": [],
        "code": {"revision": "81a8029", "difference": "a3c0", "jax": "0.10.2"},
        "devices": {"kind": "TPU v6 lite", "count": 8, "processes": 2},
        "startup_s": {"imports": 2.9, "data": 0.5, "state": 2.0},
        "exit": "done",
    },
]
SAMPLES: list[dict[str, Any]] = [
    {"step": 1000, "prompt": "def ", "text": "def read(path):\n    return path\n", "temperature": 0.8},
    {
        "step": 2000,
        "prompt": "def ",
        "text": "write(self, text: str) -> None:\n" + "    self.x = y\n" * 6,
        "temperature": 0.8,
    },
]
LOG = """2026-11-22 10:00:00+0000  mesh data=2 x fsdp=4
2026-11-22 10:00:20+0000  step 10/2000  loss 7.1  tokens/s 12k
2026-11-22 10:01:00+0000  step 412: the loss or its gradient is not finite; skipped (1 so far)
2026-11-22 10:05:00+0000  SIGTERM: saved step 1000 of 2000; run the same line again to go on
2026-11-22 11:00:00+0000  going on from step 1000 of 2000, in runs/a
2026-11-22 11:00:00+0000  changed since step 1000: optimizer.learning_rate: 0.002 -> 0.004
2026-11-22 11:00:01+0000  | Name  | Shape |
| embed | (2048, 128) |
2026-11-22 11:05:00+0000  step 2000/2000  loss 3.7  tokens/s 12k
"""
OPERATIONS = {
    "told": "steps 20 to 22 traced: 40.2 ms a step, 97% of it in 505 operations",
    "step_ms": 40.2,
    "covered": 0.97,
    "operations": [
        {
            "name": f"fusion.{index}",
            "kind": "loop fusion",
            "source": "jvp(BLD,DF->BLF)/dot_general at models/layers/mlp.py:31 > models/layers/linear.py:17",
            "ms_per_step": 8.0 / index,
            "share": 0.2 / index,
        }
        for index in range(1, 11)
    ],
}


def metrics(num_lines: int, *, every: int = 10) -> list[dict[str, Any]]:
    """Lines of a run whose loss falls from about 7 to about 3.5."""
    rows = []
    for line in range(1, num_lines + 1):
        step, at = line * every, line / num_lines
        wobble = math.sin(step * 0.37) * 0.12 + math.sin(step * 1.3) * 0.05
        rows.append(
            {
                "step": step,
                "train/loss": 3.5 + 3.5 * math.exp(-5 * at) + wobble,
                "train/grad_norm": 0.4 + 1.5 * math.exp(-9 * at) + abs(wobble),
                "train/learning_rate": 4e-3 * min(10 * at, 0.55 + 0.45 * math.cos(math.pi * at)),
                "train/skipped_steps": float(step >= 412),
                "train/step_time_s": 0.04 + 0.002 * abs(wobble),
                "train/tokens_per_s": 2048 / (0.04 + 0.002 * abs(wobble)),
                "train/model_flops_per_s": 2048 / 0.04 * 7_102_464,
                "train/mfu": 0.41 + 0.02 * wobble,
                "train/data_wait_fraction": 0.01 + 0.005 * abs(wobble),
                "train/eval_s": 1.5 if line % 25 == 0 else 0.0,
                "train/checkpoint_s": 0.05 if line % 5 == 0 else 0.0,
                "train/eta_s": 0.04 * (num_lines - line) * every,
                "train/host_peak_bytes": 1.2e9,
            }
        )
        if line == 1:
            rows[-1]["train/compile_s"] = 9.0
        if line % 25 == 0:
            for name, worse in (("val", 0.1), ("code", 0.35)):
                loss = 3.6 + 3.5 * math.exp(-5 * at) + worse
                rows[-1] |= {
                    f"{name}/loss": loss,
                    f"{name}/perplexity": math.exp(loss),
                    f"{name}/accuracy": (0.4 - worse / 2) * at,
                }
    return rows


def write(folder: Path, *, num_lines: int = 200, config: Any = None, **others: Any) -> Path:
    """A finished run of 2000 steps with everything in it. `config` and the names below replace what stands in a file;
    None leaves the file out."""
    whole = {"config": CONFIG, "derived": DERIVED, "provenance": PROVENANCE}
    found = {
        "metrics": metrics(num_lines),
        "sessions": SESSIONS,
        "samples": SAMPLES,
        "log": LOG,
        "operations": OPERATIONS,
        **others,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or whole))
    for name in ("metrics", "sessions", "samples"):
        if found[name] is not None:
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found[name]))
    if found["log"] is not None:
        (folder / "run.log").write_text(found["log"])
    if found["operations"] is not None:
        (folder / "profile").mkdir(exist_ok=True)
        (folder / "profile" / "ops.json").write_text(json.dumps(found["operations"]))
    for step in (1900, 2000):
        (folder / "checkpoints" / str(step)).mkdir(parents=True, exist_ok=True)
    return folder


def later(folder: Path, **after: float) -> datetime.datetime:
    """So long after the last line of metrics was written: `later(folder, minutes=5)`."""
    written = (folder / "metrics.jsonl").stat().st_mtime
    return datetime.datetime.fromtimestamp(written, datetime.UTC) + datetime.timedelta(**after)
