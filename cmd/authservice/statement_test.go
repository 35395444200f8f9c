package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func (c *caller) statement(t *testing.T, user uuid.UUID, from, to *time.Time) (rows [][]string, raw string) {
	t.Helper()
	r, err := c.GetUserCreditStatementWithResponse(t.Context(), user, &authclient.GetUserCreditStatementParams{From: from, To: to})
	require.NoError(t, err)
	require.Equal(t, 200, r.StatusCode(), string(r.Body))
	require.Equal(t, "text/csv; charset=utf-8; header=present", r.HTTPResponse.Header.Get("Content-Type"))
	rows, err = csv.NewReader(bytes.NewReader(r.Body)).ReadAll()
	require.NoError(t, err)
	return rows, string(r.Body)
}

// A statement has every transaction once, between balances that agree with it,
// over more pages than one.
func TestStatement(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_CREDITS_SCALE=3")
	admin, user := s.admin(t), s.user(t)
	operations := make([]authclient.BatchOperation, 1000)
	for i := range operations {
		operations[i] = authclient.BatchGrant{UserID: user.id(), Amount: int64(i + 1), Reference: new(fmt.Sprint("r", i))}.Operation()
	}
	admin.batch(t, authclient.BatchModeAtomic, operations...)
	user.debit(t, "small", authclient.DebitRequest{Amount: 5, Description: new("Fünf")})
	user.debit(t, "large", authclient.DebitRequest{Amount: 123_456})

	rows, raw := user.statement(t, user.id(), nil, nil)
	require.Equal(t, strings.Split("date,sequence,type,reference,description,amount,balance_after,amount_decimal,balance_after_decimal,transaction_id", ","), rows[0])
	require.Equal(t, []string{"", "", "opening_balance", "", "", "", "0", "", "0.000", ""}, rows[1])
	history := user.history(t)
	require.Len(t, rows, 1+1+len(history)+1)
	for i, row := range rows[2 : len(rows)-1] {
		item := history[len(history)-1-i]
		require.Equal(t, []string{
			item.CreatedAt.UTC().Format(time.RFC3339Nano), fmt.Sprint(item.Sequence), string(item.Type), textOf(item.Reference), textOf(item.Description),
			fmt.Sprint(item.Amount), fmt.Sprint(item.BalanceAfter),
		}, row[:7])
		require.Equal(t, item.ID.String(), row[9])
	}
	require.Equal(t, []string{"-0.005", "500.495"}, rows[len(rows)-3][7:9])
	require.Equal(t, []string{"-123.456", "377.039"}, rows[len(rows)-2][7:9])
	closing := rows[len(rows)-1]
	require.Equal(t, []string{"", "closing_balance", "", "", "", "377039", "", "377.039", ""}, closing[1:])
	closed, err := time.Parse(time.RFC3339Nano, closing[0])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), closed, time.Minute)
	require.True(t, strings.HasSuffix(raw, "\r\n"))
	require.Equal(t, len(rows), strings.Count(raw, "\r\n"))
	require.Equal(t, len(rows), strings.Count(raw, "\n"))

	// A part of it; others with the scope see the same.
	from, to := history[500].CreatedAt, history[2].CreatedAt
	part, _ := s.backend(t, authclient.ScopeCreditsRead).statement(t, user.id(), &from, &to)
	require.Len(t, part, 3+498)
	require.Equal(t, []string{from.UTC().Format(time.RFC3339Nano), "", "opening_balance", "", "", "", fmt.Sprint(history[501].BalanceAfter)}, part[1][:7])
	require.Equal(t, fmt.Sprint(history[500].Sequence), part[2][1])
	require.Equal(t, fmt.Sprint(history[3].Sequence), part[len(part)-2][1])
	require.Equal(t, []string{to.UTC().Format(time.RFC3339Nano), "", "closing_balance", "", "", "", fmt.Sprint(history[3].BalanceAfter)}, part[len(part)-1][:7])

	// Nothing of it; a closing balance is not of the future.
	nothing, _ := user.statement(t, user.id(), new(time.Now().Add(time.Hour)), new(time.Now().Add(2*time.Hour)))
	require.Len(t, nothing, 3)
	require.Equal(t, []string{"377039", "377039"}, []string{nothing[1][6], nothing[2][6]})
	closed, err = time.Parse(time.RFC3339Nano, nothing[2][0])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), closed, time.Minute)
}

func textOf(v interface {
	IsNull() bool
	MustGet() string
}) string {
	if v.IsNull() {
		return ""
	}
	return v.MustGet()
}

func TestStatement_Headers(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	path := "/v1/users/" + user.id().String() + "/credits/statement"
	response, body := user.send(t, http.MethodGet, path, "")
	require.Equal(t, 200, response.StatusCode, string(body))
	require.Equal(t, `attachment; filename="statement-`+user.id().String()+`.csv"`, response.Header.Get("Content-Disposition"))
	require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
	response, _ = user.send(t, http.MethodGet, path+"?from=2026-01-31T23:30:00-01:00&to=2026-03-01T00:00:00Z", "")
	require.Equal(t, `attachment; filename="statement-`+user.id().String()+`-from-2026-02-01-to-2026-03-01.csv"`, response.Header.Get("Content-Disposition"))

	response, body = user.send(t, http.MethodGet, path+"?from=2026-03-01T00:00:00Z&to=2026-01-01T00:00:00Z", "")
	require.Equal(t, 422, response.StatusCode)
	requireProblem(t, response, body, "validation_failed", "/query/to")
	response, body = s.admin(t).send(t, http.MethodGet, "/v1/users/"+uuid.NewString()+"/credits/statement", "")
	require.Equal(t, 404, response.StatusCode)
	requireProblem(t, response, body, "user_not_found", "")
	// A key is nobody, and nobody's.
	response, _ = s.backend(t, authclient.ScopeUsersRead).send(t, http.MethodGet, "/v1/users/"+uuid.Nil.String()+"/credits/statement", "")
	require.Equal(t, 403, response.StatusCode)
	// In capitals it is the same user.
	response, _ = user.send(t, http.MethodGet, strings.Replace(path, user.id().String(), strings.ToUpper(user.id().String()), 1), "")
	require.Equal(t, 200, response.StatusCode)
}

// What people write is never a formula, wherever a spreadsheet sees a cell begin.
func TestStatement_Formulas(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	texts := []struct{ text, cell string }{
		{`=HYPERLINK("https://evil.example","x")`, `'=HYPERLINK("https://evil.example","x")`},
		{"+1", "'+1"}, {"-1", "'-1"}, {"@SUM(A1)", "'@SUM(A1)"}, {"=1+1;=2", "'=1+1;'=2"},
		{"\t=1", "'\t'=1"}, {"\r=1", "''=1"}, {"\n=1", "'\n'=1"}, // a line end of one kind is read as one of another
		{"a;=1", "a;'=1"}, {"a;\t=1", "a;\t'=1"}, {"a\n-1", "a\n'-1"}, {"＝1", "'＝1"},
		{`a,"b",=c`, `a,"b",=c`}, {"2 - 1 = 1", "2 - 1 = 1"}, {"a@example.com", "a@example.com"}, {"'=1", "'=1"}, {"ünïcödé 💶", "ünïcödé 💶"}, {"", ""},
	}
	for _, test := range texts {
		r, err := admin.GrantUserCreditsWithResponse(t.Context(), user.id(), &authclient.GrantUserCreditsParams{IdempotencyKey: uuid.NewString()},
			authclient.GrantRequest{Amount: 1, Description: new(test.text)})
		require.NoError(t, err)
		require.NotNil(t, r.JSON201, string(r.Body))
	}
	reference := "-2+3"
	user.debit(t, "d", authclient.DebitRequest{Amount: 3, Reference: &reference})

	rows, raw := user.statement(t, user.id(), nil, nil)
	for i, test := range texts {
		require.Equal(t, test.cell, rows[i+2][4], "%q", test.text)
	}
	debit := rows[len(rows)-2]
	require.Equal(t, "'-2+3", debit[3])
	require.Equal(t, []string{"-3", "-0.03"}, []string{debit[5], debit[7]}) // numbers stay numbers
	require.NotContains(t, raw, "\ufeff")
}

// A statement that cannot be completed breaks off, so that no part of one looks
// like the whole.
func TestStatement_BreaksOff(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	operations := make([]authclient.BatchOperation, 1000)
	for i := range operations {
		operations[i] = authclient.BatchGrant{UserID: user.id(), Amount: 1, Description: new("Thank you")}.Operation()
	}
	s.admin(t).batch(t, authclient.BatchModeAtomic, operations...)
	owner := s.db.Owner(t)
	for _, damage := range []string{
		"ALTER TABLE credit_transactions DISABLE TRIGGER USER",
		"UPDATE credit_transactions SET burned = '{}' WHERE sequence = 900",
	} {
		_, err := owner.Exec(t.Context(), damage)
		require.NoError(t, err)
	}

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/users/"+user.id().String()+"/credits/statement", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+user.session.AccessToken)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, 200, response.StatusCode)
	begun, err := io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Contains(t, string(begun), "opening_balance")
	require.NotContains(t, string(begun), "closing_balance")
	require.Eventually(t, func() bool { return strings.Contains(s.logs.String(), "a statement was broken off") }, time.Minute, time.Millisecond)
}
