"""Video files: GIF, and MP4 with the program ffmpeg."""

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.compat.keras import tf
from trainer.errors import UserError

_FRAME_MILLISECONDS = 30
_LAST_FRAME_MILLISECONDS = 1500
_MAX_GIF_BYTES = 4_000_000

Pixels = NDArray[np.uint8]


def write_gif(frames: Sequence[Pixels], path: str) -> None:
    """Writes a looping GIF with 33 frames per second that pauses on its last frame.

    If it would be larger than 4 MB, it has only every second frame, or every fourth and so on, at
    the same speed.

    Args:
      frames: `[H, W, 3]` each, of one size.
      path: of the file, local or gs://….
    """
    every = 1
    content = _gif(frames, every)
    while len(content) > _MAX_GIF_BYTES and every < len(frames):
        every *= 2
        content = _gif(frames, every)
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def write_mp4(frames: Sequence[Pixels], path: str) -> None:
    """Writes an MP4 file with 33 frames per second, H.264 with even width and height.

    Args:
      frames: `[H, W, 3]` each, of one size.
      path: of the file, local or gs://….

    Raises:
      UserError: if ffmpeg is not on the PATH, or fails.
    """
    if not has_ffmpeg():
        raise UserError(f"{path} needs the program ffmpeg on the PATH")
    height, width, _ = frames[0].shape
    with tempfile.TemporaryDirectory(prefix="trainer-video-") as folder:
        local = os.path.join(folder, "video.mp4")
        command = [
            "ffmpeg", "-loglevel", "error",
            "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}",
            "-framerate", f"1000/{_FRAME_MILLISECONDS}", "-i", "pipe:",
            # Browsers play this pixel format only, which halves the resolution of colors.
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-c:v", "libx264",
            # The index comes first, so that playing can begin before all is loaded.
            "-movflags", "+faststart", local,
        ]  # fmt: skip
        with open(os.path.join(folder, "errors"), "w+") as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors)
            assert process.stdin is not None
            # Where ffmpeg ends early, its message says why.
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                for frame in frames:
                    stdin.write(frame.tobytes())
            status = process.wait()
            errors.seek(0)
            lines = errors.read().split("\n")
        if status:
            reason = next((line for line in lines if line), f"status {status}")
            raise UserError(f"ffmpeg cannot write {path}. Received: {reason}")
        tf.io.gfile.copy(local, path, overwrite=True)


def has_ffmpeg() -> bool:
    """Whether MP4 files can be written here."""
    return shutil.which("ffmpeg") is not None


def _gif(frames: Sequence[Pixels], every: int) -> bytes:
    """The content of a GIF of every so many frames."""
    images = [_with_palette(frames[number]) for number in range(0, len(frames), every)]
    durations = [_FRAME_MILLISECONDS * every] * (len(images) - 1) + [_LAST_FRAME_MILLISECONDS]
    content = io.BytesIO()
    images[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        optimize=True,
    )
    return content.getvalue()


def _with_palette(frame: Pixels) -> Image.Image:
    """A picture of at most 256 colors; dithering would change every pixel of every frame."""
    return Image.fromarray(frame).quantize(
        method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
