"""Scripts find what Tacker's scripts find: arguments, modules, results (wire sections 8.4, 8.5 and 12)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from forestay_events.errors import Permanent, Unavailable
from forestay_lcm.sandbox.calls import Limits, Package, ScriptCall, ScriptFailed
from forestay_lcm.sandbox.runner import ScriptRunner

from .conftest import Packages, answer, failure, hook

MGMT = """
import functools
import os
import pickle
import sys

from oslo_log import log as logging
from tacker.sol_refactored.common import exceptions as sol_ex

LOG = logging.getLogger(__name__)


class Mgmt:
    def __init__(self, request, inst, csar_dir):
        self.request, self.inst, self.csar_dir = request, inst, csar_dir

    def instantiate_end(self):
        with open(os.path.join(self.csar_dir, "Files", "motd")) as file:
            self.inst["instantiatedVnfInfo"]["metadata"] = {"motd": file.read()}
        print("configured")
        return {"vnf_instance": self.inst, "user_script_err_handling_data": {"done": 1}}

    def terminate_start(self):
        pickle.dump({"user_script_err_handling_data": {"at": "node 2"}}, sys.stdout.buffer)
        sys.stdout.flush()
        raise sol_ex.VMRunningFailed("node 2 does not answer")


def main():
    given = pickle.load(sys.stdin.buffer)
    script = Mgmt(given["request"], given["vnf_instance"], given["tmp_csar_dir"])
    result = getattr(script, given["operation"])()
    sys.stdout.buffer.write(pickle.dumps(result))
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
        os._exit(0)
    except Exception as ex:
        sys.stderr.write(str(ex))
        sys.stderr.flush()
        os._exit(1)
"""
USER_DATA = """
import yaml
from dataclasses import dataclass
from tacker.sol_refactored.infra_drivers.openstack import userdata_utils

@dataclass
class Size:
    number: int

class Own(userdata_utils.AbstractUserData):
    @staticmethod
    def instantiate(req, inst, grant_req, grant, tmp_csar_dir):
        print("noise")
        return {"template": open(tmp_csar_dir + "/Scripts/hook.py").read(), "parameters": [req, inst, grant_req, grant]}

    @staticmethod
    def scale(req, inst, grant_req, grant, tmp_csar_dir):
        return None
"""
INSTANCE: dict[str, Any] = {"id": "v", "instantiatedVnfInfo": {}}


def user_data(package: Package, class_name: str, method: str, **arguments: Any) -> ScriptCall:
    return ScriptCall(
        package=package,
        kind="user-data",
        script="UserData/own.py",
        class_name=class_name,
        method=method,
        arguments=arguments,
        limits=Limits(seconds=10),
    )


async def test_a_management_script_of_tacker(runner: ScriptRunner, package: Packages) -> None:
    made = package(Scripts__mgmt_py=MGMT, Files__motd="welcome")
    call = hook(made, operation="instantiate_end", request={}, vnf_instance=INSTANCE)
    call = msgspec.structs.replace(call, script="Scripts/mgmt_py")
    assert (await runner.run(call)).value == {
        "vnf_instance": {"id": "v", "instantiatedVnfInfo": {"metadata": {"motd": "welcome"}}},
        "user_script_err_handling_data": {"done": 1},
    }
    with pytest.raises(ScriptFailed, match="node 2 does not answer") as caught:
        await runner.run(msgspec.structs.replace(call, arguments=call.arguments | {"operation": "terminate_start"}))
    assert caught.value.title == "Mgmt driver execution failed"
    assert caught.value.value == {"user_script_err_handling_data": {"at": "node 2"}}


async def test_a_driver_of_the_first_api(runner: ScriptRunner, package: Packages) -> None:
    body = """
    from tacker.common import log
    from tacker.vnfm.mgmt_drivers import vnflcm_abstract_driver

    class Driver(vnflcm_abstract_driver.VnflcmMgmtAbstractDriver):
        @log.log
        def instantiate_start(self, context, vnf_instance, instantiate_vnf_request, grant, grant_request, **kwargs):
            assert not instantiate_vnf_request.additional_params["at_fault"], vnf_instance.instantiated_vnf_info.flavour_id

        def modify_information_end(self, context, vnf_instance, modify_vnf_request, **kwargs):
            raise SystemExit(vnf_instance.id)
    """
    inst = INSTANCE | {"instantiatedVnfInfo": {"flavourId": "simple"}}
    request = {"additionalParams": {"at_fault": False}}
    call = hook(package(body), request=request, vnf_instance=inst, grant_response={}, grant_request=None)
    assert (await runner.run(call)).value == {}
    faulty = call.arguments | {"request": {"additionalParams": {"at_fault": True}}}
    assert "AssertionError: simple" in await failure(runner, msgspec.structs.replace(call, arguments=faulty))
    modify = call.arguments | {"operation": "modify_information_end"}
    assert (await failure(runner, msgspec.structs.replace(call, arguments=modify))).endswith("\nv")
    lacking = call.arguments | {"operation": "heal_start"}
    assert (await runner.run(msgspec.structs.replace(call, arguments=lacking))).value == {}


async def test_the_new_package_of_a_change(runner: ScriptRunner, package: Packages) -> None:
    body = "text = open(arguments['new_csar_dir'] + '/f').read() + open(arguments['tmp_csar_dir'] + '/f').read()"
    call = msgspec.structs.replace(hook(package(body + answer("text"), f="old")), new_package=package(f="new"))
    assert (await runner.run(call)).value["vnf_instance"] == {"value": "newold"}


async def test_a_coordination_script(runner: ScriptRunner, package: Packages) -> None:
    body = """
    from tacker.sol_refactored.common import coord_client
    assert callable(coord_client.create_coordination)
    if arguments["is_rollback"]: raise SystemExit("not back")
    """
    call = msgspec.structs.replace(hook(package(body), is_rollback=False), kind="coordination")
    assert (await runner.run(call)).value == {}
    with pytest.raises(ScriptFailed, match="not back") as caught:
        await runner.run(msgspec.structs.replace(call, arguments={"is_rollback": True}))
    assert caught.value.title == "Coordinate VNF execution failed"


async def test_user_data_gets_its_arguments_in_order(runner: ScriptRunner, package: Packages) -> None:
    made = package("'x'", UserData__own__py="")
    made = package("'x'", **{"UserData/own.py": USER_DATA})
    call = user_data(made, "Own", "instantiate", req={"a": 1}, inst={"b": 2}, grant_req={"c": 3}, grant={"d": 4})
    result = await runner.run(call)
    assert result.value["parameters"] == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}]
    assert result.value["template"].endswith("'x'")
    assert result.errors == "noise\n"


@pytest.mark.parametrize(
    ("class_name", "method", "named"),
    [
        ("Other", "instantiate", "UserData/own.py has no class 'Other'."),
        ("Own", "explode", "UserData/own.py has no method 'explode' in 'Own'."),
        ("Own", "scale", "It returned no dictionary."),
        ("Own", "heal", "NotImplementedError: heal"),
    ],
)
async def test_wrong_user_data_is_named(
    runner: ScriptRunner, package: Packages, class_name: str, method: str, named: str
) -> None:
    with pytest.raises(ScriptFailed, match=named) as caught:
        await runner.run(user_data(package(**{"UserData/own.py": USER_DATA}), class_name, method))
    assert caught.value.title == "Userdata execution failed"
    assert str(caught.value).startswith(f"UserData/own.py ({class_name}.{method}): ")


async def test_a_missing_script_is_named(runner: ScriptRunner, package: Packages) -> None:
    text = await failure(runner, msgspec.structs.replace(hook(package()), script="Scripts/none.py"))
    assert "No such file or directory: '/csar/Scripts/none.py'" in text


async def test_many_at_once(runner: ScriptRunner, package: Packages) -> None:
    calls = [hook(package(answer("arguments['n']")), n=number) for number in range(12)]
    results = await asyncio.gather(*map(runner.run, calls))
    assert [result.value["vnf_instance"]["value"] for result in results] == list(range(12))


async def test_a_python_that_cannot_start_is_named(tmp_path: Path, package: Packages) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such interpreter' >&2\nexit 1\n")
    broken.chmod(0o755)
    async with ScriptRunner(tmp_path / "p", warm=0, python=str(broken)) as runner:
        with pytest.raises(Unavailable, match="no such interpreter"):
            await runner.run(hook(package()))


async def test_a_package_that_lies_is_refused(runner: ScriptRunner, package: Packages) -> None:
    made = package(**{"../evil": "x"})
    with pytest.raises(Permanent, match="leads out of it"):
        await runner.run(hook(made))
    made.csar.write_bytes(b"no zip")
    with pytest.raises(Permanent, match="cannot be used"):
        await runner.run(hook(made))


@pytest.mark.perf
async def test_a_warm_hook_costs_less_than_50_ms(runner: ScriptRunner, package: Packages) -> None:
    call, times = hook(package(answer("1"))), list[float]()
    for _ in range(9):
        await asyncio.sleep(0.5)  # the pool is filled again
        start = time.perf_counter()
        await runner.run(call)
        times.append(time.perf_counter() - start)
    assert median(times) < 0.05, times
