package identity

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/mailer"
)

// devicesKept is how many devices of one user are remembered, the last used ones.
const devicesKept = 50

// Device is where a request comes from.
type Device struct {
	IP        netip.Addr
	UserAgent string
}

// KnownDevice is a device that a user has logged in on.
type KnownDevice struct {
	Name                    string // in words; empty where the device did not say what it is
	FirstSeenAt, LastSeenAt time.Time
}

// noteDevice remembers what a user logs in on, and tells them of a device that
// is not among those before; of the first one nobody needs to be told. Programs
// and systems make a device, versions and network addresses do not: people
// update and travel, and a warning for each would not be read.
//
// To be called under UserLoggedIn.
func (s *Service) noteDevice(ctx context.Context, tx pgx.Tx, userID uuid.UUID, d Device) error {
	isNew, err := s.q.UserDeviceSeen(ctx, tx, dbgen.UserDeviceSeenParams{
		UserID: userID, Device: mailer.Family(CleanAgent(d.UserAgent)), Now: s.clock(), Others: devicesKept - 1,
	})
	if err != nil {
		return fmt.Errorf("noting the device: %w", err)
	}
	if !isNew {
		return nil
	}
	return s.mail(ctx, tx, Mail{Template: mailer.NewSignIn, UserID: userID, Device: d})
}
