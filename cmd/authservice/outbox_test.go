package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/pgtest"
)

// hurry lets the time pass until what failed is tried again.
func (s *service) hurry(t *testing.T) {
	t.Helper()
	_, err := s.db.Pool.Exec(t.Context(), "UPDATE river_job SET state = 'available', scheduled_at = now() WHERE state = 'retryable'")
	require.NoError(t, err)
}

// requireSent waits until no mail waits.
func (s *service) requireSent(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.hurry(t)
		var waiting int
		const unfinished = "SELECT count(*) FROM river_job WHERE kind IN ('mail', 'asked') AND state <> 'completed'"
		require.NoError(t, s.db.Pool.QueryRow(t.Context(), unfinished).Scan(&waiting))
		return waiting == 0
	}, 2*time.Minute, 50*time.Millisecond)
}

// 500 people ask for a new password while the mail server is down: each is
// answered as when it is up, and gets one mail when it is up again.
//
// That they are not merely answered fast, but without a word to the mail server,
// TestIdentity_Ask_TalksToNobody shows.
func TestOutbox_ServerDown(t *testing.T) {
	t.Parallel()
	const people = 500 // as many as the mailbox keeps
	mail := startSwitchboard(t)
	s := startService(t, append(mail.settings, "AUTH_RATE_LIMIT_ENABLED=false")...)
	_, err := s.db.Owner(t).Exec(t.Context(), `
		INSERT INTO users (id, email, email_verified, password_hash, created_at, updated_at)
		SELECT gen_random_uuid(), i || '@example.com', true, 'x', now(), now() FROM generate_series(0, $1 - 1) i`, people)
	require.NoError(t, err)
	client := s.anonymous(t)
	forgot := func(i int) string {
		response, body := client.send(t, http.MethodPost, "/v1/auth/password/forgot", fmt.Sprintf(`{"email":"%d@example.com"}`, i))
		response.Header.Del("X-Request-ID")
		response.Header.Del("Date")
		return fmt.Sprint(response.StatusCode, response.Header, string(body))
	}

	everybody := func() (answers [people]string, took time.Duration) {
		begun := time.Now()
		const atOnce = 20
		parallel(atOnce, func(first int) {
			for i := first; i < people; i += atOnce {
				answers[i] = forgot(i)
			}
		})
		return answers, time.Since(begun)
	}
	whenUp, tookUp := everybody()
	require.True(t, strings.HasPrefix(whenUp[0], "202 "), whenUp[0])
	s.requireSent(t)
	mail.box.Clear()

	mail.hold(replyGreeting)
	whenDown, tookDown := everybody()
	require.Equal(t, whenUp, whenDown)
	t.Logf("with the server down, the answers took %.2f of the time", float64(tookDown)/float64(tookUp))
	mail.requireHeld(t) // somebody does try
	require.Empty(t, mail.box.Messages(""))

	mail.hold("")
	s.requireSent(t)
	for i := range people {
		require.Len(t, mail.box.Messages(fmt.Sprintf("%d@example.com", i)), 1)
	}
}

// kill is kill -9, and the time until others notice.
func (p *process) kill(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Kill()
	<-p.exited
	for _, sql := range []string{
		// What it had asked for may still be done, or else it would be afterwards.
		"SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user",
		"UPDATE river_job SET attempted_at = now() - interval '1 hour' WHERE state = 'running'",
		"DELETE FROM river_leader",
	} {
		_, err := p.db.Owner(t).Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

var messageID = regexp.MustCompile(`(?mi)^Message-ID: (\S+)`)

// Whenever the process is killed, every mail that was promised arrives: once, or
// again where the server had taken it and the process died before it was noted.
func TestOutbox_Killed(t *testing.T) {
	t.Parallel()
	mail := startSwitchboard(t)
	db := pgtest.New(t)

	var people []string
	moments := []string{replyGreeting, replyContent, replyTaken, "", replyTaken, ""}
	for _, moment := range moments {
		mail.hold(moment)
		p := startProcess(t, db, mail.settings...)
		for range 4 {
			email := uuid.NewString() + "@example.com"
			registered, err := p.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
			require.NoError(t, err)
			require.Equal(t, 201, registered.StatusCode())
			forgot, err := p.anonymous(t).ForgotPasswordWithResponse(t.Context(), authclient.ForgotPasswordRequest{Email: email})
			require.NoError(t, err)
			require.Equal(t, 202, forgot.StatusCode())
			people = append(people, email)
		}
		if moment != "" {
			mail.requireHeld(t)
		}
		p.kill(t)
	}

	mail.hold("")
	last := startProcess(t, db, mail.settings...)
	last.requireSent(t)
	again := 0
	for _, email := range people {
		copies := map[string][]string{}
		for _, m := range mail.box.Messages(email) {
			copies[m.Subject] = append(copies[m.Subject], messageID.FindStringSubmatch(m.Source)[1])
		}
		require.Len(t, copies, 2, "to verify, and to reset: %v", copies)
		for subject, ids := range copies {
			require.Len(t, slices.Compact(ids), 1, "whoever reads two copies can tell: %s", subject)
			again += len(ids) - 1
		}
	}
	require.Positive(t, again, "it was killed when it should not")
	require.LessOrEqual(t, again, 4*jobs.DefaultWorkers, "of each process that could send no more than were under way")
}
