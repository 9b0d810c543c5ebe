"""A package's whole life over HTTP, and what lists, filters and downloads give."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from forestay_csar import read_package
from forestay_events.commit import Commit
from forestay_package_mgmt.settings import Settings
from forestay_sol.types import parse_rfc3339
from forestay_sol.vnfd import Vnfd

from tests.package_mgmt.service.conftest import PACKAGES, ROOT, Serve, Server

COMPLEX = {"checksum", "softwareImages", "additionalArtifacts", "userDefinedData"}


async def test_a_package_lives_from_create_to_delete(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        async with server.http.post(ROOT, json={"userDefinedData": {"owner": "me"}}) as response:
            assert response.status == 201
            created = await response.json()
            path = f"{ROOT}/{created['id']}"
            assert response.headers["Location"] == path
        assert created == {
            "id": created["id"],
            "onboardingState": "CREATED",
            "operationalState": "DISABLED",
            "usageState": "NOT_IN_USE",
            "userDefinedData": {"owner": "me"},
            "_links": {"self": {"href": path}, "packageContent": {"href": f"{path}/package_content"}},
        }
        assert await server.show(created["id"]) == created

        assert await server.upload(created["id"], asg) == 202
        info = await server.settled(created["id"])
        assert info["onboardingState"] == "ONBOARDED"
        assert info["operationalState"] == "ENABLED"
        assert info["usageState"] == "NOT_IN_USE"
        assert info["vnfdId"] == "4f1a6b2e-0001-4c0e-9c52-5a9e00000001"
        assert info["userDefinedData"] == {"owner": "me"}
        assert info["checksum"] == {"algorithm": "sha512", "hash": hashlib.sha512(asg).hexdigest()}
        assert all(info[name] for name in ("vnfProvider", "vnfProductName", "vnfSoftwareVersion", "vnfdVersion"))
        image = info["softwareImages"][0]
        assert (image["id"], image["name"], image["containerFormat"]) == ("VDU1", "cirros", "bare")
        assert parse_rfc3339(image["createdAt"]) <= datetime.now(UTC)
        hot = (PACKAGES / "sample-asg/BaseHOT/simple/asg.yaml").read_bytes()
        assert {
            "artifactPath": "BaseHOT/simple/asg.yaml",
            "checksum": {"algorithm": "SHA-256", "hash": hashlib.sha256(hot).hexdigest()},
            "metadata": {},
        } in info["additionalArtifacts"]
        assert await server.blobs() == {hashlib.sha256(asg).hexdigest()}

        await server.delete(created["id"])
        assert (await server.ask("GET", f"/{created['id']}"))[0] == 404
        assert (await server.ask("GET", ""))[1] == []
        assert await server.blobs() == set()


async def test_contents_are_streamed_whole_and_in_ranges(serve: Serve, asg: bytes) -> None:
    size = len(asg)
    async with serve() as server:
        info = await server.onboard(asg)
        path = f"{ROOT}/{info['id']}/package_content"
        async with server.http.get(path) as response:
            assert (response.status, response.content_type) == (200, "application/zip")
            assert response.headers["Accept-Ranges"] == "bytes"
            assert await response.read() == asg
        for asked, start, end in (("0-99", 0, 100), (f"{size - 5}-", size - 5, size), ("-7", size - 7, size),
                                  (f"10-{size * 2}", 10, size), (f"-{size * 2}", 0, size)):  # fmt: skip
            async with server.http.get(path, headers={"Range": f"bytes={asked}"}) as response:
                assert response.status == 206
                assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
                assert await response.read() == asg[start:end]
        async with server.http.get(path, headers={"Range": f"bytes={size}-"}) as response:
            assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{size}")

        hot = (PACKAGES / "sample-asg/BaseHOT/simple/asg.yaml").read_bytes()
        artifact = f"{ROOT}/{info['id']}/artifacts/BaseHOT/simple/asg.yaml"
        async with server.http.get(artifact) as response:
            assert response.status == 200
            assert await response.read() == hot
        async with server.http.get(artifact, headers={"Range": "bytes=5-9"}) as response:
            assert (response.status, await response.read()) == (206, hot[5:10])


async def test_the_vnfd_comes_as_what_accept_asks_for(serve: Serve, asg: bytes) -> None:
    vnfd = _single_yaml()
    async with serve() as server:
        several, one = await server.onboard(asg), await server.onboard(_packed("vnfd.yaml", vnfd))
        for accept in ("application/zip", "*/*", "", "text/plain,application/zip"):
            async with server.http.get(f"{ROOT}/{several['id']}/vnfd", headers={"Accept": accept}) as response:
                assert (response.status, response.headers["Content-Type"]) == (200, "application/zip")
                names = zipfile.ZipFile(io.BytesIO(await response.read())).namelist()
            assert names[:2] == ["TOSCA-Metadata/TOSCA.meta", "Definitions/top.vnfd.yaml"]
            assert all(name.startswith(("TOSCA-Metadata/", "Definitions/")) for name in names)
        for accept in ("text/plain", "*/*", "text/plain,application/zip"):
            async with server.http.get(f"{ROOT}/{one['id']}/vnfd", headers={"Accept": accept}) as response:
                assert (response.status, response.headers["Content-Type"]) == (200, "text/plain")
                assert await response.text() == vnfd
        async with server.http.get(f"{ROOT}/{one['id']}/vnfd", headers={"Accept": "application/zip"}) as response:
            assert zipfile.ZipFile(io.BytesIO(await response.read())).namelist() == ["vnfd.yaml"]


async def test_lists_are_filtered_selected_and_paged(serve: Serve, asg: bytes) -> None:
    async with serve(Settings(package_page_size=2)) as server:
        onboarded = await server.onboard(asg)
        others = [await server.create(userDefinedData={"n": n}) for n in range(4)]

        seen, path = list[str](), f"{ROOT}?filter=(eq,operationalState,DISABLED)"
        while path:
            async with server.http.get(path) as response:
                page = await response.json()
                link = response.links.get("next")
                path = str(link["url"]) if link else ""
            assert 0 < len(page) <= 2
            seen += [entry["id"] for entry in page]
        assert seen == sorted(others)

        whole = (await server.ask("GET", "?all_records=yes"))[1]
        assert len(whole) == 5
        for query, shown in (
            ("", set[str]()),
            ("exclude_default", set[str]()),
            ("all_fields", COMPLEX - {"userDefinedData"}),
            ("fields=checksum,softwareImages/name", {"checksum", "softwareImages"}),
            ("exclude_fields=checksum", COMPLEX - {"userDefinedData", "checksum"}),
        ):
            _, entries = await server.ask("GET", f"?{query}&filter=(eq,vnfdId,{onboarded['vnfdId']})")
            assert len(entries) == 1
            assert COMPLEX & entries[0].keys() == shown, query
            assert entries[0].keys() >= {"id", "_links", "usageState", "vnfProductName"}
            assert all(entries[0][name] == onboarded[name] for name in shown - {"softwareImages"})
        assert [e["id"] for e in (await server.ask("GET", "?filter=(eq,usageState,IN_USE)"))[1]] == []
        found = (await server.ask("GET", "?filter=(gte,userDefinedData/n,3)"))[1]
        assert [entry["id"] for entry in found] == [others[3]]


async def test_modification_answers_what_changed(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        info = await server.onboard(asg)
        path = f"/{info['id']}"
        merge_patch = {"Content-Type": "application/merge-patch+json"}
        body = msgspec.json.encode({"userDefinedData": {"a": 1, "b": {"c": 2}}})
        assert (await server.ask("PATCH", path, data=body, headers=merge_patch)) == (200, msgspec.json.decode(body))
        changes = {"operationalState": "DISABLED", "userDefinedData": {"a": None, "b": {"d": 3}}}
        assert await server.ask("PATCH", path, json=changes) == (200, changes)
        partly = {"userDefinedData": {"b": {"c": 2, "d": 3}, "e": 1}}
        assert await server.ask("PATCH", path, json=partly) == (200, {"userDefinedData": {"e": 1}})
        after = await server.show(info["id"])
        assert (after["operationalState"], after["userDefinedData"]) == ("DISABLED", {"b": {"c": 2, "d": 3}, "e": 1})
        for again in (
            {"operationalState": "DISABLED"},
            {"userDefinedData": {"b": {"d": 3}}},
            {"operationalState": "ENABLED", "userDefinedData": {"b": {"d": 3}}},
        ):
            assert (await server.ask("PATCH", path, json=again))[0] == 409
        assert await server.show(info["id"]) == after


async def test_usage_follows_the_vnf_instances(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        info = await server.onboard(asg)
        await server.ask("PATCH", f"/{info['id']}", json={"operationalState": "DISABLED"})
        created = await _append_vnf_commit(server, {"type": "VnfCreated", "vnfd_id": info["vnfdId"], "name": "x"})
        assert (await server.show(info["id"]))["usageState"] == "IN_USE"
        assert len((await server.ask("GET", "?filter=(eq,usageState,IN_USE)"))[1]) == 1
        status, problem = await server.ask("DELETE", f"/{info['id']}")
        assert (status, "IN_USE" in problem["detail"]) == (409, True)

        renamed = await _append_vnf_commit(server, {"type": "VnfInfoModified", "name": "y"}, after=created)
        assert (await server.show(info["id"]))["usageState"] == "IN_USE"
        other = await _append_vnf_commit(server, {"type": "VnfInfoModified", "vnfd_id": "another"}, after=renamed)
        assert (await server.show(info["id"]))["usageState"] == "NOT_IN_USE"
        back = {"type": "VnfInfoModified", "vnfd_id": info["vnfdId"]}
        again = await _append_vnf_commit(server, back, after=other)
        assert (await server.show(info["id"]))["usageState"] == "IN_USE"
        await _append_vnf_commit(server, {"type": "VnfDeleted"}, after=again)
        assert (await server.show(info["id"]))["usageState"] == "NOT_IN_USE"
        assert (await server.ask("DELETE", f"/{info['id']}"))[0] == 204


async def test_another_project_sees_nothing(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        info = await server.onboard(asg)
    path = f"/{info['id']}"
    async with serve(project="other") as server:
        assert (await server.ask("GET", ""))[1] == []
        for method, below in (("GET", ""), ("GET", "/vnfd"), ("GET", "/package_content"), ("DELETE", "")):
            assert (await server.ask(method, path + below))[0] == 404
        assert (await server.ask("PATCH", path, json={"userDefinedData": {"a": 1}}))[0] == 404
        assert await server.upload(info["id"], b"x") == 404
        assert (await server.onboard(asg))["vnfdId"] == info["vnfdId"], "a VNFD id is a project's own"


async def test_the_log_tells_the_onboarding(serve: Serve, two_vdus: bytes, tmp_path: Path) -> None:
    csar = tmp_path / "two.zip"
    csar.write_bytes(two_vdus)
    async with serve() as server:
        info = await server.onboard(two_vdus)
        commits = await server.platform.store.load(f"pkg.package.{info['id']}")
        events = [msgspec.json.decode(event) for stored in commits for event in stored.commit.events]
        assert [event["type"] for event in events] == [
            "PackageCreated",
            "PackageUploadStarted",
            "PackageContentStored",
            "PackageVnfdIdClaimed",
            "PackageOnboarded",
        ]
        vnfd = msgspec.convert(events[-1]["vnfd"], Vnfd)
        assert vnfd == read_package(csar).vnfd
        assert {stored.commit.project for stored in commits} == {"default"}
        assert [stored.commit.actor for stored in commits] == ["admin"] * 3 + ["forestay:onboarding"] * 2


def _packed(name: str, text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as csar:
        csar.writestr(name, text)
    return out.getvalue()


def _single_yaml() -> str:
    """A VNFD in one file."""
    return """tosca_definitions_version: tosca_simple_yaml_1_2
topology_template:
  substitution_mappings: {node_type: tosca.nodes.nfv.VNF, properties: {flavour_id: simple}}
  node_templates:
    VNF:
      type: tosca.nodes.nfv.VNF
      properties:
        descriptor_id: 5f1a6b2e-0001-4c0e-9c52-5a9e000000aa
        provider: p
        product_name: n
        software_version: '1'
        descriptor_version: '1'
        flavour_id: simple
        flavour_description: d
    VDU1:
      type: tosca.nodes.nfv.Vdu.Compute
      properties: {name: VDU1, description: d, vdu_profile: {min_number_of_instances: 1, max_number_of_instances: 1}}
"""


async def _append_vnf_commit(server: Server, event: dict[str, str], after: Commit | None = None) -> Commit:
    """Write what the LCM service would."""
    store = server.platform.store
    last = await store.last("lcm.vnf.vnf-1")
    commit = Commit(
        id=f"c{0 if after is None else after.version}",
        stream="LCM",
        kind="vnf",
        aggregate_id="vnf-1",
        version=1 if after is None else after.version + 1,
        at=datetime.now(UTC),
        project="default",
        actor="test",
        reason="",
        prev_hash=last.hash if last else "",
        events=(msgspec.Raw(msgspec.json.encode(event)),),
    )
    await store.append(commit, after=last.seq if last else 0)
    return commit
