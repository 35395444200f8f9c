package devmail

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func setup(t *testing.T) *Mailbox {
	t.Helper()
	b, err := Start("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// send sends a mail by a client that is not ours.
func (b *Mailbox) send(t *testing.T, source string, to ...string) {
	t.Helper()
	require.NoError(t, smtp.SendMail(b.Addr(), nil, "app@example.com", to, []byte(source)))
}

func subject(s string) string { return "Subject: " + s + "\r\n\r\nbody of " + s + "\r\n" }

func subjects(messages []Message) []string {
	found := []string{}
	for _, m := range messages {
		found = append(found, m.Subject)
	}
	return found
}

func TestStart(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"", "127.0.0.1", ":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:25", "127.0.0.1:99999"} {
		_, err := Start(addr)
		require.Error(t, err, "%q", addr)
	}
	b, err := Start("localhost:0")
	require.NoError(t, err)
	_, err = Start(b.Addr())
	require.Error(t, err, "the port is taken")
	b.send(t, subject("kept"), "ada@example.com")
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	_, err = net.Dial("tcp", b.Addr())
	require.Error(t, err)
	require.Equal(t, []string{"kept"}, subjects(b.Messages("")))
}

func TestMailbox_Messages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NotNil(t, b.Messages(""))
	b.send(t, subject("first"), "ada@example.com")
	b.send(t, subject("second"), "bob@example.com", "Ada@Example.com")
	b.send(t, subject("third"), "bob@example.com")

	require.Equal(t, []string{"third", "second", "first"}, subjects(b.Messages("")))
	require.Equal(t, []string{"second", "first"}, subjects(b.Messages("ADA@example.com")))
	require.Empty(t, b.Messages("a@example.com"))
	m := b.Messages("")[1]
	require.WithinDuration(t, time.Now(), m.Date, time.Minute)
	m.Date = time.Time{}
	require.Empty(t, cmp.Diff(Message{
		ID: "2", From: "app@example.com", To: []string{"bob@example.com", "Ada@Example.com"}, Subject: "second",
		Text: "body of second\n", Links: []string{}, Source: subject("second"),
	}, m))

	b.Clear()
	require.Empty(t, b.Messages(""))
	b.send(t, subject("fourth"), "ada@example.com")
	require.Equal(t, "4", b.Messages("")[0].ID, "an ID is never given twice")
}

func TestMailbox_KeepsTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range maxMessages + 3 {
		b.add(Message{Subject: fmt.Sprint(i), Source: "x"})
	}
	kept := b.Messages("")
	require.Len(t, kept, maxMessages)
	require.Equal(t, fmt.Sprint(maxMessages+2), kept[0].Subject)
	require.Equal(t, "3", kept[maxMessages-1].Subject)

	large := strings.Repeat("x", maxMessageBytes)
	for i := range 10 {
		b.add(Message{Subject: fmt.Sprint("large ", i), Source: large})
	}
	require.Len(t, b.Messages(""), maxTotalBytes/maxMessageBytes)
	require.Equal(t, maxTotalBytes, b.bytes)
	require.Equal(t, "large 9", b.Messages("")[0].Subject)
}

func TestMailbox_TooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	line := strings.Repeat("x", 998) + "\r\n"
	err := smtp.SendMail(b.Addr(), nil, "app@example.com", []string{"ada@example.com"}, []byte("\r\n"+strings.Repeat(line, maxMessageBytes/len(line)+1)))
	require.ErrorContains(t, err, "552")
	require.Empty(t, b.Messages(""))
	b.send(t, subject("next"), "ada@example.com")
	require.Equal(t, []string{"next"}, subjects(b.Messages("")))
}

func TestMailbox_Wait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := make(chan Message)
	go func() {
		m, err := b.Wait(t.Context(), "ada@example.com", func(m Message) bool { return m.Subject == "reset" })
		if err != nil {
			m.Subject = err.Error()
		}
		got <- m
	}()
	b.send(t, subject("reset"), "bob@example.com")
	b.send(t, subject("welcome"), "ada@example.com")
	select {
	case m := <-got:
		require.Fail(t, "too early", "%v", m)
	default:
	}
	b.send(t, subject("reset"), "ada@example.com")
	require.Equal(t, "3", (<-got).ID)

	m, err := b.Wait(t.Context(), "", nil) // already there
	require.NoError(t, err)
	require.Equal(t, "3", m.ID, "the newest")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = b.Wait(ctx, "eve@example.com", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "eve@example.com")
}

func TestMailbox_InParallel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := make(chan error)
	for i := range 20 {
		to := fmt.Sprintf("user%d@example.com", i)
		go func() {
			err := smtp.SendMail(b.Addr(), nil, "app@example.com", []string{to}, []byte(subject(to)))
			if err == nil {
				_, err = b.Wait(t.Context(), to, func(m Message) bool { return m.Subject == to })
			}
			done <- err
		}()
	}
	for range 20 {
		require.NoError(t, <-done)
	}
	require.Len(t, b.Messages(""), 20)
}
