package faults

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// CutCommits breaks the connection, once in so many commits, when PostgreSQL says
// that it has committed: whoever asked does not hear of it.
func (n *Network) CutCommits(every int) {
	n.add("cut", "downstream", fmt.Sprintf(`{"every":%d,"commit":true}`, every))
}

// Tear breaks the connection, once in so many pieces of what is sent to the
// server, in the middle of the piece.
func (n *Network) Tear(every int) { n.add("cut", "upstream", fmt.Sprintf(`{"every":%d}`, every)) }

func init() { toxics.Register("cut", &cut{}) }

// cut is a toxic that breaks off.
type cut struct {
	// Every is how many are let through before the next is cut, plus 1.
	Every int64 `json:"every"`
	// Commit counts answers to a commit, and cuts before one; otherwise large
	// pieces are counted, and half of one is carried.
	Commit bool `json:"commit"`

	seen atomic.Int64
}

var (
	// committed is PostgreSQL's CommandComplete for a commit.
	committed = append([]byte{'C', 0, 0, 0, 11}, "COMMIT\x00"...)
	// large is what a piece has, in bytes, that is worth tearing.
	large = 256
)

// Pipe implements toxics.Toxic.
func (c *cut) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			counts := len(chunk.Data) >= large
			if c.Commit {
				counts = bytes.Contains(chunk.Data, committed)
			}
			if counts && c.seen.Add(1)%c.Every == 0 {
				if !c.Commit {
					chunk.Data = chunk.Data[:len(chunk.Data)/2]
					stub.Output <- chunk
				}
				stub.Close()
				return
			}
			stub.Output <- chunk
		}
	}
}
