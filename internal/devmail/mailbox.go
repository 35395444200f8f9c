package devmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	maxMessages     = 500
	maxMessageBytes = 8 << 20
	maxTotalBytes   = 64 << 20 // of all sources together
)

// Message is a mail that arrived.
type Message struct {
	ID      string    `json:"id"`
	To      []string  `json:"to"`   // whom the sender said it was for, not what the header says
	From    string    `json:"from"` // likewise
	Subject string    `json:"subject"`
	Date    time.Time `json:"date"` // when it arrived
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	// Links are the http and https URLs that a reader can open, each once, in
	// the order of the text and then of the HTML.
	Links  []string `json:"links"`
	Source string   `json:"-"` // as it came
}

// isFor tells whether an address is among the recipients; "" is everybody.
func (m Message) isFor(to string) bool {
	return to == "" || slices.ContainsFunc(m.To, func(a string) bool { return strings.EqualFold(a, to) })
}

// Mailbox receives mails until it is closed. It is safe for concurrent use.
type Mailbox struct {
	addr   string
	server *smtp.Server

	mu       sync.Mutex
	messages []Message // oldest first
	bytes    int
	last     int           // the ID that was given last
	arrived  chan struct{} // closes when the next one arrives
}

// Start receives mail at addr, as "127.0.0.1:1025"; with port 0 at any free one.
// An address that others could reach is refused.
func Start(addr string) (*Mailbox, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("devmail: %w", err)
	}
	if host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("devmail: %s is not an address of this machine alone", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("devmail: %w", err)
	}
	b := &Mailbox{addr: l.Addr().String(), arrived: make(chan struct{})}
	b.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }))
	b.server.Domain = "localhost"
	b.server.MaxMessageBytes = maxMessageBytes
	b.server.MaxRecipients = 100
	b.server.ReadTimeout, b.server.WriteTimeout = time.Minute, time.Minute
	b.server.EnableSMTPUTF8 = true
	b.server.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up
	go func() {
		_ = b.server.Serve(l) // ends with Close
	}()
	return b, nil
}

// Addr is where mail is received, with the port.
func (b *Mailbox) Addr() string { return b.addr }

// Close stops receiving. What arrived can still be read.
func (b *Mailbox) Close() error {
	if err := b.server.Close(); !errors.Is(err, smtp.ErrServerClosed) {
		return err
	}
	return nil
}

// Messages returns the mails for an address, or all of them for "", newest first.
func (b *Mailbox) Messages(to string) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := []Message{}
	for _, m := range slices.Backward(b.messages) {
		if m.isFor(to) {
			found = append(found, m)
		}
	}
	return found
}

// Wait returns the newest mail for an address that match wants, as soon as there
// is one; a nil match wants any. Its error is that of the context.
func (b *Mailbox) Wait(ctx context.Context, to string, match func(Message) bool) (Message, error) {
	for {
		b.mu.Lock()
		arrived := b.arrived // before looking, so that none slips through
		b.mu.Unlock()
		for _, m := range b.Messages(to) {
			if match == nil || match(m) {
				return m, nil
			}
		}
		select {
		case <-ctx.Done():
			return Message{}, fmt.Errorf("devmail: waiting for mail to %q: %w", to, context.Cause(ctx))
		case <-arrived:
		}
	}
}

// Clear forgets all mails.
func (b *Mailbox) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages, b.bytes = nil, 0
}

func (b *Mailbox) find(id string) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.messages, func(m Message) bool { return m.ID == id })
	if i < 0 {
		return Message{}, false
	}
	return b.messages[i], true
}

func (b *Mailbox) add(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	m.ID, m.Date = strconv.Itoa(b.last), time.Now().UTC()
	b.messages = append(b.messages, m)
	b.bytes += len(m.Source)
	for len(b.messages) > maxMessages || b.bytes > maxTotalBytes {
		b.bytes -= len(b.messages[0].Source)
		b.messages[0] = Message{} // The array behind the slice lives on.
		b.messages = b.messages[1:]
	}
	close(b.arrived)
	b.arrived = make(chan struct{})
}

// session is one connection's mail on its way in.
type session struct {
	box  *Mailbox
	from string
	to   []string
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	source, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := read(string(source))
	m.From, m.To = s.from, slices.Clone(s.to)
	s.box.add(m)
	return nil
}
