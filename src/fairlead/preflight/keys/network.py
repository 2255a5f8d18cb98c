"""Keys about the network: names, ways out, proxies, node to node."""

_EGRESS = """
dns | word | ok, nxdomain, timeout, servfail
tcp | word | ok, refused, timeout
connect | number | HTTP status of the proxy's answer to CONNECT
tls | word | ok, verify_failed, expired, name_mismatch, timeout, reset
issuer_seen | message | issuer of the certificate shown
issuer_expected | message | issuer it should have, or `public`
cert_days_left | number=not judged | days until that certificate ends
alpn | word | protocol agreed on, such as h2 or http/1.1
status | number | HTTP status of the request that proves it
content | word=the status tells | ok where the content is the known one, else block_page or other
get_health | number | HTTP status of the health document
get_root | number | HTTP status of /
via_proxy | number | HTTP status of the request through the proxy
direct | number | HTTP status of the request past the proxy
host_network | word | ok or class, or block-page: the same tried from the node's own network, to tell a network policy from a firewall
"""
_ONCE = """
from_workstation | word | ok or class, or block-page: the same tried from here (charts are fetched from here)
hosts_seen[] | host | hosts that redirects led to, HOST or HOST:PORT where that is not 443
"""


_OTHERWISE = {
    "from_workstation": "W",
    "host_network": "whoever writes the facts, from the node: probes have the pods' network alone",
}
"""How those are had that no probe asks."""


def _egress() -> str:
    lines = []
    for prefix, said, table in (
        ("egress.<way>.", "", _EGRESS + _ONCE.lstrip()),
        ("egress.<way>.others.<host>.", "of a further host of the row: ", _EGRESS),
        ("egress.<way>.nodes.<node>.", "where this node differs: ", _EGRESS),
        ("egress.<way>.nodes.<node>.others.<host>.", "where this node differs, of a further host: ", _EGRESS),
    ):
        for line in table.strip().splitlines():
            key, sort, meaning = line.split(" | ")
            how = _OTHERWISE.get(key, "N: as the product will do it")
            lines.append(f"{prefix}{key} | {sort} | {said}{meaning} | {how}")
    return "\n".join(lines)


TABLE = f"""
{_egress()}
in_cluster_api.env_host | host=cluster.kubernetes_service_ip | KUBERNETES_SERVICE_HOST in a pod | N
in_cluster_api.direct | number | HTTP status of the API past the proxy | N
in_cluster_api.via_proxy | number | HTTP status of the API through the proxy | N
proxy.environment.upper | message=not judged | NO_PROXY as pods would get it | whoever writes the facts: the chart gives pods one list
proxy.environment.lower | message=not judged | no_proxy as pods would get it | the same
dns.<node>.cluster_name | word=egress_ok of the probe decides | ok, or class: `kubernetes.default.svc` | N
dns.<node>.nameservers[] | address | of resolv.conf | N
dns.<node>.search[] | host | of resolv.conf | N
dns.<node>.ndots | number | of resolv.conf | N
dns.<node>.hosts.<host>.plain | word | ok, or class: the name as written | N
dns.<node>.hosts.<host>.with_dot | word | ok, or class: the name with a final dot | N
dns.<node>.hosts.<host>.same | flag | both gave the same addresses | N
connectivity.<node>.<node>.by_address | word=egress_ok of the probe decides | ok, or class: pod to pod | N: each asks min(8, all) others, a ring and random ones
connectivity.<node>.<node>.by_service | word=not tried | ok, or class: the same by a Service | N
connectivity.<node>.<node>.large | word=not tried | ok, or class: with a payload of 1,400 bytes and more | N
connectivity.<node>.<node>.seconds | number=not judged | time for it | N
"""
