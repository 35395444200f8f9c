package identity

import (
	"maps"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkLogIn_Timing measures whether the time of a refusal tells who has an
// account. Logins of all classes take turns, 500 of each, and each class is
// compared with the wrong password of an ordinary account: AUC is how likely a
// login of the one takes longer than one of the other. 0.5 tells nothing.
func BenchmarkLogIn_Timing(b *testing.B) {
	const samples = 500
	s := setup(b, func(o *Options) { o.Passwords.Cost, o.RequireVerifiedEmail = 8, true })
	for _, email := range []string{ada, "suspended@example.com", "unverified@example.com", "imported@example.com"} {
		_, err := s.CreateUser(b.Context(), NewUser{
			Email: email, EmailVerified: email != "unverified@example.com", Password: rightPassword, Role: RoleUser,
		})
		require.NoError(b, err)
	}
	s.exec(b, "UPDATE users SET status = 'suspended' WHERE email = 'suspended@example.com'")
	s.storeHash(b, "imported@example.com", imported2b)
	emails := map[string]string{
		"wrong": ada, "unknown": "nobody@example.com", "suspended": "suspended@example.com",
		"unverified": "unverified@example.com", "imported": "imported@example.com",
	}
	classes := slices.Sorted(maps.Keys(emails))
	took := map[string][]time.Duration{}
	for b.Loop() {
		clear(took)
		for i := range samples {
			for j := range classes {
				class := classes[(i+j)%len(classes)] // each comes after each other one
				began := time.Now()
				_, err := s.LogIn(b.Context(), emails[class], wrongPassword, Device{})
				took[class] = append(took[class], time.Since(began))
				require.Equal(b, ErrInvalidCredentials, err)
			}
		}
	}
	for _, class := range classes {
		if class != "wrong" {
			b.ReportMetric(auc(took["wrong"], took[class]), "AUC-"+class)
		}
	}
}

// auc is the probability that a value of the one sample is below one of the
// other (the area under the ROC curve, which is Mann and Whitney's U).
func auc(one, other []time.Duration) float64 {
	slices.Sort(one)
	var below float64
	for _, x := range other {
		first := sort.Search(len(one), func(i int) bool { return one[i] >= x })
		last := sort.Search(len(one), func(i int) bool { return one[i] > x })
		below += float64(first+last) / 2
	}
	return below / float64(len(one)*len(other))
}
