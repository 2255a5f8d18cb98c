"""`fairlead run ROLE`: one role of a cluster, or the control plane, as a process of its own. Each module composes one."""
