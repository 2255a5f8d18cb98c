"""Keys about the run, access to the cluster, its API and what is in it already."""

TABLE = """
facts_version | number | version of this shape; 1 | the program that wrote it
run.id | word | identity of the run; salt of hidden names | random, 8 hexadecimal digits
run.at | time | when gathering began | clock of W
run.program | word | version of the program that gathered | the program
run.redacted | flag | secrets were removed | `--save-facts`
run.anonymised | flag | names of nodes, hosts and namespaces were replaced | `--anonymise`
run.left_out[] | message | what was not written, and why | `--save-facts`
run.probes | flag | probe pods were allowed | false with `--no-probe`
run.after_install | flag | the product is installed: what it brings is judged too | the agent's daily run, and `fairlead install` at its end
run.seconds.<code> | number | time taken to gather for a check | sum over its facts
access.context | cluster | context of the kubeconfig, or `in-cluster` | W: kubeconfig
access.error | word | class of the first failure: no-kubeconfig, exec-plugin-missing, expired, dns, refused, tls, proxy, timeout, unauthorized | W: first request
access.message | message | the failure in its own words | W: first request
access.exec_plugin | name | program that the kubeconfig calls for a credential | W: kubeconfig
access.exec_plugin_hint | message | how it is installed, from the kubeconfig | W: `installHint`
access.api_version_endpoint | word | ok, or class of the failure | W: GET /version
access.api_group_list | word | the same | W: discovery
access.list_nodes | word | the same | W: list nodes with limit=1
access.seconds | number=less than 2 | time until that list answered | W
access.allowed[] | message | rights that were found, as `VERB RESOURCE` in the plural | A: answers of lists and reviews
access.forbidden[] | message=none | rights that were refused, as `VERB RESOURCE` in the plural | A: 403 answers
access.may_label_namespaces | flag | namespaces may be labelled by us | A: review of `patch namespaces`
access_reviews[].verb | word | verb asked for | A: SelfSubjectAccessReview
access_reviews[].group | name | API group asked for | A: the same
access_reviews[].resource | name | plural of the resource asked for | A: the same
access_reviews[].namespace | namespace | namespace asked for; empty for all | A: the same
access_reviews[].allowed | flag | the answer | A: the same
server.git_version | word | `gitVersion` as it is | A: GET /version
server.major | word | `major` as it is | A: GET /version
server.minor | word | `minor` as it is | A: GET /version
api_groups[] | name | API groups served | A: discovery, group by group
api_versions[] | name | GROUP/VERSION served, `v1` for the core | A: discovery, group by group
api_services[].name | name | aggregated API | A: apiservices
api_services[].available | flag | condition Available | A: apiservices
api_services[].message | message | why it is not | A: apiservices
helm_releases[].name | name | release of an earlier installation | A: secrets with owner=helm of our namespace, else unknown
helm_releases[].namespace | namespace | its namespace | A: the same
helm_releases[].status | word | deployed, failed, pending-install, pending-upgrade, uninstalling | A: the same
helm_releases[].removed_apis[] | name | GROUP/VERSION KIND in its manifest that is not served any more | A: the same, against discovery
cluster.name | cluster | for people | W: kubeconfig
cluster.kubernetes_service_ip | address | address of the Service `kubernetes` | A: get it
cluster.api_endpoints[] | address | ADDRESS:PORT where the API server answers, as pods are led to it | A: endpoints of the Service `kubernetes`
cluster.service_cidr | address | range of Services, several separated by commas | A: servicecidrs, OpenShift's network, else the words by which a Service outside is refused
cluster.pod_cidrs[] | address | ranges of pods | A: spec.podCIDRs of nodes, or the CNI's object
cluster.node_ips[] | address | internal addresses of nodes | A: nodes
cluster.proxy.http | url | cluster-wide proxy | A: proxies.config.openshift.io/cluster, status
cluster.proxy.https | url | the same | A: the same
cluster.proxy.no_proxy | message | the same | A: the same
openshift.cluster_version_object | word | found, not_found, forbidden, timeout | A: get clusterversions.config.openshift.io/version
openshift.desired | word | version wanted | A: its status.desired.version
openshift.history[].state | word | Completed or Partial, newest first | A: its status.history
openshift.history[].version | word | version of the entry | A: the same
openshift.degraded_operators[] | name=none | cluster operators with Degraded=True | A: clusteroperators
openshift.node_os_id_label | word | value of `node.openshift.io/os_id`, or absent | A: nodes
psp.api_served | flag | policy/v1beta1 PodSecurityPolicy is served | A: discovery
psp.objects | number | PodSecurityPolicies | A: list them
psp.any_allows_host_path | flag | one of them allows hostPath | A: list them
psa.cluster_default_enforce | word | default level of Pod Security Admission | whoever writes the facts: no API tells the admission configuration
psa.namespace_labels.<key> | word=no such label | pod-security labels that our namespace has | A: get the namespace
dry_run[].object | name | what was sent, such as `node-agent pod`, `project pod`, `ClusterRole fairlead` | A: create with dryRun=All
dry_run[].namespace | namespace=the cluster | where; empty for the cluster | A: the same
dry_run[].labels.<key> | word=no such label | pod-security labels of that namespace during the try | A: get the namespace
dry_run[].as | message=our account | as whom, such as `its service account` | A: impersonation, or ours
dry_run[].http_status | number | the answer | A: the same
dry_run[].message_mentions | message | its message | A: the same
webhooks[].name | name | an admission webhook | A: webhook configurations
webhooks[].configuration | name | KIND NAME of the object it is in | A: the same
webhooks[].failure_policy | word | Fail or Ignore | A: the same
webhooks[].service | name | NAMESPACE/NAME it calls; empty for an address | A: the same
webhooks[].endpoints | number | ready endpoints of that Service; 0 if there is none | A: endpoints
webhooks[].matches_us | flag | it is asked about what we make in our namespaces; unknown where conditions decide | A: its rules and selectors
webhook_failures[].name | name | a webhook that did not answer when the API server asked it | A: its refusals
webhook_failures[].message | message | what the API server said of it | A: the same
quotas[].namespace | namespace | one of our namespaces, or a project's | A: resourcequotas
quotas[].name | name | the quota | A: the same
quotas[].hard.<resource> | number=no limit | most | A: the same; cores, bytes, devices
quotas[].used.<resource> | number | used | A: the same
quotas[].wanted.<resource> | number=what the chart's pods ask for | more that we want there | whoever writes the facts
limit_ranges[].namespace | namespace | one of our namespaces | A: limitranges
limit_ranges[].name | name=not told | the range | A: the same
limit_ranges[].refuses[] | message | what of ours it would refuse | A: the same, against what the chart's pods ask for
limit_ranges[].gives[] | name=nothing | what it states for containers that do not, such as `limits.cpu` | A: the same
crds[] | name | custom resource definitions | A: customresourcedefinitions, or CRD group in discovery
leftovers.probe_namespaces[] | namespace | namespaces of earlier probes of ours that have expired | A: namespaces by our label
leftovers.terminating_namespaces[] | namespace | our namespaces that are Terminating | A: namespaces
leftovers.namespaces_of_others[] | namespace=none | namespaces that the chart makes, there already and of no release of Helm | A: namespaces
leftovers.objects[] | name | KIND NAME with our label that no release owns | A: by our label
leftovers.webhooks_without_service[] | name | webhook configurations of ours whose Service is gone | A: webhook configurations, services
leftovers.queue_crd_owner | word | whose the CRDs of scheduling.run.ai are: none, fairlead, kai, runai, other | A: labels and release annotations of the CRDs
leftovers.queue_crd_versions[] | word | versions of `queues.scheduling.run.ai` served | A: the CRD
leftovers.kinds_of_others[] | name=none | CRDs of our group that are not ours | A: customresourcedefinitions, their labels
leftovers.schedulers[] | name | other schedulers of that group that run: kai-scheduler, runai-scheduler | A: deployments, or leases
"""
