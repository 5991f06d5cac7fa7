import pytest

from trainer.cloud.settings import TARGETS, Settings, load
from trainer.errors import UserError

FILE = """
project = "p"
bucket = "b"
zone = "us-central2-b"
spot = false

[tpu-vm]
accelerator = "v4-8"

[gpu-vm]
zone = "us-central1-a"
accelerator = "nvidia-l4"
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_file_table_and_flags_in_this_order(here):
    (here / "cloud.toml").write_text(FILE)
    assert load("", "tpu-vm", {}) == Settings(
        project="p", bucket="b", zone="us-central2-b", spot=False, accelerator="v4-8"
    )
    gpu = load("", "gpu-vm", {"accelerator": "nvidia-l4:2"})
    assert (gpu.zone, gpu.accelerator, gpu.hosts) == ("us-central1-a", "nvidia-l4:2", 1)


def test_no_file_is_none_unless_it_was_named():
    assert load("", "docker", {}) == Settings()
    with pytest.raises(UserError, match="--settings names no file"):
        load("mine.toml", "docker", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("projet = 'p'", "Did you mean 'project'?"),
        ("[tpu-vm]\nacelerator = 'v4-8'", "Did you mean 'accelerator'?"),
        ("[tpu-wm]\nzone = 'z'", "Did you mean 'tpu-vm'?"),
        ("docker = 1", r"docker is a table, \[docker\]"),
        ("hosts = 'two'", "hosts must be of type int"),
        ("[tpu-vm]\nhosts = 'two'", "hosts must be of type int"),
        ("hosts = 0", "hosts must be >= 1"),
        ("spot = 1", "spot must be of type bool"),
        ("bucket = 'gs://b'", "without gs://"),
        ("project = ", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(here, text, expected):
    (here / "mine.toml").write_text(text)
    with pytest.raises(UserError, match=expected) as raised:
        load("mine.toml", "tpu-vm", {})
    assert "mine.toml" in str(raised.value)
    assert "Received: " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_mistake_in_a_flag_is_not_the_files(here):
    (here / "cloud.toml").write_text(FILE)
    with pytest.raises(UserError, match=r"^hosts must be >= 1"):
        load("", "gpu-vm", {"hosts": 0})


def test_an_unknown_target():
    with pytest.raises(UserError, match="Did you mean 'tpu-vm'"):
        load("", "tpu", {})


def test_the_example_is_whole(request):
    example = request.config.rootpath / "configs" / "cloud.toml"
    for target in TARGETS:
        assert load(str(example), target, {}).project == "my-project"


def test_the_region_is_the_zones():
    assert Settings(zone="us-central1-a").vertex_region == "us-central1"
    assert Settings(zone="us-central1-a", region="europe-west4").vertex_region == "europe-west4"
