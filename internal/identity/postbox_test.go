package identity

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"regexp"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/mailer"
)

// postal is a bundle whose mails arrive.
type postal struct {
	*bundle
	box  *postbox
	port int
}

func setupPostal(t *testing.T, change ...func(*Options)) *postal {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &postal{bundle: setup(t, change...), box: &postbox{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: p.box}, nil }))
	server.Domain = "localhost"
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { require.NoError(t, server.Close()) })

	p.port = listener.Addr().(*net.TCPAddr).Port
	p.disable(t)
	return p
}

// disable switches kinds of mail off, and all others on.
func (p *postal) disable(t *testing.T, kinds ...mailer.Kind) {
	t.Helper()
	var err error
	p.Mailer, err = mailer.New(mailer.Options{
		Host: "127.0.0.1", Port: p.port, TLS: "none", From: "Test <no-reply@example.com>",
		Design: mailer.Design{ProductName: "Test", CreditsScale: 2}, Disabled: kinds,
	})
	require.NoError(t, err)
}

// letter is a mail that arrived.
type letter struct {
	Job    Mail // that sent it
	To     []string
	Source string
	Text   string
}

// postbox is where mails arrive.
type postbox struct {
	mu      sync.Mutex
	letters []letter
}

// empty takes out what has arrived, oldest first.
func (b *postbox) empty() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	letters := b.letters
	b.letters = nil
	return letters
}

// delivery is one SMTP conversation.
type delivery struct {
	box *postbox
	to  []string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = append(d.to, to); return nil }
func (d *delivery) Reset()                                    { d.to = nil }
func (d *delivery) Logout() error                             { return nil }

func (d *delivery) Data(r io.Reader) error {
	source, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.letters = append(d.box.letters, letter{To: d.to, Source: string(source)})
	return nil
}

// read takes the text out of a mail, which is its first part.
func (l *letter) read(t *testing.T) {
	t.Helper()
	message, err := mail.ReadMessage(bytes.NewBufferString(l.Source))
	require.NoError(t, err)
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	part, err := multipart.NewReader(message.Body, parameters["boundary"]).NextPart()
	require.NoError(t, err)
	text, err := io.ReadAll(part)
	require.NoError(t, err)
	l.Text = string(text)
}

// send does one mail job and returns what arrived.
func (p *postal) send(t *testing.T, job Mail) letter {
	t.Helper()
	require.NoError(t, p.SendMail(t.Context(), job))
	arrived := p.box.empty()
	require.Len(t, arrived, 1)
	arrived[0].Job = job
	arrived[0].read(t)
	return arrived[0]
}

// post answers what was asked for, sends the mails that wait, and returns what
// arrived, oldest first.
func (p *postal) post(t *testing.T) (arrived []letter) {
	t.Helper()
	p.answer(t)
	for _, job := range work[Mail](t, p.bundle) {
		arrived = append(arrived, p.send(t, job))
	}
	return arrived
}

// requirePost checks what arrives: of each mail its kind and whom it is for.
func (p *postal) requirePost(t *testing.T, want ...string) []letter {
	t.Helper()
	arrived := p.post(t)
	got := []string{}
	for _, l := range arrived {
		require.Len(t, l.To, 1)
		got = append(got, string(l.Job.Template)+" "+l.To[0])
	}
	require.Equal(t, append([]string{}, want...), got)
	return arrived
}

var linkInText = regexp.MustCompile(`https://auth\.example\.com/(?:verify-email|reset-password)#(?:invited=1&)?token=(\S+)`)

// token is that of the link in a mail.
func (l letter) token(t *testing.T) string {
	t.Helper()
	found := linkInText.FindStringSubmatch(l.Text)
	require.NotNil(t, found, l.Text)
	return found[1]
}

// work takes the jobs of a kind that wait, oldest first, and leaves them behind as done.
func work[T jobs.Args](t *testing.T, b *bundle) []T {
	t.Helper()
	var kind T
	args := column[json.RawMessage](t, b, `
		WITH done AS (
			UPDATE river_job SET state = 'completed', finalized_at = now()
			WHERE kind = $1 AND state = 'available'
			RETURNING id, args
		)
		SELECT args FROM done ORDER BY id`, kind.Kind())
	waiting := make([]T, len(args))
	for i := range args {
		require.NoError(t, json.Unmarshal(args[i], &waiting[i]))
	}
	return waiting
}

// answer does what was asked for.
func (b *bundle) answer(t *testing.T) {
	t.Helper()
	for _, job := range work[Asked](t, b) {
		require.NoError(t, b.Answer(t.Context(), job))
	}
}

// column is the only column of all rows.
func column[T any](t *testing.T, b *bundle, sql string, args ...any) []T {
	t.Helper()
	rows, err := b.db.Pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}
