"""Role: projects, queues, workloads to pods, statuses."""
