"""Installing the product on a cluster: values of the chart, Helm, the units until they run, and a workload as proof."""
