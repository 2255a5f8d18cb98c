"""Releases of Helm as its secrets hold them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from fairlead.preflight.gather.releases import kinds_of, newest_releases


def packed(manifest: str) -> str:
    """As Helm packs a release, and the API its secret."""
    inner = base64.b64encode(gzip.compress(json.dumps({"name": "fairlead", "manifest": manifest}).encode()))
    return base64.b64encode(inner).decode()


def a_secret(name: str, version: str, status: str) -> dict[str, Any]:
    labels = {"owner": "helm", "name": name, "version": version, "status": status}
    return {"metadata": {"name": f"sh.helm.release.v1.{name}.v{version}", "namespace": "ns", "labels": labels}}


def test_of_each_release_the_newest_revision_counts() -> None:
    listed = [
        a_secret("b", "9", "superseded"),
        a_secret("b", "10", "failed"),
        a_secret("a", "1", "deployed"),
        a_secret("", "1", "deployed"),
    ]
    found = [(each["metadata"]["name"], each["metadata"]["labels"]["status"]) for each in newest_releases(listed)]
    assert found == [("sh.helm.release.v1.a.v1", "deployed"), ("sh.helm.release.v1.b.v10", "failed")]


def test_the_kinds_of_a_manifest_are_read_and_empty_documents_are_none() -> None:
    manifest = "---\n# Source: a\napiVersion: v1\nkind: Service\n---\n# nothing\n---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\n"
    assert kinds_of(packed(manifest)) == {("v1", "Service"), ("policy/v1beta1", "PodSecurityPolicy")}
    assert kinds_of(packed("")) == set()


@pytest.mark.parametrize(
    "release",
    ["", "AAAA", "!", base64.b64encode(base64.b64encode(b"no gzip")).decode(), packed("kind: [\n"), packed("a: 1")],
)
def test_what_helm_did_not_write_is_said_so(release: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        kinds_of(release)
