#!/usr/bin/env bash
# Builds the programs for every platform that is supported, and vets all packages
# and tests on those operating systems that this one is not.
set -euo pipefail

export CGO_ENABLED=0
sender=cmd/atlassian-audit-records-run
shared=cmd/atlassian-audit-records-shared
host=$(go env GOHOSTOS)
for os in linux darwin windows; do
	suffix=""
	if [ "$os" = windows ]; then suffix=.exe; fi
	for arch in amd64 arm64; do
		out="bin/$os-$arch/atlassian-audit-records$suffix"
		echo "cross: $out"
		GOOS=$os GOARCH=$arch go build -trimpath -ldflags "${LDFLAGS:-}" -o "$out" ./cmd/atlassian-audit-records
		GOOS=$os GOARCH=$arch go build -C "$sender" -trimpath -ldflags "${LDFLAGS:-}" -o "$PWD/bin/$os-$arch/atlassian-audit-records-run$suffix" .
		# The clients of etcd and Kubernetes take long to compile: one build for each system.
		[ "$arch" = amd64 ] || continue
		GOOS=$os GOARCH=$arch go build -C "$shared" -trimpath -ldflags "${LDFLAGS:-}" -o "$PWD/bin/$os-$arch/atlassian-audit-records-shared$suffix" .
	done
	if [ "$os" != "$host" ]; then
		echo "cross: vet for $os"
		# With the flags of the builds, so that what these compiled is not compiled again.
		GOOS=$os GOARCH=amd64 go vet -trimpath ./...
		GOOS=$os GOARCH=amd64 go vet -C "$sender" -trimpath ./...
		GOOS=$os GOARCH=amd64 go vet -C "$shared" -trimpath .
	fi
done
