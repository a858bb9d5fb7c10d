#!/usr/bin/env bash
# Resolves locks/*.txt: the same versions for Python 3.11 and 3.12 and for every platform, with hashes.
# dev.txt comes first, and the others take their versions from it. Apache Beam refuses some of them, so beam.txt prefers
# them where it can, is no part of the others' environment, and leaves out what trains: a worker needs the cleaning alone.
set -euo pipefail
cd "$(dirname "$0")/.."

resolve() {
  uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
    --no-header --no-annotate "$@"
}

resolve pyproject.toml --extra dev --output-file locks/dev.txt "${@}"
resolve pyproject.toml --constraint locks/dev.txt --output-file locks/run.txt
resolve pyproject.toml --constraint locks/dev.txt --extra plan --output-file locks/plan.txt
resolve pyproject.toml --constraint locks/dev.txt --extra clean --output-file locks/clean.txt
echo "setuptools" | resolve - --constraint locks/dev.txt --output-file locks/build.txt

cp locks/dev.txt locks/beam.txt # versions that stand in the output are preferred
resolve pyproject.toml --extra clean --extra beam --output-file locks/beam.txt --excludes <(
  printf '%s\n' jax flax optax orbax-checkpoint grain clu tokenizers tensorboardX matplotlib
)
