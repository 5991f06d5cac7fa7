import pytest

from trainer.cloud import settings as cloud_settings
from trainer.cloud.docker import DockerSettings
from trainer.cloud.google.settings import TPUSettings, VertexSettings
from trainer.cloud.targets import TARGETS
from trainer.errors import UserError

CLASSES = {name: target.settings for name, target in TARGETS.items()}

FILE = """
project = "p"
bucket = "b"
zone = "us-central2-b"
spot = false

[tpu-vm]
accelerator = "v6e-8"

[gpu-vm]
zone = "us-central1-a"
accelerator = "nvidia-l4"
"""


def load(path, target, flags):
    return cloud_settings.load(path, target, CLASSES, flags)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_precedence_of_defaults_file_table_and_flags(here):
    (here / "cloud.toml").write_text(FILE)
    assert load("", "tpu-vm", {}) == TPUSettings(
        project="p", bucket="b", zone="us-central2-b", spot=False, accelerator="v6e-8"
    )
    gpu = load("", "gpu-vm", {"accelerator": "nvidia-l4:2"})
    assert (gpu.zone, gpu.accelerator, gpu.hosts) == ("us-central1-a", "nvidia-l4:2", 1)


def test_missing_file_is_an_error_only_if_given():
    assert load("", "docker", {}) == DockerSettings()
    with pytest.raises(UserError, match=r"--settings=mine\.toml: no such file"):
        load("mine.toml", "docker", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("projet = 'p'", "Did you mean 'project'?"),
        ("[tpu-vm]\nacelerator = 'v6e-8'", "Did you mean 'accelerator'?"),
        ("[tpu-wm]\nzone = 'z'", "Did you mean 'tpu-vm'?"),
        ("docker = 1", r"docker must be a table, \[docker\]"),
        ("poll_seconds = 'two'", "poll_seconds must be of type int"),
        ("[tpu-vm]\npoll_seconds = 'two'", "poll_seconds must be of type int"),
        ("poll_seconds = 0", "poll_seconds must be >= 1"),
        ("spot = 1", "spot must be of type bool"),
        ("bucket = 'gs://b'", "without gs://"),
        ("project = ", "is not valid TOML"),
    ],
)
def test_invalid_file_is_one_line(here, text, expected):
    (here / "mine.toml").write_text(text)
    with pytest.raises(UserError, match=expected) as raised:
        load("mine.toml", "tpu-vm", {})
    assert "mine.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_invalid_flag_does_not_name_the_file(here):
    (here / "cloud.toml").write_text(FILE)
    with pytest.raises(UserError, match=r"^hosts must be >= 1"):
        load("", "gpu-vm", {"hosts": 0})


def test_unknown_target_is_refused():
    with pytest.raises(UserError, match="Did you mean 'tpu-vm'"):
        load("", "tpu", {})


def test_example_file_is_valid(request):
    example = request.config.rootpath / "configs" / "cloud.toml"
    for target in TARGETS:
        loaded = load(str(example), target, {})
        if target in ("tpu-vm", "gpu-vm", "vertex"):
            assert loaded.project == "my-project"


def test_regions_default_to_those_of_the_zones():
    settings = VertexSettings(zone="us-central1-a, us-central1-b,europe-west4-a")
    assert settings.regions == ("us-central1", "europe-west4")
    assert settings.zones == ("us-central1-a", "us-central1-b", "europe-west4-a")
    assert VertexSettings(zone="us-central1-a", region="r1,r2").regions == ("r1", "r2")
