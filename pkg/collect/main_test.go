package collect_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets an ordinary run tell the same random lives each time, so that a
// failure is the change's own. Whoever asks for more cases, as the nightly
// properties do, or gives a seed, gets other ones.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" || f.Name == "rapid.seed" })
	if !asked {
		if err := flag.Set("rapid.seed", "20261123"); err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "nodes")
	if err != nil {
		panic(err)
	}
	filesRoot = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}
