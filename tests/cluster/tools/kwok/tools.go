//go:build tools

// Package kwok pins the program that stands in for kubelets. A module of its own: its requirements would raise
// those that kube-apiserver was released with.
package kwok

import _ "sigs.k8s.io/kwok/cmd/kwok"
