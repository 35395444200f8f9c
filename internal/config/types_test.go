package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

func TestRate_Decode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"10/15m":      {10, 15 * time.Minute},
		"1/1s":        {1, time.Second},
		"1000000/1s":  {1_000_000, time.Second},
		"1/744h":      {1, 744 * time.Hour},
		"3/1h30m":     {3, 90 * time.Minute},
		"10 / 15m":    {10, 15 * time.Minute},
		"300/1.5s":    {300, 1500 * time.Millisecond},
		"5/60s":       {5, time.Minute},
		"007/0h0m07s": {7, 7 * time.Second},
	} {
		t.Run("Good/"+strings.ReplaceAll(text, "/", "_"), func(t *testing.T) {
			t.Parallel()
			var got Rate
			require.NoError(t, got.Decode(text))
			require.Equal(t, want, got)
		})
	}
	for _, text := range []string{
		"10", "10/", "/15m", "/", "10/15", "15m/10", "0/15m", "-1/15m", "1000001/1s", "1/999ms", "1/0s", "1/-1h", "1/744h1ns",
		"1.5/1m", "1e3/1m", "ten/1m", "10/1m/2", "10 per 15m", "10/day", "99999999999999999999/1m", "1/9999999h",
	} {
		t.Run("Bad/"+strings.ReplaceAll(text, "/", "_"), func(t *testing.T) {
			t.Parallel()
			before := Rate{7, time.Minute}
			got := before
			require.ErrorIs(t, got.Decode(text), errRate)
			require.Equal(t, before, got, "nothing half read")
		})
	}
}

// Each limit is read by its own name, and complains under it.
func TestConfig_Limits(t *testing.T) {
	t.Parallel()
	n := 0
	for _, name := range names() {
		if !strings.HasPrefix(name, "AUTH_LIMIT_") {
			continue
		}
		n++
		_, err := Load(environ(name + "=0/1m"))
		require.Equal(t, []string{name + ": must be a rate such as 10/15m"}, lines(err))
	}
	require.Equal(t, 10, n)
}

func TestNetworks_Decode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"Network":        {"10.0.0.0/8", []string{"10.0.0.0/8"}},
		"Address":        {"192.0.2.7", []string{"192.0.2.7/32"}},
		"Address6":       {"2001:db8::7", []string{"2001:db8::7/128"}},
		"Several":        {"10.0.0.0/8,192.0.2.7,2001:db8::/32", []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"}},
		"Spaces":         {" 10.0.0.0/8 ,\t192.0.2.7 ", []string{"10.0.0.0/8", "192.0.2.7/32"}},
		"EmptyOnes":      {",10.0.0.0/8,,", []string{"10.0.0.0/8"}},
		"Nothing":        {" , ", nil},
		"HostBits":       {"10.1.2.3/8", []string{"10.0.0.0/8"}},
		"All":            {"0.0.0.0/0,::/0", []string{"0.0.0.0/0", "::/0"}},
		"MappedAddress":  {"::ffff:192.0.2.7", []string{"192.0.2.7/32"}},
		"MappedNetwork":  {"::ffff:10.1.2.3/104", []string{"10.0.0.0/8"}},
		"MappedAndMore":  {"::ffff:0.0.0.0/95", []string{"::fffe:0:0/95"}},
		"MappedAll":      {"::ffff:0.0.0.0/96", []string{"0.0.0.0/0"}},
		"LinkLocal":      {"fe80::/10", []string{"fe80::/10"}},
		"UpperCaseHex":   {"2001:DB8::/32", []string{"2001:db8::/32"}},
		"TwiceTheSame":   {"10.0.0.0/8,10.0.0.0/8", []string{"10.0.0.0/8", "10.0.0.0/8"}},
		"SingleNetwork6": {"2001:db8::7/128", []string{"2001:db8::7/128"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Networks{netip.MustParsePrefix("1.1.1.1/32")} // is replaced
			require.NoError(t, got.Decode(test.text))
			var want Networks
			for _, text := range test.want {
				want = append(want, netip.MustParsePrefix(text))
			}
			require.Empty(t, cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})))
		})
	}
}
