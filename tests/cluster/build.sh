#!/bin/sh
# Builds the programs of a control plane from their Go modules (pinned in tools/), once for each state of the pins.
#
#   build.sh         etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok
#   build.sh api     etcd and kube-apiserver alone
#   build.sh where   builds nothing
#
# The last line on stdout is the folder that holds them. Where KUBEBUILDER_ASSETS is set, that is the folder and nothing is
# built; it must hold etcd and kube-apiserver, and what needs more than it holds is not tested. With neither it nor Go (of
# the version that tools/go.mod asks for) a line on stderr says so, and the exit code is 0.
set -eu
cd "$(dirname "$0")/tools"

api="etcd kube-apiserver"
case "${1-}" in
"" | where) programs="$api kube-controller-manager kube-scheduler kwok" ;;
api) programs=$api ;;
*) echo "usage: build.sh [api | where]" >&2; exit 2 ;;
esac

if [ -n "${KUBEBUILDER_ASSETS-}" ]; then
    for program in $api; do
        [ -x "$KUBEBUILDER_ASSETS/$program" ] || { echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS holds no $program" >&2; exit 1; }
    done
    echo "$KUBEBUILDER_ASSETS"
    exit
fi

folder=${XDG_CACHE_HOME:-$HOME/.cache}/hsdnsd/cluster-$(cat go.sum kwok/go.sum | sha256sum | cut -c1-16)
missing=
for program in $programs; do
    [ -x "$folder/$program" ] || missing="$missing $program"
done
if [ -z "$missing" ] || [ "${1-}" = where ]; then
    echo "$folder"
    exit
fi

if ! command -v go >/dev/null || ! version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes); then
    echo "no control plane: set KUBEBUILDER_ASSETS to a folder with $programs, or install Go $(sed -n 's/^go //p' go.mod)" >&2
    exit
fi
release=${version#v}
major=${release%%.*}
minor=${release#*.}
minor=${minor%%.*}
# The components compare each other's version; without it they take themselves for v0.0.0.
of=k8s.io/component-base/version
stamp="-X $of.gitVersion=$version -X $of.gitMajor=$major -X $of.gitMinor=$minor"

# Built aside and renamed: an interrupted build leaves no half program behind. No cgo: the folder may serve another image.
mkdir -p "$folder"
aside=$(mktemp -d "$folder/.build.XXXXXX")
trap 'rm -rf "$aside"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for program in $missing; do
    module=.
    case $program in
    etcd) package=go.etcd.io/etcd/server/v3 ;;
    kwok) package=sigs.k8s.io/kwok/cmd/kwok module=kwok ;;
    *) package=k8s.io/kubernetes/cmd/$program ;;
    esac
    echo "building $program $package" >&2
    CGO_ENABLED=0 go build -C "$module" -trimpath -ldflags "-s -w $stamp" -o "$aside/$program" "$package"
    mv "$aside/$program" "$folder/$program"
done
echo "$folder"
