"""DATA: from raw text to batches, with numpy and Grain alone; start at README.md and spec.py."""
