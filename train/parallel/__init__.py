"""Meshes, the rules that lay logical axes on them, and what models are handed to compute there."""
