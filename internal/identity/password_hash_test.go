package identity

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

var (
	somePepper  = []byte("k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4Lp")
	otherPepper = []byte("k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4Lq")
	thirdPepper = []byte("k3Zq8vRt1Yw6Xn0Bs5Cd9Ef2Gh7Jm4Lr")
)

// Hashes of rightPassword, and of as many x as their names say, made by another
// implementation of bcrypt (libxcrypt).
const (
	imported2a  = "$2a$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"
	imported2b  = "$2b$04$ZYXWVUTSRQPONMLKJIHGFeZtXpCAG.taAacw10ZnnlmQj2x167Aoe"
	imported2y  = "$2y$04$0123456789./ABCDEFGHIumRi6SZsOborD.3NjtJy0jN1YGBlX6ZK"
	importedTwo = "$2b$05$0123456789./ABCDEFGHIuVLyB7JYwj8Ptsotgy.qF65YDsomyXiG" // of twice the work
	importedUTF = "$2y$04$0123456789./ABCDEFGHIuWbASoAft/esNQd1GaZLutLfyAkBc96q" // of pässwörd€
	imported71  = "$2b$04$0123456789./ABCDEFGHIuBd6peIbu/bkmPGH2I9kH5ureeWhMCxq"
	imported72  = "$2b$04$0123456789./ABCDEFGHIupL9D8FTOmwG1acEeEsSbmL8Xw1MjlRG" // and of 100
)

// cheap is a hasher of the lowest cost.
func cheap(pepper []byte, previous ...[]byte) *hasher {
	h := newHasher(PasswordOptions{Cost: bcrypt.MinCost, Pepper: pepper, PreviousPeppers: previous})
	h.pool.delay = 0
	return h
}

func hashOf(t testing.TB, h *hasher, password string) string {
	t.Helper()
	stored, err := h.hash(context.Background(), password)
	require.NoError(t, err)
	return stored
}

// The verdicts that there are.
var (
	matches  = verdict{match: true}
	outdated = verdict{match: true, outdated: true}
	differs  = verdict{}
)

func requireVerdict(t *testing.T, want verdict, h *hasher, stored, password string) {
	t.Helper()
	got, err := h.verify(t.Context(), &stored, password)
	require.NoError(t, err)
	require.Equal(t, want, got, "%q as %q", password, stored)
}

// A password is checked in full: nothing ends it, nothing is trimmed or folded.
func TestHasher_EveryByteCounts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 72)
	for name, pair := range map[string][2]string{
		"After72Bytes":     {long + "a", long + "b"},
		"LongerThan72":     {long, long + "x"},
		"Last":             {strings.Repeat("😀", 255) + "😀", strings.Repeat("😀", 255) + "😁"},
		"AfterNUL":         {"password\x00one", "password\x00two"},
		"EndsInNUL":        {"password", "password\x00"},
		"BeginsWithNUL":    {"\x00password", "\x00passwore"},
		"RepeatedAfterNUL": {"password", "password\x00password"},
		"Case":             {"password", "Password"},
		"SpaceBehind":      {"password", "password "},
		"SpaceBefore":      {"password", " password"},
		"Newline":          {"password", "password\n"},
		"NotNormalised":    {"passw\u00f6rd", "passwo\u0308rd"},
		"FullWidth":        {"password", "ｐａｓｓｗｏｒｄ"},
		"InvalidUTF8":      {"password\xff", "password\xfe"},
		"InvalidOrReplace": {"password\xff", "password\ufffd"},
		"ItsOwnHashIsNone": {"password", string(pepper(nil).prehash("password"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := cheap(nil)
			for i, right := range pair {
				stored := hashOf(t, h, right)
				requireVerdict(t, matches, h, stored, right)
				requireVerdict(t, differs, h, stored, pair[1-i])
			}
		})
	}
}

func TestHasher_Hash(t *testing.T) {
	t.Parallel()

	t.Run("NamesItsScheme", func(t *testing.T) {
		t.Parallel()
		require.Regexp(t, `^\$hmac-sha256-bcrypt\$0\$\$2a\$04\$[./A-Za-z0-9]{53}$`, hashOf(t, cheap(nil), rightPassword))
		peppered := newHasher(PasswordOptions{Cost: 5, Pepper: somePepper})
		require.Regexp(t, `^\$hmac-sha256-bcrypt\$[0-9a-f]{8}\$\$2a\$05\$[./A-Za-z0-9]{53}$`, hashOf(t, peppered, rightPassword))
	})
	t.Run("IsSalted", func(t *testing.T) {
		t.Parallel()
		h := cheap(nil)
		one, two := hashOf(t, h, rightPassword), hashOf(t, h, rightPassword)
		require.NotEqual(t, one, two)
	})
	t.Run("StaysValid", func(t *testing.T) {
		t.Parallel()
		// Written by the first version of this code.
		requireVerdict(t, matches, cheap(nil), "$hmac-sha256-bcrypt$0$$2a$04$RBtRkiuC4d9AFgAVX0mYbOV9mhFWN1O5e.pIIHLzcpEyEMz6ODTlu", rightPassword)
		requireVerdict(t, matches, cheap(somePepper), "$hmac-sha256-bcrypt$cbc46072$$2a$04$UxhFcHof8bqrzzriqXFj0.HOXStvm3/It7k4WLK9Cb25QmYfPE6KK", rightPassword)
	})
	t.Run("DamagedMatchesNothing", func(t *testing.T) {
		t.Parallel()
		h := cheap(nil)
		stored := hashOf(t, h, rightPassword)
		for _, damaged := range []string{
			"", hashScheme, hashScheme + "0$", stored[:len(stored)-1], stored + ".", stored + "\n", stored[1:], "$other" + stored,
			strings.Replace(stored, "$0$", "$00$", 1), strings.Replace(stored, "$2a$04$", "$2a$4$", 1),
		} {
			requireVerdict(t, differs, h, damaged, rightPassword)
		}
	})
}

func TestHasher_Verify_Pepper(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stored []byte
		now    *hasher
		want   verdict
	}{
		"None":            {nil, cheap(nil), matches},
		"Same":            {somePepper, cheap(somePepper), matches},
		"SameAndPrevious": {somePepper, cheap(somePepper, somePepper), matches},
		"Added":           {nil, cheap(somePepper), outdated},
		"Rotated":         {somePepper, cheap(otherPepper, somePepper), outdated},
		"RotatedTwice":    {somePepper, cheap(otherPepper, thirdPepper, somePepper), outdated},
		"AheadOfUs":       {somePepper, cheap(nil, somePepper), outdated},
		"Removed":         {somePepper, cheap(nil), differs},
		"Changed":         {somePepper, cheap(otherPepper), differs},
		"Unknown":         {somePepper, cheap(otherPepper, thirdPepper), differs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := hashOf(t, cheap(test.stored), rightPassword)
			requireVerdict(t, test.want, test.now, stored, rightPassword)
			requireVerdict(t, differs, test.now, stored, rightPassword+"r")
		})
	}
	t.Run("EntersTheHash", func(t *testing.T) {
		t.Parallel()
		// Not only the id of the pepper, which whoever reads the database could rewrite.
		none, some, other := pepper(nil), pepper(somePepper), pepper(otherPepper)
		require.NotEqual(t, some.id(), other.id())
		require.NotContains(t, string(somePepper), some.id())
		require.NotEqual(t, some.prehash(rightPassword), other.prehash(rightPassword))
		require.NotEqual(t, some.prehash(rightPassword), none.prehash(rightPassword))

		renamed := strings.Replace(hashOf(t, cheap(somePepper), rightPassword), some.id(), none.id(), 1)
		requireVerdict(t, differs, cheap(somePepper), renamed, rightPassword)
	})
}

func TestHasher_Verify_Cost(t *testing.T) {
	t.Parallel()
	four, five := newHasher(PasswordOptions{Cost: 4}), newHasher(PasswordOptions{Cost: 5})
	requireVerdict(t, matches, four, hashOf(t, four, rightPassword), rightPassword)
	requireVerdict(t, outdated, five, hashOf(t, four, rightPassword), rightPassword)
	requireVerdict(t, outdated, four, hashOf(t, five, rightPassword), rightPassword)
	requireVerdict(t, differs, four, hashOf(t, five, rightPassword), rightPassword+"r")
}

func TestHasher_Verify_Imported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stored, password string
		want             verdict
	}{
		"2a":            {imported2a, rightPassword, outdated},
		"2b":            {imported2b, rightPassword, outdated},
		"2y":            {imported2y, rightPassword, outdated},
		"OtherCost":     {importedTwo, rightPassword, outdated},
		"NotASCII":      {importedUTF, "pässwörd€", outdated},
		"Wrong":         {imported2b, rightPassword + "r", differs},
		"Shorter":       {imported2b, rightPassword[1:], differs},
		"Case":          {imported2b, strings.ToUpper(rightPassword), differs},
		"SpaceBehind":   {imported2b, rightPassword + " ", differs},
		"Prehashed":     {imported2b, string(pepper(nil).prehash(rightPassword)), differs},
		"NUL":           {imported2b, rightPassword + "\x00", differs},
		"AfterNUL":      {imported2b, rightPassword + "\x00and more", differs},
		"RepeatedByNUL": {imported2b, rightPassword + "\x00" + rightPassword, differs},
		"71":            {imported71, strings.Repeat("x", 71), outdated},
		"71ThenNUL":     {imported71, strings.Repeat("x", 71) + "\x00", differs},
		"72":            {imported72, strings.Repeat("x", 72), differs},
		"CutOff":        {imported72, strings.Repeat("x", 100), differs},
		"CutOffTwice":   {imported72, strings.Repeat("x", 99) + "y", differs},
		"2x":            {"$2x" + imported2a[3:], rightPassword, differs},
		"2":             {"$2" + imported2a[3:], rightPassword, differs},
		"3a":            {"$3a" + imported2a[3:], rightPassword, differs},
		"NoCost":        {"$2a$xx" + imported2a[6:], rightPassword, differs},
		"CostTooLow":    {"$2a$03" + imported2a[6:], rightPassword, differs},
		"CostTooHigh":   {"$2a$19" + imported2a[6:], rightPassword, differs},
		"CostOfDays":    {"$2a$31" + imported2a[6:], rightPassword, differs},
		"Cut":           {imported2a[:59], rightPassword, differs},
		"Longer":        {imported2a + "G", rightPassword, differs},
		"NewlineBehind": {imported2a + "\n", rightPassword, differs},
		"OtherScheme":   {"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$bm9uZQ", rightPassword, differs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireVerdict(t, test.want, cheap(nil), test.stored, test.password)
			requireVerdict(t, test.want, cheap(somePepper), test.stored, test.password)
		})
	}
	t.Run("Upgraded", func(t *testing.T) {
		t.Parallel()
		h := cheap(somePepper)
		requireVerdict(t, outdated, h, imported2y, rightPassword)
		requireVerdict(t, matches, h, hashOf(t, h, rightPassword), rightPassword)
	})
}

// Costs that bcrypt does not know, and those that would take days, are not worked on.
func TestHasher_Verify_CostLimits(t *testing.T) {
	t.Parallel()
	h := cheap(nil)
	for cost := range 100 {
		hashed := fmt.Sprintf("$2a$%02d%s", cost, imported2a[6:])
		for _, stored := range []string{hashed, hashScheme + "0$" + hashed} {
			s, ok := h.parse(stored)
			require.Equal(t, cost >= 4 && cost <= 18, ok, stored)
			if ok {
				require.Equal(t, cost, s.cost)
			}
		}
	}
}

// Whatever is stored costs one hash of the present cost: less work is made up for.
func TestHasher_Verify_Work(t *testing.T) {
	t.Parallel()
	for low := bcrypt.MinCost; low <= maxCost; low++ {
		for high := bcrypt.MinCost; high <= maxCost; high++ {
			work := 1 << low
			for _, cost := range costsBetween(low, high) {
				work += 1 << cost
			}
			require.Equal(t, max(1<<low, 1<<high), work, "from %d to %d", low, high)
		}
	}
}

// What is stored shows in no comparison's time. The margin is wide, for busy
// machines, and yet far from what each of them would take by itself: a 32nd.
// BenchmarkHasher_Verify has the exact times.
func TestHasher_Verify_Time(t *testing.T) {
	t.Parallel()
	h := newHasher(PasswordOptions{Cost: 9, Pepper: somePepper, Slots: 1})
	comparisons := timed(t, h)
	known := fastest(t, h, comparisons["Known"])
	for name, c := range comparisons {
		require.Greater(t, fastest(t, h, c), known/8, name)
	}
	began := time.Now()
	require.NoError(t, h.dummy(t.Context()))
	require.Greater(t, time.Since(began), known/8)
}

// comparison is a wrong password and what it is compared with.
type comparison struct {
	stored   *string
	password string
}

// timed are the comparisons that should take the time of the known one.
func timed(t testing.TB, h *hasher) map[string]comparison {
	t.Helper()
	known, rotated, cheaper := hashOf(t, h, rightPassword), hashOf(t, cheap(otherPepper), rightPassword), hashOf(t, cheap(somePepper), rightPassword)
	foreign, plain, damaged := "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$bm9uZQ", imported2b, known[:len(known)-1]
	wrong := rightPassword + "r"
	return map[string]comparison{
		"Known":         {&known, wrong},
		"Unknown":       {nil, wrong},
		"Cheaper":       {&cheaper, wrong},
		"Plain":         {&plain, wrong},
		"PlainTooLong":  {&plain, strings.Repeat("x", 100)},
		"PlainWithNUL":  {&plain, rightPassword + "\x00"},
		"UnknownPepper": {&rotated, wrong},
		"UnknownScheme": {&foreign, wrong},
		"Damaged":       {&damaged, wrong},
	}
}

// fastest returns the shortest time that a comparison took.
func fastest(t *testing.T, h *hasher, c comparison) time.Duration {
	t.Helper()
	shortest := time.Hour
	for range 3 {
		began := time.Now()
		got, err := h.verify(t.Context(), c.stored, c.password)
		require.NoError(t, err)
		require.Equal(t, differs, got)
		shortest = min(shortest, time.Since(began))
	}
	return shortest
}

func BenchmarkHasher_Verify(b *testing.B) {
	h := newHasher(PasswordOptions{Cost: 8, Pepper: somePepper})
	comparisons := timed(b, h)
	known := *comparisons["Known"].stored
	comparisons["Right"] = comparison{&known, rightPassword}
	for _, name := range slices.Sorted(maps.Keys(comparisons)) {
		c := comparisons[name]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.verify(b.Context(), c.stored, c.password); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
