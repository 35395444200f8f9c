package creditledger

// Queued is how many operations wait to be posted.
func (l *Ledger) Queued() int {
	l.poster.mu.Lock()
	defer l.poster.mu.Unlock()
	return l.poster.weight
}
