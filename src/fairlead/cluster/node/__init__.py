"""Role: on every node with GPUs, tells which devices the kubelet gave to reservation pods, and what the driver says of them."""
