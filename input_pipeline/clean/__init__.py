"""The offline half of the data room: raw files in, a clean, deduplicated, split and documented dataset out.

    collect -> clean -> dedup -> split -> write

Every stage is a pure function over shards, kept under the hash of all that it depends on (`engine/`). What a stage
removes or changes is an `Entry` of the ledger.
"""
