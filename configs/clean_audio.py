"""Clips, cleaned: broken, silent, clipped, short and long ones out, the rest mono, 16 kHz, -23 LUFS; duplicates out.

python scripts/clean_data.py --config=configs/clean_audio.py --input='prompts/**/*.wav' --output=prompts_clean

A `resample` of the rate that most clips have loses and invents least: resample(8_000) for telephone speech.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: the sound files that SciPy brings for its own tests, over in seconds."""
    config = common.make(
        modality="audio",
        steps="decodable|mono|not_silent|not_clipped|resample(16_000)|duration(0.3, 30.0)|loudness|encode('flac')",
        dedup=dict(exact=True, near="audio_fingerprint", threshold=0.8),
        split=dict(val=0.01, test=0.01),
        output=dict(format="array_record"),
    )
    if arg == "tiny":
        config.files = (common.installed("scipy", "io/tests/data/*.wav"),)
        config.steps = config.steps.replace("duration(0.3, 30.0)", "duration(0.0, 30.0)")
        config.split.update(val=0.2, test=0.2)
    elif arg:
        common.refuse("clean_audio.py", arg)
    return config
