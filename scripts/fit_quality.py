"""Fits a classifier of quality on reference texts against raw ones, and says how well it tells them apart.

    python scripts/fit_quality.py --reference='wiki/**/*.jsonl.gz' --raw='crawl/*.warc.gz' --out=quality.npz

Texts are read as scripts/clean_data.py reads them (globs or URLs, with commas between; any of its formats). Accuracy
and AUC are those of texts that were held out of the fit; they stand in the file too, with the thresholds that keep
some shares of the raw texts. The n-grams that speak most for either side show what was learnt: where those are headers
or markup, clean both sides alike first. The file serves the operation quality('quality.npz', 0.9) of a cleaning.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags


def define() -> flags.FlagValues:
    values = flags.FlagValues()
    for name, told in (
        ("reference", "globs of good texts"),
        ("raw", "globs of texts as they come"),
        ("out", "the classifier's file, such as quality.npz"),
    ):
        flags.DEFINE_string(name, None, told, flag_values=values)
    flags.DEFINE_string("steps", "", "what is done to both sides first, such as 'fix_text|html'", flag_values=values)
    flags.DEFINE_string(
        "format", "auto", "of the files, as source.format of a cleaning, such as 'mail'", flag_values=values
    )
    flags.DEFINE_string("field", "text", "of records, that holds the text", flag_values=values)
    flags.DEFINE_integer("max_texts", 100_000, "of each side, a sample of all", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("max_chars", 1 << 14, "of each text, from its start", lower_bound=1, flag_values=values)
    flags.DEFINE_float("strength", 1.0, "of the L2 penalty", lower_bound=1e-6, flag_values=values)
    flags.DEFINE_integer("seed", 0, "chooses what is held out", flag_values=values)
    return values


def read(patterns: str, *, values: flags.FlagValues) -> list[str]:
    """The texts of a side: a sample of its records by the hash of their names."""
    from input_pipeline import cache
    from input_pipeline.clean import collect, inputs, steps
    from input_pipeline.clean.collect.spec import Collect
    from input_pipeline.clean.record import Record
    from input_pipeline.clean.summary import Sample

    line = steps.line(values.steps, modality="text")
    sample = Sample(limit=values.max_texts, chars=values.max_chars)
    for file in inputs.find(patterns.split(","), cache_dir=cache.directory()):
        for found in collect.read(file.path, file.name, spec=Collect(format=values.format, field=values.field)):
            kept: Sequence[Record] = [found] if isinstance(found, Record) else []
            for step in line:
                kept = step(kept).records
            for record in kept:
                if record.text.strip():
                    sample.add(record.id, record.text)
    return [text for _, text in sample.in_order()]


def told(facts: Mapping[str, Any]) -> str:
    counts = "; ".join(
        f"{side}: {facts[f'{side}_fitted']:,} texts, {facts[f'{side}_held_out']:,} held out"
        for side in ("reference", "raw")
    )
    kept = ", ".join(f"{100 * float(s):g}%: {score:.6g}" for s, score in facts["least_for_raw_share"].items())
    return (
        f"{counts}\nheld out: accuracy {facts['accuracy']:.4f}, AUC {facts['auc']:.4f}\n"
        f"thresholds that keep a share of the raw texts: {kept}"
    )


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's."""
    from input_pipeline.clean import quality, quality_fit

    values = define()
    try:
        rest = values(["fit_quality", *argv])[1:]
        if rest or None in (values.reference, values.raw, values.out):
            raise ValueError(f"expected --reference, --raw and --out, got {' '.join(argv) or 'none'!r}")
        reference, raw = (read(patterns, values=values) for patterns in (values.reference, values.raw))
        fitted = quality_fit.fit(reference, raw, seed=values.seed, strength=values.strength)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    quality.save(fitted.quality, values.out)
    print(told(fitted.quality.facts))
    for name, grams in (("reference", fitted.for_reference), ("raw", fitted.for_raw)):
        print(f"for {name}: {', '.join(grams)}")
    print(f"written: {values.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
