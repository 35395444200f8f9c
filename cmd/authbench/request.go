package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/google/uuid"
)

// Blanks in a request, which are written over for each one sent. All have the
// length of a UUID in text.
const (
	blankID  = "{id------------------------------ID}"
	blankKey = "{key----------------------------KEY}"
)

// request is the bytes of a request with blanks in them.
type request struct {
	bytes   []byte
	id, key int // where the blanks are, -1 for none
}

// newRequest makes a request of which only the blanks differ from one to the
// next. headers are whole lines.
func newRequest(e endpoint, method, path, body string, headers ...string) request {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: authbench\r\n", method, path, e.host)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	text := b.String()
	return request{bytes: []byte(text), id: strings.Index(text, blankID), key: strings.Index(text, blankKey)}
}

// clone is for another connection.
func (r request) clone() request {
	r.bytes = append([]byte(nil), r.bytes...)
	return r
}

// to fills in an id.
func (r request) to(id uuid.UUID) { writeUUID(r.bytes[r.id:], id) }

// fresh fills in an Idempotency-Key that was never used. It is random, as those
// of real clients are: keys in ascending order would be kinder to the index.
func (r request) fresh(random *rand.Rand) { writeUUID(r.bytes[r.key:], randomUUID(random)) }

func randomUUID(random *rand.Rand) (id uuid.UUID) {
	for i := 0; i < 16; i += 8 {
		v := random.Uint64()
		for j := range 8 {
			id[i+j] = byte(v >> (8 * j)) //nolint:gosec // the low byte of each
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func writeUUID(to []byte, id uuid.UUID) {
	hex.Encode(to[0:8], id[0:4])
	to[8] = '-'
	hex.Encode(to[9:13], id[4:6])
	to[13] = '-'
	hex.Encode(to[14:18], id[6:8])
	to[18] = '-'
	hex.Encode(to[19:23], id[8:10])
	to[23] = '-'
	hex.Encode(to[24:36], id[10:16])
}
