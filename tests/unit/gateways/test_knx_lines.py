"""The file of KNX lines: what it may say, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.knx_lines import BadKnxLines, Connection, read_lines
from streams.settings import BadSetting, read_settings


def lines(folder: Path, text: str) -> Path:
    file = folder / "lines.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_line_needs_little_and_can_say_much(tmp_path: Path) -> None:
    found = read_lines(
        lines(
            tmp_path,
            """
[lines.knx-1]
gateway = "192.168.1.10"

[lines.knx-2]
connection = "routing"
individual-address = "1.1.250"
rate-limit = 10
read-every-s = 60
push-buttons = ["1.1.30", "1.1.31"]

[lines.knx-3]
connection = "secure-tunnelling"
gateway = "gate.example"
keyring = "house.knxkeys"
""",
        )
    )
    first, second, third = found.values()
    assert (first.connection, first.port, first.rate_limit, first.read_every_s) == (Connection.tunnelling, 3671, 20, 300)
    assert (second.named, second.push_buttons) == ("routing 224.0.23.12:3671", ("1.1.30", "1.1.31"))
    assert third.named == "secure-tunnelling gate.example:3671"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[lines.a]\n", "line a: tunnelling needs a gateway"),
        ("[lines.a]\nconnection = 'usb'\n", "Invalid enum value 'usb'"),
        ("[lines.a]\ngateway = 'x'\nrate-limt = 3\n", "unknown field `rate-limt`"),
        ("[lines.a]\ngateway = 'x'\nrate-limit = 200\n", "rate-limit 200: give telegrams a second, above 0 and at most 50"),
        ("[lines.a]\ngateway = 'x'\nread-every-s = 0\n", "read-every-s 0: give seconds above 0"),
        ("[lines.a]\ngateway = 'x'\npush-buttons = ['1.1.300']\n", "'1.1.300' is no individual address"),
        ("[lines.a]\nconnection = 'routing'\nmulticast-group = '10.0.0.1'\n", "multicast-group '10.0.0.1' is none"),
        ("[lines.a]\nconnection = 'secure-tunnelling'\ngateway = 'x'\n", "secure-tunnelling needs a keyring"),
        ("lines = 3\n", "Expected `object`"),
        ("[lines.a\n", "not readable as TOML"),
        ("", "names no line"),
    ],
)
def test_a_wrong_file_says_what_would_be_right(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadKnxLines, match=says):
        read_lines(lines(tmp_path, text))


def test_a_missing_file_is_one_line_and_no_stack_trace(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["knx", "read", "1/2/3"], env={"ATRIUM_KNX_LINES": str(tmp_path / "none.toml")})
    assert (answer.exit_code, answer.output) == (
        1,
        f"Error: ATRIUM_KNX_LINES: {tmp_path / 'none.toml'}: No such file or directory\n",
    )


def test_a_keyring_without_its_password_is_told_at_the_start(tmp_path: Path) -> None:
    text = "[lines.a]\nconnection = 'secure-tunnelling'\ngateway = 'x'\nkeyring = 'a.knxkeys'\n"
    env = {"ATRIUM_KNX_LINES": str(lines(tmp_path, text))}
    with pytest.raises(BadSetting, match="ATRIUM_KNX_KEYRING_PASSWORD is not set, but the keyring of KNX line a needs it"):
        read_settings(env)
    assert read_settings(env | {"ATRIUM_KNX_KEYRING_PASSWORD": "secret"}).knx_keyring_password == "secret"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["read", "1/2"], "'1/2' is no group address"),
        (["read", "1/2/3"], "no device of line a has 1/2/3: say its datapoint type"),
        (["read", "1/2/3", "--dpt", "99.1"], "DPT 99.1 is not known here"),
        (["read", "1/2/3", "--line", "b"], "there is no line 'b': there are a"),
        (["write", "1/2/3", "101", "--dpt", "5.001"], "101 is no value of DPT 5.001"),
        (["read", "1/2/3", "--dpt", "5.001"], "cannot be reached"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(tmp_path: Path, words: list[str], says: str) -> None:
    file = lines(tmp_path, "[lines.a]\nconnection = 'tunnelling-tcp'\ngateway = '127.0.0.1'\nport = 9\n")  # nobody is on 9
    env = {"ATRIUM_KNX_LINES": str(file), "ATRIUM_HOME": str(tmp_path)}
    answer = CliRunner().invoke(main, ["knx", *words], env=env)
    assert answer.exit_code == 1
    assert says in answer.output, answer.output
    assert "Traceback" not in answer.output
