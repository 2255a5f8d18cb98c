"""A real Kubernetes cluster on this machine: a control plane and two nodes, each a machine of namespaces.

Real are the API server, the controller manager, kube-scheduler, kubelets, containerd, runc, pod networks and Services. Not
real are the GPUs (a simulated device plugin). Not there is cluster DNS (CoreDNS cannot be had from the registries the tests
use): pods reach Services by their address or their environment variables.
"""
