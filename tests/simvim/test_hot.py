"""The HOT evaluator on its own: functions, conditions, parameters, dependencies, templates."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_simvim.errors import ServiceError
from forestay_simvim.hot.dependencies import graph
from forestay_simvim.hot.functions import evaluate, truth
from forestay_simvim.hot.parameters import resolve
from forestay_simvim.hot.template import parse
from hypothesis import given
from hypothesis import strategies as st


class Scope:
    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def parameter(self, name: str) -> Any:
        return self.parameters[name]

    def reference(self, resource: str) -> Any:
        return f"id-of-{resource}"

    def attribute(self, resource: str, path: list[Any]) -> Any:
        return [resource, *path]

    def file(self, name: str) -> str:
        return f"content of {name}"

    def condition(self, name: str) -> bool:
        return name == "yes"


NFV = {"VDU": {"VDU1": {"computeFlavourId": "m1.tiny"}}, "CP": {"CP1": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"get_param": "n"}, 3),
        ({"get_param": ["nfv", "VDU", "VDU1", "computeFlavourId"]}, "m1.tiny"),
        ({"get_param": ["nfv", "CP", "CP1", "fixed_ips", 0, "ip_address"]}, "10.0.0.9"),
        ({"get_param": ["nfv", "VDU", "VDU9", "computeFlavourId"]}, ""),
        ({"get_param": ["json_text", "a", 1]}, "y"),
        ({"get_param": ["nfv", "VDU", {"get_param": "which"}, "computeFlavourId"]}, "m1.tiny"),
        ({"get_resource": "net"}, "id-of-net"),
        ({"get_attr": ["cp", "fixed_ips", 0]}, ["cp", "fixed_ips", 0]),
        ({"get_file": "a.sh"}, "content of a.sh"),
        ({"str_replace": {"template": "$a $ab", "params": {"$a": "1", "$ab": {"k": 2}}}}, '1 {"k": 2}'),
        ({"list_join": ["-", ["a", 1], ["c"]]}, "a-1-c"),
        ({"str_split": [",", "a,b,c", 1]}, "b"),
        ({"map_merge": [{"a": 1}, {"a": 2, "b": 3}, None]}, {"a": 2, "b": 3}),
        ({"map_replace": [{"k1": "v1"}, {"keys": {"k1": "K"}, "values": {"v1": "V"}}]}, {"K": "V"}),
        ({"list_concat_unique": [[1, 2], [2, 3]]}, [1, 2, 3]),
        ({"filter": [[None, ""], ["a", "", None]]}, ["a"]),
        ({"digest": ["md5", "a"]}, "0cc175b9c0f1b6a831c399e269772661"),
        ({"make_url": {"scheme": "http", "host": "::1", "port": 80, "path": "/x"}}, "http://[::1]:80/x"),
        ({"repeat": {"for_each": {"%p%": [1, 2]}, "template": {"port": "p%p%", "raw": "%p%"}}},
         [{"port": "p1", "raw": 1}, {"port": "p2", "raw": 2}]),
        ({"repeat": {"for_each": {"%a%": ["x", "y"], "%b%": [1, 2]}, "template": "%a%%b%", "permutations": False}},
         ["x1", "y2"]),
        ({"if": ["yes", "then", "else"]}, "then"),
        ({"if": [{"equals": [{"get_param": "n"}, 4]}, "then", "else"]}, "else"),
        ({"keep": 1, "drop": {"if": ["no", 1]}}, {"keep": 1}),
        ([1, {"if": ["no", 2]}, 3], [1, 3]),
        ({"get_param": "n", "more": 1}, {"get_param": "n", "more": 1}),
    ],
)  # fmt: skip
def test_functions(expression: Any, value: Any) -> None:
    scope = Scope(n=3, nfv=NFV, json_text='{"a": ["x", "y"]}', which="VDU1")
    assert evaluate(expression, scope) == value


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"and": ["yes", {"not": "no"}]}, True),
        ({"or": ["no", {"equals": ["a", "a"]}]}, True),
        ({"and": ["yes", "no"]}, False),
        ({"contains": ["a", ["a", "b"]]}, True),
        ({"get_param": "flag"}, True),
    ],
)
def test_conditions(condition: Any, value: bool) -> None:
    assert truth(condition, Scope(flag=True)) is value


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=20)
)
def test_data_without_functions_is_itself(data: Any) -> None:
    assert evaluate(data, Scope()) == data


@given(st.lists(st.sampled_from(["$a", "$b", "-"]), max_size=12))
def test_a_replacement_is_not_replaced_again(parts: list[str]) -> None:
    expected = "".join({"$a": "$b", "$b": "$a"}.get(part, part) for part in parts)
    given_ = {"str_replace": {"template": "".join(parts), "params": {"$a": "$b", "$b": "$a"}}}
    assert evaluate(given_, Scope()) == expected


def test_parameters_are_typed_and_defaulted() -> None:
    schemas = {
        "nfv": {"type": "json"},
        "count": {"type": "number", "default": "3"},
        "names": {"type": "comma_delimited_list", "default": "a, b"},
        "on": {"type": "boolean", "default": "yes"},
        "text": {"type": "string"},
    }
    found = resolve(schemas, {"nfv": '{"VDU": {}}'}, {"text": 5})
    assert found == {"nfv": {"VDU": {}}, "count": 3, "names": ["a", "b"], "on": True, "text": "5"}


@pytest.mark.parametrize(
    ("schema", "given_", "kind", "words"),
    [
        ({"type": "string"}, {}, "UserParameterMissing", "The Parameter (p) was not provided."),
        ({"type": "string"}, {"p": 1, "q": 2}, "UnknownUserParameter", "The Parameter (q) was not defined in template."),
        ({"type": "number"}, {"p": "x"}, "StackValidationFailed", "Parameter 'p' is invalid"),
        ({"type": "json"}, {"p": "{"}, "StackValidationFailed", "Parameter 'p' is invalid"),
        ({"type": "string", "constraints": [{"allowed_values": ["a"]}]}, {"p": "b"}, "StackValidationFailed", "not an allowed"),
        ({"type": "number", "constraints": [{"range": {"min": 1, "max": 2}}]}, {"p": 3}, "StackValidationFailed", "out of range"),
        ({"type": "string", "constraints": [{"length": {"max": 2}}]}, {"p": "abc"}, "StackValidationFailed", "length (3)"),
        ({"type": "string", "constraints": [{"allowed_pattern": "[a-z]+"}]}, {"p": "A"}, "StackValidationFailed", "pattern"),
    ],
)  # fmt: skip
def test_bad_parameters(schema: dict[str, Any], given_: dict[str, Any], kind: str, words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        resolve({"p": schema}, given_, {})
    assert caught.value.kind == kind
    assert words in caught.value.message


def _template(resources: str) -> str:
    return f"heat_template_version: 2021-04-16\nresources: {resources}"


def test_dependencies_by_reference_and_by_name() -> None:
    text = _template("""
      {a: {type: X}, b: {type: X, properties: {v: [{get_resource: a}]}}, c: {type: X, depends_on: b},
       d: {type: X, properties: {v: {list_join: ["", [{get_attr: [b, ip]}]]}}}}""")
    template = parse(text)
    assert graph(template.resources, template.resources) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"b"}}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (_template("{a: {type: X, properties: {v: {get_resource: z}}}}"), "InvalidTemplateReference"),
        (_template("{a: {type: X, depends_on: z}}"), "InvalidTemplateReference"),
        (_template("{a: {type: X, depends_on: b}, b: {type: X, depends_on: a}}"), "CircularDependencyException"),
        (_template("{a: {properties: {}}}"), "StackValidationFailed"),
        ("resources: {}", "InvalidTemplateVersion"),
        ("heat_template_version: 1999-01-01", "InvalidTemplateVersion"),
        ("heat_template_version: 2021-04-16\nresorces: {}", "InvalidTemplateSection"),
        ("a: [", "ValueError"),
        ("just text", "ValueError"),
    ],
)
def test_templates_that_heat_refuses(text: str, kind: str) -> None:
    def read() -> None:
        template = parse(text)
        graph(template.resources, template.resources)

    with pytest.raises(ServiceError) as caught:
        read()
    assert caught.value.kind == kind


def test_a_date_stays_text_and_the_same_text_is_parsed_once() -> None:
    text = _template("{a: {type: X, properties: {day: 2026-01-02}}}")
    assert parse(text).resources["a"].properties == {"day": "2026-01-02"}
    assert parse(text) is parse(text)
