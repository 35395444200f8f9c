package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func init() { zerolog.SetGlobalLevel(zerolog.Disabled) } // Some toxics log whatever they are told.

// Network is a piece of network in front of a server.
type Network struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
	addr  string
}

// NewNetwork puts one in front of the server at address, until the test ends.
func NewNetwork(t testing.TB, address string) *Network {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n := &Network{t: t, proxy: toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", address)}
	require.NoError(t, n.proxy.Start())
	n.addr = n.proxy.Listen // which a later start writes again
	t.Cleanup(n.proxy.Stop)
	return n
}

// Addr is where the server is now reached.
func (n *Network) Addr() string { return n.addr }

// Swallow takes every byte and carries none on, as a firewall does that drops
// packets; connections open, and stay open.
func (n *Network) Swallow() {
	n.add("timeout", "upstream", `{"timeout":0}`)
	n.add("timeout", "downstream", `{"timeout":0}`)
}

// Delay makes every answer late by so many milliseconds.
func (n *Network) Delay(milliseconds int) {
	n.add("latency", "downstream", fmt.Sprintf(`{"latency":%d}`, milliseconds))
}

// Throttle carries so many kilobytes a second each way.
func (n *Network) Throttle(kilobytes int) {
	n.add("bandwidth", "upstream", fmt.Sprintf(`{"rate":%d}`, kilobytes))
	n.add("bandwidth", "downstream", fmt.Sprintf(`{"rate":%d}`, kilobytes))
}

// Reset breaks every connection as soon as the server says something on it.
func (n *Network) Reset() { n.add("reset_peer", "downstream", `{"timeout":0}`) }

// Heal undoes all of it. What was swallowed is lost, and so is its connection.
func (n *Network) Heal() { n.proxy.Toxics.ResetToxics(context.Background()) }

// Down breaks every connection and refuses new ones, until Up.
func (n *Network) Down() { n.proxy.Stop() }

// Up undoes Down.
func (n *Network) Up() { n.t.Helper(); require.NoError(n.t, n.proxy.Start()) }

func (n *Network) add(kind, stream, attributes string) {
	n.t.Helper()
	_, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(`{"type":%q,"name":"%[1]s_%s","stream":%[2]q,"attributes":%s}`, kind, stream, attributes)))
	require.NoError(n.t, err)
}
