// Package mailer writes the service's mails and hands each of them to an SMTP
// server: templates by kind and language, every one replaceable, and one
// conversation with deadlines for each mail.
//
// Messages are composed and sent by way of go-mail/mail, but not with its
// Dialer: that one waits for ever for a greeting, leaks connections, cannot be
// cancelled, and ends a message that broke off as if it were whole. Package
// net/smtp speaks instead, under the rules of conversation.go.
//
// Languages are directories of templates, chosen by the locale of the person and
// then of the service; dates and numbers follow them.
//
// The package keeps nothing and retries nothing: when to send, and how often,
// is for the outbox to decide, with the help of [Permanent].
package mailer
