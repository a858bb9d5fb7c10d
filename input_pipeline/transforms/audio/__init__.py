"""What is done to sound, by a line of text: `"decode|random_crop(1)|noise(5, 20)|log_mel|spec_augment(1, 9, 1, 8)"`.

Until `log_mel` a row is sound, [T] samples; after it a spectrogram, [frames, mels]. Times are in seconds, whatever the
sample rate is.
"""

from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline.transforms.audio.spectrogram import LogMel, SpecAugment
from input_pipeline.transforms.audio.speed import Pitch, Resample, TimeStretch
from input_pipeline.transforms.audio.waves import (
    CentralCrop,
    CropPad,
    Decode,
    Gain,
    Noise,
    Preemphasis,
    RandomCrop,
    RemoveDC,
    TimeShift,
)
from input_pipeline.transforms.scale import Normalize, NormalizeEach

AUDIO: Mapping[str, Callable[..., Any]] = {
    "decode": Decode,
    "resample": Resample,
    "crop_pad": CropPad,
    "random_crop": RandomCrop,
    "central_crop": CentralCrop,
    "remove_dc": RemoveDC,
    "preemphasis": Preemphasis,
    "gain": Gain,
    "noise": Noise,
    "time_shift": TimeShift,
    "time_stretch": TimeStretch,
    "pitch": Pitch,
    "log_mel": LogMel,
    "spec_augment": SpecAugment,
    "normalize": Normalize,
    "normalize_each": NormalizeEach,
}
