package identity

import (
	"context"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/pgdb"
)

// Export is what is held about a person here.
type Export struct {
	User     User
	Sessions []SessionInfo // ended ones too, as long as they are kept
	Devices  []KnownDevice // the last used first
	APIKeys  []APIKey      // those they made, deleted ones too
}

// ExportOf gathers what is held about a user. Errors as of Me.
func (s *Service) ExportOf(ctx context.Context, id uuid.UUID) (Export, error) {
	user, err := s.Me(ctx, id)
	if err != nil {
		return Export{}, err
	}
	sessions, err := s.q.SessionListAll(ctx, s.Reads, id)
	if err != nil {
		return Export{}, pgdb.Classify(err)
	}
	devices, err := s.q.UserDeviceList(ctx, s.Reads, id)
	if err != nil {
		return Export{}, pgdb.Classify(err)
	}
	keys, err := s.q.APIKeyListOfUser(ctx, s.Reads, &id)
	if err != nil {
		return Export{}, pgdb.Classify(err)
	}
	export := Export{User: user}
	for _, row := range sessions {
		export.Sessions = append(export.Sessions, sessionInfoFrom(row))
	}
	for _, row := range devices {
		export.Devices = append(export.Devices, KnownDevice{Name: row.Device, FirstSeenAt: row.FirstSeenAt, LastSeenAt: row.LastSeenAt})
	}
	for _, row := range keys {
		export.APIKeys = append(export.APIKeys, apiKeyFrom(row))
	}
	return export, nil
}
