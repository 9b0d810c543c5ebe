"""VNF packages as SOL005 and SOL003 from version 3 on show them, beside v1 on the same packages."""

from __future__ import annotations

import io
import re
import zipfile
from email import message_from_bytes
from email.policy import HTTP

from tests.package_mgmt.service.conftest import PACKAGES as SAMPLES
from tests.package_mgmt.service.conftest import ROOT
from tests.package_mgmt.v2.conftest import ONBOARDED, PACKAGES, V2, VERSION, Clients


async def test_a_package_lives_from_create_to_delete(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client:
        created = await client.ask("POST", PACKAGES, {"userDefinedData": {"owner": "me"}})
        assert (created.status, created.headers["Version"]) == (201, "2.4.0")
        uri = created.headers["Location"]
        path = f"{PACKAGES}/{created.body['id']}"
        assert uri.startswith("http://")
        assert uri.endswith(path)
        links = {"self": uri, "vnfd": f"{uri}/vnfd", "packageContent": f"{uri}/package_content"}
        assert created.body == {
            "id": created.body["id"],
            "onboardingState": "CREATED",
            "operationalState": "DISABLED",
            "usageState": "NOT_IN_USE",
            "userDefinedData": {"owner": "me"},
            "_links": {name: {"href": href} for name, href in links.items()},
        }
        assert await client.get(path) == created.body
        early = await client.ask("PATCH", path, {"operationalState": "ENABLED"})
        assert early.status == 409, "SOL005 says conflict where Tacker says 400"

        assert (await client.ask("PUT", f"{path}/package_content", asg)).status == 202
        info = await client.until(path, "ONBOARDED")
        assert (info["operationalState"], info["vnfmInfo"]) == ("ENABLED", ["Forestay"])
        assert info["packageSecurityOption"] == "OPTION_1"
        [image] = [each for each in info["softwareImages"] if each["id"] == "VDU1"]
        assert (image["containerFormat"], image["diskFormat"], image["isEncrypted"]) == ("BARE", "RAW", False)
        artifacts = {each["artifactPath"]: each for each in info["additionalArtifacts"]}
        assert artifacts["BaseHOT/simple/asg.yaml"]["isEncrypted"] is False
        assert not [name for name in artifacts if name.startswith("Definitions/")], "the VNFD is no additional artifact"
        assert (await client.server.show(info["id"]))["vnfdId"] == info["vnfdId"], "v1 shows the same package"

        assert (await client.ask("DELETE", path)).status == 409
        changed = await client.ask("PATCH", path, {"operationalState": "DISABLED", "userDefinedData": {"owner": None}})
        assert (changed.status, changed.body["operationalState"]) == (200, "DISABLED")
        assert "userDefinedData" not in await client.get(path)
        assert (await client.ask("DELETE", path)).status == 204
        assert (await client.ask("GET", path)).status == 404
        assert await client.server.blobs() == set()


async def test_versions_are_negotiated(clients: Clients) -> None:
    async with clients.running() as client:
        assert (await client.ask("GET", PACKAGES, Version="1.0.0")).status == 406
        assert (await client.ask("GET", PACKAGES, Version="two")).status == 400
        async with client.server.http.get(PACKAGES) as response:
            assert response.status == 400, "the header is needed"
        assert (await client.ask("GET", PACKAGES, Version="2.1.0")).headers["Version"] == "2.1.0"
        for path, count in (("/vnfpkgm", 6), (V2, 5)):
            found = await client.get(f"{path}/api_versions")
            assert (found["uriPrefix"], len(found["apiVersions"])) == (path, count)


async def test_a_refused_content_is_an_error_that_another_content_mends(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client:
        path = await client.create()
        assert (await client.ask("PUT", f"{path}/package_content", b"no zip")).status == 202
        info = await client.until(path, "ERROR")
        assert info["onboardingFailureDetails"]["rule"] == "zip-corrupt"
        assert (await client.server.show(info["id"]))["onboardingState"] == "CREATED", "Tacker knows no ERROR"
        [listed] = await client.get(f"{PACKAGES}?filter=(eq,onboardingState,ERROR)&all_fields")
        assert listed["onboardingFailureDetails"] == info["onboardingFailureDetails"]
        assert "onboardingFailureDetails" not in (await client.get(PACKAGES))[0]
        assert (await client.ask("GET", f"{path}/vnfd")).status == 409
        assert (await client.ask("PUT", f"{path}/package_content", asg)).status == 202
        assert "onboardingFailureDetails" not in await client.until(path, "ONBOARDED")


async def test_lists_are_filtered_selected_and_paged(clients: Clients, asg: bytes) -> None:
    async with clients.running(package_page_size=2) as client:
        onboarded = await client.onboard(asg)
        others = [await client.create(userDefinedData={"n": n}) for n in range(3)]
        seen, path = list[str](), f"{PACKAGES}?filter=(eq,operationalState,DISABLED)"
        while path:
            reply = await client.ask("GET", path)
            seen += [each["id"] for each in reply.body]
            match = re.fullmatch(r'<http://[^/]*(?P<path>[^>]*)>;rel="next"', reply.headers.get("Link", ""))
            path = match["path"] if match else ""
        assert seen == sorted(each.rpartition("/")[2] for each in others)
        [short] = await client.get(f"{PACKAGES}?filter=(eq,vnfdId,{onboarded['vnfdId']})")
        assert not short.keys() & {"checksum", "softwareImages", "additionalArtifacts", "userDefinedData"}
        assert short["_links"] == onboarded["_links"]
        [chosen] = await client.get(f"{PACKAGES}?filter=(eq,id,{onboarded['id']})&fields=vnfmInfo,checksum/hash")
        assert chosen.keys() == {
            "id", "onboardingState", "operationalState", "usageState", "_links", "vnfmInfo", "checksum",
        }  # fmt: skip
        assert (await client.ask("GET", f"{PACKAGES}?fields=nothing")).status == 400
        assert [each["id"] for each in await client.get(ONBOARDED)] == [onboarded["id"]]


async def test_the_onboarded_tree_goes_by_vnfd_id(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client:
        info = await client.onboard(asg)
        by_id, by_vnfd = f"{PACKAGES}/{info['id']}", f"{ONBOARDED}/{info['vnfdId']}"
        for below in ("", "/package_content", "/manifest", "/vnfd", "/artifacts", "/artifacts/BaseHOT/simple/asg.yaml"):
            one, other = await client.ask("GET", by_id + below), await client.ask("GET", by_vnfd + below)
            assert (one.status, other.status) == (200, 200), below
            assert one.body == other.body
        assert (await client.ask("GET", f"{ONBOARDED}/unknown")).status == 404
        assert (await client.ask("DELETE", by_vnfd)).status == 405


async def test_files_come_alone_and_together(clients: Clients, asg: bytes) -> None:
    source = zipfile.ZipFile(io.BytesIO(asg))
    async with clients.running() as client:
        path = f"{PACKAGES}/{(await client.onboard(asg))['id']}"
        manifest = next(name for name in source.namelist() if name.endswith(".mf"))
        reply = await client.ask("GET", f"{path}/manifest")
        assert (reply.headers["Content-Type"], reply.body) == ("text/plain", source.read(manifest))
        assert (await client.ask("GET", f"{path}/manifest", Accept="application/zip")).status == 406

        whole = (await client.ask("GET", f"{path}/artifacts")).body
        names = zipfile.ZipFile(io.BytesIO(whole)).namelist()
        assert "BaseHOT/simple/asg.yaml" in names
        assert not [name for name in names if name.startswith("Definitions/") or name == manifest]
        hot = (SAMPLES / "sample-asg/BaseHOT/simple/asg.yaml").read_bytes()
        assert zipfile.ZipFile(io.BytesIO(whole)).read("BaseHOT/simple/asg.yaml") == hot
        assert await client.get(f"{path}/artifacts", Range="bytes=10-49") == whole[10:50]
        none = await client.get(f"{path}/artifacts?exclude_all_mano_artifacts")
        assert zipfile.ZipFile(io.BytesIO(none)).namelist() == []


async def test_several_ranges_come_in_parts(clients: Clients, asg: bytes) -> None:
    size = len(asg)
    async with clients.running() as client:
        path = f"{PACKAGES}/{(await client.onboard(asg))['id']}/package_content"
        reply = await client.ask("GET", path, Range=f"bytes=0-9, 100-149,{size}-,-5")
        assert reply.status == 206
        head = f"Content-Type: {reply.headers['Content-Type']}\r\n\r\n".encode()
        parts = list(message_from_bytes(head + reply.body, policy=HTTP).iter_parts())
        assert [part["Content-Range"] for part in parts] == [
            f"bytes 0-9/{size}", f"bytes 100-149/{size}", f"bytes {size - 5}-{size - 1}/{size}",
        ]  # fmt: skip
        assert [part.get_content() for part in parts] == [asg[:10], asg[100:150], asg[-5:]]

        assert (await client.ask("GET", path, Range="bytes=5-9,20000000-")).headers[
            "Content-Range"
        ] == f"bytes 5-9/{size}"
        assert (await client.ask("GET", path, Range="bytes=0-,0-")).body == asg, "more than there is: the whole"
        beyond = await client.ask("GET", path, Range=f"bytes={size}-,{size + 5}-")
        assert (beyond.status, beyond.headers["Accept-Ranges"]) == (416, "bytes")
        assert (await client.ask("GET", path, Range="bytes=" + ",".join(["0-0"] * 51))).status == 400
        tag = reply.headers["ETag"]
        assert (await client.ask("GET", path, Range="bytes=0-1", **{"If-Range": tag})).body == asg[:2]
        assert (await client.ask("GET", path, Range="bytes=0-1", **{"If-Range": '"other"'})).body == asg


async def test_access_to_external_artifacts_is_kept_without_showing_secrets(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client:
        path = await client.create()
        access = f"{path}/ext_artifacts_access"
        assert await client.get(access) == {"artifact": []}
        client_of = {"clientId": "me", "clientPassword": "s3cret", "tokenEndpoint": "https://tokens.example/"}
        artifact = {
            "artifactUri": "https://images.example/a.qcow2",
            "overrideUri": "https://mirror.example/a.qcow2",
            "authType": "OAUTH2_CLIENT_CREDENTIALS",
        }
        wanted = {"artifact": [artifact | {"paramsOauth2ClientCredentials": client_of}]}
        assert (await client.ask("PUT", access, wanted)).body == {"artifact": [artifact]}
        assert await client.get(access) == {"artifact": [artifact]}
        inside = {"artifact": {"artifactUri": "https://a.example/", "overrideUri": "http://10.0.0.1/"}}
        assert (await client.ask("PUT", access, inside)).status == 422
        assert (await client.ask("PUT", access, {"artifact": [artifact]})).status == 400, "parameters are missing"
        await client.ask("PUT", f"{path}/package_content", asg)
        await client.until(path, "ONBOARDED")
        assert (await client.ask("PUT", access, wanted)).status == 409


async def test_both_editions_page_by_their_own_links(clients: Clients) -> None:
    async with clients.running(package_page_size=1) as client:
        for _ in range(2):
            await client.create()
        assert (await client.ask("GET", PACKAGES)).headers["Link"].startswith("<http://")
        async with client.server.http.get(ROOT, headers=VERSION) as response:
            assert response.headers["Link"].startswith(f"<{ROOT}")
