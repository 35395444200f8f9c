package httpapi

import (
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

var errToBeforeFrom = apperr.InvalidField("/query/to", "must not be before from")

// GetUserCreditStatement serves GET /v1/users/{user_id}/credits/statement.
func (s *server) GetUserCreditStatement(ctx context.Context, r apigen.GetUserCreditStatementRequestObject) (apigen.GetUserCreditStatementResponseObject, error) {
	from, to := r.Params.From, r.Params.To
	if from != nil && to != nil && to.Before(*from) {
		return nil, errToBeforeFrom
	}
	now := time.Now().Truncate(time.Microsecond)
	found, err := s.o.Ledger.Statement(ctx, r.UserID, from, to)
	if err != nil {
		return nil, err
	}
	answer := statement{Statement: found, ctx: ctx, s: s, from: from, closed: now, name: "statement-" + r.UserID.String()}
	if from != nil {
		answer.name += "-from-" + from.UTC().Format(time.DateOnly)
	}
	if to != nil {
		answer.name += "-to-" + to.UTC().Format(time.DateOnly)
		if to.Before(now) {
			answer.closed = *to
		}
	}
	return answer, nil
}

// statement is the answer, CSV (RFC 4180) that a spreadsheet can open.
type statement struct {
	*creditledger.Statement
	ctx    context.Context //nolint:containedctx // of the request that it answers
	s      *server
	from   *time.Time
	closed time.Time // the moment of the closing balance
	name   string
}

var statementHeader = []string{
	"date", "sequence", "type", "reference", "description",
	"amount", "balance_after", "amount_decimal", "balance_after_decimal", "transaction_id",
}

// VisitGetUserCreditStatementResponse implements apigen.GetUserCreditStatementResponseObject.
func (st statement) VisitGetUserCreditStatementResponse(w http.ResponseWriter) error {
	w.Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8; header=present")
	w.Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+st.name+`.csv"`)
	w.WriteHeader(http.StatusOK)
	st.s.answerLong(st.ctx, w, "a statement", st.write)
	return nil
}

func (st statement) write(ctx context.Context, w io.Writer) error {
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	opened := ""
	if st.from != nil {
		opened = moment(*st.from)
	}
	_ = rows.Write(statementHeader) // errors stay, and are looked at below
	_ = rows.Write(st.balance(opened, "opening_balance", st.Opening))
	for t, err := range st.Transactions(ctx) {
		if err != nil {
			return err
		}
		if err := rows.Write(st.row(t)); err != nil {
			return err
		}
	}
	_ = rows.Write(st.balance(moment(st.closed), "closing_balance", st.Closing))
	rows.Flush()
	return rows.Error()
}

func (st statement) row(t creditledger.Transaction) []string {
	scale := st.s.o.Scale
	return []string{
		moment(t.CreatedAt), strconv.FormatInt(t.Sequence, 10), string(t.Type), harmless(t.Reference), harmless(t.Note.Description),
		strconv.FormatInt(t.Amount, 10), strconv.FormatInt(t.BalanceAfter, 10), decimal(t.Amount, scale), decimal(t.BalanceAfter, scale), t.ID.String(),
	}
}

func (st statement) balance(at, what string, balance int64) []string {
	return []string{at, "", what, "", "", "", strconv.FormatInt(balance, 10), "", decimal(balance, st.s.o.Scale), ""}
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// decimal writes an amount as a person reads it: with two decimals, 10050 is 100.50.
func decimal(amount int64, scale int) string {
	digits, sign := strconv.FormatInt(amount, 10), ""
	if amount < 0 {
		digits, sign = digits[1:], "-"
	}
	if scale == 0 {
		return sign + digits
	}
	digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
	point := len(digits) - scale
	return sign + digits[:point] + "." + digits[point:]
}

// harmless is somebody's text as a cell that no spreadsheet takes for a formula
// (OWASP, CSV Injection): an apostrophe goes before what could begin one, at the
// beginning of the cell and where a program that separates cells by semicolons,
// tabs or lines would see one begin.
func harmless(text *string) string {
	if text == nil {
		return ""
	}
	var b strings.Builder
	begins := true
	for i, r := range *text {
		if begins && strings.ContainsRune("=+-@＝＋－＠", r) || i == 0 && strings.ContainsRune("\t\r\n", r) {
			b.WriteByte('\'')
		}
		begins = strings.ContainsRune(";\t\r\n", r)
		b.WriteRune(r)
	}
	return b.String()
}
