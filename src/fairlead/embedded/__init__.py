"""The embedded Kubernetes API and the nodes of `fairlead up`."""
