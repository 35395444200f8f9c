package telemetry

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// receiver is the other end of a shipper: a TCP server on one address that reads
// lines, and behaves as it is told to.
type receiver struct {
	t      *testing.T
	addr   string
	tls    *tls.Config // nil for plain TCP
	behave behaviour

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	got      map[int]int // how often each line came
	total    int         // lines, however often
	invalid  []string    // that were no JSON
}

// behaviour serves one connection, until it closes it.
type behaviour func(r *receiver, conn net.Conn)

// startReceiver returns a receiver that listens until the test ends.
func startReceiver(t *testing.T, behave behaviour) *receiver {
	t.Helper()
	r := &receiver{t: t, addr: "127.0.0.1:0", behave: behave, conns: map[net.Conn]bool{}, got: map[int]int{}}
	r.listen()
	t.Cleanup(r.stop)
	return r
}

// listen begins to accept connections, also after stop.
func (r *receiver) listen() {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.addr)
	require.NoError(r.t, err)
	r.mu.Lock()
	r.addr, r.listener = listener.Addr().String(), listener
	r.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r.tls != nil {
				conn = tls.Server(conn, r.tls)
			}
			r.mu.Lock()
			r.conns[conn] = true
			r.mu.Unlock()
			go r.behave(r, conn)
		}
	}()
}

// stop breaks all connections and frees the address, as a restart does.
func (r *receiver) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for conn := range r.conns {
		_ = conn.Close()
		delete(r.conns, conn)
	}
}

// count takes a line in, and returns how many there were.
func (r *receiver) count(line []byte) int {
	var content struct {
		N *int `json:"n"`
	}
	err := json.Unmarshal(line, &content)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if err != nil || content.N == nil {
		r.invalid = append(r.invalid, string(line))
	} else {
		r.got[*content.N]++
	}
	return r.total
}

// lines is how many different lines came.
func (r *receiver) lines() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Empty(r.t, r.invalid)
	return len(r.got)
}

// readsAll is what Logstash does.
func readsAll(r *receiver, conn net.Conn) {
	readLines(r, conn, func(int) bool { return true })
	_ = conn.Close()
}

// readLines reads until the end, or goOn says no. Half a line is none. What was
// read in one go with a line is not thrown away: no sender could know.
func readLines(r *receiver, conn net.Conn, goOn func(total int) bool) {
	reader := bufio.NewReader(conn)
	for more := true; more || reader.Buffered() > 0; {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		more = goOn(r.count(line)) && more
	}
}

// neverReads leaves everything in the sockets' buffers.
func neverReads(*receiver, net.Conn) {}

// resetsAfter breaks its connections after so many lines, however many of them
// they carried; with always it also ends them so.
func resetsAfter(n int, always bool) behaviour {
	return func(r *receiver, conn net.Conn) {
		reset := always
		readLines(r, conn, func(total int) bool {
			reset = reset || total%n == 0
			return total%n != 0
		})
		if reset {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}
}

// closesEarly closes in good order, but before it has read everything.
func closesEarly(n int) behaviour {
	return func(r *receiver, conn net.Conn) {
		read := 0
		readLines(r, conn, func(int) bool { read++; return read < n })
		_ = conn.Close()
	}
}

// neverCloses reads, and leaves connections to the sender.
func neverCloses(r *receiver, conn net.Conn) {
	readLines(r, conn, func(int) bool { return true })
}
