"""Credentials that are replaced in part, and addresses: the pure rules."""

from __future__ import annotations

import pytest
from forestay_events.errors import Rejected
from forestay_vim_registry.domain.login import Json, Login, endpoint, merged, replaced

OIDC = {"oidc_token_url": "https://id", "client_id": "c", "client_secret": "s", "username": "u", "password": "p"}
CA = {"ssl_ca_cert": "PEM"}


@pytest.mark.parametrize(
    ("present", "update", "result"),
    [
        ({"bearer_token": "t", **CA}, {"bearer_token": "t2"}, {"bearer_token": "t2", **CA}),
        ({"bearer_token": "t", **CA}, OIDC, OIDC | CA),
        (OIDC | CA, {"bearer_token": "t"}, {"bearer_token": "t", **CA}),
        (OIDC | CA, {"password": "p2"}, OIDC | CA | {"password": "p2"}),
        (OIDC | CA, {"password": "***", "username": "u2"}, OIDC | CA | {"username": "u2"}),
        ({"username": "u", "password": "p"}, {"ssl_ca_cert": "PEM"}, {"username": "u", "password": "p", **CA}),
        ({"bearer_token": "t"}, {"username": "u", "password": "p"}, {"username": "u", "password": "p"}),
    ],
)
def test_an_update_of_credentials(present: Json, update: Json, result: Json) -> None:
    assert replaced("kubernetes", present, update) == result


def test_a_new_kind_must_be_complete() -> None:
    for update in ({"username": "u"}, {"oidc_token_url": "https://id"}, {"bearer_token": ""}):
        with pytest.raises(Rejected, match="bearer_token"):
            replaced("kubernetes", {"bearer_token": "t"}, update)


def test_objects_are_merged_member_by_member() -> None:
    present = {"a": {"b": 1, "c": {"d": 2}}, "e": [1], "f": "secret"}
    update = {"a": {"c": {"g": 3}}, "e": [2], "f": "***"}
    assert merged(present, update) == {"a": {"b": 1, "c": {"d": 2, "g": 3}}, "e": [2], "f": "secret"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://c/identity", "http://c/identity/v3"),
        ("http://c/identity/", "http://c/identity/v3"),
        ("https://c:5000/v3/", "https://c:5000/v3"),
        ("https://[::1]:5000", "https://[::1]:5000/v3"),
    ],
)
def test_keystone_is_asked_for_version_3(given: str, kept: str) -> None:
    assert endpoint("openstack", given) == kept


def test_the_text_of_a_login_hides_the_secrets() -> None:
    login = Login(vim_type="kubernetes", auth_url="https://k", auth_cred=OIDC, vim_project={})
    assert "'***'" in repr(login)
    assert "'s'" not in repr(login)
    assert "'p'" not in repr(login)
