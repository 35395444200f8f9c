package identity

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// finalPrefix is what River puts before the reason of a jobs.Final.
const finalPrefix = "JobCancelError: "

// FailedMail is a mail that is not tried any more: the server refused it for
// good, or did not take it for as long as it was tried. It is kept for
// jobs.KeepFailed.
type FailedMail struct {
	ID        int64     `json:"id"` // of the job
	Kind      string    `json:"kind"`
	Recipient string    `json:"recipient"` // masked
	Tries     int       `json:"tries"`
	LastError string    `json:"last_error"` // without addresses and links
	CreatedAt time.Time `json:"created_at"`
	FailedAt  time.Time `json:"failed_at"`
}

// FailedMails lists the failed mails after an id (0 for all), oldest first; more
// says that there are newer ones.
func (s *Service) FailedMails(ctx context.Context, after int64, limit int) (page []FailedMail, more bool, err error) {
	rows, err := s.q.MailJobListFailed(ctx, s.pool, dbgen.MailJobListFailedParams{Kind: Mail{}.Kind(), After: after, PageSize: int32(limit) + 1}) //nolint:gosec // a page
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	rows, more = cut(rows, limit)
	for _, row := range rows {
		page = append(page, FailedMail{
			ID: row.ID, Kind: row.Template, Recipient: mask(row.Recipient), Tries: int(row.Tries), LastError: strings.TrimPrefix(row.LastError, finalPrefix),
			CreatedAt: row.CreatedAt, FailedAt: *row.FinalizedAt,
		})
	}
	return page, more, nil
}

// RetryMails has failed mails tried again, as if for the first time, and returns
// the ids of those that it found.
func (s *Service) RetryMails(ctx context.Context, ids []int64) ([]int64, error) {
	return s.retryMails(ctx, dbgen.MailJobRetryFailedParams{Ids: ids})
}

// RetryAllMails has all failed mails tried again, as RetryMails.
func (s *Service) RetryAllMails(ctx context.Context) ([]int64, error) {
	return s.retryMails(ctx, dbgen.MailJobRetryFailedParams{Every: true})
}

func (s *Service) retryMails(ctx context.Context, which dbgen.MailJobRetryFailedParams) ([]int64, error) {
	which.Kind = Mail{}.Kind()
	found, err := s.q.MailJobRetryFailed(ctx, s.pool, which)
	return found, pgdb.Classify(err)
}

// mask hides an address from whoever looks over the shoulder: a***@example.com.
func mask(address string) string {
	local, domain, found := strings.Cut(address, "@")
	if !found {
		return ""
	}
	_, size := utf8.DecodeRuneInString(local)
	if size == len(local) {
		size = 0 // the whole of it
	}
	return local[:size] + "***@" + domain
}
