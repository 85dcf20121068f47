//go:build cgo && linux

package native

import (
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSymbols looks at the library for this machine, and at those that
// NATIVE_LIBRARIES names, separated by blanks: what they export, and whether
// they load on the oldest system that the Agent supports.
func TestSymbols(t *testing.T) {
	t.Parallel()
	paths := strings.Fields(os.Getenv("NATIVE_LIBRARIES"))
	if os.Getenv("NATIVE_SANITIZE") == "" { // the sanitizers bring their own symbols along
		paths = append(paths, built.library)
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			if strings.HasSuffix(path, ".dll") {
				windowsSymbols(t, path)
			} else {
				linuxSymbols(t, path)
			}
		})
	}
}

func linuxSymbols(t *testing.T, path string) {
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_SECTION {
			continue // nothing that can be looked up
		}
		if s.Section != elf.SHN_UNDEF {
			exported = append(exported, s.Name)
		}
		if elf.ST_BIND(s.Info) == elf.STB_WEAK && s.Version == "" {
			continue // what a compiler asks for in case it is there
		}
		if s.Section == elf.SHN_UNDEF && !atMostGlibc(s.Version, 2, 17) {
			t.Errorf("%s needs %s, and the oldest glibc that the Agent runs on is 2.17", s.Name, s.Version)
		}
	}
	slices.Sort(exported)
	if diff := cmp.Diff([]string{"Run", "Version"}, exported); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
	needed, err := f.ImportedLibraries()
	if diff := cmp.Diff([]string{"libc.so.6"}, slices.DeleteFunc(needed, func(s string) bool { return strings.HasPrefix(s, "ld-linux") })); err != nil || diff != "" {
		t.Errorf("needed libraries (-want +got): %v\n%s", err, diff)
	}
	flags, err := f.DynValue(elf.DT_FLAGS_1)
	if err != nil || len(flags) != 1 || elf.DynFlag1(flags[0])&elf.DF_1_NODELETE == 0 {
		t.Errorf("dlclose would take the code of a run under way: DT_FLAGS_1 is %x, %v", flags, err)
	}
}

// atMostGlibc tells whether a version is GLIBC_ and a number up to this one.
func atMostGlibc(version string, major, minor int) bool {
	number, ok := strings.CutPrefix(version, "GLIBC_")
	parts := strings.Split(number, ".")
	if !ok || len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a < major || a == major && b <= minor)
}

func TestAtMostGlibc(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"GLIBC_2.2.5": true, "GLIBC_2.17": true, "GLIBC_2.18": false, "GLIBC_2.34": false, "GLIBC_3.0": false,
		"GLIBC_PRIVATE": false, "GLIBC_ABI_DT_RELR": false, "": false, "GCC_3.0": false,
	} {
		if got := atMostGlibc(version, 2, 17); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func windowsSymbols(t *testing.T, path string) {
	f, err := pe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if diff := cmp.Diff([]string{"Run", "Version"}, windowsExports(t, f)); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
	imported, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range imported {
		_, library, _ := strings.Cut(s, ":")
		if !strings.EqualFold(library, "kernel32.dll") && !strings.EqualFold(library, "msvcrt.dll") {
			t.Errorf("it needs %s of %s, which not every Windows has", s, library)
		}
	}
}

// windowsExports are the names in the table of exports, which debug/pe does not read.
func windowsExports(t *testing.T, f *pe.File) []string {
	t.Helper()
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok {
		t.Fatal("it is not for 64 bits")
	}
	at := func(address uint32) []byte {
		for _, s := range f.Sections {
			if address >= s.VirtualAddress && address < s.VirtualAddress+s.Size {
				data, err := s.Data()
				if err != nil {
					t.Fatal(err)
				}
				return data[address-s.VirtualAddress:]
			}
		}
		t.Fatalf("nothing is at %x", address)
		return nil
	}
	table := at(header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress)
	count, names := binary.LittleEndian.Uint32(table[24:]), at(binary.LittleEndian.Uint32(table[32:]))
	var out []string
	for i := range count {
		name, _, _ := strings.Cut(string(at(binary.LittleEndian.Uint32(names[4*i:]))), "\x00")
		out = append(out, name)
	}
	return out
}
