// Package config reads the settings from the environment, once, at start, into
// typed and validated values. What is wrong is reported all at once, by the
// variable's name and never with its value. Secrets do not print themselves.
//
// The struct tags are the documentation of the settings: .env.example and
// deploy/SETTINGS.md are generated from them (go generate ./internal/config).
package config

//go:generate go run ./envexample ../..
