"""moiety.data.images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moiety.data.images import MEAN, STD, normalize, preprocess


def test_normalize() -> None:
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    out = normalize(pixels)
    assert out.dtype == np.float32
    assert out.shape == (2, 3, 3, 4)
    expected = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(out, expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_normalize_stays_in_range() -> None:
    extremes = np.array([0, 255], dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert np.abs(normalize(extremes)).max() < 2.5


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2, 3), np.float32)])
def test_normalize_rejects(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 pixels"):
        normalize(pixels)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("size", [(32, 32), (100, 64), (7, 9)])
def test_preprocess_any_mode_and_size(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new(mode, size, 0).save(path)
    out = preprocess(path)
    assert out.shape == (1, 3, 32, 32)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_preprocess_keeps_a_32_by_32_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    np.testing.assert_array_equal(preprocess(tmp_path / "image.png"), normalize(pixels[None]))


def test_preprocess_crops_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((40, 120, 3), dtype=np.uint8)
    pixels[:, 40:80] = 255
    Image.fromarray(pixels).save(tmp_path / "image.png")
    np.testing.assert_array_equal(
        preprocess(tmp_path / "image.png"), normalize(np.full((1, 32, 32, 3), 255, dtype=np.uint8))
    )


def test_preprocess_turns_upright(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:16] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: turned by 180 degrees
    Image.fromarray(pixels).save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(preprocess(tmp_path / "image.png"), normalize(pixels[::-1, ::-1][None]))


def test_preprocess_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("not a photograph")
    with pytest.raises(ValueError, match=r"notes\.jpg is not an image"):
        preprocess(path)


def test_preprocess_refuses_a_truncated_image(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cut\.png"):
        preprocess(path)


def test_preprocess_of_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        preprocess(tmp_path / "absent.png")
