package mailer

import (
	"context"
	"errors"
	"net/textproto"
	"strings"
)

// failure is a mail that was not sent.
type failure struct {
	step      string // of the conversation
	permanent bool
	err       error
}

func (f *failure) Error() string { return "mailer: " + f.step + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

func permanent(step string, err error) error { return &failure{step, true, err} }

// Permanent tells whether sending the same message again cannot help: it cannot
// be written, or the server refused its sender, its recipient or the mail itself
// for good (a 5xx reply). What may be set right meanwhile is not permanent: a
// server that is down, busy, does not know our password or lacks TLS.
func Permanent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.permanent
}

// The steps whose refusal is about the mail and not about us.
const (
	stepSender    = "sender"
	stepRecipient = "recipient"
	stepData      = "data"
)

// failed is what became of a step. Replies quote commands, addresses and links
// that a filter found, so what must not be in a log is taken out by secrets.
func failed(ctx context.Context, step string, err error, secrets *strings.Replacer) error {
	if ctx.Err() != nil {
		return &failure{step: step, err: context.Cause(ctx)} // The closed connection is only how it ended.
	}
	f := &failure{step: step, err: err}
	var garbled textproto.ProtocolError // no reply at all, but quoted too
	if errors.As(err, &garbled) {
		f.err = textproto.ProtocolError(line(secrets.Replace(garbled.Error()), 200))
	}
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return f
	}
	f.err = &textproto.Error{Code: reply.Code, Msg: line(secrets.Replace(reply.Msg), 200)}
	switch step {
	case stepSender, stepRecipient, stepData:
		f.permanent = reply.Code/100 == 5 && reply.Code != 530 && reply.Code != 552 // RFC 5321, 4.5.3.1.10: treat 552 as 452
	}
	return f
}
