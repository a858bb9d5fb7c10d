"""tf.train.Example: bytes and numbers in its features, read without TensorFlow."""

from typing import Any

from input_pipeline.documents import BadRecord


def text_of(raw: bytes, feature: str) -> bytes:
    """The one bytes value of a feature.

    Raises:
      BadRecord: no tf.train.Example, no such feature, or not one string in it.
    """
    values = _feature(raw, feature).bytes_list.value
    if len(values) != 1:
        raise BadRecord(f"expected one string in feature {feature!r}, got {len(values)}")
    return values[0]


def number_of(raw: bytes, feature: str) -> int:
    """The one whole number of a feature.

    Raises:
      BadRecord: no tf.train.Example, no such feature, or not one number in it.
    """
    values = _feature(raw, feature).int64_list.value
    if len(values) != 1:
        raise BadRecord(f"expected one whole number in feature {feature!r}, got {len(values)}")
    return values[0]


def _feature(raw: bytes, feature: str) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        features = tf_example_pb2.Example.FromString(raw).features.feature
    except DecodeError:
        raise BadRecord("not a tf.train.Example") from None
    if feature not in features:
        raise BadRecord(f"no feature {feature!r}; it has {', '.join(map(repr, sorted(features))) or 'none'}")
    return features[feature]
