"""What is done to pictures on their way into batches: `"decode|resize(256)|random_crop(224)|flip_lr|normalize"`.

Pictures are uint8 [H, W, C], C = 1 for grey, until `normalize` makes them float32. An operation says what it does to a
stack of pictures [B, H, W, C], each row by its own key; where rows differ in shape it goes one by one (`pictures.py`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline.transforms.image.affine import FlipLr, FlipUd, Rotate, Scale, Shear, Translate
from input_pipeline.transforms.image.colours import ColourJitter, Grayscale
from input_pipeline.transforms.image.corruptions import Corrupt
from input_pipeline.transforms.image.crops import CentralCrop, InceptionCrop, Pad, RandomCrop, Resize, ResizeExact
from input_pipeline.transforms.image.noise import Blur, Cutout, Noise, RandomErasing
from input_pipeline.transforms.image.pixels import Channels, Decode, Normalize
from input_pipeline.transforms.image.policies import RandAugment, TrivialAugment

IMAGE: Mapping[str, Callable[..., Any]] = {
    "decode": Decode,
    "channels": Channels,
    "normalize": Normalize,
    "resize": Resize,
    "resize_exact": ResizeExact,
    "pad": Pad,
    "random_crop": RandomCrop,
    "central_crop": CentralCrop,
    "inception_crop": InceptionCrop,
    "flip_lr": FlipLr,
    "flip_ud": FlipUd,
    "rotate": Rotate,
    "scale": Scale,
    "translate": Translate,
    "shear": Shear,
    "colour_jitter": ColourJitter,
    "grayscale": Grayscale,
    "randaugment": RandAugment,
    "trivialaugment": TrivialAugment,
    "blur": Blur,
    "noise": Noise,
    "random_erasing": RandomErasing,
    "cutout": Cutout,
    "corrupt": Corrupt,
}
