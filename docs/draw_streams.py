"""Draws docs/streams.md and docs/streams.json from the code: ``python docs/draw_streams.py`` writes them anew."""

# ruff: noqa: E501  the page's tables are as wide as they are

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from forestay_events.aggregate import Definition
from forestay_events.commit import Commit
from forestay_events.platform import STREAMS
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.fetched import FETCHED_VNFD
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT
from forestay_lcm.drift.finding import DRIFT
from forestay_lcm.history.entries import Entry
from forestay_lcm.subscriptions.resource import LCCN_SUBSCRIPTIONS
from forestay_monitor.domain.alarm import ALARM
from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.subscriptions.resource import PKGM_SUBSCRIPTIONS
from forestay_policy.domain.policy import POLICY
from forestay_vim_registry.domain.decide import VIM

PAGE = Path(__file__).parent / "streams.md"
SCHEMAS = PAGE.with_suffix(".json")
EXAMPLE = PAGE.with_name("follow_stream.py")

Kind = tuple[Definition[Any, Any, Any], str]

#: Every kind of aggregate, and what one is.
KINDS: tuple[Kind, ...] = (
    (PACKAGE, "VNF package"),
    (PKGM_SUBSCRIPTIONS.definition, "subscription to notifications about packages"),
    (VIM, "registered VIM"),
    (VNF, "VNF instance with its LCM operation occurrences"),
    (VNF_SNAPSHOT, "VNF snapshot"),
    (FETCHED_VNFD, "VNFD of a package that was fetched from the NFVO"),
    (DRIFT, "what differs between a VNF instance's VIM and the log"),
    (LCCN_SUBSCRIPTIONS.definition, "subscription to notifications about VNF instances"),
    (ALARM, "alarm"),
    (POLICY, "policy"),
)

_PAGE = """\
# Streams and history, for machines

Drawn by `docs/draw_streams.py` from the code; do not edit. The JSON Schemas of a commit and of all events are in
[streams.json](streams.json), below `commit` and `<stream>.<kind>`.

Whatever Forestay decides is one message in NATS JetStream, and stays there for good. Who may connect to NATS can follow it. Who may
not is told the same over HTTP, about VNF instances and without secrets: see [Over HTTP](#over-http).

| stream | subject | one subject per |
| --- | --- | --- |
{streams}

The streams `WORK` and `DEAD` are Forestay's own ([architecture.md](architecture.md#streams)): a consumer there would take work
away.

## A message is a commit

Its body is JSON: all events of one decision about one aggregate, so half of a decision is never seen.

| member | | meaning |
| --- | --- | --- |
{commit}

| header | meaning |
| --- | --- |
| `Nats-Msg-Id` | the commit's `id` |
| `Nats-Expected-Last-Subject-Sequence` | sequence of the aggregate's commit before, on which the decision rests; 0 for the first |
| `traceparent`, `tracestate` | trace in which it was decided (W3C Trace Context), if there was one |

What a reader may rely on:

* The order within a stream is the order in which it happened. The stream's sequence, kept beside what was made of the event, is all
  that a reader has to remember. Sequences have no gaps; after a restore they are the same.
* A tag (`type`) is never renamed and its members never change their meaning. New tags and new members come with new versions: skip
  what you do not know.
* Secrets are sealed: a string that begins with `sealed:1.` stands in their place, and only Forestay can open it.
* Only Forestay may publish to these subjects. A reader's NATS user needs no more than `publish` on
  `$JS.API.CONSUMER.CREATE.LCM`, `$JS.API.CONSUMER.CREATE.LCM.>`, `$JS.API.CONSUMER.DELETE.LCM.>` and `$JS.FC.>`, and `subscribe` on
  `_INBOX.>`; for other streams, their names.

A consumer, [follow_stream.py](follow_stream.py):

```python
{example}```

{kinds}

## Over HTTP

`/history/v1` tells the past and the present of VNF instances, deleted ones included, to the project that they belong to. It reads
the verified copy of the log. Secrets are left out, or read `***`.

| request | answer |
| --- | --- |
| `GET /history/v1/vnf_instances/{{id}}?version=N`, `?at=2026-01-31T12:00:00Z` | the instance and its latest operation as they were; without either, as they are. `deleted` says whether the resource was gone |
| `GET /history/v1/vnf_instances/{{id}}/timeline` | entries of the instance; `?vnfLcmOpOccId=` those of one operation |
| `GET /history/v1/vnf_lcm_op_occs/{{id}}/timeline` | entries of an operation, and of the alarms, policies and VNF snapshots that came of it |
| `GET /history/v1/events` | server-sent events: entries of all instances as they happen |
| `GET /history/v1/vnf_instances/{{id}}/events` | the same of one instance |

Timelines are newest first (`?order=oldest` turns them round), in pages like all lists: `?limit=`, and the `Link` header leads on.
An entry:

| member | | meaning |
| --- | --- | --- |
{entry}

A server-sent event has the sequence as its `id` and an entry as `data`. They begin with what happens from now on, or behind
`Last-Event-ID` (what a browser's `EventSource` sends by itself when it comes back) or `?after=`; `?after=0` tells everything from the
beginning. When nothing happens a comment comes every 15 s (`FORESTAY_EVENTS_HEARTBEAT`). Who reads so slowly that 1,000 events wait
(`FORESTAY_EVENTS_BACKLOG`) is cut, and goes on where it was when it comes back. A process serves 1,000 listeners
(`FORESTAY_EVENTS_LISTENERS`), then answers 503. When it stops, the streams end.

```
curl -N http://127.0.0.1:9890/history/v1/events -H 'Last-Event-ID: 17'
```
"""


def page() -> str:
    """The whole page."""
    return _PAGE.format(
        streams="\n".join(
            f"| `{definition.stream}` | `{_subject(definition)}` | {what} |" for definition, what in _by_stream()
        ),
        commit="\n".join(_members(Commit)),
        entry="\n".join(_members(Entry)),
        example=EXAMPLE.read_text(encoding="utf-8"),
        kinds="\n\n".join(_events(definition, what) for definition, what in _by_stream()),
    )


def schemas() -> str:
    """JSON Schemas, by what they describe."""
    unions = {
        f"{definition.stream.lower()}.{definition.kind}": definition.codec.union for definition, _ in _by_stream()
    }
    found: dict[str, Any] = {}
    for name, described in {"commit": Commit, "entry": Entry, **unions}.items():
        [schema], components = msgspec.json.schema_components([described], ref_template=f"#/{name}/$defs/{{name}}")
        found[name] = schema | {"$defs": components}
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _by_stream() -> list[Kind]:
    return sorted(KINDS, key=lambda kind: STREAMS.index(kind[0].stream))


def _subject(definition: Definition[Any, Any, Any]) -> str:
    return definition.subject("ID").replace("ID", "<id>")


def _events(definition: Definition[Any, Any, Any], what: str) -> str:
    rows = "\n".join(f"| `{event.__name__}` | {_sentence(event)} | {_names(event)} |" for event in events(definition))
    return f"## `{_subject(definition)}`: {what}\n\n| event | meaning | members |\n| --- | --- | --- |\n{rows}"


def events(definition: Definition[Any, Any, Any]) -> tuple[type[msgspec.Struct], ...]:
    """The events of a kind; one is no union."""
    return get_args(definition.codec.union) or (definition.codec.union,)


def _names(struct: type[msgspec.Struct]) -> str:
    fields = msgspec.structs.fields(struct)
    return ", ".join(f"`{field.encode_name}`{'' if field.required else '?'}" for field in fields)


def _members(struct: type[msgspec.Struct]) -> Iterator[str]:
    """A row per member, with what the docstring says about it."""
    said = dict(re.findall(r":ivar (\w+): (.*?)(?=\n\s*:ivar|\n\s*$|\Z)", struct.__doc__ or "", re.DOTALL))
    for field in msgspec.structs.fields(struct):
        needed = "" if field.required else "optional"
        yield f"| `{field.encode_name}` | {needed} | {_plain(said.get(field.name, ''))} |"


def _sentence(struct: type[msgspec.Struct]) -> str:
    return _plain((struct.__doc__ or "").partition("\n\n")[0])


def _plain(text: str) -> str:
    """Docstring as Markdown on one line."""
    return re.sub(r":\w+:`(\w+)`", r"`\1`", " ".join(text.split())).replace("``", "`").replace("|", "\\|")


def pages() -> Iterable[tuple[Path, str]]:
    """What is written, and where."""
    return (PAGE, page()), (SCHEMAS, schemas())


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
