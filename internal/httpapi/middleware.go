package httpapi

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/telemetry"
)

var validRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// begin starts the call: its id, its deadline, and its line in the log.
func (s *server) begin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		started := time.Now()
		req := c.Request()
		call := &call{
			id:             req.Header.Get("X-Request-ID"),
			device:         identity.Device{IP: clientAddress(c), UserAgent: req.UserAgent()},
			acceptLanguage: req.Header.Get("Accept-Language"),
		}
		if !validRequestID.MatchString(call.id) {
			call.id = uuid.Must(uuid.NewV7()).String()
		}
		h := c.Response().Header()
		maps.Copy(h, s.headers)
		h.Set("X-Request-ID", call.id)
		if strings.HasPrefix(req.URL.Path, "/v1/") {
			h.Set("Cache-Control", "no-store")
		}

		call.work.Identify(slog.String("http.request.id", call.id))
		s.o.Metrics.RequestBegan()
		ctx := telemetry.WithWork(audit.WithSource(withCall(req.Context(), call), call.source()), &call.work)
		ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
		defer cancel()
		c.SetRequest(req.WithContext(ctx))
		if err := recovered(next, c); err != nil {
			c.Error(err)
		}
		s.tell(c, call, time.Since(started))
		return nil
	}
}

// readAgain repeats a GET whose connection to the database broke under it: a read
// that was carried out twice is none the worse for it.
func readAgain(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method != http.MethodGet {
			return next(c)
		}
		var err error
		_ = pgdb.Read(c.Request().Context(), func() error {
			if err = next(c); c.Response().Committed {
				return nil // too late
			}
			return err
		})
		return err
	}
}

// recovered makes an error of a panic. It is called on top of the frames that
// panicked, which are therefore in the error's stack.
func recovered(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if r == http.ErrAbortHandler { //nolint:errorlint // the value net/http compares with
				panic(r)
			}
			err = apperr.InternalBecause(panicked{r})
		}
	}()
	return next(c)
}

// clientAddress is the address that the request comes from: the peer, or, where
// that is a trusted proxy, the last address in X-Forwarded-For that is none.
func clientAddress(c echo.Context) netip.Addr {
	address, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

// addressExtractor trusts what the proxies at these addresses have added to
// X-Forwarded-For, and nobody else.
func addressExtractor(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, proxy := range proxies {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: proxy.Masked().Addr().AsSlice(), Mask: net.CIDRMask(proxy.Bits(), proxy.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}
