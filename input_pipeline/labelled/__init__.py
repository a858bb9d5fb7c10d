"""Labelled examples: images, sound and numbers with classes or values, from raw records to rows of a batch."""
