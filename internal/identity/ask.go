package identity

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgdb"
)

// What somebody can ask for who has shown nothing but an address.
const (
	askedToRegister = "register"
	askedToReset    = "reset"
	askedToVerify   = "verify"
)

// asked is such a request.
type asked struct {
	What         string
	Email        string // normalised
	Name         string // of who registers
	Locale       string // of who registers
	PasswordHash string // of who registers
	Source       audit.Source
}

// Asked is a job: a request of somebody who may or may not have an account. The
// request itself does the same for every address, to the last query: it stores
// this job. Only the job finds out, and only the mailbox learns.
type Asked struct {
	// Sealed holds an address, which nobody but this service shall read.
	Sealed []byte `json:"sealed"`
}

// Kind implements river.JobArgs.
func (Asked) Kind() string { return "asked" }

const askedSeal = "asked" // binds the ciphertext to its use

// ask stores a request. Without a way to answer it there is nothing to do.
func (s *Service) ask(ctx context.Context, a asked) error {
	if s.Mailer == nil {
		return nil
	}
	a.Source = audit.SourceOf(ctx)
	plain, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("writing a request down: %w", err)
	}
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		return s.Jobs.Enqueue(ctx, tx, Asked{Sealed: s.Sealer.Seal(plain, askedSeal)})
	})
}

// Answer is the work of an Asked, and ends the job with it: whoever asked once
// gets one mail.
func (s *Service) Answer(ctx context.Context, job Asked) error {
	var a asked
	plain, err := s.Sealer.Open(job.Sealed, askedSeal)
	if err == nil {
		err = json.Unmarshal(plain, &a)
	}
	if err != nil {
		return jobs.Final(err) // the encryption key was changed meanwhile
	}
	ctx = audit.WithSource(ctx, a.Source)
	return pgdb.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if err := s.answer(ctx, tx, a); err != nil {
			return err
		}
		return jobs.End(ctx, tx)
	}, isEmailTaken)
}

// isEmailTaken is what a registration meets when another one of the same
// address came first. Tried again it finds the account.
func isEmailTaken(err error) bool { return err == ErrEmailTaken } //nolint:errorlint // exactly insertUser's

func (s *Service) answer(ctx context.Context, tx pgx.Tx, a asked) error {
	row, err := s.q.UserGetByEmail(ctx, tx, &a.Email)
	if pgdb.NoRows(err) {
		if a.What == askedToRegister {
			return s.registerAsked(ctx, tx, a)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the account: %w", err)
	}
	if row, err = s.q.UserLock(ctx, tx, row.ID); pgdb.NoRows(err) {
		return nil // deleted meanwhile
	} else if err != nil {
		return fmt.Errorf("locking the account: %w", err)
	}
	user := userFrom(row, s.clock())
	device := Device{IP: a.Source.IP, UserAgent: a.Source.UserAgent}
	switch {
	case user.Status != StatusActive:
		return nil
	case a.What == askedToReset:
		if err := s.Audit.Write(ctx, tx, audit.PasswordResetRequested, audit.OnUser(user.ID), nil); err != nil {
			return err
		}
		return s.mailPasswordLink(ctx, tx, user, mailer.ResetPassword, device)
	case !user.EmailVerified:
		// The password of whoever registers an existing account again is not taken:
		// they may be somebody else, whose link its owner would open.
		if err := s.Audit.Write(ctx, tx, audit.VerificationRequested, audit.OnUser(user.ID), nil); err != nil {
			return err
		}
		return s.mailVerification(ctx, tx, user)
	case a.What == askedToRegister:
		return s.mail(ctx, tx, Mail{Template: mailer.AccountExists, UserID: user.ID, Device: device})
	}
	return nil
}

func (s *Service) registerAsked(ctx context.Context, tx pgx.Tx, a asked) error {
	user, err := s.insertUser(ctx, tx, NewUser{Email: a.Email, Name: a.Name, Locale: a.Locale, Role: RoleUser}, &a.PasswordHash)
	if err != nil {
		return err
	}
	if err := s.Audit.WriteAs(ctx, tx, audit.User(user.ID), audit.UserCreated, audit.OnUser(user.ID), audit.Details{"role": RoleUser}); err != nil {
		return err
	}
	return s.mailVerification(ctx, tx, user)
}
