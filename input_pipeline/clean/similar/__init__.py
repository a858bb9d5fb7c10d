"""Duplicates: exact, near and of spans, found without comparing every record with every other.

    records -> a digest, band keys and evidence for each (a `Near` of sketch.py: MinHash for text)
    one keyed exchange: partition p gets all (key, record number) with key % P == p, sorted
    candidates.py: records that share a key -> pairs whose similarity is computed in full
    clusters.py: pairs -> who survives

Nothing here reads or writes records; only `index.py` touches files.
"""

from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline.clean.similar.minhash import MinHash
from input_pipeline.clean.similar.picture import PerceptualHash
from input_pipeline.clean.similar.sound import AudioFingerprint

# What `dedup.near` may name, by modality: each makes a `sketch.Near`, to which the run gives its `threshold`.
NEAR: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "text": {"minhash": MinHash},
    "image": {"perceptual_hash": PerceptualHash},
    "audio": {"audio_fingerprint": AudioFingerprint},
    "table": {},
}
