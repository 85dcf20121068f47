package datadog

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// checkBackend makes sure that nobody else could have put something into the
// secret backend, as the Agent does: only this user, the administrators and the
// system may have rights to it.
func checkBackend(path string, _ bool) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("look at the rights to %s: %w", path, err)
	}
	acl, _, err := sd.DACL()
	if err != nil || acl == nil {
		return fmt.Errorf("everybody has rights to %s: leave them to the administrators, the system and the user who runs this", path)
	}
	var trusted []*windows.SID
	for _, kind := range []windows.WELL_KNOWN_SID_TYPE{windows.WinBuiltinAdministratorsSid, windows.WinLocalSystemSid} {
		sid, err := windows.CreateWellKnownSid(kind)
		if err != nil {
			return fmt.Errorf("look at the rights to %s: %w", path, err)
		}
		trusted = append(trusted, sid)
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("find out who runs this: %w", err)
	}
	trusted = append(trusted, user.User.Sid)
	for i := range acl.AceCount {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(acl, uint32(i), &ace); err != nil {
			return fmt.Errorf("look at the rights to %s: %w", path, err)
		}
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE {
			continue
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart)) //nolint:gosec // the entry's own layout
		known := false
		for _, t := range trusted {
			known = known || sid.Equals(t)
		}
		if !known {
			return fmt.Errorf("%s has rights to %s: leave them to the administrators, the system and the user who runs this", sid, path)
		}
	}
	return nil
}
