"""Which proxy stands before a server, by what the environment says; and that its password is kept to ourselves."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedward_protocol.proxy import Proxy, ProxyError, proxy_to

PROXY = {"HTTPS_PROXY": "http://proxy.example:3128"}
SECRET = "-".join(("very", "secret"))


def to(host="hub.example.org", port=443, **environment):
    return proxy_to(host, port, environment)


def test_without_a_word_in_the_environment_there_is_no_proxy():
    assert to() is None
    assert to(HTTPS_PROXY="", https_proxy=" ") is None
    assert to(HTTP_PROXY="http://proxy.example:3128", ALL_PROXY="http://proxy.example:3128") is None


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("HTTP://proxy.example:3128/", "http://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("http://proxy.example", "http://proxy.example:80"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        (" 10.0.0.1:3128 ", "http://10.0.0.1:3128"),
    ],
)
def test_a_proxy_is_named_as_people_name_it(said, address):
    assert to(HTTPS_PROXY=said) == Proxy(address)
    assert to(https_proxy=said) == Proxy(address)


def test_the_upper_case_goes_before_the_lower():
    assert to(HTTPS_PROXY="upper:1", https_proxy="lower:2") == Proxy("http://upper:1")


@pytest.mark.parametrize(
    ("said", "login", "header"),
    [
        ("http://north:secret@p:1", ("north", "secret"), "Basic bm9ydGg6c2VjcmV0"),
        ("north:secret@p:1", ("north", "secret"), "Basic bm9ydGg6c2VjcmV0"),
        ("http://north@p:1", ("north", ""), "Basic bm9ydGg6"),
        ("http://a%40b:p%3A%2F%25%C3%A9@p:1", ("a@b", "p:/%é"), "Basic YUBiOnA6LyXDqQ=="),
    ],
)
def test_credentials_are_told_to_the_proxy_alone(said, login, header):
    proxy = to(HTTPS_PROXY=said)

    assert (proxy.login, proxy.headers) == (login, {"Proxy-Authorization": header})
    assert (proxy.address, repr(proxy)) == ("http://p:1", "Proxy(address='http://p:1')")


def test_a_proxy_that_wants_no_credentials_is_told_none():
    assert Proxy("http://p:1").headers == {}
    assert Proxy("http://p:1").url == "http://p:1"


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
@example("a@b", "p:/%é#?[]")
def test_the_url_with_credentials_says_what_was_said(user, password):
    proxy = Proxy("http://[fd00::1]:3128", (user, password))

    assert to(HTTPS_PROXY=proxy.url) == proxy


@pytest.mark.parametrize(
    "said",
    [
        f"https://north:{SECRET}@proxy.example:3128",
        f"socks5://north:{SECRET}@proxy.example:3128",
        f"http://north:{SECRET}@",
        f"http://north:{SECRET}@proxy.example:a",
        f"http://north:{SECRET}@proxy.example:99999",
        f"http://north:{SECRET}/with@proxy.example:3128",
        f"http://north:{SECRET}#with@proxy.example:3128",
        f"http://north:{SECRET}]with@proxy.example:3128",
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_that_cannot_be_used_is_an_error_that_names_the_variable_and_no_password(name, said):
    with pytest.raises(ProxyError, match=f"^{name} has to name an HTTP proxy") as error:
        to(**{name: said})

    assert SECRET not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("spared", "host", "is_spared"),
    [
        ("*", "hub.example.org", True),
        ("", "hub.example.org", False),
        (",,", "hub.example.org", False),
        ("hub.example.org", "hub.example.org", True),
        ("HUB.example.org", "hub.EXAMPLE.org.", True),
        ("example.org", "hub.example.org", True),
        (".example.org", "hub.example.org", True),
        ("*.example.org", "hub.example.org", True),
        ("example.org", "example.org", True),
        (".example.org", "example.org", False),
        ("*.example.org", "example.org", False),
        ("ample.org", "hub.example.org", False),
        ("hub.example.org", "example.org", False),
        ("a.b, example.org ,c.d", "hub.example.org", True),
        ("hub.example.org:443", "hub.example.org", True),
        ("hub.example.org:6443", "hub.example.org", False),
        (".example.org:443", "hub.example.org", True),
        ("hub.example.org:https", "hub.example.org", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.30", False),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:6443", "10.1.2.3", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.4/8", "10.1.2.3", True),
        ("10.0.0.0/16", "10.1.2.3", False),
        ("10.0.0.0/8", "10.example.org", False),
        ("2.3", "10.1.2.3", False),
        (".2.3", "10.1.2.3", False),
        ("fd00::/8", "fd00::1", True),
        ("fd00::1", "fd00:0:0::1", True),
        ("[fd00::1]:443", "fd00::1", True),
        ("[fd00::1]:80", "fd00::1", False),
        ("fd00::/8", "10.1.2.3", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("localhost", "127.0.0.1", False),
        (".svc,.cluster.local", "kubernetes.default.svc", True),
    ],
)
def test_what_no_proxy_covers_is_reached_directly(name, spared, host, is_spared):
    assert (proxy_to(host, 443, {**PROXY, name: spared}) is None) == is_spared


def test_both_spellings_of_no_proxy_count():
    assert to(**PROXY, NO_PROXY="example.com", no_proxy="example.org") is None


def test_a_proxy_that_cannot_be_used_is_no_error_where_none_is_needed():
    assert to(HTTPS_PROXY="socks5://proxy.example", NO_PROXY="hub.example.org") is None


@given(st.text(), st.text())
def test_no_entry_of_no_proxy_breaks_anything(spared, host):
    proxy_to(host, 443, {**PROXY, "NO_PROXY": spared})
