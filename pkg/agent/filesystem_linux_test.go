package agent

import "testing"

func TestRemoteKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		magic uint32
		kind  string
	}{
		"ext4 is local":                          {0xef53, ""},
		"xfs is local":                           {0x58465342, ""},
		"btrfs is local":                         {0x9123683e, ""},
		"tmpfs is local":                         {0x01021994, ""},
		"overlay is taken for local":             {0x794c7630, ""},
		"9p is taken for local":                  {0x01021997, ""},
		"FUSE is taken for local":                {0x65735546, ""},
		"NFS is refused":                         {0x6969, "NFS"},
		"SMB is refused":                         {0x517b, "SMB"},
		"CIFS is refused":                        {0xff534d42, "SMB"},
		"SMB 2 is refused":                       {0xfe534d42, "SMB"},
		"AFS is refused":                         {0x5346414f, "AFS"},
		"the kernel's own AFS client is refused": {0x6b414653, "AFS"},
		"Coda is refused":                        {0x73757245, "Coda"},
		"NCP is refused":                         {0x564c, "NCP"},
	} {
		if kind, remote := remoteKind(c.magic); kind != c.kind || remote != (c.kind != "") {
			t.Errorf("%s: got %q, %v", name, kind, remote)
		}
	}
}
