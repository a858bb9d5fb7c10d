"""tf.train.Example: bytes and numbers in its features, read without TensorFlow."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from input_pipeline.documents import BadRecord

_LISTS = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
_INT16 = np.iinfo(np.int16)


def text_of(raw: bytes, feature: str) -> bytes:
    """The one bytes value of a feature.

    Raises:
      BadRecord: no tf.train.Example, no such feature, or not one string in it.
    """
    values = _feature(raw, feature).bytes_list.value
    if len(values) != 1:
        raise BadRecord(f"expected one string in feature {feature!r}, got {len(values)}")
    return values[0]


def input_of(raw: bytes, feature: str) -> bytes | np.ndarray:
    """The one bytes value of a feature, or all its whole numbers: samples of sound, int16.

    Raises:
      BadRecord: no tf.train.Example, no such feature, neither of them in it, or samples of more than 16 bits.
    """
    samples = np.array(_feature(raw, feature).int64_list.value, np.int64)
    if not len(samples):
        return text_of(raw, feature)
    if samples.min() < _INT16.min or samples.max() > _INT16.max:
        raise BadRecord(f"expected samples of 16 bits in feature {feature!r}, got {samples.min()} to {samples.max()}")
    return samples.astype(np.int16)


def number_of(raw: bytes, feature: str) -> int:
    """The one whole number of a feature.

    Raises:
      BadRecord: no tf.train.Example, no such feature, or not one number in it.
    """
    values = _feature(raw, feature).int64_list.value
    if len(values) != 1:
        raise BadRecord(f"expected one whole number in feature {feature!r}, got {len(values)}")
    return values[0]


def numbers_of(raw: bytes, feature: str, *, count: int) -> list[float]:
    """The numbers of a feature, whole or not.

    Raises:
      BadRecord: no tf.train.Example, no such feature, not so many numbers in it, or one that is not finite.
    """
    found = _feature(raw, feature)
    values = [float(value) for value in (*found.float_list.value, *found.int64_list.value)]
    if len(values) != count or not np.isfinite(values).all():
        raise BadRecord(f"expected {count} finite numbers in feature {feature!r}, got {values[: count + 1]}")
    return values


def features_of(raw: bytes) -> dict[str, list[Any]]:
    """All features by name, each a list of bytes or of numbers.

    Raises:
      BadRecord: no tf.train.Example.
    """
    return {
        name: list(getattr(values, kind).value) if (kind := values.WhichOneof("kind")) else []
        for name, values in sorted(_features(raw).items())
    }


def _feature(raw: bytes, feature: str) -> Any:
    features = _features(raw)
    if feature not in features:
        raise BadRecord(f"no feature {feature!r}; it has {', '.join(map(repr, sorted(features))) or 'none'}")
    return features[feature]


def _features(raw: bytes) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        return tf_example_pb2.Example.FromString(raw).features.feature
    except DecodeError:
        raise BadRecord("not a tf.train.Example") from None


def encode(features: Mapping[str, bytes | str | float | type]) -> bytes:
    """A tf.train.Example with one value a feature: bytes, text in UTF-8, a whole number (bool too) or a float.

    A type, `bytes`, `int` or `float`, stands for a feature of its kind that has no value. The same features give the
    same bytes in every process.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    made = tf_example_pb2.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        if isinstance(value, type):
            getattr(feature, _LISTS[value]).SetInParent()
        elif isinstance(value, bytes | str):
            feature.bytes_list.value.append(value.encode() if isinstance(value, str) else value)
        elif isinstance(value, int):
            feature.int64_list.value.append(int(value))
        else:
            feature.float_list.value.append(value)
    return made.SerializeToString(deterministic=True)
