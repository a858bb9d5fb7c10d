"""Near-duplicate pictures: the bits against a plain reading of the source, the keys against all pairs."""

import io
import itertools

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
from PIL import Image

from input_pipeline.clean.record import Record
from input_pipeline.clean.similar import NEAR
from input_pipeline.clean.similar.picture import PerceptualHash, perceptual_hash
from input_pipeline.transforms.parse import read

pytestmark = pytest.mark.fast


def scene(seed, *, height=120, width=160):
    """A picture of soft forms."""
    x = np.random.default_rng(seed).normal(size=(height, width, 3))
    x = scipy.ndimage.gaussian_filter(x, (height / 24, width / 24, 0))
    x = (x - x.min((0, 1))) / np.ptp(x, axis=(0, 1))
    return Image.fromarray(np.uint8(255 * x))


def saved(image, format="PNG", **how):
    file = io.BytesIO()
    image.save(file, format, **how)
    return file.getvalue()


def sketched(near, *payloads):
    return near.sketch([Record(str(n), payload=payload) for n, payload in enumerate(payloads)])


def similarity(one, other, **how):
    near = PerceptualHash(**how)
    found = sketched(near, one, other)
    return near.similarities(found.evidence, np.array([[0, 1]]))[0]


@pytest.mark.parametrize("seed", range(20))
def test_bits_are_those_of_the_transform(seed):
    """Zauner 2010, section 3.2.1, by scipy.fft; a coefficient on the median may fall to either side."""
    luma = np.random.default_rng(seed).integers(0, 256, (32, 32))
    lowest = scipy.fft.dctn(luma.astype(float), type=2)[1:9, 1:9].ravel()
    sure = np.abs(lowest - np.median(lowest)) > 1e-2 * lowest.std()
    found = np.array([perceptual_hash(luma) >> n & 1 for n in range(64)], bool)
    assert sure.sum() >= 60
    np.testing.assert_array_equal(found[sure], (lowest > np.median(lowest))[sure])
    assert found.sum() == 32


def test_a_symmetry_leaves_no_noise():
    half = np.random.default_rng(0).integers(0, 256, (32, 16))
    even = np.hstack([half, half[:, ::-1]])
    bits = np.array([perceptual_hash(even) >> n & 1 for n in range(64)]).reshape(8, 8)
    assert not bits[:, ::2].any() or bits[:, ::2].all()  # odd frequencies, all truly 0


COPIES = {
    "smaller": lambda image: saved(image.resize((80, 60), Image.Resampling.LANCZOS)),
    "larger": lambda image: saved(image.resize((400, 300), Image.Resampling.BICUBIC)),
    "jpeg": lambda image: saved(image, "JPEG", quality=40),
    "large jpeg": lambda image: saved(image.resize((1600, 1200), Image.Resampling.BICUBIC), "JPEG"),  # decoded in part
    "webp": lambda image: saved(image, "WEBP", quality=40),
    "gif": lambda image: saved(image.quantize(256), "GIF"),
    "brighter": lambda image: saved(image.point(lambda x: round(x * 0.9) + 20)),
    "transparent": lambda image: saved(image.convert("RGBA")),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_near(copy):
    near = PerceptualHash()
    for seed in range(4):
        found = sketched(near, saved(scene(seed)), COPIES[copy](scene(seed)), saved(scene(seed + 100)))
        same, other, third = near.similarities(found.evidence, np.array([[0, 1], [0, 2], [1, 1]]))
        assert same >= near.threshold
        assert (found.bands_NK[0] == found.bands_NK[1]).any()
        assert other < 0.8
        assert third == 1


@pytest.mark.parametrize(("threshold", "agree"), [(1.0, 1), (0.9375, 1), (0.9375, 2), (0.9375, 3), (0.875, 2)])
def test_every_pair_within_the_distance_shares_a_key(threshold, agree):
    near = PerceptualHash(threshold=threshold, agree=agree)
    random = np.random.default_rng(0)
    base = random.integers(0, 2**63, 300, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    flips = [sum(1 << int(bit) for bit in random.choice(64, near.distance, replace=False)) for _ in base]
    keys, others = near.keys(base), near.keys(base ^ np.array(flips, np.uint64))
    assert (keys == others).any(axis=1).all()
    # Bits far apart, one in each block: the worst case.
    spread = sum(1 << n for n in range(0, 64, 64 // max(1, near.distance)) if near.distance)
    assert (near.keys(base) == near.keys(base ^ np.uint64(spread))).any(axis=1).all() or near.distance == 0
    strangers = [(near.keys(base[:1]) == near.keys(base[n : n + 1])).any() for n in range(1, 300)]
    assert np.mean(strangers) < (0.05 if agree == 1 else 0.03)


def test_keys_find_what_all_pairs_find():
    scenes = [scene(seed, height=48, width=48) for seed in range(12)]
    random = np.random.default_rng(1)
    payloads = [
        saved(Image.fromarray(np.uint8(np.clip(np.asarray(image) + random.normal(size=(48, 48, 3)) * noise, 0, 255))))
        for image in scenes
        for noise in (0, 3, 9, 27)
    ]
    near = PerceptualHash()
    found = sketched(near, *payloads)
    pairs = np.array(list(itertools.combinations(range(len(payloads)), 2)))
    similar = near.similarities(found.evidence, pairs)
    hashes = found.evidence.flat[::5]
    slowly = [1 - (int(hashes[a]) ^ int(hashes[b])).bit_count() / 64 for a, b in pairs]
    np.testing.assert_array_equal(similar[similar > 0], np.array(slowly)[similar > 0])
    is_near = similar >= near.threshold
    assert is_near.sum() >= 12
    shares = (found.bands_NK[pairs[:, 0]] == found.bands_NK[pairs[:, 1]]).any(axis=1)
    assert shares[is_near].all()


def test_flags_are_no_duplicates():
    blue, white, red, green = (0, 50, 150), (255, 255, 255), (220, 40, 50), (0, 100, 70)  # green of red's luma

    def flag(*colours):
        return saved(Image.fromarray(np.repeat(np.array([colours], np.uint8), 30, axis=1).repeat(60, axis=0)))

    france, italy = flag(blue, white, red), flag(green, white, red)
    assert similarity(france, italy, colours=255, threshold=0.875) > 0.8
    assert similarity(france, italy) == 0
    assert similarity(france, france) == 1


def test_blank_pictures_do_not_fall_into_one():
    black, white, grey = (saved(Image.new("RGB", (50, 40), colour)) for colour in ("black", "white", (90, 90, 90)))
    found = sketched(PerceptualHash(), black, white, grey, b"", b"no picture", white)
    assert found.evidence.offsets.tolist() == [0] * 7
    assert len(np.unique(found.exact_N2, axis=0)) == 5
    np.testing.assert_array_equal(found.exact_N2[1], found.exact_N2[5])
    assert PerceptualHash().similarities(found.evidence, np.array([[0, 1]])).tolist() == [0]


def test_one_without_evidence_is_like_none():
    near = PerceptualHash()
    found = sketched(near, saved(scene(0)), b"", saved(scene(0)), b"")
    pairs = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    assert near.similarities(found.evidence, pairs).tolist() == [0, 1, 0, 0]


def test_a_sketch_depends_on_its_record_alone():
    near, payloads = PerceptualHash(), [saved(scene(seed)) for seed in range(4)]
    whole = sketched(near, *payloads)
    alone = [sketched(near, payload) for payload in payloads]
    np.testing.assert_array_equal(whole.bands_NK, np.concatenate([each.bands_NK for each in alone]))
    np.testing.assert_array_equal(whole.evidence.flat, np.concatenate([each.evidence.flat for each in alone]))
    assert sketched(near).bands_NK.shape == (0, 15)


@pytest.mark.parametrize(
    ("wrong", "threshold", "says"),
    [
        ("perceptual_hash", 0.8, "threshold: expected 0.875 to 1, got 0.8; write 0.9375"),
        ("perceptual_hash(300)", 0.9375, "colours: expected 0 to 255"),
        ("perceptual_hash(24, 4)", 0.9375, "agree: expected 1, 2 or 3"),
    ],
)
def test_a_wrong_argument_is_one_line(wrong, threshold, says):
    with pytest.raises(ValueError, match=r"dedup\.near") as error:
        read(wrong, NEAR["image"], field="dedup.near", threshold=threshold)
    assert says in str(error.value)
