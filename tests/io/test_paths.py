import subprocess
import sys

from trainer.io import paths


def test_scheme_makes_a_path_remote(tmp_path):
    assert paths.is_remote("gs://bucket/run")
    assert not paths.is_remote("runs/digits")
    assert not paths.is_remote(tmp_path)


def test_remote_and_local_paths_have_the_same_methods(tmp_path):
    assert str(paths.to_path("gs://bucket/run") / "config.json") == "gs://bucket/run/config.json"
    assert paths.to_path(str(tmp_path)) == tmp_path
    assert paths.bucket_of("gs://bucket/a/b") == "gs://bucket"


def test_nearest_existing_parent(tmp_path):
    assert paths.nearest_existing(tmp_path / "a" / "b") == str(tmp_path)
    assert paths.nearest_existing(tmp_path) == str(tmp_path)


def test_local_files_do_not_need_tensorflow(tmp_path):
    code = (
        "import sys; from trainer.io import files, records;"
        "files.write_json(sys.argv[1], 1); files.read_json(sys.argv[1]);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=True)
