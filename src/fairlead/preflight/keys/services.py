"""Keys about Prometheus, remote write, sign-in, certificates, ingress and the control plane."""

TABLE = """
prometheus.url_given | url? | address in the configuration; null for none | C
prometheus.tcp | word | ok, or class of the failure | N: connect
prometheus.tls | word | ok, verify_failed, not_used | N: handshake with the given CA
prometheus.query_ok | flag | `up` was answered with status success | Q: GET /api/v1/query?query=up
prometheus.get_query_without_token | number | HTTP status without the token | Q: the same
prometheus.get_query_with_token | number | HTTP status with the token | Q: the same
prometheus.post_query | number=not judged | HTTP status of the same by POST | whoever writes the facts: we ask by GET
prometheus.up_series | number | series in the answer | Q: the same
prometheus.token_roles[] | name | roles of the token's account | whoever writes the facts: preflight has no right to read role bindings
prometheus.objects | number | Prometheus objects | A: prometheuses.monitoring.coreos.com
prometheus.operator_pods_running | number | running pods of the Prometheus Operator | A: pods
prometheus.operator_version | word | its version | A: annotation operator.prometheus.io/version of the CRDs, image tag
prometheus.selectors[].prometheus | name | NAMESPACE/NAME of a Prometheus | A: the same
prometheus.selectors[].selects_none | flag=false | it has no selector, and takes none of them | A: the same
prometheus.selectors[].match_labels.<key> | word=not asked for | labels it wants on ServiceMonitors | A: spec.serviceMonitorSelector
prometheus.selectors[].match_expressions[] | label=none | other conditions on their labels, as kubectl writes them | A: the same
prometheus.selectors[].selects_namespace | flag | it looks into the namespace of our ServiceMonitors | A: spec.serviceMonitorNamespaceSelector
metrics.kube_pod_container_resource_requests | number | series of this name | Q: count
metrics.kube_pod_container_resource_requests_cpu_cores | number | series of the name before version 2 | Q: count
metrics.kube_node_status_allocatable | number=not judged | series of this name | Q: count
metrics.kube_state_metrics_build_info_version | word | version of kube-state-metrics | Q
metrics.kube_state_metrics_duplicates | flag=false | one object comes from two targets that are not shards | Q: count by object
metrics.newest_sample_age_seconds | number | age of the newest sample of these | Q: time() - timestamp()
metrics.scrape_interval_seconds | number=60 | interval of the scrape | whoever writes the facts: the usual one is taken
metrics.node_exporter_up.<node> | number | 1 where fresh node_uname_info is there | Q, matched by instance, node label or address
metrics.node_exporter_absent[] | node | nodes without | Q against A
metrics.node_exporter_duplicates[] | node=none | nodes with two | Q
metrics.gpu_util.<node> | number | series of DCGM_FI_DEV_GPU_UTIL | Q: count by node
remote_write.post_one_sample | number | HTTP status of one written sample | N: where Prometheus will run
remote_write.body_mentions | message | what the answer said | N: the same
remote_write.is_page | flag=false | a page for people was answered | N: the same
remote_write.error | word | class of the failure where there was no answer | N: the same
remote_write.read_back | flag=not tried | the sample was found again | Q, if we may
control_plane.token | word | accepted, refused | N: the agent's own stream
control_plane.health | number | HTTP status of the health document | N: system nodes
control_plane.version | word | version in it | N: system nodes
control_plane.versions_compatible | flag | its major version is ours | N: health document
control_plane.stream_open | word | ok, failed, or how it ended | N: the agent's own stream, 70 s with an echo
control_plane.stream_seconds | number=not judged | how long it stayed open | N: the same
control_plane.stream_error | message | why it did not open, or ended | N: the same
control_plane.transport | word=websocket | websocket or poll | N: the same
control_plane.cluster_id_in_use | flag=false | another cluster is connected with our id | whoever writes the facts: a hello of preflight would take the place of the agent that is connected
oidc.discovery_status | number | HTTP status of /.well-known/openid-configuration | W or N: from where the control plane runs
oidc.error | word | class of the failure where there was no answer, or a page (block_page) | the same
oidc.issuer_in_document | url | its `issuer`, as it is | the same
oidc.jwks_status | number | HTTP status of its jwks_uri, 0 where there was no answer | the same
oidc.jwks_host | host | host of it, HOST or HOST:PORT where that is not 443 | the same
oidc.signing_algs[] | word=not judged | id_token_signing_alg_values_supported | the same
oidc.authorization_endpoint | url=not judged | its `authorization_endpoint` | W
oidc.authorization_endpoint_from_pod | number=not tried | HTTP status from a pod, 0 where there was no answer | N
oidc.authorization_endpoint_from_workstation | number=not tried | HTTP status from here, 0 where there was no answer | W
oidc.redirect_registered | flag=not tried | the login page does not say that our address is unknown | W: GET with our redirect_uri
certificates.webhook.days_left | number=there is none | days until the authority ends that our webhooks are known by | A: webhook configurations
certificates.bundle.parses | flag | ca_bundle can be read | C
certificates.bundle.has_authority | flag | it holds an authority | C
certificates.bundle.days_left | number | days until the first authority that is needed ends | C
certificates.bundle.expired[] | message=none | subjects in it that have ended | C
certificates.bundle.covers.<host> | flag=not tried | whoever trusts it beside the known authorities trusts that host | W: handshake
certificates.secrets[].name | name | a TLS Secret that the configuration names | A: the Secret, if we may
certificates.secrets[].days_left | number | days until it ends | A: the same
certificates.secrets[].chain_complete | flag | intermediates are there | A: the same
certificates.secrets[].key_fits | flag | key and certificate belong together | A: the same
certificates.secrets[].covers_host | flag | it names the host it is for, wildcards included | A: the same
ingress.classes[].name | name | an IngressClass | A: ingressclasses
ingress.classes[].controller | name | its controller | A: the same
ingress.classes[].default | flag | it is the default | A: the same
ingress.classes[].endpoints | number | ready pods behind that controller | A: deployments and daemonsets that say so by their flags, or are known to be it
ingress.nonce | word | ok where a request by the public name came back to a probe, else class of the failure, or the status with which somebody else answers | N: by an Ingress of the run; unknown where no controller takes that up
ingress.wildcard_dns | flag | any name below the public host resolves | N: a name that nobody set up by itself
ingress.load_balancer | word | address, pending or none | A: the Service of the controller of the class in the configuration
"""
