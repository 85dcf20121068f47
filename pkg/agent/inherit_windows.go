package agent

// CloseInherited does nothing: on Windows an adapter names the handles that a
// process inherits.
func CloseInherited() error { return nil }
