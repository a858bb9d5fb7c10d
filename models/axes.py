"""The one legend of shape letters, and the logical axis that each letter names.

A model writes shapes in these letters: in variable names (`x_BLD`), in jaxtyping signatures and in the equations that
it hands to its `Placement`. `train/parallel/rules.py` alone turns the logical axes into mesh axes.

A width has one letter where it may be cut over the mesh and another (`N`) where it is small and stays whole.
"""

LEGEND = {
    "Y": "layers",  # stacked layers
    "B": "batch",  # rows
    "L": "length",  # positions of a row; of the queries in attention
    "S": "source",  # positions of the keys and values in attention
    "V": "vocab",  # token ids
    "X": "input",  # what an example brings: the values of a patch, the columns of a table
    "D": "embed",  # width of the residual stream, model_size
    "N": "norm",  # the same width in vectors that stay whole: norms and biases
    "P": "position",  # learned positions
    "K": "kv_heads",  # heads of keys and values
    "G": "group",  # query heads that share one key and value head
    "H": "head",  # width of a head
    "R": "rotary",  # pairs of a head that rotary positions turn
    "F": "mlp",  # width of the feed-forward layer
    "U": "hidden",  # units of a recurrent layer
    "T": "gate",  # the two halves of a gated feed-forward layer; the gates of a recurrent one
    "I": "window_rows",  # of a convolution's kernel
    "J": "window_columns",
    "C": "channels",  # that a kernel reads; of logits, the classes: small, and whole
    "O": "filters",  # that a kernel makes
}


def names(letters: str) -> tuple[str, ...]:
    """Logical axis names of a shape: `names("DF") == ("embed", "mlp")`."""
    return tuple(LEGEND[letter] for letter in letters)
