// Package deploytest holds what packaging/ offers to clusters against the types of
// those who read it: Kubernetes, the Datadog Operator, BuildKit. Unknown fields are
// errors, as they would be in a cluster. It promises that each file is understood and
// that the files fit together; that an Agent runs with them, only a cluster can show.
package deploytest
