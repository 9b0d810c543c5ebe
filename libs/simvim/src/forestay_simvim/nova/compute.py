"""Nova's data and rules. A server takes the time to build that the settings say; :meth:`Compute.built` waits for it.

As in the lab that Forestay is tested with, server metadata ask for faults: ``lab_fault: spawn`` ends in ERROR,
``lab_fault: destroy`` refuses the first delete, ``lab_delay: N`` makes the build take N seconds longer. No host binds a port
of a network named ``lab-unbindable``.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from hashlib import sha224
from typing import Any

from forestay_simvim.cinder.volumes import Volumes
from forestay_simvim.config import Flavor, SimConfig
from forestay_simvim.errors import NetworkError, ServiceError
from forestay_simvim.glance.images import Images
from forestay_simvim.ids import isotime, new_id, short_id
from forestay_simvim.keystone.identity import Token
from forestay_simvim.neutron.network import Networking, visible
from forestay_simvim.quota import Quota
from forestay_simvim.table import Row, Table

_NO_HOST = "No valid host was found. There are not enough hosts available."


class Compute:
    """All compute objects of the cloud."""

    def __init__(
        self, config: SimConfig, quota: Quota, networking: Networking, images: Images, volumes: Volumes
    ) -> None:
        self.settings = config.settings
        self.quota = quota
        self.networking = networking
        self.images = images
        self.volumes = volumes
        self.zones = config.zones
        self.flavors = Table("name")
        self.servers = Table("project_id", "name")
        self.groups = Table("project_id")
        self.used: dict[str, dict[str, int]] = {}
        self._building: dict[str, asyncio.Future[None]] = {}
        self._turn = itertools.count()
        for number, known in enumerate(config.flavors, 1):
            self.add_flavor(str(number), known)

    def add_flavor(self, key: str, size: Flavor) -> Row:
        """A new public flavor."""
        return self.flavors.add({
            "id": key, "name": size.name, "vcpus": size.vcpus, "ram": size.ram, "disk": size.disk,
            "swap": 0, "rxtx_factor": 1.0, "OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": False,
            "os-flavor-access:is_public": True, "extra_specs": {}, "description": None,
        })  # fmt: skip

    # --- look-ups

    def server(self, key: str) -> Row:
        """The server with this id; Nova's 404."""
        row = self.servers.get(key)
        if row is None:
            raise ServiceError("NotFound", 404, f"Instance {key} could not be found.")
        return row

    def flavor(self, key: str) -> Row:
        """The flavor with this id or name; novaclient's words when there is none."""
        row = self.flavors.get(key) or next(iter(self.flavors.find(name=key)), None)
        if row is None:
            raise ServiceError("NotFound", 404, f"No Flavor matching {{'name': '{key}'}}.")
        return row

    # --- servers

    def create(self, owner: Token, project: str, spec: dict[str, Any]) -> Row:
        """Start to build a server.

        :param spec: the ``server`` object of Nova's API (``os:scheduler_hints`` included).
        """
        flavor = self.flavor(str(spec.get("flavorRef", "")))
        image = self.images.get(spec["imageRef"]) if spec.get("imageRef") else None
        zone = spec.get("availability_zone") or next(iter(self.zones))
        if zone not in self.zones:
            raise ServiceError("BadRequest", 400, "The requested availability zone is not available")
        if image is None and not spec.get("block_device_mapping_v2"):
            raise ServiceError("BadRequest", 400, "Invalid imageRef provided.")
        self._check_quota(project, flavor)
        row = self._row(owner, project, spec, flavor, image, zone)
        ports, own = self._connect(row, spec.get("networks"))
        row["_own_ports"] = own
        host = self._schedule(row, (spec.get("os:scheduler_hints") or {}).get("group"))
        self.servers.add(row)
        self._use(row, +1)
        for port in ports:
            self.networking.bind_port(port, row["id"], f"compute:{zone}", host or "")
        host_id = sha224(f"{project}{host}".encode()).hexdigest() if host else ""
        where = {"OS-EXT-SRV-ATTR:host": host, "OS-EXT-SRV-ATTR:hypervisor_hostname": host, "hostId": host_id}
        self.servers.change(row, **where)
        self._start(row, "" if any(map(self._is_unbindable, ports)) else host, spec)
        return row

    def _is_unbindable(self, port: Row) -> bool:
        network = self.networking.networks.get(port["network_id"])
        return network is not None and network["name"] == "lab-unbindable"

    def _row(self, owner: Token, project: str, spec: dict[str, Any], flavor: Row, image: Row | None, zone: str) -> Row:
        now = isotime(time.time())
        return {
            "id": new_id(), "name": spec.get("name", ""), "project_id": project, "tenant_id": project,
            "user_id": owner.user["id"], "status": "BUILD", "created": now, "updated": now, "hostId": "",
            "metadata": dict(spec.get("metadata") or {}), "tags": list(spec.get("tags") or []), "accessIPv4": "",
            "accessIPv6": "", "config_drive": "True" if spec.get("config_drive") else "", "progress": 0,
            "key_name": spec.get("key_name"), "OS-EXT-AZ:availability_zone": zone, "OS-DCF:diskConfig": "MANUAL",
            "OS-EXT-STS:task_state": "spawning", "OS-EXT-STS:vm_state": "building", "OS-EXT-STS:power_state": 0,
            "OS-EXT-SRV-ATTR:instance_name": f"instance-{short_id()}", "OS-SRV-USG:launched_at": None, "locked": False,
            "OS-SRV-USG:terminated_at": None, "os-extended-volumes:volumes_attached": [], "description": None,
            "security_groups": spec.get("security_groups") or [{"name": "default"}], "server_groups": [],
            "trusted_image_certificates": None, "OS-EXT-SRV-ATTR:user_data": spec.get("user_data"), "_flavor": flavor,
            "image": {"id": image["id"]} if image else "",
        }  # fmt: skip

    def _start(self, row: Row, host: str | None, spec: dict[str, Any]) -> None:
        fault = "" if host else _NO_HOST
        try:
            self._attach_mapped(row, spec.get("block_device_mapping_v2") or [])
        except ServiceError as error:
            fault = f"Build of instance {row['id']} aborted: {error.message}"
        if row["metadata"].get("lab_fault") == "spawn":
            fault = "Build of instance failed: lab_fault=spawn was asked for by its metadata"
        delay = self.settings.build.get("server", 0.0) + float(row["metadata"].get("lab_delay", 0))
        loop = asyncio.get_running_loop()
        self._building[row["id"]] = loop.create_future()
        loop.call_later(delay, self._built, row, fault)

    def _built(self, row: Row, fault: str) -> None:
        waiting = self._building.pop(row["id"], None)
        if self.servers.get(row["id"]) is row:
            now = time.time()
            self.servers.change(row, **(_error(fault) if fault else _active(now)), updated=isotime(now))
        if waiting and not waiting.done():
            waiting.set_result(None)

    async def built(self, key: str) -> Row | None:
        """The server when its build has ended, ``None`` when it was deleted meanwhile."""
        waiting = self._building.get(key)
        if waiting:
            await asyncio.shield(waiting)
        return self.servers.get(key)

    def delete(self, row: Row) -> None:
        """Remove the server, with the ports and volumes that Nova made for it."""
        if row["metadata"].get("lab_fault") == "destroy":
            del row["metadata"]["lab_fault"]
            self.servers.change(row, **_error("lab_fault=destroy was asked for by its metadata"))
            return
        self.servers.remove(row["id"])
        self._use(row, -1)
        for port in self.networking.ports.find(device_id=row["id"]):
            self._drop_port(row, port)
        self.volumes.detach_all(row["id"])
        for group in row["server_groups"]:
            held = self.groups.get(group)
            if held:
                held["members"].remove(row["id"])
        waiting = self._building.pop(row["id"], None)
        if waiting and not waiting.done():
            waiting.set_result(None)

    def resize(self, row: Row, flavor: str) -> None:
        """Give the server another flavor, confirmed at once."""
        self._use(row, -1)
        row["_flavor"] = self.flavor(flavor)
        self._use(row, +1)

    def create_image(self, row: Row, wanted: dict[str, Any]) -> Row:
        """An image of the server's disk; the metadata become its properties."""
        given = {
            "name": wanted["name"],
            "disk_format": "raw",
            "container_format": "bare",
            **(wanted.get("metadata") or {}),
        }
        image = self.images.create(row["project_id"], given)
        self.images.upload(image, f"snapshot of {row['id']}".encode())
        return image

    def rebuild(self, row: Row, wanted: dict[str, Any]) -> None:
        """Put another image on the server's disk, which takes as long as to build it; it keeps its id, its ports and whether
        it runs."""
        row["image"] = {"id": self.images.get(wanted["imageRef"])["id"]}
        row["metadata"] = dict(wanted.get("metadata") or row["metadata"])
        status = "SHUTOFF" if row["OS-EXT-STS:vm_state"] == "stopped" else "ACTIVE"
        self.servers.change(row, status="REBUILD", **{"OS-EXT-STS:task_state": "rebuilding"})
        asyncio.get_running_loop().call_later(self.settings.build.get("server", 0.0), self._rebuilt, row, status)

    def _rebuilt(self, row: Row, status: str) -> None:
        if self.servers.get(row["id"]) is row:
            self.set_status(row, status)
            self.servers.change(row, **{"OS-EXT-STS:task_state": None})

    def set_status(self, row: Row, status: str) -> None:
        """Set the status and the states behind it."""
        states = {
            "ACTIVE": ("active", 1),
            "SHUTOFF": ("stopped", 4),
            "SUSPENDED": ("suspended", 4),
            "ERROR": ("error", 0),
        }
        vm_state, power = states[status]
        self.servers.change(
            row, status=status, **{"OS-EXT-STS:vm_state": vm_state, "OS-EXT-STS:power_state": power}
        )  # fmt: skip

    # --- ports

    def attach_port(self, row: Row, spec: dict[str, Any]) -> Row:
        """Plug another port (``{"port": id}`` or ``{"uuid": network id}``) into the server."""
        port, own = self._port_for(row, spec)
        if own:
            row["_own_ports"].add(port["id"])
        zone, host = row["OS-EXT-AZ:availability_zone"], row["OS-EXT-SRV-ATTR:host"]
        self.networking.bind_port(port, row["id"], f"compute:{zone}", host or "")
        return port

    def detach_port(self, row: Row, port_id: str) -> None:
        port = self.networking.ports.get(port_id)
        if port is None or port["device_id"] != row["id"]:
            raise ServiceError("NotFound", 404, f"Interface {port_id} is not attached to instance {row['id']}.")
        self._drop_port(row, port)

    def _drop_port(self, row: Row, port: Row) -> None:
        if port["id"] in row["_own_ports"]:
            self.networking.delete_port(port)
        else:
            self.networking.bind_port(port, "", "", "")

    def _connect(self, row: Row, wanted: Any) -> tuple[list[Row], set[str]]:
        if wanted == "none":
            return [], set()
        if wanted in (None, "auto", []):
            candidates = [n for n in self.networking.networks if _usable(n, row["project_id"])]
            if len(candidates) > 1:
                message = "Multiple possible networks found, use a Network ID to be more specific."
                raise ServiceError("Conflict", 409, message)
            wanted = [{"uuid": network["id"]} for network in candidates]
        ports: list[Row] = []
        own: set[str] = set()
        try:
            for each in wanted:
                port, mine = self._port_for(row, each)
                ports.append(port)
                own |= {port["id"]} if mine else set()
        except ServiceError:
            for port in (port for port in ports if port["id"] in own):
                self.networking.delete_port(port)
            raise
        return ports, own

    def _port_for(self, row: Row, spec: dict[str, Any]) -> tuple[Row, bool]:
        if spec.get("port"):
            port = self.networking.ports.get(spec["port"])
            if port is None:
                raise ServiceError("BadRequest", 400, f"Port {spec['port']} could not be found.")
            if port["device_id"]:
                raise ServiceError("Conflict", 409, f"Port {port['id']} is still in use.")
            return port, False
        network = self.networking.networks.get(spec.get("uuid") or "")
        if network is None:
            raise ServiceError("BadRequest", 400, f"Network {spec.get('uuid')} could not be found.")
        if not network["subnets"]:
            message = f"Network {network['id']} requires a subnet in order to boot instances on."
            raise ServiceError("BadRequest", 400, message)
        fixed = [{"ip_address": spec["fixed_ip"]}] if spec.get("fixed_ip") else None
        try:
            given = {"network_id": network["id"], "fixed_ips": fixed}
            return self.networking.create_port(
                row["project_id"], given if fixed else {"network_id": network["id"]}
            ), True
        except NetworkError as error:
            raise ServiceError("Forbidden" if error.kind == "OverQuota" else "BadRequest", 403, error.message) from None

    # --- placement, quota, volumes

    def _schedule(self, row: Row, group_id: str | None) -> str | None:
        hosts = self.zones[row["OS-EXT-AZ:availability_zone"]]
        group = self.groups.get(group_id) if group_id else None
        if group_id and group is None:
            raise ServiceError("BadRequest", 400, f"Instance group {group_id} could not be found.")
        if group is None:
            return hosts[next(self._turn) % len(hosts)] if hosts else None
        taken = [self.servers.get(member) for member in group["members"]]
        used = {member["OS-EXT-SRV-ATTR:host"] for member in taken if member}
        policy = group["policy"]
        allowed = [host for host in hosts if _fits(policy, host, used)]
        group["members"].append(row["id"])
        row["server_groups"] = [group["id"]]
        unused = [host for host in allowed if host not in used]
        choice = (unused if policy.endswith("anti-affinity") and unused else allowed) or [None]
        return choice[next(self._turn) % len(choice)]

    def _check_quota(self, project: str, flavor: Row) -> None:
        used = self.used.setdefault(project, {"instances": 0, "cores": 0, "ram": 0})
        wanted = {"instances": 1, "cores": flavor["vcpus"], "ram": flavor["ram"]}
        over = [name for name in wanted if self.quota.exceeded(name, used[name] + wanted[name])]
        if over:
            asked, have, limits = (
                ", ".join(str(each) for each in values)
                for values in ([wanted[n] for n in over], [used[n] for n in over], [self.quota.limit(n) for n in over])
            )
            message = f"Quota exceeded for {', '.join(over)}: Requested {asked}, but already used {have} of {limits}"
            raise ServiceError("Forbidden", 403, f"{message} {', '.join(over)}")

    def _use(self, row: Row, sign: int) -> None:
        used = self.used.setdefault(row["project_id"], {"instances": 0, "cores": 0, "ram": 0})
        flavor = row["_flavor"]
        for name, amount in (("instances", 1), ("cores", flavor["vcpus"]), ("ram", flavor["ram"])):
            used[name] += sign * amount

    def volumes_of(self, row: Row) -> list[dict[str, Any]]:
        """The server's ``os-extended-volumes:volumes_attached``."""
        attached = self.volumes.of_server(row["id"])
        return [{"id": each["id"], "delete_on_termination": each.get("_own", False)} for each in attached]

    def _attach_mapped(self, row: Row, mappings: list[dict[str, Any]]) -> None:
        for number, mapping in enumerate(mappings):
            source, key = mapping.get("source_type"), mapping.get("uuid", "")
            if source == "image" and mapping.get("destination_type") == "local":
                continue
            if source == "volume":
                volume = self.volumes.get(key)
                own = bool(mapping.get("delete_on_termination"))
            else:
                made = {"size": mapping.get("volume_size") or 1, "imageRef": key if source == "image" else None}
                volume = self.volumes.create(row["user_id"], row["project_id"], made, ready=True)
                own = mapping.get("delete_on_termination", True)
            self.volumes.attach(volume, row["id"], f"/dev/vd{chr(97 + number)}", delete_on_termination=own)

    # --- groups

    def create_group(self, owner: Token, project: str, given: dict[str, Any]) -> Row:
        """A server group with one policy."""
        if self.quota.exceeded("server_groups", self.groups.count("project_id", project) + 1):
            raise ServiceError("Forbidden", 403, "Quota exceeded, too many server groups.")
        policy = given.get("policy") or next(iter(given.get("policies") or ["anti-affinity"]))
        return self.groups.add({
            "id": new_id(), "name": given.get("name", ""), "policy": policy, "policies": [policy], "rules": {},
            "members": [], "metadata": {}, "project_id": project, "user_id": owner.user["id"],
        })  # fmt: skip


def _usable(network: Row, project: str) -> bool:
    return visible(network, project) and not network["router:external"] and bool(network["subnets"])


def _fits(policy: str, host: str, used: set[str]) -> bool:
    rules = {"anti-affinity": host not in used, "affinity": not used or host in used}
    return rules.get(policy, True)


def _active(now: float) -> Row:
    return {
        "status": "ACTIVE", "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:task_state": None, "progress": 0,
        "OS-EXT-STS:power_state": 1, "OS-SRV-USG:launched_at": isotime(now),
    }  # fmt: skip


def _error(message: str) -> Row:
    fault = {"code": 500, "message": message, "created": isotime(time.time())}
    return {"status": "ERROR", "OS-EXT-STS:vm_state": "error", "OS-EXT-STS:task_state": None, "fault": fault}
