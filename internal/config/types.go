package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jub0bs/cors"
)

// Rate is a number of attempts in a time span.
type Rate struct {
	Attempts int
	Span     time.Duration
}

var errRate = errors.New("must be a rate such as 10/15m")

// Decode implements envconfig.Decoder.
func (r *Rate) Decode(value string) error {
	attempts, span, _ := strings.Cut(value, "/")
	n, errN := strconv.Atoi(strings.TrimSpace(attempts))
	d, errD := time.ParseDuration(strings.TrimSpace(span))
	// A window of years would only make the numbers overflow.
	if errN != nil || errD != nil || n < 1 || n > 1_000_000 || d < time.Second || d > 31*24*time.Hour {
		return errRate
	}
	*r = Rate{Attempts: n, Span: d}
	return nil
}

// Networks are network addresses.
type Networks []netip.Prefix

var errNetworks = errors.New("must be addresses or networks such as 10.0.0.0/8, separated by commas")

// Decode implements envconfig.Decoder.
func (n *Networks) Decode(value string) error {
	*n = nil
	for _, item := range strings.Split(value, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		network, err := netip.ParsePrefix(item)
		if err != nil {
			address, errAddress := netip.ParseAddr(item)
			if errAddress != nil || address.Zone() != "" {
				return errNetworks
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		// An IPv4 network in the clothes of IPv6 would contain no IPv4 address.
		if network.Addr().Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		}
		*n = append(*n, network.Masked())
	}
	return nil
}

// Origins are web origins, or patterns of them.
type Origins []string

var errOrigins = errors.New("must be origins such as https://app.example.com or https://*.example.com, separated by commas; " +
	"plain http only on this machine, and not everybody's subdomains")

// Decode implements envconfig.Decoder.
func (o *Origins) Decode(value string) error {
	*o = nil
	for _, item := range strings.Split(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*o = append(*o, item)
		}
	}
	if len(*o) == 0 {
		return nil
	}
	if _, err := cors.NewMiddleware(cors.Config{Origins: *o, Credentialed: true}); err != nil {
		return errOrigins
	}
	return nil
}
