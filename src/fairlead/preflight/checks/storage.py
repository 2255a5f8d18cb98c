"""Volumes: the class, the product's own, and the one that everybody shares."""

from __future__ import annotations

from typing import Final

from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Verdict,
    Who,
    attempt,
    by_node,
    failed,
    listed,
    not_needed,
    only_worse,
    passed,
    unknown,
    warned,
)
from fairlead.preflight.config import Config, keeps_data
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import node_of, roster, taints_of
from fairlead.preflight.versions import version_of

_DEFAULTS: Final = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_NEWEST_WINS_FROM: Final = (1, 26, 0)
_BY_ZONE: Final = ("zone", "affinity", "topology")
"""Words of what the scheduler says of a volume that is bound to some nodes."""
_ON_ONE_NODE: Final = (
    "local-path",
    "no-provisioner",
    "hostpath",
    "host-path",
    "local.csi",
    "openebs.io/local",
    "topolvm",
)


def _no_volume(config: Config) -> Finding | None:
    """Why the product has no volume of its own; None where it may have one."""
    if keeps_data(config):
        return None
    elsewhere = config.storage.external_database
    return not_needed(
        "the product's data is in a database elsewhere"
        if elsewhere
        else "no part of the product keeps data in this cluster"
    )


def storage_class(facts: Facts, config: Config) -> Finding:
    """The class of the product's own claims. A claim that is Pending until a pod uses it is right (WaitForFirstConsumer), so it is tried
    with a pod.

    - class-missing: the configuration names a class that is not there.
    - no-default: none is named, and none is the default.
    - two-defaults: before Kubernetes 1.26 claims without a class are refused then; from 1.26 on the newest wins.
    - no-provisioner: nobody serves the class.
    - not-bound: the claim stayed Pending with a pod.
    """
    if found := _no_volume(config):
        return found
    classes = {each.text("name"): each for each in facts.items("storage_classes")}
    name = config.storage.class_
    if name:
        missing = name not in classes
        chosen = failed(
            f"there is no class {name}",
            "class-missing",
            f"Set storage.class to one of: {listed(classes) or 'none is there'}",
            Who.YOU,
        )
        return chosen if missing else _works(classes[name], facts)
    return _default(classes, facts, config)


def _default(classes: dict[str, Facts], facts: Facts, config: Config) -> Finding:
    defaults = [each_name for each_name, each in classes.items() if _is_default(each)]
    if not defaults:
        remedy = (
            f"Set storage.class, or: kubectl annotate storageclass {next(iter(classes))} {_DEFAULTS[0]}=true"
            if classes
            else "Install a provisioner with a StorageClass, and name it in storage.class; or make volumes by hand, of a class whose "
            "provisioner is kubernetes.io/no-provisioner"
        )
        if config.prometheus.mode == "bundled":
            remedy += ". Prometheus keeps its samples there: without a class, as long as its pod lives; or set prometheus.mode to none"
        return failed("no class is named, and none is the default", "no-default", remedy, Who.STORAGE)
    if len(defaults) == 1:
        return _works(classes[defaults[0]], facts)
    seen = f"defaults: {listed(defaults)}"
    by = [f"{key}=false" for key in _DEFAULTS if classes[defaults[0]].maybe_text("annotations", key) == "true"]
    remedy = f"kubectl annotate storageclass {defaults[0]} {' '.join(by) or f'{_DEFAULTS[0]}=false'} --overwrite"
    server = version_of(facts.text("server", "git_version"))
    if server and server >= _NEWEST_WINS_FROM:
        newest = max((classes[name] for name in defaults), key=lambda each: each.maybe_text("created") or "")
        tried = attempt(lambda: _works(newest, facts))
        if tried.verdict is Verdict.FAIL:
            return tried
        return warned(f"{seen}; the newest wins", "two-defaults", remedy, Who.STORAGE)
    return failed(
        f"{seen}; before Kubernetes 1.26 claims without a class are refused", "two-defaults", remedy, Who.STORAGE
    )


def _is_default(each: Facts) -> bool:
    """By either annotation, or as it was gathered. Raises: Missing where neither is known."""
    return _is_known_default(each) if each.known("annotations") else each.flag("default")


def _is_known_default(each: Facts) -> bool:
    by_annotation = any(each.maybe_text("annotations", key) == "true" for key in _DEFAULTS)
    return by_annotation or each.maybe_flag("default") is True


def _works(chosen: Facts, facts: Facts) -> Finding:
    name = chosen.text("name")
    if not chosen.or_else(True, "provisioner_alive"):
        who = f"nobody serves {name} ({chosen.maybe_text('provisioner') or 'its provisioner'})"
        return failed(who, "no-provisioner", f"Start the provisioner of {name}", Who.STORAGE)
    phase, reason = (
        facts.maybe_text("system_volume_trial", "claim_phase_after_pod"),
        _event(facts, "system_volume_trial"),
    )
    remedy = f"kubectl describe storageclass {name}, and look at the log of its provisioner"
    ran = facts.maybe_flag("system_volume_trial", "pod_ran")
    if phase is None and ran is False and facts.maybe_text("system_volume_trial", "event_reason") == _WAITS:
        return unknown(f"{name}: its claims wait for a pod, and none was started")
    if phase not in (None, "Bound") or (phase is None and ran is False):
        seen = f"{name}: the claim stayed {phase or 'unbound'} with a pod{reason}"
        return failed(seen, "not-bound", remedy, Who.STORAGE)
    if not facts.flag("system_volume_trial", "pod_ran"):
        return failed(f"{name}: no pod with the claim started{reason}", "not-bound", remedy, Who.STORAGE)
    facts.text("system_volume_trial", "claim_phase_after_pod")
    return passed(f"{name}: a claim was bound with a pod")


_WAITS: Final = "WaitForFirstConsumer"


def _event(facts: Facts, trial: str) -> str:
    said = [facts.maybe_text(trial, key) for key in ("event_reason", "event_message")]
    told = ": ".join(each for each in said if each)
    return f" ({told})" if told else ""


def system_volume(facts: Facts, config: Config) -> Finding:
    """The product's own data must be writable, and in production not be bound to one node.

    - not-writable: the pod could not write.
    - node-bound: the volume is on one node; when that is lost, so is the data.
    - zone-bound: its zone, or another mark of nodes that it is bound to, has no other system node.
    - not-moved: it cannot be used on another system node for another reason, which is quoted.
    """
    if found := _no_volume(config):
        return found
    if not facts.flag("system_volume_trial", "wrote"):
        said = facts.maybe_text("system_volume_trial", "write_error")
        return failed(
            "a pod could not write" + (f": {said}" if said else ""),
            "not-writable",
            "Choose a class that pods can write to",
            Who.STORAGE,
        )
    if not config.production:
        return passed("it was written")
    remedy = "Set storage.class to one that is not bound to a node, or use a database elsewhere"
    if _is_node_bound(facts, config):
        return warned("the volume is bound to one node", "node-bound", remedy, Who.STORAGE)
    moved = facts.text("system_volume_trial", "moved")
    if moved == "ok":
        return passed("it was written, and attached on another node")
    seen = f"it cannot be attached on another system node: {moved}"
    if any(word in moved.lower() for word in _BY_ZONE):
        return warned(seen, "zone-bound", "Add a system node in the volume's zone", Who.STORAGE)
    remedy = f"Look at the log of what attaches volumes of {config.storage.class_ or 'the default class'}. {remedy}"
    return warned(seen, "not-moved", remedy, Who.STORAGE)


def _is_node_bound(facts: Facts, config: Config) -> bool:
    named, there = config.storage.class_, facts.maybe_items("storage_classes")
    chosen = [each for each in there if (each.maybe_text("name") == named if named else _is_known_default(each))]
    by_class = any(_is_local(each) for each in chosen)
    return by_class or facts.flag("system_volume_trial", "node_bound")


def _is_local(storage_class: Facts) -> bool:
    provisioner = storage_class.maybe_text("provisioner") or ""
    return any(word in provisioner for word in _ON_ONE_NODE)


def _ask_kubelet(name: str) -> str:
    """What to do about a mount that failed: events go with their pod."""
    return f"Look at what the kubelet of {name} says of it: journalctl -u kubelet | grep -i mount"


_SLOW_SECONDS: Final = 5.0


def shared_volume(facts: Facts, config: Config) -> Finding:
    """A file is written on one node as a user who is not root and read on every node. A Bound claim proves nothing.

    - block-storage: the driver attaches a volume to one node at a time; use a class of files (NFS, CephFS, EFS ...).
    - provisioning: the claim was not served for another reason.
    - nfs-helper: the node has no mount.nfs: install nfs-common (Debian, Ubuntu) or nfs-utils (RHEL, SUSE). No image can bring it.
    - nfs-kernel: the node's kernel has no NFS client: load the module `nfs`, or take a kernel that has it.
    - csi-plugin: the driver's pod is not on that node, mostly for a taint.
    - export: the server refuses that node, or does not answer it.
    - mount: the volume cannot be mounted there for another reason.
    - root-squash: only root may write or read; set fsGroup, or the owner of the exported folder.
    - other-content: another node sees something else.
    - slow: a write is seen elsewhere after more than five seconds only.
    """
    configured = config.storage.shared_class or config.storage.shared_claim or config.storage.nfs
    if not configured and facts.left_out("shared_volume_trial"):
        return not_needed("no shared class, claim or export is configured")
    if refused := _not_served(facts):
        return _no_class(facts, config) or refused
    named = [facts.maybe_keys("shared_volume_trial", key) for key in ("read_on", "mount_failed_on")]
    nodes = roster(facts, *named, facts.maybe_keys("csi_plugin_pods"))
    trial = facts.at("shared_volume_trial")
    if (error := trial.maybe_text("write_error")) and not trial.known("wrote_on"):
        return _ONLY_ROOT if trial.or_else(False, "root_only") else _not_written(error)
    found = by_node(nodes, lambda name: _read(name, facts))
    if found.verdict is not Verdict.PASS:
        return found
    if len(nodes.names) < 2:
        return unknown("with one node nothing is proven: any volume works there")
    return only_worse(found, _writing(facts))


def _no_class(facts: Facts, config: Config) -> Finding | None:
    """That the class which is named is not there at all."""
    wanted = config.storage.shared_class
    if not wanted or not facts.known("storage_classes"):
        return None
    there = sorted(each.text("name") for each in facts.items("storage_classes"))
    if wanted in there:
        return None
    seen = f"there is no storage class {wanted}: there are {listed(there) if there else 'none'}"
    return failed(seen, "provisioning", "Set storage.shared_class to one that there is", Who.YOU)


def _not_served(facts: Facts) -> Finding | None:
    """The claim was not served at all."""
    trial = facts.at("shared_volume_trial")
    phase, reason, code = (
        trial.maybe_text("claim_phase"),
        trial.maybe_text("event_reason"),
        trial.maybe_text("event_code") or "",
    )
    told = _event(facts, "shared_volume_trial")
    if trial.maybe_flag("claim_created") is False:
        return failed(
            f"the claim was refused{told}", "provisioning", "Ask for a class that takes ReadWriteMany", Who.STORAGE
        )
    if phase in (None, "Bound"):
        return None
    if reason == _WAITS and not trial.maybe_text("writer_scheduled_on"):
        return unknown("the claim waits for a pod, and the pod was not scheduled")
    said = f"{code} {trial.maybe_text('event_message') or ''}".lower()
    if any(
        word in said
        for word in ("invalidargument", "invalid argument", "multi_node", "multi-node", "access mode", "not supported")
    ):
        why = f" ({code})" if code else ""
        seen = (
            f"the claim is {phase}{told}: the API takes ReadWriteMany, the driver refuses it{why}: it is block storage"
        )
        return failed(
            seen,
            "block-storage",
            "Set storage.shared_class to a class of files (NFS, CephFS, EFS, Azure Files ...)",
            Who.STORAGE,
        )
    remedy = "Ask whoever runs the class why it does not provision, or set storage.shared_class to a class of files (NFS, CephFS, EFS ...)"
    return failed(f"the claim is {phase}{told}", "provisioning", remedy, Who.STORAGE)


def _read(name: str, facts: Facts) -> Finding:
    trial = facts.at("shared_volume_trial")
    if (error := trial.maybe_text("mount_failed_on", name)) is not None:
        return _mount_failed(name, error, facts)
    seen = trial.maybe_text("read_on", name)
    if seen in ("same_content", "ok", "same"):
        return _wrote_back(name, trial)
    if _plugin_is_missing(name, facts):
        return _no_plugin(name, facts)
    if trial.left_out("read_on") and trial.maybe_keys("mount_failed_on"):
        return unknown(f"nothing was written to read: {listed(trial.maybe_keys('mount_failed_on'))} cannot mount it")
    seen = trial.text("read_on", name)
    if seen == "denied" or "permission denied" in seen.lower().replace("_", " "):
        return failed("a user who is not root may not read", "root-squash", _SQUASH, Who.STORAGE)
    if seen in ("other_content", "missing"):
        return failed(
            f"what was written elsewhere is not there ({seen})",
            "other-content",
            "Use a class whose volumes are one on all nodes",
            Who.STORAGE,
        )
    return failed(f"reading: {seen}", "mount", _ask_kubelet(name), Who.STORAGE)


_SQUASH: Final = (
    "Let the users' id in, which was tried as 1000: chown 1000 the folder that is exported, or open it to their group; or set fsGroup, "
    "where the volume's driver follows it"
)
_ONLY_ROOT: Final = warned("only root can write", "root-squash", _SQUASH, Who.STORAGE)


def _wrote_back(name: str, trial: Facts) -> Finding:
    appended = trial.or_else({}, "appended_on")
    if isinstance(appended, dict) and name in appended and trial.text("appended_on", name) != "ok":
        return failed(f"it reads, and cannot write: {appended[name]}", "root-squash", _SQUASH, Who.STORAGE)
    return passed("read what was written elsewhere")


def _plugin_is_missing(name: str, facts: Facts) -> bool:
    state = facts.maybe_text("csi_plugin_pods", name)
    return state is not None and state != "running"


def _no_plugin(name: str, facts: Facts) -> Finding:
    taints = taints_of(node_of(facts, name))
    listed_there = bool(facts.maybe_texts("csi_nodes", name))
    seen = "the driver's pod is not there" + (", though the node still lists the driver" if listed_there else "")
    if taints:
        seen = f"{seen}; it does not tolerate the taint {', '.join(taints)}"
    remedy = (
        f"Let the driver's daemonset tolerate {', '.join(taints)}" if taints else f"Start the driver's pod on {name}"
    )
    return failed(seen, "csi-plugin", remedy, Who.STORAGE)


def _mount_failed(name: str, error: str, facts: Facts) -> Finding:
    text, answer = error.lower(), facts.maybe_text("nfs_server", name)
    if answer is not None:
        error += (
            ". An NFS server answers pods there" if answer == "ok" else f". No NFS server answers pods there: {answer}"
        )
    if any(words in text for words in _NO_HELPER):
        remedy = f"On {name}: install nfs-common (Debian, Ubuntu) or nfs-utils (RHEL, SUSE)"
        return failed(f"it has no mount helper for NFS: {error}", "nfs-helper", remedy, Who.CLUSTER_ADMIN)
    if any(words in text for words in _NO_CLIENT):
        remedy = f"On {name}: modprobe nfs, and name it in /etc/modules-load.d"
        return failed(f"its kernel has no client for NFS: {error}", "nfs-kernel", remedy, Who.CLUSTER_ADMIN)
    if _plugin_is_missing(name, facts) or "registered csi drivers" in text:
        return _no_plugin(name, facts)
    if "multi-attach" in text or "already exclusively attached" in text:
        remedy = "Set storage.shared_class to a class of files (NFS, CephFS, EFS, Azure Files ...)"
        return failed(f"block storage, attached elsewhere: {error}", "block-storage", remedy, Who.STORAGE)
    if any(word in text for word in _NOT_SERVED) or answer not in (None, "ok"):
        return failed(
            f"the server does not serve it: {error}",
            "export",
            f"Ask for: the export, for {name}, port 2049/tcp",
            Who.STORAGE,
        )
    return failed(f"it cannot be mounted: {error}", "mount", _ask_kubelet(name), Who.STORAGE)


_NO_HELPER: Final = ("helper", "bad option; for several filesystems", "mount.nfs: not found", "mount.nfs4: not found")
"""What mounting says where nobody knows how; with the helper, it is the helper that speaks (`mount.nfs: access denied`)."""
_NO_CLIENT: Final = ("mount.nfs: no such device", "mount.nfs4: no such device", "unknown filesystem type 'nfs")
"""What it says where the kernel knows no NFS."""
_NOT_SERVED: Final = ("access denied", "timed out", "no route", "connection refused")
"""What mounting says where the server does not want to, or is not there."""


def _not_written(error: str) -> Finding:
    return failed(f"it cannot be written: {error}", "root-squash", _SQUASH, Who.STORAGE)


def _writing(facts: Facts) -> list[Finding]:
    """What is to be said of the writer, and of time."""
    trial = facts.at("shared_volume_trial")
    found = []
    if error := trial.maybe_text("write_error"):
        found.append(_not_written(error))
    if trial.or_else(False, "root_only"):
        found.append(_ONLY_ROOT)
    elif not trial.known("wrote_on"):
        found.append(unknown(trial.why("wrote_on")))
    if (seconds := float(trial.or_else(0, "seconds_until_seen"))) > _SLOW_SECONDS:
        found.append(
            warned(
                f"a write is seen elsewhere after {seconds:g} s", "slow", "Mount with actimeo=1, or noac", Who.STORAGE
            )
        )
    return found


_ROW: Final = "shared data volume"

CHECKS: Final = (
    Check(
        code="storage-class",
        title="Storage class of the product's data",
        row=_ROW,
        severity=Verdict.FAIL,
        needs=("storage_classes", "system_volume_trial", "server"),
        expected="the class that is named works, or exactly one is the default",
        rules="pass: the named class, or the only default, gives a volume; warn: two defaults from 1.26 on; fail: none, or two before",
        disables=("install", "ui"),
        causes=("class-missing", "no-default", "two-defaults", "no-provisioner", "not-bound"),
        judge=storage_class,
        by_api=ByApi.FAULTS,
    ),
    Check(
        code="system-volume",
        title="The product's own volume",
        row=_ROW,
        severity=Verdict.FAIL,
        needs=("system_volume_trial", "storage_classes"),
        expected="it can be written, and in production attached on another node",
        rules="pass: written, in production also moved; warn: bound to a node or zone in production; fail: not writable",
        disables=("high-availability",),
        causes=("not-writable", "node-bound", "zone-bound", "not-moved"),
        judge=system_volume,
    ),
    Check(
        code="shared-volume",
        title="The volume that everybody shares",
        row=_ROW,
        severity=Verdict.FAIL,
        needs=(
            "shared_volume_trial",
            "storage_classes",
            "nfs_server",
            "csi_nodes",
            "csi_plugin_pods",
            "nodes[].taints",
        ),
        expected="what one node writes is read on every node, by a user who is not root",
        rules="pass: read on all nodes; warn: only root can write, or slow; fail: any node cannot; unknown: only one node",
        disables=("shared-data",),
        causes=(
            "block-storage",
            "provisioning",
            "nfs-helper",
            "nfs-kernel",
            "csi-plugin",
            "export",
            "mount",
            "root-squash",
            "other-content",
            "slow",
        ),
        judge=shared_volume,
        by_api=ByApi.FAULTS,
    ),
)
