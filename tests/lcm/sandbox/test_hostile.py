"""Hostile scripts: each is contained, named in the error, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import msgspec
import pytest
from forestay_lcm.sandbox.calls import Limits, ScriptCall
from forestay_lcm.sandbox.runner import ScriptRunner

from .conftest import Packages, answer, failure, hook, script_processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="counts the processes of users that only root can make")


async def test_it_sees_nothing_of_the_service(
    runner: ScriptRunner, package: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESTAY_MASTER_KEY", "very secret")
    (tmp_path / "master.key").write_text("secret")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "database.sock"))
        server.listen()
        other = package("'another package'")
        await runner.run(hook(other))
        body = f"""
            import socket
            found = dict(os.environ)
            def tried(what):
                try:
                    return repr(what())
                except OSError as error:
                    return type(error).__name__
            def connect():
                socket.socket(socket.AF_UNIX).connect({str(tmp_path / "database.sock")!r})
            reached = [
                tried(lambda: open({str(tmp_path / "master.key")!r}).read()),
                tried(connect),
                tried(lambda: open("/proc/1/environ").read()),
                tried(lambda: open("/proc/1/mem", "rb").read(1)),
                tried(lambda: os.kill({os.getpid()}, 9)),
                tried(lambda: os.listdir({str(tmp_path)!r})),
                tried(lambda: os.listdir("/upper")),
                tried(lambda: os.mkdir("/usr/evil")),
                tried(lambda: os.setuid(0)),
            ]
            seen = {{"env": sorted(found), "reached": reached, "packages": os.listdir("/packages"),
                     "pids": [pid for pid in os.listdir("/proc") if pid.isdigit()], "fds": os.listdir("/proc/self/fd")}}
            """
        value = (await runner.run(hook(package(body + answer("seen").replace("\n", "\n" + " " * 12))))).value
    seen = value["vnf_instance"]["value"]
    assert seen["env"] == ["HOME", "LANG", "PATH", "PYTHONPATH", "TMPDIR"]
    assert all(name.endswith("Error") for name in seen["reached"]), seen["reached"]
    assert seen["packages"] == []
    assert len(seen["pids"]) == 2  # the sandbox's first process and the script
    assert len(seen["fds"]) == 4  # the standard ones and the listing itself


@pytest.mark.parametrize(
    ("body", "limits", "named"),
    [
        ("while True: os.fork()", Limits(seconds=5), "BlockingIOError"),
        ("while True:\n  try: os.fork()\n  except OSError: pass", Limits(seconds=1), "It ran longer than 1 s."),
        ("x = bytearray(1 << 30)", Limits(), "MemoryError"),
        ("os.fork(); os.fork(); os.fork(); x = b'x' * (60 << 20); time.sleep(9)", Limits(memory=256 << 20),
         "It used more than 256 MiB of memory."),
        ("open('/tmp/x', 'wb').write(bytes(100 << 20))", Limits(), "No space left on device"),
        ("open(arguments['tmp_csar_dir'] + '/x', 'wb').write(bytes(100 << 20))", Limits(), "No space left on device"),
        ("while True: pass", Limits(seconds=1), "It ran longer than 1 s."),
        ("while True: pass", Limits(seconds=9, cpu_seconds=1), "It used more CPU time than allowed."),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(9)", Limits(seconds=1), "longer than 1 s"),
        ("sys.stdout.buffer.write(bytes(1 << 20) * 1024)", Limits(memory=3 << 30), "It printed more than 16 MiB."),
        ("import ctypes; ctypes.string_at(0)", Limits(), "It was ended by SIGSEGV."),
        ("os.kill(-1, 9)", Limits(), "ProcessLookupError"),
        ("os.kill(os.getpid(), 9)", Limits(), "It was ended by SIGKILL."),
        ("def f(): f()\nf()", Limits(), "RecursionError"),
        ("sys.exit(7)", Limits(), "It ended with exit status 7."),
        ("sys.exit('no such node')", Limits(), "It ended with exit status 1.\nno such node"),
        ("os._exit(3)", Limits(), "It ended with exit status 3."),
        ("os.execv('/bin/false', ['false'])", Limits(), "It ended with exit status 1."),
        ("raise ValueError('the node said no')", Limits(), "ValueError: the node said no"),
        ("import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0", Limits(), "AssertionError"),
    ],
)  # fmt: skip
async def test_it_is_stopped_and_named(
    runner: ScriptRunner, package: Packages, tmp_path: Path, body: str, limits: Limits, named: str
) -> None:
    text = await failure(runner, hook(package(body), limits))
    assert named in text
    assert text.startswith("Scripts/hook.py: ")
    assert "supervise.py" not in text
    assert script_processes(tmp_path) == []


async def test_a_daemon_does_not_outlive_its_script(runner: ScriptRunner, package: Packages, tmp_path: Path) -> None:
    body = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()
    """
    result = await runner.run(hook(package(body)))
    assert result.left == 1
    assert script_processes(tmp_path) == []


@pytest.mark.parametrize(
    "noise",
    [
        "print('hello')",
        'print(\'{"reason": null, "errors": "", "left": 0, "answer": "{}"}\', flush=True)',
        "sys.stdout.buffer.write(b'\\x80\\x04\\x80\\x05K\\x01.' + bytes(range(256)))",
        "sys.stdout.buffer.write(pickle.dumps(['a', 'list']))",
        "os.write(1, b'noise')",
    ],
)
async def test_noise_is_no_result_and_spoils_none(runner: ScriptRunner, package: Packages, noise: str) -> None:
    assert (await runner.run(hook(package(noise)))).value == {}
    made = await runner.run(hook(package(f"{noise}\n{answer('42')}{noise}\n")))
    assert made.value == {"vnf_instance": {"value": 42}}


async def test_a_result_does_not_hide_a_failure(runner: ScriptRunner, package: Packages) -> None:
    text = await failure(runner, hook(package(f"{answer('1')}sys.stdout.flush()\nsys.exit(1)")))
    assert "It ended with exit status 1." in text


async def test_a_pickle_is_only_ever_read_inside(runner: ScriptRunner, package: Packages, tmp_path: Path) -> None:
    body = f"""
    class Evil:
        def __init__(self, function, *arguments): self.call = (function, arguments)
        def __reduce__(self): return self.call
    result = {{"vnf_instance": {{"uid": Evil(os.getuid), "bad": Evil(os.system, "touch {tmp_path}/touched")}}}}
    sys.stdout.buffer.write(pickle.dumps(result))
    """
    value = (await runner.run(hook(package(body)))).value
    assert value["vnf_instance"]["uid"] >= 2_000_000_000
    assert value["vnf_instance"]["bad"] != 0
    assert not (tmp_path / "touched").exists()
    endless = body.replace("Evil(os.getuid)", "Evil(time.sleep, 60)")
    assert "It ran longer than 1 s." in await failure(runner, hook(package(endless), Limits(seconds=1)))


async def test_what_is_no_json_is_named(runner: ScriptRunner, package: Packages) -> None:
    assert "Object of type set is not JSON serializable" in await failure(runner, hook(package(answer("{1, 2}"))))
    assert "not JSON compliant" in await failure(runner, hook(package(answer("float('nan')"))))


async def test_a_flood_of_errors_keeps_its_end(runner: ScriptRunner, package: Packages) -> None:
    body = "for _ in range(1024): sys.stderr.write('x' * (1 << 18))\nsys.exit('the end')"
    text = await failure(runner, hook(package(body), Limits(seconds=30)))
    assert text.endswith("the end")
    assert len(text) < 20_000


async def test_closing_its_output_harms_only_itself(runner: ScriptRunner, package: Packages) -> None:
    assert (await runner.run(hook(package("sys.stdout.close(); os.close(1); os.close(2)")))).value == {}
    assert (await runner.run(hook(package(answer("1"))))).value


async def test_what_it_writes_into_its_package_is_gone_with_it(runner: ScriptRunner, package: Packages) -> None:
    made = package(f"""
    here = arguments["tmp_csar_dir"]
    before = sorted(os.listdir(here))
    open(here + "/Scripts/hook.py", "w").write("raise SystemExit(9)")
    open(here + "/new", "w").write("x")
    os.remove(here + "/data")
    {answer("before").strip().replace(chr(10), chr(10) + "    ")}
    """, data="x")  # fmt: skip
    for _ in range(2):
        assert (await runner.run(hook(made))).value["vnf_instance"]["value"] == ["Scripts", "data"]


async def test_secrets_do_not_leave_in_errors(runner: ScriptRunner, package: Packages) -> None:
    call = hook(package("sys.exit(repr(arguments))"), request={"vimConnectionInfo": {"v": {"password": "hush-hush"}}})
    text = await failure(runner, call)
    assert "hush-hush" not in text
    assert "'password': '***'" in text


async def test_the_network_is_for_those_that_need_it(package: Packages, tmp_path: Path) -> None:
    async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    def connecting_to(port: int) -> ScriptCall:
        body = f"import socket\nwith socket.create_connection(('127.0.0.1', {port})) as s: said = s.recv(5).decode()\n"
        return hook(package(body + answer("said")))

    node, database = [await asyncio.start_server(hello, "127.0.0.1", 0) for _ in range(2)]
    open_port, closed_port = [server.sockets[0].getsockname()[1] for server in (node, database)]
    async with node, database, ScriptRunner(tmp_path / "p", warm=0, closed_ports=[closed_port]) as runner:
        call = connecting_to(open_port)
        assert (await runner.run(call)).value["vnf_instance"] == {"value": "hello"}
        assert "Network is unreachable" in await failure(runner, msgspec.structs.replace(call, network=False))
        assert "PermissionError" in await failure(runner, connecting_to(closed_port))


async def test_a_cancelled_call_ends_its_script(runner: ScriptRunner, package: Packages, tmp_path: Path) -> None:
    running = asyncio.create_task(runner.run(hook(package("time.sleep(600)"), Limits(seconds=600))))
    while not script_processes(tmp_path):
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(60):
        while script_processes(tmp_path):
            await asyncio.sleep(0.02)


_SERVICE = """
import asyncio, sys
from pathlib import Path
from forestay_lcm.sandbox.calls import Package, ScriptCall
from forestay_lcm.sandbox.runner import ScriptRunner

async def main(directory, csar):
    async with ScriptRunner(Path(directory), warm=1) as runner:
        package = Package(digest="d", csar=Path(csar))
        await runner.run(ScriptCall(package=package, kind="lcm-hook", script="Scripts/hook.py", arguments={}))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_it_does_not_outlive_a_killed_service(package: Packages, tmp_path: Path) -> None:
    csar = package("if os.fork() == 0: os.setsid()\ntime.sleep(600)").csar
    service = await asyncio.create_subprocess_exec(sys.executable, "-c", _SERVICE, str(tmp_path / "p"), str(csar))
    async with asyncio.timeout(60):
        while len(script_processes(tmp_path)) < 2:
            await asyncio.sleep(0.05)
        service.kill()
        await service.wait()
        while script_processes(tmp_path):
            await asyncio.sleep(0.02)
