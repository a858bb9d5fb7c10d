"""tf.train.Example: the text in one of its features, read without TensorFlow."""

from input_pipeline.documents import BadRecord


def text_of(raw: bytes, feature: str) -> bytes:
    """The one bytes value of a feature.

    Raises:
      BadRecord: no tf.train.Example, no such feature, or not one string in it.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        features = tf_example_pb2.Example.FromString(raw).features.feature
    except DecodeError:
        raise BadRecord("not a tf.train.Example") from None
    if feature not in features:
        raise BadRecord(f"no feature {feature!r}; it has {', '.join(map(repr, sorted(features))) or 'none'}")
    values = features[feature].bytes_list.value
    if len(values) != 1:
        raise BadRecord(f"expected one string in feature {feature!r}, got {len(values)}")
    return values[0]
