package identity

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/ratelimit"
)

// Limits are how often what can be guessed or abused may be tried. Those of
// an address count a client's network address; see ratelimit.Address.
type Limits struct {
	LoginPerAddress ratelimit.Rate // logins from an address, to whatever accounts
	LoginPerPair    ratelimit.Rate // logins to one account from one address
	// Logins to one account from everywhere. Beyond it the account is under
	// attack, and LoginUnderAttack takes the place of LoginPerPair.
	LoginPerAccount  ratelimit.Rate
	LoginUnderAttack ratelimit.Rate

	RegisterPerAddress ratelimit.Rate // registrations
	MailPerAddress     ratelimit.Rate // requests for a mail: forgot, resend, a change of address
	MailPerAccount     ratelimit.Rate // mails that strangers can cause to one mail address
	LinkPerAddress     ratelimit.Rate // mailed tokens that are tried: reset, verify
	RefreshPerAddress  ratelimit.Rate
	ConfirmPerSession  ratelimit.Rate // passwords that a logged-in person is asked for again
}

// limitLogin counts an attempt to log in, and returns what to do when it turns
// out to have had the right password.
//
// An attacker with one address meets the limits of that address. One with many
// addresses brings the account under attack, which leaves each address few
// attempts; but some to every address, so that nobody is locked out who comes
// from elsewhere and knows the password.
func (s *Service) limitLogin(ctx context.Context, account string, ip netip.Addr) (right func() error, err error) {
	from := ratelimit.Address(ip)
	limits := []ratelimit.Limit{
		{Action: "login address", Of: from, Rate: s.o.Limits.LoginPerAddress},
		{Action: "login pair", Of: account + " " + from, Rate: s.o.Limits.LoginPerPair},
		{Action: "login account", Of: account, Rate: s.o.Limits.LoginPerAccount},
		{Action: "login under attack", Of: account + " " + from, Rate: s.o.Limits.LoginUnderAttack},
	}
	waits, err := s.Limiter.Take(ctx, limits...)
	if err != nil {
		return nil, err
	}
	if wait := max(waits[0], waits[1], min(waits[2], waits[3])); wait > 0 {
		return nil, apperr.TooManyAttempts(wait)
	}
	return func() error {
		var taken []ratelimit.Limit
		for i, limit := range limits {
			if waits[i] == 0 {
				taken = append(taken, limit)
			}
		}
		return s.Limiter.GiveBack(ctx, taken...)
	}, nil
}

func (s *Service) limitMail(ctx context.Context, account string, ip netip.Addr) error {
	return s.limit(ctx,
		ratelimit.Limit{Action: "mail address", Of: ratelimit.Address(ip), Rate: s.o.Limits.MailPerAddress},
		ratelimit.Limit{Action: "mail account", Of: account, Rate: s.o.Limits.MailPerAccount})
}

func (s *Service) limitAddress(ctx context.Context, action string, ip netip.Addr, rate ratelimit.Rate) error {
	return s.limit(ctx, ratelimit.Limit{Action: action, Of: ratelimit.Address(ip), Rate: rate})
}

// limit refuses an attempt that is beyond any of the limits.
func (s *Service) limit(ctx context.Context, limits ...ratelimit.Limit) error {
	waits, err := s.Limiter.Take(ctx, limits...)
	if err != nil {
		return err
	}
	if wait := slices.Max(append(waits, time.Duration(0))); wait > 0 {
		return apperr.TooManyAttempts(wait)
	}
	return nil
}
