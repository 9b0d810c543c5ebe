"""Commands over SSH, with the names and calls that management scripts use. Needs paramiko in the scripts' Python."""

from __future__ import annotations

from typing import Any

from . import exceptions


class CommandResult:
    """What a remote command gave: lines of text, and its exit status."""

    def __init__(self, cmd: str, stdout: list[str], stderr: list[str], return_code: int) -> None:
        self._cmd, self._stdout, self._stderr, self._return_code = cmd, stdout, stderr, return_code

    def get_stdout(self) -> list[str]:
        return self._stdout

    def get_stderr(self) -> list[str]:
        return self._stderr

    def get_return_code(self) -> int:
        return self._return_code

    def __str__(self) -> str:
        return f"cmd: {self._cmd}, stdout: {self._stdout}, stderr: {self._stderr}, return code: {self._return_code}"


class RemoteCommandExecutor:
    """A connection to a host, made at once.

    :param timeout: seconds for connecting and for each command.
    :raises NotAuthorized: the host refuses the user or the password.
    """

    def __init__(self, user: str, password: str, host: str, timeout: float = 10) -> None:
        import paramiko  # type: ignore[import-not-found]  # of the scripts' Python

        self._timeout = timeout
        self._ssh: Any = paramiko.SSHClient()
        # A VNFC's host key is new with each instance; nothing could have told it to the script before.
        self._ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        try:
            self._ssh.connect(host, username=user, password=password, timeout=timeout)
        except paramiko.AuthenticationException as error:
            raise exceptions.NotAuthorized(f"{host} refuses user {user}.") from error

    def close_session(self) -> None:
        self._ssh.close()

    def execute_command(self, cmd: str, input_data: str | None = None) -> CommandResult:
        """Run a command and wait for its end; ``input_data`` is its standard input."""
        stdin, stdout, stderr = self._ssh.exec_command(cmd, timeout=self._timeout)
        if input_data is not None:
            stdin.write(input_data)
            stdin.flush()
        stdin.channel.shutdown_write()
        out, err = stdout.readlines(), stderr.readlines()
        return CommandResult(cmd, out, err, stdout.channel.recv_exit_status())
