"""Keys about storage, registries and images."""

TABLE = """
storage_classes[].name | name | a StorageClass | A: storageclasses
storage_classes[].provisioner | name | its provisioner | A: the same
storage_classes[].provisioner_alive | flag=the trial tells | a CSIDriver or a running provisioner pod serves it | A: csidrivers, pods
storage_classes[].binding | word | Immediate or WaitForFirstConsumer | A: the same
storage_classes[].default | flag | the default by either annotation | A: the same
storage_classes[].annotations.<key> | word=no such annotation | its annotations | A: the same
storage_classes[].created | time | when it was made | A: the same
csi_nodes.<node>[] | name | CSI drivers that the node lists | A: csinodes
csi_plugin_pods.<node> | word | pod of the shared class's driver there: running, none, or its state | A: pods of the daemonset with a socket in a folder of the driver's name
shared_volume_trial.access_modes[] | word | modes asked for | N: our claim, or the one given
shared_volume_trial.claim_created | flag | the API took the claim | A
shared_volume_trial.claim_phase | word | Pending, Bound, Lost | A
shared_volume_trial.event_reason | word | reason of the claim's last event | A: events
shared_volume_trial.event_code | word | gRPC code in it, such as InvalidArgument | A: events
shared_volume_trial.event_message | message | its message | A: events
shared_volume_trial.writer_scheduled_on | node | node that the writer was given | A
shared_volume_trial.wrote_on | node | node on which uid 1000 wrote | N
shared_volume_trial.write_error | message | why it could not | N
shared_volume_trial.root_only | flag=false | only root could write | whoever writes the facts: no pod of a run may be root
shared_volume_trial.read_on.<node> | word | same_content, other_content, denied, missing, timeout | N
shared_volume_trial.appended_on.<node> | word=not tried | ok where the reader wrote back, else why not | N
shared_volume_trial.mount_failed_on.<node> | message | what the kubelet said | A: events
nfs_server.<node> | word=not tried | whether the server of storage.nfs answers pods there: ok, no-nfs, dns, refused, timeout ... | N: NFS's call that does nothing
shared_volume_trial.seconds_until_seen | number=not judged | longest wait until a write was seen elsewhere | N
system_volume_trial.claim_phase_before_pod | word | phase while no pod used it | A
system_volume_trial.claim_phase_after_pod | word | phase with a pod | A
system_volume_trial.event_reason | word | reason of the claim's last event | A: events
system_volume_trial.event_message | message | its message | A: events
system_volume_trial.pod_ran | flag | a pod with it started | A
system_volume_trial.wrote | flag | it wrote | N
system_volume_trial.write_error | message | why it could not | N
system_volume_trial.node_bound | flag | the volume has affinity to one node | A: the PersistentVolume
system_volume_trial.moved | word | ok where it was attached on another system node, else why not | N: in production, where the volume is not bound to a node
registry.v2_status | number | HTTP status of /v2/ | N
registry.error | word | class where there was no answer: dns, tcp, tls, timeout | N
registry.scheme | word | http or https, as it answers | N
registry.token | word | ok, refused, not_needed | N: token service, with the pull secret
registry.manifest | number | HTTP status of our smallest image's manifest | N
registry.manifest_from_probe_pod | number | the same, said of a pod | N
registry.manifest_from_probe_pod_with_ca_bundle | number | the same with ca_bundle | whoever writes the facts: probes trust ca_bundle always
registry.tls_from_workstation_with_ca | word | ok, or verify_failed | whoever writes the facts: pods are what counts
registry.ratelimit_remaining | number=not judged | pulls left | N: header
registry.blob.status | number | HTTP status of one layer | N
registry.blob.location_host | host | host it is redirected to, HOST or HOST:PORT where that is not 443 | N
registry.blob.follow | word | ok, or class of the failure at that host | N
registry.blob.digest_ok | flag | what came has the digest | N
registry.image_platforms.<image>[] | word | OS/ARCHITECTURE in the index of one of our images | N
registry.mirror_has_product_images | flag | all our images are in the registry of the configuration, or in one of its mirrors | N: manifests, with the pull secret
registry.mirror_has_probe_image | flag | the probe's too | N
registry.mirror_missing[] | name | images that are not | N
runtime_pull.<node> | message | ok, cached (it was there already, nothing was proven), or what the runtime said | R: kubelet pulls an unused digest with the pull secret
images_missing_on.<node>[] | name | our images that the node does not have | A: node.status.images, or N
user_image.image | name | sample image of the customer | C
user_image.ran | flag | it started under the rules of a project | R
user_image.event | message | why not | A: events
"""
