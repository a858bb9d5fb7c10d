"""What a run reads of a cleaned dataset: a folder, or a cleaning of its own that is run first."""

import dataclasses
import json
import multiprocessing
import pathlib
import shutil

import fsspec
import made_corpus
import made_sources
import numpy as np
import pytest
import tensorflow_datasets
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from input_pipeline.clean import dataset, pipeline
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.engine.local import Local
from input_pipeline.clean.spec import Clean, Dedup, Output, Split
from input_pipeline.labelled import sources as labelled_sources
from input_pipeline.sources import open_source, split
from input_pipeline.spec import Data

pytestmark = pytest.mark.fast
SPLITS = {"train_split": "train", "val_split": "val", "test_split": "test"}
FORMATS = ("array_record", "jsonl", "parquet")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "raw"
    made_corpus.write(folder)
    return folder


def clean_of(corpus, **fields):
    return Clean(**{"files": (f"{corpus}/*.jsonl",), "split": Split(val=0.2, test=0.1), "shards": 2} | fields)


def data_of(tmp_path, **fields):
    defaults = {"source": "cleaned", "seq_len": 8, "prepare_workers": 0, "cache": str(tmp_path / "cache"), **SPLITS}
    return Data(**defaults | fields)


def run(spec, output):
    with Local() as engine:
        return pipeline.run(spec, output, engine=engine)


def written(folder, name):
    paths = sorted((folder / "data").glob(f"{name}-*.jsonl"))
    return [json.loads(line)["text"] for path in paths for line in path.read_text("utf-8").splitlines()]


def texts(source):
    return [source.read(i).decode() for i in range(len(source))]


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_in_any_format_gives_the_splits_that_the_cleaning_made(format, corpus, tmp_path):
    spec = clean_of(corpus, cache=str(tmp_path / "cache"), output=Output(format=format, shard_bytes=30_000))
    manifest = run(spec, tmp_path / "out")
    plain = dataclasses.replace(spec, output=Output(format="jsonl"))
    run(plain, tmp_path / "jsonl")
    source = open_source(data_of(tmp_path, files=(str(tmp_path / "out"),)))
    for name in ("train", "val", "test"):
        part = split(source, name, by="document")
        assert texts(part) == written(tmp_path / "jsonl", name)
        assert len(part) == manifest["splits"][name]["records"]
    assert len(manifest["splits"]["train"]["files"]) > 1
    assert source.name(0).startswith("train/")


def test_a_config_runs_its_cleaning_once(corpus, tmp_path):
    heard = []
    data = data_of(tmp_path, clean=clean_of(corpus))
    first = open_source(data, progress=lambda label, done, total: heard.append(label))
    assert "reading files" in heard
    heard.clear()
    again = open_source(data, progress=lambda label, done, total: heard.append(label))
    assert set(heard) <= {"hashing files"}
    assert texts(again) == texts(first)
    run(dataclasses.replace(data.clean, output=Output(format="jsonl")), tmp_path / "out")
    assert texts(split(again, "val", by="document")) == written(tmp_path / "out", "val")


def stages(tmp_path):
    return {path.name for path in (tmp_path / "cache/cleaned/stages").iterdir()}


def test_another_rule_runs_what_depends_on_it_alone(corpus, tmp_path):
    open_source(data_of(tmp_path, clean=clean_of(corpus)))
    before = stages(tmp_path)
    open_source(data_of(tmp_path, clean=clean_of(corpus, split=Split(val=0.3, test=0.1))))
    fresh = {name.rsplit("-", 1)[0] for name in stages(tmp_path) - before}
    assert fresh == {"split", "write"}
    before = stages(tmp_path)
    open_source(data_of(tmp_path, clean=clean_of(corpus, steps="mask_pii")))
    fresh = {name.rsplit("-", 1)[0] for name in stages(tmp_path) - before}
    assert "collect" not in fresh
    assert {"clean", "write"} <= fresh


def test_another_tokenizer_or_folder_of_files_cleans_nothing_again(corpus, tmp_path):
    open_source(data_of(tmp_path, clean=clean_of(corpus)))
    before = stages(tmp_path)
    open_source(data_of(tmp_path, clean=clean_of(corpus), tokenizer="bpe:300", seq_len=16))
    shutil.copytree(corpus, tmp_path / "moved" / "raw")
    open_source(data_of(tmp_path, clean=clean_of(tmp_path / "moved" / "raw")))
    assert stages(tmp_path) == before
    assert len(list((tmp_path / "cache/cleaned").glob("*/manifest.json"))) == 1


def test_files_that_change_are_cleaned_again(tmp_path):
    made_corpus.write(tmp_path / "raw")
    data = data_of(tmp_path, clean=clean_of(tmp_path / "raw"))
    before = open_source(data)
    (tmp_path / "raw" / "part-9.jsonl").write_text(json.dumps({"text": "something new"}) + "\n")
    after = open_source(data)
    assert len(after) == len(before) + 1
    assert "something new" in texts(after)


def _open(cache, corpus, found):
    heard = []
    data = Data(source="cleaned", seq_len=8, prepare_workers=0, cache=cache, clean=clean_of(corpus), **SPLITS)
    source = open_source(data, progress=lambda label, done, total: heard.append(label))
    found.put((source.fingerprint(), "collecting" in heard or "reading files" in heard))


def test_of_several_processes_one_cleans_and_the_others_wait(corpus, tmp_path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    workers = [context.Process(target=_open, args=(str(tmp_path / "cache"), str(corpus), found)) for _ in range(3)]
    for worker in workers:
        worker.start()
    told = [found.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    assert len({fingerprint for fingerprint, _ in told}) == 1
    assert sum(cleaned for _, cleaned in told) == 1


def test_a_folder_behind_a_url(corpus, tmp_path, monkeypatch):
    run(clean_of(corpus, cache=str(tmp_path / "cache"), output=Output(format="jsonl")), tmp_path / "out")
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    fsspec.filesystem("memory").put(f"{tmp_path}/out/", "bucket/", recursive=True)
    there = open_source(data_of(tmp_path, files=("memory://bucket/",)))
    here = open_source(data_of(tmp_path, files=(f"{tmp_path}/out",)))
    assert there.fingerprint() == here.fingerprint()


def test_a_folder_whose_name_is_a_glob(corpus, tmp_path):
    run(clean_of(corpus, cache=str(tmp_path / "cache"), output=Output(format="jsonl")), tmp_path / "[old] *?")
    assert len(open_source(data_of(tmp_path, files=(f"{tmp_path}/[old] *?",)))) > 100


def test_a_dataset_that_changed_is_refused(corpus, tmp_path):
    run(clean_of(corpus, cache=str(tmp_path / "cache"), output=Output(format="jsonl")), tmp_path / "out")
    data = data_of(tmp_path, files=(f"{tmp_path}/out",))
    [path] = (tmp_path / "out/data").glob("val-*")
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw.replace(b"the", b"teh", 1))
    with pytest.raises(ValueError, match=r"expected .*val-00000-of-00001.jsonl as manifest.json has it, but it has ch"):
        open_source(data)
    (tmp_path / "out/manifest.json").unlink()
    with pytest.raises(
        ValueError, match=r"data.files: expected the folder of a cleaned dataset, with manifest.json and"
    ):
        open_source(data)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "data.files: expected the folder of a cleaned dataset .* or none beside data.clean, got \\(\\)"),
        ({"files": ("a", "b")}, "data.files: expected the folder of a cleaned dataset"),
        ({"files": ("a",), "clean": Clean()}, "data.files: expected .* or none beside data.clean, got \\('a',\\)"),
        ({"source": "jsonl", "clean": Clean()}, "data.source: expected 'cleaned' beside data.clean, got 'jsonl'"),
        (
            {"files": ("a",), "val_split": "train"},
            "data.val_split: expected another split than data.train_split, got 'tr",
        ),
        (
            {"files": ("a",), "train_split": "train[:90%]"},
            "data.train_split: expected a split that the cleaning made, one of 'train', 'val', 'test', got .*; write "
            "data.train_split='train'",
        ),
        (
            {"clean": Clean(split=Split(val=0.0, test=0.1))},
            "data.clean.split.val: expected a share above 0, since data.val_split reads it, got 0",
        ),
        ({"clean": Clean(modality="table")}, "data.clean.modality: expected 'text', that of data, got 'table'"),
    ],
)
def test_what_is_wrong_in_a_section_is_told(fields, expected, tmp_path):
    with pytest.raises(ValueError, match=expected):
        data_of(tmp_path, **fields)


def test_a_split_without_documents_is_told(tmp_path):
    (tmp_path / "one.txt").write_text("all that there is")
    data = data_of(tmp_path, clean=Clean(files=(f"{tmp_path}/one.txt",), split=Split(val=0.01, test=0.01)))
    source = open_source(data)
    assert texts(split(source, "train", by="document")) == ["all that there is"]
    with pytest.raises(ValueError, match=r"expected a split that has documents, one of 'train', got 'val'"):
        split(source, "val", by="document")


def test_a_cleaning_that_leaves_nothing_is_told(tmp_path):
    (tmp_path / "one.txt").write_text("too short")
    clean = Clean(files=(f"{tmp_path}/one.txt",), steps="gopher_quality", split=Split(val=0.1, test=0.1))
    with pytest.raises(ValueError, match=r"expected records, but the cleaning left none; .*/ledger says why"):
        open_source(data_of(tmp_path, clean=clean))


def test_files_that_are_not_there_are_told_by_the_field_of_the_run(tmp_path):
    with pytest.raises(ValueError, match=r"^data.clean.files: expected files, but .*nothing.txt' matches none; write"):
        open_source(data_of(tmp_path, clean=Clean(files=(f"{tmp_path}/nothing.txt",))))


def test_a_dataset_of_another_modality_is_told(corpus, tmp_path):
    run(clean_of(corpus, cache=str(tmp_path / "cache"), output=Output(format="parquet")), tmp_path / "out")
    fields = made_sources.TABLES | {"source": "cleaned", "files": (f"{tmp_path}/out",), **SPLITS}
    with pytest.raises(ValueError, match=r"data.modality: expected 'text', that of .*, got 'table'"):
        labelled_sources.open_source(made_sources.data(fields, tmp_path))


# --- labelled examples ---


def labelled(tmp_path, files, format, *, steps="", **fields):
    modality = fields["modality"]
    clean = Clean(
        modality=modality,
        files=(files,),
        source=Collect(field="" if modality == "table" else "text"),
        steps=steps,
        split=Split(val=0.0, test=1 / 3, stratify="label"),
        output=Output(format=format),
    )
    splits = {"source": "cleaned", "clean": clean, "train_split": "train", "val_split": "", "test_split": "test"}
    return labelled_sources.open_source(made_sources.data(fields | splits, tmp_path))


def inputs(found):
    return found.reader.read(np.arange(len(found)))


@pytest.mark.parametrize("format", ["array_record", "parquet"])
def test_pictures_and_their_labels(format, tmp_path):
    made_sources.folder(tmp_path / "made")
    found = labelled(tmp_path, f"{tmp_path}/made/*/*.png", format, **made_sources.PICTURES)
    number = {made_sources.png(i): i for i in range(made_sources.NUM)}
    assert found.classes == ("class0", "class1")
    assert sorted(number[raw] for raw in inputs(found)) == list(range(made_sources.NUM))
    assert [number[raw] % 2 for raw in inputs(found)] == found.labels.tolist()
    assert {name: len(members) for name, members in found.parts.items()} == {"train": 4, "test": 2}


@pytest.mark.parametrize("modes", [("RGB",), ("L",), ("RGB", "L"), ("P", "L")])
def test_tfds_decodes_pictures_of_one_kind_and_gives_others_as_they_are(modes, tmp_path):
    (tmp_path / "raw").mkdir()
    for i in range(6):
        picture = Image.new(modes[i % len(modes)], (5 + i, 4), 40 * i)
        picture.save(tmp_path / f"raw/{i}.png")
    clean = Clean(modality="image", files=(f"{tmp_path}/raw",), cache=str(tmp_path / "cache"))
    run(clean, tmp_path / "out")
    builder = tensorflow_datasets.builder_from_directory(tmp_path / "out" / "data")
    found = {row["id"].decode(): row["image"] for split in builder.info.splits for row in builder.as_data_source(split)}
    for i in range(6):
        raw = (tmp_path / f"raw/{i}.png").read_bytes()
        expected = np.asarray(Image.open(tmp_path / f"raw/{i}.png")) if len(modes) == 1 else raw
        assert np.array_equal(np.squeeze(found[f"{i}.png"]), expected)


@pytest.mark.parametrize("format", ["array_record", "parquet"])
def test_clips_and_their_labels(format, tmp_path):
    for i in range(made_sources.NUM):
        (tmp_path / f"made/word{i % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"made/word{i % 2}/{i}.wav").write_bytes(made_sources.wav(i))
    fields = {"modality": "audio", "shape": (80,), "num_classes": 2, "sample_rate": 8000, "transforms": "decode"}
    found = labelled(tmp_path, f"{tmp_path}/made/*/*.wav", format, **fields, prepare_workers=0)
    number = {made_sources.wav(i): i for i in range(made_sources.NUM)}
    assert [number[raw] % 2 for raw in inputs(found)] == found.labels.tolist()
    assert found.classes == ("word0", "word1")


@pytest.mark.parametrize("format", FORMATS)
def test_tables_are_the_same_in_every_format(format, tmp_path):
    made_sources.csv_table(tmp_path / "made")
    found = labelled(tmp_path, f"{tmp_path}/made/*.csv", format, **made_sources.TABLES, group_field="who")
    order = np.argsort(inputs(found)[:, 0])
    assert inputs(found)[order].tolist() == [[i, i * i] for i in range(made_sources.NUM)]
    assert found.labels[order].tolist() == [i % 2 for i in range(made_sources.NUM)]
    assert found.groups[order].tolist() == ["theo"] * 3 + ["lucas"] * 3
    assert sorted(np.concatenate(list(found.parts.values())).tolist()) == list(range(made_sources.NUM))


@pytest.mark.parametrize("format", FORMATS)
def test_a_row_whose_cell_is_missing_is_bad_and_never_a_number(format, tmp_path):
    (tmp_path / "a.csv").write_text("a,b,label\n1,2,x\n3,,y\n5,6,y\n7,8,x\n")
    found = labelled(tmp_path, f"{tmp_path}/a.csv", format, steps="missing", max_bad=0.5, **made_sources.TABLES)
    assert sorted(inputs(found)[:, 0].tolist()) == [1, 5, 7]
    [reason] = found.bad
    assert "column 'b' is empty or not finite" in reason


def test_a_column_that_is_not_there_is_told(tmp_path):
    made_sources.csv_table(tmp_path / "made")
    expected = "data: expected a column of the cleaned dataset, one of 'a', 'b', 'label', 'who', got 'label2'"
    with pytest.raises(ValueError, match=expected):
        labelled(tmp_path, f"{tmp_path}/made/*.csv", "jsonl", **made_sources.TABLES | {"label_fields": ("label2",)})


def test_a_key_tells_all_that_a_dataset_depends_on(corpus, tmp_path):
    """Files of steps and earlier releases by what they hold, not by where they lie."""
    run(clean_of(corpus, cache=str(tmp_path / "cache"), output=Output(format="jsonl")), tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    key = lambda **fields: dataset.identity(clean_of(corpus, **fields), [])
    against = lambda folder: key(dedup=Dedup(against=(str(folder),)))
    assert against(tmp_path / "out") == against(tmp_path / "copy")
    keys = [key(), against(tmp_path / "out"), key(licence="CC0"), key(block_records=9), key(steps="mask_pii")]
    assert len(set(keys)) == 5
    assert key(cache="elsewhere", files=("other/*.jsonl",)) == key()
    with pytest.raises(ValueError, match=r"dedup.against: expected the folder of a cleaned dataset, got .*nothing"):
        against(pathlib.Path("nothing"))
