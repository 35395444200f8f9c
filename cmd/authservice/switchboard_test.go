package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/devmail"
)

// Replies of the mailbox at which a conversation can be held.
const (
	replyGreeting = "220"
	replyContent  = "354"                  // it wants the mail
	replyTaken    = "250 2.0.0 OK: queued" // it has the mail
)

// switchboard is a mail server whose line to the mailbox the test interrupts.
type switchboard struct {
	box      *devmail.Mailbox
	settings []string // those of a service that sends by it

	mu      sync.Mutex
	at      string
	instead string
	held    chan struct{} // one for each conversation that is held
	open    map[net.Conn]bool
}

func startSwitchboard(t *testing.T) *switchboard {
	t.Helper()
	box, err := devmail.Start("127.0.0.1:0")
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	s := &switchboard{box: box, held: make(chan struct{}, 10_000), open: map[net.Conn]bool{}, settings: []string{
		"AUTH_SMTP_HOST=" + host, "AUTH_SMTP_PORT=" + port, "AUTH_SMTP_TLS=none",
		"AUTH_SMTP_FROM=Test <no-reply@example.com>", "AUTH_PUBLIC_URL=https://auth.example.com",
	}}
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			busy.Go(func() { s.connect(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.hold("")
		busy.Wait()
		require.NoError(t, box.Close())
	})
	return s
}

// hold makes every conversation stop at a reply from now on, which the client
// does not get; with "" none stops. Those that are under way break off.
func (s *switchboard) hold(at string) { s.reply(at, "") }

// reply makes the client get another reply than the mailbox's.
func (s *switchboard) reply(at, instead string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.instead = at, instead
	for conn := range s.open {
		_ = conn.Close()
	}
	clear(s.open)
	for len(s.held) > 0 {
		<-s.held
	}
}

// requireHeld waits until a conversation is held, since the last hold.
func (s *switchboard) requireHeld(t *testing.T) {
	t.Helper()
	select {
	case <-s.held:
	case <-time.After(time.Minute):
		t.Fatal("nobody gets as far")
	}
}

func (s *switchboard) connect(client net.Conn) {
	server, err := net.Dial("tcp", s.box.Addr())
	if err != nil {
		_ = client.Close()
		return
	}
	s.mu.Lock()
	at, instead := s.at, s.instead
	s.open[client], s.open[server] = true, true
	s.mu.Unlock()
	defer func() {
		_ = client.Close()
		_ = server.Close()
	}()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(server, client)
		_ = server.Close() // which ends the loop below
	}()
	for replies := bufio.NewReader(server); ; {
		reply, err := replies.ReadString('\n')
		if err != nil {
			break
		}
		if at != "" && strings.HasPrefix(reply, at) {
			if instead != "" {
				_, _ = io.WriteString(client, instead+"\r\n")
				break
			}
			s.held <- struct{}{}
			<-over // the client hangs up, or we are told to
			return
		}
		if _, err := io.WriteString(client, reply); err != nil {
			break
		}
	}
	_ = client.Close()
	<-over
}
