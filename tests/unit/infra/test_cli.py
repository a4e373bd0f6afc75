from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from infra import java
from infra.java import DownloadFailed, NotSetUp
from infra.status import PartStatus, State, Status
from infra.status_view import as_table, to_json
from streams.cli import LATE, main
from streams.worker import ROLES, Role, UnknownRole, role_named


def commands_under(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and everything below it, by what a person types after `atrium`."""
    yield words, command
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                yield from commands_under(below, (*words, name))


COMMANDS = dict(commands_under(main))


def test_the_commands_are_all_there() -> None:
    assert {words[0] for words in COMMANDS if words} == {*main.commands, *LATE}
    assert {("devices", "change"), ("policies", "import"), ("rooms", "show")} < COMMANDS.keys()


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "atrium")
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(main, [*words, "--help"])
    assert answer.exit_code == 0
    assert " ".join(["Usage: main", *words]) in answer.output
    purpose = (COMMANDS[words].help or "").split()
    assert purpose
    assert " ".join(purpose[:4]) in " ".join(answer.output.split())


@pytest.mark.parametrize("role", ROLES.values(), ids=list(ROLES))
def test_the_help_of_role_tells_every_role(role: Role) -> None:
    lines = CliRunner().invoke(main, ["role", "--help"]).output.splitlines()
    assert any(line.split(maxsplit=1) == [role.name, role.purpose] for line in lines)


def test_a_wrong_setting_is_one_line_and_no_stack_trace(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["up"], env={"ATRIUM_HOME": str(tmp_path), "ATRIUM_API_PORT": "eighty"})
    assert answer.exit_code == 1
    assert answer.output == "Error: ATRIUM_API_PORT='eighty' is not a port: give a number from 1 to 65535\n"


def test_up_before_setup_says_what_to_do(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["up"], env={"ATRIUM_HOME": str(tmp_path), "ATRIUM_PACKAGES": str(tmp_path / "none")})
    assert answer.exit_code == 1
    assert "atrium setup" in answer.output
    assert "Traceback" not in answer.output


def test_status_where_nothing_runs_is_not_well(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["status"], env={"ATRIUM_HOME": str(tmp_path)})
    assert answer.exit_code == 1
    assert "Nothing runs" in answer.output


def test_packages_of_another_version_count_as_missing(tmp_path: Path) -> None:
    (tmp_path / "packages.json").write_text(
        '{"folder": "/x", "kafka": "org.apache.kafka:kafka_2.13:3.0.0", "registry": "", "kafka_jars": []}'
    )
    with pytest.raises(NotSetUp, match=java.KAFKA):
        java.find(tmp_path)


def test_a_download_that_fails_says_what_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens on the discard port
    with pytest.raises(DownloadFailed, match=f"could not fetch {java.KAFKA}.*run `atrium setup` again"):
        java.fetch(tmp_path / "packages")


def test_an_unknown_role_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownRole, match="rooms, api, knx"):
        role_named("roomz")


def _status(*, text: str) -> Status:
    parts = [
        PartStatus(name="kafka", state=State.ready, pid=None, port=9092, since=0, restarts=0, text="", log="kafka.log"),
        PartStatus(name="history", state=State.ready, pid=None, port=None, since=0, restarts=2, text=text, log="history.log"),
        PartStatus(name="prepare", state=State.done, pid=None, port=None, since=0, restarts=0, text="", log="prepare.log"),
    ]
    return Status(
        home="/h", supervisor=7, url="http://127.0.0.1:8080", parts=parts, addresses={"database": "postgresql://u:secret@h/d"}
    )


def test_one_part_in_need_makes_the_whole_not_well() -> None:
    assert _status(text="").well
    ill = _status(text="waiting for PostgreSQL")
    assert not ill.well
    assert "NOT all well" in as_table(ill)
    assert "waiting for PostgreSQL" in as_table(ill)


def test_the_database_password_stays_out_of_what_status_prints() -> None:
    assert "secret" not in to_json(_status(text="")) + as_table(_status(text=""))


def test_errors_for_people_are_clicks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.cli import tell_errors

    @tell_errors
    def fails() -> None:
        raise NotSetUp("Kafka")

    with pytest.raises(click.ClickException, match="not on this machine yet: Kafka"):
        fails()
