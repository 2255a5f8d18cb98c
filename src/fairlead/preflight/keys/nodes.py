"""Keys about nodes, the probes on them, and their GPUs."""

TABLE = """
nodes[].name | node | its name | A: nodes
nodes[].ready | flag | condition Ready is True | A: nodes
nodes[].not_ready_since | time | since when it is not | A: nodes
nodes[].pressure[] | word=none | DiskPressure, MemoryPressure, PIDPressure that are True | A: nodes
nodes[].unschedulable | flag=false | cordoned | A: spec.unschedulable
nodes[].virtual | flag=labels tell | virtual-kubelet, Fargate and the like | A: nodes
nodes[].os | word=linux | linux or windows | A: nodeInfo.operatingSystem
nodes[].os_image | message | distribution | A: nodeInfo.osImage
nodes[].kernel | word | kernel release | A: nodeInfo.kernelVersion
nodes[].arch | word | amd64, arm64 ... | A: nodeInfo.architecture
nodes[].kubelet | word=not compared | version of the kubelet | A: nodeInfo.kubeletVersion
nodes[].runtime | word | NAME://VERSION of the container runtime | A: nodeInfo.containerRuntimeVersion
nodes[].labels.<key> | label=no such label | its labels | A: nodes
nodes[].taints[].key | name=no taints | a taint | A: nodes
nodes[].taints[].value | value=empty | its value | A: nodes
nodes[].taints[].effect | word=no taints | NoSchedule, PreferNoSchedule, NoExecute | A: nodes
nodes[].provider_id | provider | spec.providerID, empty where nobody wrote one | A: nodes
nodes[].addresses[] | address | internal addresses | A: nodes
nodes[].capacity.<resource> | number | what it has: cores, bytes, devices | A: nodes
nodes[].allocatable.<resource> | number=none of it | what pods may have | A: nodes
nodes[].requested.<resource> | number=what is free is not judged | sum of the requests of its pods | A: pods of all namespaces, else unknown
nodes[].free_disk_bytes | number | free on the disk of the kubelet's folder | N: statfs, or kubelet's /stats/summary
nodes[].heartbeat_age_seconds | number | age of the last status; five minutes are usual | A: nodes
nodes[].lease_age_seconds | number | age of the node's lease | A: leases of kube-node-lease
nodes[].images[] | name | images it has, as it lists them (50 by default) | A: node.status.images
nodes[].pci_nvidia | number | NVIDIA devices on the PCI bus that are GPUs | N: vendor 10de, class 03xx in /sys/bus/pci/devices
nodes[].nvswitch | flag | there is an NVSwitch | N: vendor 10de, class 0680 there
nodes[].driver | word? | version of the loaded kernel module; null for none | N: /proc/driver/nvidia/version
nodes[].driver_library | word | version of libnvidia-ml beside it | N or R: NVML, file name of the library
nodes[].nvidia_smi_exit | number | exit code of nvidia-smi | R: one-GPU pod
nodes[].nvml_devices | number | GPUs that the driver counts | N: /proc/driver/nvidia/gpus, or the node agent
nodes[].mig_enabled_devices | number=label mig.strategy tells | GPUs in MIG mode | N: instances below /proc/driver/nvidia/capabilities
nodes[].fabric_state | word=cuInit tells | state of the fabric by NVML, such as completed or in_progress | R: one-GPU pod, nvmlDeviceGetGpuFabricInfoV
nodes[].reload_hazard | flag=not judged | systemd cgroups without /dev/char links and without CDI: GPUs are lost at `systemctl daemon-reload` | whoever writes the facts, from the node: cgroup driver, /dev/char, /etc/cdi, which pods without rights do not see
nodes[].runtime_handlers[] | name | handlers that its runtime knows | A: node.status.runtimeHandlers (1.30+), else N: its configuration
nodes[].oci_hooks[] | name | hooks of the runtime, such as oci-nvidia-hook.json | whoever writes the facts, from the node: /usr/share/containers/oci/hooks.d, which pods without rights do not see
nodes[].plugin_pod | word | the device plug-in's pod here: running, none, or its state | A: pods by daemonset
nodes[].operands.<name> | word | the operator's other pods here: running, none, or their state | A: pods of the operator's namespace
nodes[].gpu_pod.ran | flag | a pod that asks for a GPU started here | R: our test pod
nodes[].gpu_pod.asked | number=1 | devices it asked for | R: our test pod
nodes[].gpu_pod.cuda_init | number | what cuInit gave | R: our test pod
nodes[].gpu_pod.devices_seen | number | devices it saw | R: our test pod
nodes[].gpu_pod.runtime_class | word?=null | RuntimeClass it needed; null for none | R: tried without, then with
nodes[].gpu_pod.pending | word | why it did not start although nothing of the GPU is broken: no-free-gpu, no-image | R: scheduling event, state of its container
nodes[].gpu_pod_event | message=none | event of that pod | R: our test pod
runtime_classes[].name | name | a RuntimeClass | A: runtimeclasses
runtime_classes[].handler | name | its handler | A: the same
probes.<node> | word | state in a word; or the map below | N
probes.<node>.state | word | finished, ran, not_started, image_pull_failed, timeout | N
probes.<node>.status | message | status of its pod | A: the pod
probes.<node>.image | name | its image | A: the pod
probes.<node>.last_event | word | reason of the last event | A: events
probes.<node>.last_message | message | its message | A: events
probes.<node>.egress_ok | flag | names were resolved and an address outside the node was reached | N
probe_exit.<node> | number/message | exit code of the probe's container, or what the runtime said | A: container status
clock.<node>.offset_seconds | number | its clock minus ours; the sign does not matter | N: probe's time, by the API's Date
clock.<node>.round_trip_seconds | number | time that the question took | N
gpu_operator.installed | flag | there is a ClusterPolicy | A: clusterpolicies.nvidia.com; false if the kind is not served
gpu_operator.namespace | namespace | where it runs | A: the same
gpu_operator.version | word | its version | A: label app.kubernetes.io/version, image tag
gpu_operator.cluster_policy_state | word | ready, notReady, ignored, not_found | A: ClusterPolicy status.state
gpu_operator.driver_enabled | flag | it is told to install drivers | A: spec.driver.enabled
gpu_operator.driver_pods_ready | flag | all its driver pods are ready | A: daemonset
gpu_operator.second_plugin | flag=false | a device plug-in that is not the operator's runs too | A: daemonsets with the plug-in's image
gpu_operator.daemonsets[].name | name | an operand | A: daemonsets of its namespace
gpu_operator.daemonsets[].desired | number | pods it wants | A: the same
gpu_operator.daemonsets[].ready | number | pods ready | A: the same
gpu_operator.daemonsets[].tolerations[] | message | KEY=VALUE:EFFECT it tolerates, `*` for all | A: the same
"""
