"""Configuration from environment variables: ``FORESTAY_<MEMBER>`` for each member of a service's msgspec Struct.

Rules: a service extends ``BaseConfig``; a member without a default is required; an empty variable counts as not set;
lists are separated by commas. There is no configuration file and no other source: what a process runs with can be seen
in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from forestay_events.errors import Permanent
from forestay_events.sealing import is_secret_name, mask

PREFIX = "FORESTAY_"
DEFAULT_PAGE_SIZE = 100
Config = TypeVar("Config", bound=msgspec.Struct)


class ConfigError(Permanent):
    """A variable is missing or has a value that cannot be used; the message names it."""


class BaseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What every service is told. Its text form masks secrets and is safe to log."""

    nats_url: Annotated[str, Meta(description="NATS server, nats://host:port")]
    database_url: Annotated[str, Meta(description="PostgreSQL server, postgresql://user:password@host:port/database")]
    data_dir: Annotated[Path, Meta(description="directory for package contents and the master key file")]
    nats_credentials: Annotated[Path | None, Meta(description="NATS .creds file")] = None
    nats_replicas: Annotated[int, Meta(ge=1, le=5, description="replicas of each stream")] = 1
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Meta(ge=0, le=65535)] = 9890
    public_endpoint: Annotated[
        str, Meta(pattern="^(https?://.+)?$", description="URL of the API as clients see it")
    ] = ""
    allow_unauthenticated: Annotated[
        bool, Meta(description="listen on other than loopback though authentication is off")
    ] = False
    default_project: Annotated[str, Meta(min_length=1, description="project where authentication is off")] = "default"
    page_size: Annotated[int, Meta(ge=0, le=10_000, description="entries of a page of a list; 0: all")] = (
        DEFAULT_PAGE_SIZE
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"

    @property
    def endpoint(self) -> str:
        """The API's URL for links and ``Location``, without a slash at the end."""
        return (self.public_endpoint or f"http://{self.listen_host}:{self.listen_port}").rstrip("/")

    @property
    def master_key_file(self) -> Path:
        return self.data_dir / "master.key"

    def __repr__(self) -> str:
        members = mask(msgspec.structs.asdict(self))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in members.items())})"


def load(type_: type[Config], environ: Mapping[str, str] = os.environ) -> Config:
    """Make a ``type_`` from the environment.

    :raises ConfigError: one sentence about the first variable that is missing or wrong.
    """
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(type_):
        variable = PREFIX + field.name.upper()
        text = environ.get(variable, "")
        if text:
            found[field.name] = _value(variable, text, field)
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            raise ConfigError(f"{variable} is not set{_purpose(field.type)}.")
    return type_(**found)


def _value(variable: str, text: str, field: msgspec.structs.FieldInfo) -> Any:
    raw: object = [part.strip() for part in text.split(",")] if _is_list(field.type) else text
    try:
        return msgspec.convert(raw, field.type, strict=False, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError) as error:
        shown = "has a value that cannot be used" if is_secret_name(field.name) else f"is {mask({'': text})['']!r}"
        raise ConfigError(f"{variable} {shown}: {error}{_purpose(field.type)}.") from error


def _is_list(type_: Any) -> bool:
    return get_origin(_bare(type_)) in (list, tuple, set, frozenset)


def _bare(type_: Any) -> Any:
    return type_.__origin__ if hasattr(type_, "__metadata__") else type_


def _purpose(type_: Any) -> str:
    texts = [meta.description for meta in getattr(type_, "__metadata__", ()) if meta.description]
    if get_origin(_bare(type_)) is Literal:
        texts.append(f"one of {', '.join(map(str, get_args(_bare(type_))))}")
    return f" ({'; '.join(texts)})" if texts else ""


def _decode(type_: type[Any], value: Any) -> Any:
    if type_ is Path:
        return Path(value).expanduser()
    raise NotImplementedError(f"{type_.__name__} is no type for a configuration variable")
