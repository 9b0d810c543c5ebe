"""OpenStack by openstacksdk, which blocks: each call has a thread of a pool that is the driver's own.

The regions are those of the token's catalog: where these credentials can be used, known without a further right.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from forestay_sol.egress import Egress

from forestay_vim_registry.domain.login import Login
from forestay_vim_registry.domain.refusals import VimUnauthorized, VimUnreachable
from forestay_vim_registry.drivers import permitted, words

_IDENTITY = {"username": "username", "password": "password", "user_domain_name": "user_domain_name"}
_APPLICATION = {name: name for name in ("application_credential_id", "application_credential_secret")}
_PROJECT = {"name": "project_name", "id": "project_id", "project_domain_name": "project_domain_name"}


class OpenStackDriver:
    """:class:`~forestay_vim_registry.drivers.Driver` for Keystone API v3.

    :param threads: size of the pool.
    :param patience: seconds for the whole of a login.
    :param egress: where VIMs may be.
    """

    def __init__(self, threads: int, patience: float, egress: Egress) -> None:
        self._patience = patience
        self._egress = egress
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="openstack-login")

    async def discover(self, login: Login) -> list[str]:
        permitted(self._egress, login.auth_url)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.get_running_loop().run_in_executor(
                    self._pool, _regions, login, self._patience / 2, self._egress
                )
        except TimeoutError:
            detail = f"OpenStack at {login.auth_url} did not answer within {self._patience:g} s."
            raise VimUnreachable(detail) from None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _regions(login: Login, timeout: float, egress: Egress) -> list[str]:
    """``timeout``: seconds for one request, so that a thread ends soon after nobody waits for it any more."""
    # Imported here: a process that registers no OpenStack need not spend the second that it takes.
    import openstack
    from keystoneauth1 import exceptions

    from forestay_vim_registry.drivers.guarded import Guarded

    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="v3applicationcredential" if _is_application(login) else "password",
        auth=_auth(login),
        verify=str(login.auth_cred.get("cert_verify", "True")).lower() != "false",
        api_timeout=timeout,
    )
    session: Any = connection.session
    for scheme in ("http://", "https://"):
        session.session.mount(scheme, Guarded(egress))
    try:
        access = session.auth.get_access(session)
    except (exceptions.Unauthorized, exceptions.Forbidden) as error:
        raise VimUnauthorized(_refusal(login, error)) from error
    except exceptions.SSLError as error:
        raise VimUnreachable(f"The TLS certificate of {login.auth_url} is not trusted: {words(error)}") from error
    except exceptions.ClientException as error:
        raise VimUnreachable(f"OpenStack at {login.auth_url} cannot be used: {words(error)}") from error
    finally:
        connection.close()
    catalog: list[dict[str, Any]] = access.service_catalog.catalog if access.has_service_catalog() else []
    regions = (
        endpoint.get("region_id") or endpoint.get("region") for each in catalog for endpoint in each["endpoints"]
    )
    return list(dict.fromkeys(region for region in regions if region))


def _is_application(login: Login) -> bool:
    return "application_credential_id" in login.auth_cred


def _auth(login: Login) -> dict[str, Any]:
    """What Keystone is told; an application credential brings its own user and project."""
    password = [(_IDENTITY, login.auth_cred), (_PROJECT, login.vim_project)]
    given = [(_APPLICATION, login.auth_cred)] if _is_application(login) else password
    return {
        "auth_url": login.auth_url,
        **{theirs: members[ours] for names, members in given for ours, theirs in names.items() if members.get(ours)},
    }


def _refusal(login: Login, error: Exception) -> str:
    if _is_application(login):
        which = login.auth_cred["application_credential_id"]
        return f"OpenStack at {login.auth_url} refuses application credential {which}: {words(error)}"
    user, project = login.auth_cred.get("username"), login.vim_project.get("name") or login.vim_project.get("id")
    return f"OpenStack at {login.auth_url} refuses user {user} for project {project}: {words(error)}"
