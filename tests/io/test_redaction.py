import pytest

from trainer.io.redaction import HIDDEN, redactor


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMBx_y-z",
        "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
        "hf_abcdefghijklmnopqrstuvwxyz",
        "sk-proj-abcdefghijklmnopqrstuvwxyz",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOi.eyJzdWIiOi.SflKxwRJ-x",
        "1//0abcdefghijklmnopqrstuvw",
    ],
)
def test_token_formats(secret):
    assert redactor({})(f"x={secret} y") == f"x={HIDDEN} y"


def test_headers_and_private_keys():
    redact = redactor({})
    assert redact("Authorization: Bearer abcdefgh12345") == f"Authorization: Bearer {HIDDEN}"
    assert redact("-----BEGIN PRIVATE KEY-----MIIE") == HIDDEN
    assert redact("at https://me:pass-word@host/simple") == f"at https://{HIDDEN}@host/simple"
    assert redact('"private_key": "-----BEGIN RSA…",') == f'"private_key": {HIDDEN},'


def test_values_of_variables_with_secret_names(tmp_path):
    token = tmp_path / "token"
    token.write_text("the-token-in-a-file\n")
    redact = redactor(
        {
            "WANDB_API_KEY": "0123456789abcdef",
            "DB_PASSWORD": "correct horse battery",
            "SIGNING_PRIVATE": "first line of it\nsecond line of it",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "REGISTRY_AUTH": "dXNlcjpwYXNz",
            "PIPELINE_PAT": "zyxwvutsrqpo",
            "MYSQL_PASS": "hunter2hunter2",
            "SSH_AUTH_SOCK": "/tmp/agent-of-ssh",
            "SHORT_TOKEN": "yes",
            "HOME": "/home/someone",
            "KEYBOARD": "qwertyuiop",
        }
    )
    for hidden in (
        "0123456789abcdef",
        "correct horse battery",
        "second line of it",
        "the-token-in-a-file",
        "dXNlcjpwYXNz",
        "zyxwvutsrqpo",
        "hunter2hunter2",
    ):
        assert redact(f"<{hidden}>") == f"<{HIDDEN}>"
    shown = f"yes /home/someone qwertyuiop /tmp/agent-of-ssh {token}"
    assert redact(shown) == shown


def test_other_text_is_unchanged():
    text = "step 1,200 of 5,000  loss 0.1  gs://b/run  sk-learn  eyJ  1//2  ~/.ssh/key"
    text += "  gs://b/a:b@c  http://host:80/"
    assert redactor({})(text) == text
