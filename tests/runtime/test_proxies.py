"""Which proxy an address is reached through."""

from __future__ import annotations

import pytest

from fairlead.runtime.errors import Invalid
from fairlead.runtime.proxies import Way, is_exempt, is_range_exempt, proxy_for

URL = "https://fairlead.example.com"
ENV = {"HTTPS_PROXY": "http://proxy.corp:3128"}


@pytest.mark.parametrize(
    ("listed", "host", "exempt"),
    [
        ("fairlead.example.com", "fairlead.example.com", True),
        ("FAIRLEAD.example.com", "fairlead.Example.com", True),
        ("example.com", "fairlead.example.com", True),
        (".example.com", "fairlead.example.com", True),
        ("*.example.com", "fairlead.example.com", True),
        (".example.com", "example.com", True),
        ("ample.com", "fairlead.example.com", False),
        ("example.com", "example.com.evil.net", False),
        ("other.net, example.com", "fairlead.example.com", True),
        ("other.net example.com", "fairlead.example.com", True),
        ("example.com:443", "fairlead.example.com", True),
        ("example.com:8443", "fairlead.example.com", False),
        ("*", "anything", True),
        ("", "fairlead.example.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("10.1.2.3", "110.1.2.3", False),
        ("10.0.0.0/8", "10.200.1.1", True),
        ("10.0.0.1/8", "10.200.1.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "fairlead.example.com", False),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "10.0.0.1", False),
        ("fd12::1", "fd12:0::1", True),
        ("[fd12::1]:443", "fd12::1", True),
        ("[fd12::1]:80", "fd12::1", False),
        (".", "fairlead.example.com", False),
    ],
)
def test_no_proxy_names_hosts_suffixes_addresses_ranges_ports_and_everything(
    listed: str, host: str, exempt: bool
) -> None:
    assert is_exempt(host, 443, listed) is exempt


def test_a_setting_wins_over_the_environment_and_names_itself() -> None:
    way = Way(proxy="http://other:8080")
    found = proxy_for(URL, way, ENV, "agent.proxy")
    assert found is not None
    assert (found.shown, found.told_by) == ("http://other:8080", "agent.proxy")
    from_env = proxy_for(URL, Way(), ENV, "agent.proxy")
    assert from_env is not None
    assert (from_env.shown, from_env.told_by) == ("http://proxy.corp:3128", "HTTPS_PROXY")
    assert proxy_for(URL, Way(), {}, "agent.proxy") is None


def test_the_variable_goes_with_the_scheme_and_the_small_spelling_wins() -> None:
    env = {"HTTP_PROXY": "plain:3128", "HTTPS_PROXY": "large:1", "https_proxy": "small:2"}
    assert [p and p.host for p in (proxy_for(u, Way(), env, "") for u in (URL, "http://fairlead"))] == [
        "small",
        "plain",
    ]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_the_loopback_is_never_proxied_by_the_environment_but_a_setting_is_taken_at_its_word(host: str) -> None:
    assert proxy_for(f"https://{host}:8470", Way(), ENV, "") is None
    assert proxy_for(f"https://{host}:8470", Way(proxy="http://p:1"), {}, "") is not None


def test_a_list_in_the_settings_wins_over_the_environments_and_either_holds_for_a_proxy_of_the_settings() -> None:
    way = Way(proxy="http://p:1")
    assert proxy_for(URL, way, {"NO_PROXY": "example.com"}, "") is None
    assert proxy_for(URL, Way(proxy="http://p:1", no_proxy="other"), {"NO_PROXY": "example.com"}, "") is not None


def test_credentials_of_the_file_win_and_are_never_shown() -> None:
    found = proxy_for(URL, Way(proxy="http://ann:a%40b@p:3128"), {}, "")
    assert found is not None
    assert (found.user, found.password, found.shown) == ("ann", "a@b", "http://p:3128")
    assert found.url == "http://ann:a%40b@p:3128"
    other = proxy_for(URL, Way(proxy="http://ann:x@p:3128", credentials="bob:c:/@"), {}, "")
    assert other is not None
    assert (other.user, other.password, other.url) == ("bob", "c:/@", "http://bob:c%3A%2F%40@p:3128")


@pytest.mark.parametrize("address", ["socks5://bob:hush@p:1080", "http://bob:hush@", "http://bob:hush@p:port"])
def test_what_is_no_http_proxy_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(
        Invalid, match=r"HTTPS_PROXY is .* which is no HTTP proxy\. Expected http://HOST:PORT"
    ) as refused:
        proxy_for(URL, Way(), {"HTTPS_PROXY": address}, "")
    assert "hush" not in str(refused.value)


def test_a_range_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match=r"NO_PROXY names '10\.0\.0\.0/99', which is no range of addresses"):
        proxy_for(URL, Way(), {**ENV, "NO_PROXY": "10.0.0.0/99"}, "")


@pytest.mark.parametrize(
    ("network", "no_proxy", "exempt"),
    [
        ("10.96.0.0/12", "10.0.0.0/8", True),
        ("10.96.0.0/12", "10.96.0.0/16", False),
        ("10.96.0.1/32", ".svc, 10.96.0.1", True),
        ("10.96.0.1/32", "10.96.0.1:6443", False),
        ("fd00:10:96::/112", "fd00:10::/32", True),
        ("fd00:10:96::/112", "10.0.0.0/8,.svc", False),
        ("10.96.0.0/12", "*", True),
        ("10.96.0.0/12", "10.96.0.0/13,10.104.0.0/13", True),
        ("10.96.0.0/12", "10.96.0.0/13,10.104.0.0/14", False),
        ("10.96.0.0/12", "fd00::/8,10.96.0.0/12", True),
        ("10.96.0.0/12", "", False),
    ],
)
def test_a_range_is_exempt_where_the_entries_hold_all_of_it(network: str, no_proxy: str, exempt: bool) -> None:
    assert is_range_exempt(network, no_proxy) is exempt
