"""Role: observe, decide, bind and evict."""
