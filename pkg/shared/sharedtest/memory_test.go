package sharedtest_test

import (
	"testing"
	"time"

	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

func TestTheStoreInMemoryConforms(t *testing.T) {
	t.Parallel()
	sharedtest.Conform(t, func(*testing.T) sharedtest.World {
		s := sharedtest.NewStore(time.Now)
		return sharedtest.World{
			Open:   func(*testing.T) shared.Backend { return s.Client() },
			Expire: func(_ *testing.T, key string) { s.Expire(key) },
		}
	})
}
