package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/authservice/authservice/internal/config"
)

// certificateLooked is how long a certificate is used unseen.
const certificateLooked = time.Second

// certificate is what the service shows for itself, read again when its files
// change: certificates are renewed more often than services are started.
type certificate struct {
	files [2]string // certificate and key
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	found  [2]fileState
	loaded *tls.Certificate
}

// fileState tells whether a file was written since.
type fileState struct {
	modified time.Time
	size     int64
}

// serverTLS is the TLS configuration of the public listener, nil without a certificate.
func serverTLS(c config.HTTP, log *slog.Logger) (*tls.Config, error) {
	if c.TLSCertFile == "" {
		return nil, nil
	}
	own := &certificate{files: [2]string{c.TLSCertFile, c.TLSKeyFile}, log: log}
	if err := own.load(); err != nil {
		return nil, fmt.Errorf("AUTH_HTTP_TLS_CERT_FILE, AUTH_HTTP_TLS_KEY_FILE: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: own.get,
	}, nil
}

// get is tls.Config.GetCertificate. New files that cannot be used leave the old
// certificate in place; it may last for a while yet.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateLooked {
		return c.loaded, nil
	}
	before := c.found
	switch err := c.load(); {
	case err != nil && c.found != before:
		c.log.ErrorContext(hello.Context(), "the new certificate cannot be used, the old one stays", "error.message", err.Error())
	case err == nil && c.found != before:
		c.log.InfoContext(hello.Context(), "the certificate was renewed", "expires", c.loaded.Leaf.NotAfter)
	}
	return c.loaded, nil
}

// load reads the files if they have changed.
func (c *certificate) load() error {
	c.looked = time.Now()
	var states [2]fileState
	for i, file := range c.files {
		info, err := os.Stat(file)
		if err != nil {
			c.found = [2]fileState{}
			return err
		}
		states[i] = fileState{info.ModTime(), info.Size()}
	}
	if states == c.found {
		return nil
	}
	c.found = states
	loaded, err := tls.LoadX509KeyPair(c.files[0], c.files[1])
	if err != nil {
		return err
	}
	c.loaded = &loaded
	return nil
}
