package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// What the mail server will not have an operator sees, and sends again.
func TestMailFailed(t *testing.T) {
	t.Parallel()
	mail := startSwitchboard(t)
	s := startService(t, mail.settings...)
	failed := func(args ...string) (code int, stdout, stderr string) {
		return runOnce(t, append([]string{"mail", "failed"}, args...), s.environ...)
	}
	list := func() (rows [][]string) {
		code, out, problems := failed("list")
		require.Zero(t, code, problems)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		require.Regexp(t, `^ID +KIND +RECIPIENT +TRIES +CREATED +FAILED +LAST ERROR$`, lines[0])
		for _, line := range lines[1:] {
			rows = append(rows, strings.Fields(line))
		}
		return rows
	}
	register := func() string {
		email := "ada-" + uuid.NewString() + "@example.com"
		r, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
		require.NoError(t, err)
		require.Equal(t, 201, r.StatusCode())
		return email
	}

	// Refused for good: at the first try.
	mail.reply(replyContent, "550 5.1.1 nobody here")
	first := register()
	listed := func(n int) (rows [][]string) {
		require.Eventually(t, func() bool { rows = list(); return len(rows) == n }, eventually, 100*time.Millisecond)
		return rows
	}
	row := listed(1)[0]
	require.Equal(t, []string{"verify_email", "a***@example.com", "1"}, row[1:4])
	require.Contains(t, strings.Join(row[6:], " "), `mailer: data: 550 "5.1.1 nobody here"`)

	// Put off until there are no tries left.
	mail.reply(replyContent, "451 4.3.0 come back later")
	_, err := s.db.Owner(t).Exec(t.Context(), `
		CREATE FUNCTION last_try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.attempt := NEW.max_attempts - 1; RETURN NEW; END $$;
		CREATE TRIGGER last_try BEFORE INSERT ON river_job FOR EACH ROW WHEN (NEW.kind = 'mail') EXECUTE FUNCTION last_try()`)
	require.NoError(t, err)
	second := register()
	newest := listed(2)[1]
	require.Equal(t, []string{"verify_email", "a***@example.com", "17"}, newest[1:4])

	code, out, _ := failed("list", "--json")
	require.Zero(t, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	var last struct {
		ID                         int64
		Kind, Recipient, LastError string
		Tries                      int
	}
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(lines[1], "last_error", "LastError")), &last))
	require.Equal(t, newest[0], strconv.FormatInt(last.ID, 10))
	require.Contains(t, last.LastError, `mailer: data: 451 "4.3.0 come back later"`)
	require.Equal(t, 17, last.Tries)

	for _, wrong := range [][]string{{"retry"}, {"retry", "--all", row[0]}, {"retry", "x"}, {"retry", "0"}} {
		code, _, problems := failed(wrong...)
		require.Equal(t, 1, code)
		require.NotEmpty(t, problems)
	}
	require.Len(t, list(), 2)

	// The server is itself again.
	mail.hold("")
	code, out, problems := failed("retry", row[0], "99999")
	require.Equal(t, 1, code)
	require.Contains(t, problems, "not among the failed ones: 99999")
	require.Contains(t, out, "1 tried again")
	mailed(t, mail.box, first, "Confirm")
	code, out, _ = failed("retry", "--all")
	require.Zero(t, code)
	require.Contains(t, out, "1 tried again")
	_, token := mailed(t, mail.box, second, "Confirm")
	require.Empty(t, list())
	verified, err := s.anonymous(t).VerifyEmailWithResponse(t.Context(), authclient.VerifyEmailRequest{Token: token})
	require.NoError(t, err)
	require.Equal(t, 204, verified.StatusCode())
}
