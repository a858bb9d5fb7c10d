"""What feeds a run, by modality: from its data section to batches on its devices."""

from input_pipeline.progress import Progress
from train import spec
from train.feeds import labelled, text
from train.feeds.feed import Feed

__all__ = ["Feed", "prepare"]


def prepare(run: spec.Run, *, progress: Progress) -> Feed:
    """Reads the data and makes ready what can be made ready before a run, or finds it in the cache.

    Raises:
      ValueError: nothing is there, too much of it is bad, a split is empty, or it is not what the config says.
    """
    modality = text if run.data.modality == "text" else labelled
    return modality.prepare(run, progress=progress)
