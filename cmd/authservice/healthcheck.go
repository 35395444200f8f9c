package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/config"
)

const (
	// askTimeout is above healthTimeout, within which the service answers.
	askTimeout = 4 * time.Second
	maxAnswer  = 4 << 10 // bytes
)

func healthCommand(e env) *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the service on this machine whether it is ready",
		Long: "Ask the service that listens on AUTH_HTTP_ADDR of this machine whether it is ready,\n" +
			"and exit with 0 if it is and with 1 if not. For the health checks of containers,\n" +
			"which have no other program to ask with.\n\n" +
			"Where whoever asks ends a service that fails, ask with --live: a database that is\n" +
			"away is no reason to.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := e.withDotEnv()
			if err != nil {
				return err
			}
			listener, err := config.Listener(e.environ)
			if err != nil {
				return err
			}
			if live {
				return askHealth(cmd.Context(), listener, "/health/live")
			}
			return askHealth(cmd.Context(), listener, "/health/ready")
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "ask whether it is alive, whatever its database does")
	return cmd
}

// askHealth returns an error unless the service of listener answers path with 200.
func askHealth(ctx context.Context, listener config.HTTP, path string) error {
	host, port, err := net.SplitHostPort(listener.Addr)
	if err != nil {
		return fmt.Errorf("AUTH_HTTP_ADDR: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if listener.TLSCertFile != "" {
		scheme = "https"
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// The certificate is for the public name, and nothing secret is said.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	return fmt.Errorf("%s says %s: %s", path, response.Status, bytes.TrimSpace(body))
}
