package mailer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	stdsmtp "net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// received is a mail taken apart by a reader that is not its writer.
type received struct {
	header     mail.Header
	text, html string
}

func parse(t *testing.T, raw string) received {
	t.Helper()
	require.NotRegexp(t, `[^\r]\n|\r[^\n]`, raw, "lines end in CRLF")
	for l := range strings.SplitSeq(raw, "\r\n") {
		require.LessOrEqual(t, len(l), 998)
	}
	m, err := mail.ReadMessage(strings.NewReader(raw))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	r := received{header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{"text/plain; charset=UTF-8", "text/html; charset=UTF-8"} {
		part, err := parts.NextRawPart()
		require.NoError(t, err)
		require.Equal(t, want, part.Header.Get("Content-Type"))
		require.Equal(t, "quoted-printable", part.Header.Get("Content-Transfer-Encoding"))
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		if r.text == "" {
			r.text = strings.ReplaceAll(string(body), "\r\n", "\n")
		} else {
			r.html = strings.ReplaceAll(string(body), "\r\n", "\n")
		}
	}
	_, err = parts.NextPart()
	require.ErrorIs(t, err, io.EOF)
	return r
}

// unquoted is an error without the quotes around what the server said.
func unquoted(err error) string { return strings.ReplaceAll(err.Error(), `"`, "") }

func decoded(t *testing.T, header string) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(header)
	require.NoError(t, err)
	return s
}

func TestMailer_Send(t *testing.T) {
	t.Parallel()
	s := startServer(t, "none")
	m := newMailer(t, options(t, s.addr), func(o *Options) { o.From = "Größe & Co <mail@example.com>" })
	msg := Sample(ResetPassword, "de")
	msg.ID = "0199.job-7_a"
	require.NoError(t, m.Send(t.Context(), msg))

	require.Len(t, s.mails(), 1)
	got := s.mails()[0]
	require.Equal(t, "mail@example.com", got.from)
	require.Equal(t, []string{"ada@example.com"}, got.to)
	require.Equal(t, "example.com", got.hello)
	require.False(t, got.encrypted)

	r := parse(t, got.raw)
	written, err := m.Render(msg)
	require.NoError(t, err)
	require.Equal(t, written.Text, r.text)
	require.Equal(t, written.HTML, r.html)
	require.Equal(t, written.Subject, decoded(t, r.header.Get("Subject")))
	require.Equal(t, "<0199.job-7_a@example.com>", r.header.Get("Message-Id"))
	require.Equal(t, "Wed, 04 Mar 2026 12:00:00 +0000", r.header.Get("Date"))
	require.Equal(t, "auto-generated", r.header.Get("Auto-Submitted"))
	require.Equal(t, "1.0", r.header.Get("Mime-Version"))
	from, err := r.header.AddressList("From")
	require.NoError(t, err)
	require.Equal(t, []*mail.Address{{Name: "Größe & Co", Address: "mail@example.com"}}, from)
	to, err := r.header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, []*mail.Address{{Name: "Ada Lovelace", Address: "ada@example.com"}}, to)
	for name, values := range r.header {
		require.Len(t, values, 1, name)
	}
	require.Len(t, r.header, 8, "a header that nobody asked for: %v", r.header)

	msg.ID = ""
	require.NoError(t, m.Send(t.Context(), msg))
	require.NoError(t, m.Send(t.Context(), msg))
	mails := s.mails()
	second, third := parse(t, mails[1].raw).header.Get("Message-Id"), parse(t, mails[2].raw).header.Get("Message-Id")
	require.Regexp(t, `^<\w{20,}@example\.com>$`, second)
	require.NotEqual(t, second, third)
}

func TestMailer_Send_TLS(t *testing.T) {
	t.Parallel()
	offer := func(mechanisms ...string) func(*server, *smtp.Server) {
		return func(s *server, b *smtp.Server) {
			s.mechanisms = mechanisms
			b.AllowInsecureAuth = true // so that the client decides
		}
	}
	for name, test := range map[string]struct {
		mode       string
		mechanisms []string
		want       string // the mechanism; "" for none
	}{
		"None":              {"none", nil, ""},
		"NoneLoopbackPlain": {"none", []string{"PLAIN"}, "PLAIN"},
		"StartTLS":          {"starttls", nil, ""},
		"StartTLSPlain":     {"starttls", []string{"LOGIN", "PLAIN", "CRAM-MD5"}, "PLAIN"},
		"StartTLSLogin":     {"starttls", []string{"LOGIN", "CRAM-MD5"}, "LOGIN"},
		"TLS":               {"tls", nil, ""},
		"TLSPlain":          {"tls", []string{"PLAIN"}, "PLAIN"},
		"TLSLogin":          {"tls", []string{"LOGIN"}, "LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, test.mode, offer(test.mechanisms...))
			o := options(t, s.addr)
			o.TLS = test.mode
			if test.mode != "none" {
				o.CAFile = s.caFile
			}
			if test.want != "" {
				o.Username, o.Password = username, password
			}
			m := newMailer(t, o)
			require.NoError(t, m.Check(t.Context()))
			require.Empty(t, s.mails(), "a check sends nothing")
			require.NoError(t, m.Send(t.Context(), Sample(Welcome, "en")))
			require.Len(t, s.mails(), 1)
			require.Equal(t, test.mode != "none", s.mails()[0].encrypted)
			if test.want == "" {
				require.Empty(t, s.loggedIn())
				return
			}
			require.Equal(t, []string{test.want, test.want}, s.loggedIn())

			o.Password = "wrong"
			wrong := newMailer(t, o)
			for _, err := range []error{wrong.Check(t.Context()), wrong.Send(t.Context(), Sample(Welcome, "en"))} {
				require.ErrorContains(t, err, "mailer: auth: 535")
				require.False(t, Permanent(err), "the password may be set right")
			}
			require.Len(t, s.mails(), 1)
		})
	}
}

func TestMailer_Send_Untrusted(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"starttls", "tls"} {
		s := startServer(t, mode)
		other, otherCA := certificate(t, "mail.example.com") // trusted, but another host's
		elsewhere := startServer(t, mode, func(_ *server, b *smtp.Server) { b.TLSConfig.Certificates[0] = other })
		for name, test := range map[string]struct{ addr, ca, want string }{
			"UnknownIssuer": {s.addr, "", "certificate signed by unknown authority"},
			"OtherHost":     {elsewhere.addr, otherCA, "certificate"},
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				m := newMailer(t, options(t, test.addr), func(o *Options) { o.TLS, o.CAFile = mode, test.ca })
				err := m.Send(t.Context(), Sample(Welcome, "en"))
				require.ErrorContains(t, err, test.want)
				require.False(t, Permanent(err))
				require.Empty(t, elsewhere.mails())
				require.Empty(t, s.mails())
			})
		}
	}
}

// No server can talk the client out of encryption, or into telling the password.
func TestMailer_Send_NoDowngrade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode string
		talk func(c *caller)
		want string
	}{
		"NotOffered": {"starttls", func(c *caller) { c.until("MAIL", "250 ok") }, "mailer: starttls: the server does not offer it"},
		"Refused": {"starttls", func(c *caller) {
			c.say("220 test")
			c.hear()
			c.say("250-test\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS")
			c.hear()
			c.say("454 TLS not available")
			c.until("QUIT", "221 bye")
		}, "mailer: starttls: 454 "},
		"PlainText": {"tls", func(c *caller) { c.until("MAIL", "250 ok") }, "mailer: tls: "},
		"Injected": {"starttls", func(c *caller) { // what comes before the handshake must not count after it
			c.say("220 test")
			c.hear()
			c.say("250-test\r\n250 STARTTLS")
			c.hear()
			c.say("220 go\r\n250-test\r\n250 AUTH PLAIN")
			c.hear()
		}, "mailer: starttls: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, heard := nasty(t, test.talk)
			m := newMailer(t, options(t, addr), func(o *Options) {
				o.TLS, o.Username, o.Password = test.mode, username, password
				o.Timeout = time.Second
			})
			err := m.Send(t.Context(), Sample(Welcome, "en"))
			require.ErrorContains(t, err, test.want)
			require.False(t, Permanent(err))
			for _, line := range heard() {
				require.NotContains(t, line, "MAIL")
				require.NotContains(t, line, "AUTH")
			}
		})
	}
	// The name of the host may be this machine's while its address is not.
	a := &auth{mechanism: "PLAIN", username: username, password: password, remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}
	_, first, err := a.Start(&stdsmtp.ServerInfo{Name: "localhost"})
	require.ErrorContains(t, err, "not encrypted")
	require.Nil(t, first)
}

func TestMailer_Send_Auth(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + username + "\x00" + password))
	for name, test := range map[string]struct{ offer, reply, want string }{
		"NotOffered":  {"250 test", "", "mailer: auth: the server does not offer it"},
		"OtherKinds":  {"250-test\r\n250 AUTH GSSAPI CRAM-MD5", "", "mailer: auth: the server offers neither PLAIN nor LOGIN"},
		"Echo":        {"250-test\r\n250 AUTH PLAIN", "500 what is AUTH PLAIN " + encoded + "?", "mailer: auth: 500 what is AUTH PLAIN [redacted]?"},
		"EchoPlain":   {"250-test\r\n250 AUTH PLAIN", "535 " + password + "\x1b[31m is wrong", "mailer: auth: 535 [redacted] [31m is wrong"},
		"EchoGarbled": {"250-test\r\n250 AUTH PLAIN", `AUTH ` + password, "mailer: auth: short response: AUTH [redacted]"},
		"AsksForMore": {"250-test\r\n250 AUTH PLAIN", "334 aGVsbG8=", "mailer: auth: the server asks for more than a name and a password"},
		"NotBase64":   {"250-test\r\n250 AUTH PLAIN", "334 !!", "mailer: auth: illegal base64"},
		"Busy":        {"250-test\r\n250 AUTH PLAIN", "454 later", "mailer: auth: 454 later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := nasty(t, func(c *caller) {
				c.say("220 test")
				c.hear()
				c.say(test.offer)
				if strings.HasPrefix(c.hear(), "AUTH") {
					c.say(test.reply)
				}
			})
			m := newMailer(t, options(t, addr), func(o *Options) { o.Username, o.Password = username, password })
			err := m.Check(t.Context())
			require.Error(t, err)
			require.Contains(t, unquoted(err), test.want)
			require.False(t, Permanent(err))
			for _, spelling := range spellings(username, password) {
				require.NotContains(t, err.Error(), spelling)
			}
		})
	}
}

func TestMailer_Send_Refused(t *testing.T) {
	t.Parallel()
	type talk = func(c *caller)
	reply := func(what, reply string) talk { return func(c *caller) { c.until(what, reply) } }
	say := func(line string) talk { return func(c *caller) { c.say(line) } }
	for name, test := range map[string]struct {
		talk      talk
		want      string
		permanent bool
	}{
		"Greeting421":    {say("421 too busy"), "greeting: 421 too busy", false},
		"Greeting554":    {say("554 no service here"), "greeting: 554 no service here", false},
		"GreetingHTTP":   {say("HTTP/1.1 400 Bad Request"), "greeting: short response", false},
		"HangsUp":        {func(*caller) {}, "greeting: EOF", false},
		"Hello":          {func(c *caller) { c.say("220 a"); c.hear(); c.say("550 no"); c.hear(); c.say("550 no") }, "hello: 550 no", false},
		"Sender421":      {reply("MAIL", "421 closing"), "sender: 421 closing", false},
		"Sender451":      {reply("MAIL", "451 4.3.0 later"), "sender: 451 4.3.0 later", false},
		"Sender530":      {reply("MAIL", "530 5.7.0 log in first"), "sender: 530 5.7.0 log in first", false},
		"Sender550":      {reply("MAIL", "550 5.7.1 not you"), "sender: 550 5.7.1 not you", true},
		"Recipient450":   {reply("RCPT", "450 greylisted"), "recipient: 450 greylisted", false},
		"Recipient550":   {reply("RCPT", "550 5.1.1 nobody here"), "recipient: 550 5.1.1 nobody here", true},
		"Recipient552":   {reply("RCPT", "552 mailbox full"), "recipient: 552 mailbox full", false},
		"RecipientLines": {reply("RCPT", "550-one\r\n550 two"), "recipient: 550 one two", true},
		"RecipientOdd":   {reply("RCPT", "250ok"), "recipient: short response", false},
		"Data451":        {reply("DATA", "451 later"), "data: 451 later", false},
		"Data554":        {reply("DATA", "554 no"), "data: 554 no", true},
		"Mail421":        {reply(".", "421 closing"), "data: 421 closing", false},
		"Mail451":        {reply(".", "451 later"), "data: 451 later", false},
		"Mail554":        {reply(".", "554 spam"), "data: 554 spam", true},
		"DropsAfterData": {func(c *caller) {
			c.until("DATA", "354 go on")
			c.hear()
		}, "data: ", false},
		"DropsAfterMail": {func(c *caller) {
			c.until("DATA", "354 go on")
			c.body()
		}, "data: EOF", false},
		"QuotesAddress": {reply("RCPT", "550 <ada@example.com>: user unknown"), "recipient: 550 <[redacted]>: user unknown", true},
		"QuotesLink": {
			reply(".", "554 bad: https://app.example.com/reset-password#token=sample-0123456789 (sample-0123456789)"),
			"data: 554 bad: [redacted] ([redacted])", true,
		},
		"QuotesAtLength": {reply("RCPT", "550 "+strings.Repeat("x", 900)), strings.Repeat("x", 199) + "…", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := nasty(t, test.talk)
			err := newMailer(t, options(t, addr)).Send(t.Context(), Sample(ResetPassword, "en"))
			require.Error(t, err)
			require.Contains(t, unquoted(err), test.want)
			require.True(t, strings.HasPrefix(err.Error(), "mailer: "))
			require.Equal(t, test.permanent, Permanent(err))
			require.Equal(t, test.permanent, Permanent(fmt.Errorf("job 7: %w", err)))
			require.NotContains(t, err.Error(), "ada@example.com")
			require.NotContains(t, err.Error(), "0123456789")
		})
	}

	t.Run("NobodyThere", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		l.Close()
		err = newMailer(t, options(t, l.Addr().String())).Send(t.Context(), Sample(Welcome, "en"))
		require.ErrorContains(t, err, "mailer: connect: ")
		require.False(t, Permanent(err))
		var network net.Error
		require.ErrorAs(t, err, &network)
	})
}

// A server may be as slow as it likes: nobody waits longer than was said.
func TestMailer_Send_Deadlines(t *testing.T) {
	t.Parallel()
	drip := func(c *caller, text string) {
		for _, b := range []byte(text) {
			select {
			case <-c.over:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
		}
	}
	endless := strings.Repeat("x", 1000)
	for name, test := range map[string]struct {
		mode     string
		talk     func(c *caller)
		greeting bool // by which deadline it ends
		step     string
	}{
		"Silent":             {"none", (*caller).listen, true, "greeting"},
		"SilentTLS":          {"tls", (*caller).listen, true, "tls"},
		"TricklingGreeting":  {"none", func(c *caller) { drip(c, "220 "+endless) }, true, "greeting"},
		"TricklingHandshake": {"tls", func(c *caller) { drip(c, "\x16\x03\x01\x30\x00"+endless) }, true, "tls"},
		"SilentHello":        {"none", func(c *caller) { c.say("220 test"); c.listen() }, false, "hello"},
		"TricklingHello":     {"none", func(c *caller) { c.say("220 test"); drip(c, "250-"+endless) }, false, "hello"},
		"SilentStartTLS": {"starttls", func(c *caller) {
			c.say("220 a")
			c.hear()
			c.say("250-a\r\n250 STARTTLS")
			c.hear()
			c.say("220 go")
			c.listen()
		}, false, "starttls"},
		"SilentRecipient":     {"none", func(c *caller) { c.until("MAIL", "250 ok"); c.listen() }, false, "recipient"},
		"TricklingAcceptance": {"none", func(c *caller) { c.until("DATA", "354 go on"); drip(c, "250-"+endless) }, false, "data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := nasty(t, test.talk)
			m := newMailer(t, options(t, addr), func(o *Options) {
				o.TLS = test.mode
				if test.greeting {
					o.GreetingTimeout = 100 * time.Millisecond
				} else {
					o.Timeout = time.Second // enough for a busy machine to get to the step
				}
			})
			begun := time.Now()
			err := m.Send(t.Context(), Sample(Welcome, "en"))
			require.ErrorContains(t, err, "mailer: "+test.step+": ")
			require.False(t, Permanent(err))
			require.Less(t, time.Since(begun), 4*time.Second)
			if !test.greeting {
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
		})
	}

	t.Run("Cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("shutting down")
		addr, _ := nasty(t, func(c *caller) {
			c.until("RCPT", "250 ok")
			cancel(enough)
			c.listen()
		})
		begun := time.Now()
		err := newMailer(t, options(t, addr)).Send(ctx, Sample(Welcome, "en"))
		require.ErrorIs(t, err, enough)
		require.False(t, Permanent(err))
		require.Less(t, time.Since(begun), 4*time.Second)
	})
	t.Run("CancelledBefore", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := startServer(t, "none")
		m := newMailer(t, options(t, s.addr))
		require.ErrorIs(t, m.Send(ctx, Sample(Welcome, "en")), context.Canceled)
		require.ErrorIs(t, m.Check(ctx), context.Canceled)
		require.Empty(t, s.mails())
	})
	// The mail was taken: a server that does not say goodbye takes nothing back.
	t.Run("SilentFarewell", func(t *testing.T) {
		t.Parallel()
		addr, heard := nasty(t, func(c *caller) { c.until(".", "250 taken"); c.hear(); c.listen() })
		m := newMailer(t, options(t, addr), func(o *Options) { o.GreetingTimeout = 500 * time.Millisecond })
		require.NoError(t, m.Send(t.Context(), Sample(Welcome, "en")))
		require.Contains(t, heard(), "QUIT")
	})
}

// Whatever a name or an address holds, the mail goes to one recipient and has
// the headers that it should.
func TestMailer_Send_HostileHeaders(t *testing.T) {
	t.Parallel()
	s := startServer(t, "none")
	m := newMailer(t, options(t, s.addr))
	const crlf = "\r\n"
	for i, test := range []struct{ given, shown string }{
		{"Ada" + crlf + "Bcc: eve@example.com", "Ada Bcc: eve@example.com"},
		{"Ada\nSubject: free money\n\nbody", "Ada Subject: free money body"},
		{`Ada" <eve@example.com>, "`, `Ada" <eve@example.com>, "`},
		{`eve@example.com>`, `eve@example.com>`},
		{`Ada\`, `Ada\`},
		{`=?utf-8?q?Ada=0D=0ABcc:_eve@example.com?=`, ""}, // an encoded word of the sender's own
		{"Юлия, (李) <é@example.com>", "Юлия, (李) <é@example.com>"},
		{strings.Repeat("very long name ", 30), ""},
		{strings.Repeat("ж", 300), strings.Repeat("ж", maxName-1) + "…"},
		{"{{.Link}}", "{{.Link}}"},
		{".", "."},
	} {
		msg := Sample(Welcome, "en")
		msg.Name = test.given
		require.NoError(t, m.Send(t.Context(), msg))
		mails := s.mails()
		require.Len(t, mails, i+1)
		got := mails[i]
		require.Equal(t, []string{"ada@example.com"}, got.to)
		r := parse(t, got.raw)
		to, err := r.header.AddressList("To")
		require.NoError(t, err, r.header.Get("To"))
		require.Len(t, to, 1)
		require.Equal(t, "ada@example.com", to[0].Address)
		if test.shown != "" {
			require.Equal(t, test.shown, to[0].Name)
		}
		require.Equal(t, "Welcome to Example", r.header.Get("Subject"))
		require.Len(t, r.header, 8, "%v", r.header)
	}

	for _, address := range []string{
		"", "ada", "@example.com", "ada@", "ada@example.com\r\nRCPT TO:<eve@example.com>", "ada@example.com\n", " ada@example.com",
		"ada@example.com, eve@example.com", "Ada <ada@example.com>", "<ada@example.com>", "ada@example.com>", "a da@example.com",
		`"ada eve"@example.com`, "ada@éxample.com", "ada@exa mple.com", "ada@example.com\x00", "ada(comment)@example.com", "ada\u202e@example.com",
		"ada@[192.0.2.1\r\n]", "a:ada@example.com;",
	} {
		msg := Sample(Welcome, "en")
		msg.To = address
		err := m.Send(t.Context(), msg)
		require.Error(t, err, "%q", address)
		require.True(t, Permanent(err))
		require.EqualError(t, err, "mailer: compose: the recipient must be one address, with its domain in ASCII")
	}
	for _, id := range []string{"a b", "a>", "a@b", "a\r\nb", "ü", ".a", "a..b", strings.Repeat("a", 201)} {
		msg := Sample(Welcome, "en")
		msg.ID = id
		require.True(t, Permanent(m.Send(t.Context(), msg)), "%q", id)
	}
	require.Len(t, s.mails(), 11)
}

func TestMailer_Send_UTF8(t *testing.T) {
	t.Parallel()
	msg := Sample(Welcome, "en")
	msg.To = "dž@xn--xample-9ua.com"

	able := startServer(t, "none", func(_ *server, b *smtp.Server) { b.EnableSMTPUTF8 = true })
	require.NoError(t, newMailer(t, options(t, able.addr)).Send(t.Context(), msg))
	require.Len(t, able.mails(), 1)
	require.Equal(t, []string{msg.To}, able.mails()[0].to)
	require.True(t, able.mails()[0].utf8)
	to, err := parse(t, able.mails()[0].raw).header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, []*mail.Address{{Name: msg.Name, Address: msg.To}}, to)

	unable := startServer(t, "none")
	err = newMailer(t, options(t, unable.addr)).Send(t.Context(), msg)
	require.EqualError(t, err, "mailer: recipient: the address is not in ASCII, and the server does not offer SMTPUTF8")
	require.True(t, Permanent(err))
	require.Empty(t, unable.mails())
}

func TestMailer_Disabled(t *testing.T) {
	t.Parallel()
	s := startServer(t, "none")
	m := newMailer(t, options(t, s.addr), func(o *Options) { o.Disabled = []Kind{LowBalance, Welcome} })
	for _, kind := range Kinds() {
		require.Equal(t, kind != LowBalance && kind != Welcome, m.Enabled(kind))
		require.NoError(t, m.Send(t.Context(), Sample(kind, "en")))
	}
	require.Len(t, s.mails(), len(Kinds())-2)
}

func TestMailer_SendInParallel(t *testing.T) {
	t.Parallel()
	s := startServer(t, "none")
	m := newMailer(t, options(t, s.addr))
	done := make(chan error)
	for range 20 {
		go func() { done <- m.Send(t.Context(), Sample(Welcome, "en")) }()
	}
	for range 20 {
		require.NoError(t, <-done)
	}
	require.Len(t, s.mails(), 20)
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	require.False(t, Permanent(nil))
	require.False(t, Permanent(errors.New("x")))
	require.False(t, Permanent(&textproto.Error{Code: 550}))
}

type brokenOff struct{}

func (brokenOff) WriteTo(w io.Writer) (int64, error) {
	n, _ := io.WriteString(w, "Subject: half\r\n\r\nhalf a ma")
	return int64(n), io.ErrUnexpectedEOF
}

// Half a mail must not arrive as if it were the whole.
func TestConversation_BrokenOff(t *testing.T) {
	t.Parallel()
	s := startServer(t, "none")
	m := newMailer(t, options(t, s.addr))
	err := m.talk(t.Context(), m.secrets(Message{}), func(c *conversation) error {
		return c.Send("mail@example.com", []string{"ada@example.com"}, brokenOff{})
	})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.False(t, Permanent(err))
	require.Empty(t, s.mails())
	err = m.talk(t.Context(), m.secrets(Message{}), func(c *conversation) error {
		return c.Send("mail@example.com", []string{"ada@example.com", "eve@example.com"}, brokenOff{})
	})
	require.True(t, Permanent(err), "one mail, one recipient")
}
