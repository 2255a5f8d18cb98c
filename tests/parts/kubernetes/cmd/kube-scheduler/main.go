// The scheduler of the test cluster and of the benchmarks: Kubernetes' own command, built as an ordinary module dependency.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	os.Exit(cli.Run(app.NewSchedulerCommand()))
}
