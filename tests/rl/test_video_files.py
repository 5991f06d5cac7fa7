import json
import shutil
import stat
import subprocess

import numpy as np
import pytest
from PIL import Image

from trainer.errors import UserError
from trainer.rl import video_files

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def moving_square(count, height=32, width=48):
    """Frames on which a red square moves by a pixel each."""
    frames = np.full((count, height, width, 3), 255, np.uint8)
    for number, frame in enumerate(frames):
        frame[8:16, number : number + 8] = (200, 0, 0)
    return list(frames)


def test_a_gif_shows_each_frame_and_pauses_on_the_last(tmp_path):
    path = tmp_path / "film.gif"
    frames = moving_square(9)
    video_files.write_gif(frames, str(path))
    film = Image.open(path)
    assert film.n_frames == 9
    assert film.info["loop"] == 0
    for number, frame in enumerate(frames):
        film.seek(number)
        assert film.info["duration"] == (30 if number < 8 else 1500)
        shown = np.asarray(film.convert("RGB"), int)
        assert np.abs(shown - frame).max() <= 1


def test_a_large_gif_has_fewer_frames_at_the_same_speed(tmp_path, monkeypatch):
    frames = list(np.random.default_rng(0).integers(0, 256, (16, 32, 48, 3), np.uint8))
    video_files.write_gif(frames, str(tmp_path / "all.gif"))
    all_bytes = (tmp_path / "all.gif").stat().st_size
    monkeypatch.setattr(video_files, "_MAX_GIF_BYTES", all_bytes // 3)
    video_files.write_gif(frames, str(tmp_path / "few.gif"))
    film = Image.open(tmp_path / "few.gif")
    assert (film.n_frames, film.info["duration"]) == (4, 120)
    monkeypatch.setattr(video_files, "_MAX_GIF_BYTES", 0)
    video_files.write_gif(frames, str(tmp_path / "one.gif"))
    assert Image.open(tmp_path / "one.gif").n_frames == 1


@needs_ffmpeg
@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47)], ids=["even", "odd"])
def test_an_mp4_opens_and_has_each_frame(height, width, tmp_path):
    path = tmp_path / "film.mp4"
    video_files.write_mp4(moving_square(9, height, width), str(path))
    probed = subprocess.run(
        ["ffprobe", "-loglevel", "error", "-count_frames", "-show_streams", "-of", "json", path],
        check=True,
        capture_output=True,
    )
    (stream,) = json.loads(probed.stdout)["streams"]
    assert stream["codec_name"] == "h264"
    assert stream["pix_fmt"] == "yuv420p"
    assert (stream["height"], stream["width"]) == (height + height % 2, width + width % 2)
    assert int(stream["nb_read_frames"]) == 9
    assert stream["r_frame_rate"] == "100/3"
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@needs_ffmpeg
def test_an_mp4_replaces_the_one_before(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("old")
    video_files.write_mp4(moving_square(3), str(path))
    assert path.stat().st_size > 500


def test_a_failing_ffmpeg_is_an_error_of_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="needs the program ffmpeg on the PATH"):
        video_files.write_mp4(moving_square(3), str(tmp_path / "film.mp4"))
    program = tmp_path / "ffmpeg"
    # It ends before it reads a frame; the frames do not fit into the pipe.
    program.write_text("#!/bin/sh\necho 'Unknown encoder' >&2\necho more >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(UserError, match=r"film.mp4. Received: Unknown encoder$"):
        video_files.write_mp4(moving_square(40, 256, 256), str(tmp_path / "film.mp4"))
    assert not (tmp_path / "film.mp4").exists()
