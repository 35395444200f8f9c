// Package devmail is a mailbox for developers: an SMTP receiver on this machine
// that keeps the newest mails in memory, pages that show them, and JSON from
// which end-to-end tests of any product read the newest link.
//
// It takes every mail, for whomever, and delivers none. It is for `authservice
// dev` and for tests, and must never be part of `serve`: whoever reaches it reads
// everybody's links.
package devmail
