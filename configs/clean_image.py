"""Pictures, cleaned: broken, huge, tiny, blank and blurred ones and duplicates out, the rest upright and RGB.

python scripts/clean_data.py --config=configs/clean_image.py --input='photos/**/*' --output=photos_clean

For photographs from the web, OBELICS asks for more: min_size(150)|max_aspect(2.0), in `steps`. Drawings have few
edges: leave out not_blurred.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: the icons of an installed package, over in seconds."""
    config = common.make(
        modality="image",
        steps=(
            "decodable(50_000_000)|first_frame|upright|min_size(32)|max_aspect(5.0)|mode('RGB')|not_blank"
            "|not_blurred(50.0)|shrink_to(1024)|encode('png')"
        ),
        dedup=dict(exact=True, near="perceptual_hash", threshold=0.9375),
        split=dict(val=0.01, test=0.01),
        output=dict(format="array_record"),
    )
    if arg == "tiny":
        config.files = (common.installed("matplotlib", "mpl-data/images/*.png"),)
        config.steps = config.steps.replace("min_size(32)", "min_size(16)")
        config.split.update(val=0.2, test=0.2)
    elif arg:
        common.refuse("clean_image.py", arg)
    return config
