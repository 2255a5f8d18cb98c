"""Types of the Kubernetes objects we read and write, only the fields we use."""
