import os

import pytest

from trainer.data.input_files import input_files
from trainer.errors import UserError

ENDINGS = (".png", ".jpg")


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "x/c.png", "x/y/d.png", ".z/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "x" / "again").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths):
    return [path for path, error in input_files(paths, ENDINGS) if error is None]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".", ["./a.JPG", "./b.png", "./x/c.png", "./x/y/d.png"]),
        ("x", ["x/c.png", "x/y/d.png"]),
        ("notes.txt", ["notes.txt"]),
        ("absent.png", ["absent.png"]),
        ("*.png", ["b.png"]),
        ("*", ["a.JPG", "b.png", "notes.txt", "x/c.png", "x/y/d.png"]),
        ("x/*", ["x/c.png", "x/y/d.png"]),
        ("**/*.png", ["b.png", "x/c.png", "x/y/d.png"]),
        ("x/**", ["x/c.png", "x/y/d.png"]),
        ("x/**/d.png", ["x/y/d.png"]),
        ("[ab].*", ["a.JPG", "b.png"]),
        ("?/?/d.png", ["x/y/d.png"]),
    ],
)
def test_a_path_names_files_in_a_fixed_order(path, expected, here):
    if path in ("*", "x/*"):
        # Of folders without files there is an error, see below; of links their files.
        (here / "empty").rmdir()
        (here / "x" / "again").unlink()
    assert found(path) == expected


@pytest.mark.usefixtures("here")
def test_a_matched_folder_without_files_does_not_end_the_pattern():
    results = list(input_files(["*"], ENDINGS))
    assert "x/c.png" in [path for path, error in results if not error]
    assert [path for path, error in results if error and "contains no file" in str(error)] == [
        "empty"
    ]


def test_absolute_patterns_and_repeated_paths(here):
    assert found(f"{here}/*.png", f"{here}/*.png") == [f"{here}/b.png"] * 2
    assert found("b.png", "x", "b.png") == ["b.png", "x/c.png", "x/y/d.png", "b.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(here):
    (here / "[ab].png").touch()
    assert found("[ab].png") == ["[ab].png"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("empty", "contains no file with one of the endings .png .jpg"),
        ("*.gif", "no file matches the pattern"),
        ("none/*.png", "cannot be read"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_names_no_file_is_an_error_and_the_others_go_on(path, message):
    (first, error), (second, none) = input_files([path, "b.png"], ENDINGS)
    assert first == path
    assert isinstance(error, UserError)
    assert message in str(error)
    assert (second, none) == ("b.png", None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named(here):
    (here / "x" / "y").chmod(0)
    errors = [error for _, error in input_files(["x"], ENDINGS) if error]
    (here / "x" / "y").chmod(0o755)
    assert "x/y cannot be read" in str(errors[0])


def test_remote_folders_and_patterns():
    from trainer.compat.keras import tf

    for name in ("b.png", "x/c.png", "x/y/d.png", "x/notes.txt"):
        path = f"ram://inputs/{name}"
        tf.io.gfile.makedirs(path.rpartition("/")[0])
        tf.io.gfile.GFile(path, "w").write("")
    root = "ram://inputs"
    every = [f"{root}/{name}" for name in ("b.png", "x/c.png", "x/y/d.png")]
    assert found(root) == every
    assert found(f"{root}/**/*.png") == every
    assert found(f"{root}/x/*.png") == every[1:2]
