package mailer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	gomail "github.com/go-mail/mail"
)

// Mailer writes mails and sends them. It is safe for concurrent use; each mail
// has a connection of its own.
type Mailer struct {
	*Templates
	o      Options
	from   *mail.Address
	domain string // of from
	tls    *tls.Config
}

// New checks the options and the templates; it does not connect, see [Mailer.Check].
// Errors are *[OptionError].
func New(o Options) (*Mailer, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	from, err := o.sender()
	if err != nil {
		return nil, err
	}
	config, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	templates, err := NewTemplates(o.Design)
	if err != nil {
		return nil, err
	}
	domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	return &Mailer{Templates: templates, o: o, from: from, domain: domain, tls: config}, nil
}

// Enabled tells whether mails of a kind are sent.
func (m *Mailer) Enabled(kind Kind) bool { return !slices.Contains(m.o.Disabled, kind) }

// Send renders a message and hands it to the server; it returns when the server
// has taken it. A kind that is switched off is not sent, and no error.
//
// An error after which another try makes no sense is [Permanent]. After any
// other the mail may yet have arrived, if the answer to it was lost. Errors hold
// neither addresses nor links.
func (m *Mailer) Send(ctx context.Context, msg Message) error {
	if !m.Enabled(msg.Kind) {
		return nil
	}
	composed, err := m.compose(msg)
	if err != nil {
		return err
	}
	return m.talk(ctx, m.secrets(msg), func(c *conversation) error {
		err := gomail.Send(c, composed)
		var wrapped *gomail.SendError // It has no Unwrap.
		if errors.As(err, &wrapped) {
			return wrapped.Cause
		}
		return err
	})
}

// Check connects and authenticates as for a mail, and sends none.
func (m *Mailer) Check(ctx context.Context) error {
	return m.talk(ctx, m.secrets(Message{}), func(*conversation) error { return nil })
}

func (m *Mailer) talk(ctx context.Context, secrets *strings.Replacer, about func(*conversation) error) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.Timeout)
	defer cancel()
	c, err := m.connect(ctx, secrets)
	if err != nil {
		return err
	}
	defer c.Close()
	return about(c)
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// compose makes the mail as it travels.
func (m *Mailer) compose(msg Message) (*gomail.Message, error) {
	if !isBare(msg.To) || !isASCII(msg.To[strings.LastIndexByte(msg.To, '@'):]) {
		return nil, permanent("compose", errors.New("the recipient must be one address, with its domain in ASCII"))
	}
	if msg.ID == "" {
		msg.ID = rand.Text()
	}
	if !plainID.MatchString(msg.ID) || len(msg.ID) > 200 {
		return nil, permanent("compose", fmt.Errorf("the ID %q cannot be in a Message-ID", msg.ID))
	}
	written, err := m.Render(msg)
	if err != nil {
		return nil, err
	}
	g := gomail.NewMessage()
	g.SetAddressHeader("From", m.from.Address, m.from.Name)
	g.SetAddressHeader("To", msg.To, line(msg.Name, maxName))
	g.SetHeader("Subject", written.Subject)
	g.SetHeader("Message-ID", "<"+msg.ID+"@"+m.domain+">")
	g.SetDateHeader("Date", m.o.Now())
	g.SetHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody is to answer "out of office"
	g.SetBody("text/plain", written.Text)
	g.AddAlternative("text/html", written.HTML)
	return g, nil
}

// secrets takes out of a server's replies what must not be in a log.
func (m *Mailer) secrets(msg Message) *strings.Replacer {
	words := []string{msg.Link, msg.To, msg.NewEmail}
	if u, err := url.Parse(msg.Link); err == nil {
		for _, part := range strings.FieldsFunc(u.RawQuery+"&"+u.Fragment, func(r rune) bool { return r == '&' || r == '=' }) {
			if len(part) >= 16 { // a token, not "page"
				words = append(words, part)
			}
		}
	}
	if m.o.Password != "" {
		words = append(words, spellings(m.o.Username, m.o.Password)...)
	}
	var pairs []string
	for _, w := range words {
		if w != "" {
			quoted := strconv.Quote(w) // as net/textproto has it in errors about what is no reply
			pairs = append(pairs, w, "[redacted]", quoted[1:len(quoted)-1], "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...)
}
