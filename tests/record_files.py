"""Files of records for tests: the same texts in every format that holds many of them."""

import json
import pathlib
from collections.abc import Sequence

import pyarrow
from array_record.python import array_record_module
from etils import epath
from pyarrow import parquet

FORMATS = ("array_record", "jsonl", "parquet", "tfds")


def write(source: str, folder: pathlib.Path, texts: Sequence[str | None]) -> dict:
    """Two files, with a bad record for each None. -> the fields of `Data` that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    half = len(texts) // 2
    if source == "tfds":
        return write_tfds(folder, texts)
    for name, part in (("a", texts[:half]), ("b", texts[half:])):
        WRITERS[source](folder / f"{name}.{source}", part)
    return {"source": source, "files": (f"{folder}/*.{source}",)}


def write_jsonl(path: pathlib.Path, texts: Sequence[str | None]) -> None:
    lines = ('{"text": "cut off' if text is None else json.dumps({"text": text, "n": 1}) for text in texts)
    path.write_text("\n".join(lines), "utf-8")


def write_parquet(path: pathlib.Path, texts: Sequence[str | None]) -> None:
    parquet.write_table(pyarrow.table({"n": range(len(texts)), "text": list(texts)}), path, row_group_size=7)


def write_array_record(path: pathlib.Path, texts: Sequence[str | None]) -> None:
    """Half of the records are JSON, half tf.train.Example."""
    records = [
        b'{"other": 1}' if text is None else json.dumps({"text": text}).encode() if i % 2 else example(text=text)
        for i, text in enumerate(texts)
    ]
    write_records(path, records)


def write_records(path: pathlib.Path, records: Sequence[bytes]) -> None:
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def example(**features: str) -> bytes:
    from tensorflow_datasets.proto import tf_example_pb2

    made = tf_example_pb2.Example()
    for name, text in features.items():
        made.features.feature[name].bytes_list.value.append(text.encode())
    return made.SerializeToString(deterministic=True)


def build_tfds(folder: pathlib.Path, texts: Sequence[str], *, file_format: str = "array_record") -> None:
    """The set `stories` as TFDS makes it, without TensorFlow."""
    import numpy as np
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()

    class Stories(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = epath.Path(folder)

        def _info(self):
            text, tags = tfds.features.Text(), tfds.features.Sequence(tfds.features.Text())
            features = {"text": text, "meta": {"title": text}, "tags": tags, "n": np.int64}
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _):
            return {"train": self._generate_examples(texts), "test": self._generate_examples(texts[:3])}

        def _generate_examples(self, part):
            for i, text in enumerate(part):
                yield i, {"text": text, "meta": {"title": f"story {i}"}, "tags": ["a", "b"], "n": i}

    Stories(data_dir=str(folder), file_format=file_format).download_and_prepare()


def write_tfds(folder: pathlib.Path, texts: Sequence[str | None]) -> dict:
    """The set in the order given: its one shard, which TFDS shuffles, is written again."""
    build_tfds(folder, [text or "" for text in texts])
    [shard] = folder.rglob("*-train.*")
    shard.unlink()
    write_records(shard, [example(other="x") if text is None else example(text=text) for text in texts])
    return {"source": "tfds", "tfds": "stories:1.0.0", "tfds_dir": str(folder)}


WRITERS = {"jsonl": write_jsonl, "parquet": write_parquet, "array_record": write_array_record}
