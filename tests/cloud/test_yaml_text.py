import json
import shutil
import subprocess

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.cloud import yaml_text

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")

# YAML has no representation of lone surrogates, and no text in UTF-8 contains them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("a :#-|>'\"\\\n\t\r $,é😀")
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=3))
def test_what_is_written_is_read_back(value):
    assert yaml.safe_load(yaml_text.document(value)) == value


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_every_text_is_read_back_at_every_place(text):
    value = {"a": {"b": text, text: [text, [text], {"c": text}]}, "z": text}
    assert yaml.safe_load(yaml_text.document(value)) == value


@pytest.mark.parametrize("text", ["yes", "No", "on", "null", "~", "y", "1", "1e3", "0x1f", "", "="])
def test_texts_that_look_like_other_types_stay_texts(text):
    assert yaml.safe_load(yaml_text.document({"a": text, text: 1})) == {"a": text, text: 1}


def test_the_output_is_readable():
    value = {
        "kind": "ConfigMap",
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}},
        "data": {"config": "a = 1\n\nb = 2\n", "none": {}, "empty": []},
        "list": [{"name": "a", "args": ["x y", "z"]}, True, 3],
    }
    assert yaml_text.documents([value, {"a": 1}]) == (
        "kind: ConfigMap\n"
        "metadata:\n  labels:\n    kueue.x-k8s.io/queue-name: q\n"
        "data:\n  config: |\n    a = 1\n\n    b = 2\n  none: {}\n  empty: []\n"
        'list:\n  - name: a\n    args:\n      - "x y"\n      - z\n  - true\n  - 3\n'
        "---\na: 1\n"
    )


@needs_kubectl
def test_the_parser_of_kubectl_reads_the_same(tmp_path):
    data = {
        "block": "a: b\n  c\n\n\n",
        "quoted": " x\n",
        "unicode": "é😀\u2028\x85\ufeff\x7f\x00\t",
        "yes": "on",
    }
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    (tmp_path / "file.yaml").write_text(yaml_text.document(value))
    argv = ["kubectl", "label", "--local", "--filename=file.yaml", "--output=json", "a=b"]
    done = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["data"] == data
