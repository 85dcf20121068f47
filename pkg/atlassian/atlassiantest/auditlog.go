package atlassiantest

// auditLog are the audit log files of a Data Center node.
type auditLog struct{}

func (l *auditLog) write(*store, uint32) {}
