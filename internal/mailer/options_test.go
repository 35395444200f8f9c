package mailer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNew(t *testing.T) {
	t.Parallel()
	nothing := filepath.Join(t.TempDir(), "ca.pem")
	empty := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(empty, []byte("not PEM"), 0o600))
	_, ca := certificate(t, "127.0.0.1")
	for name, test := range map[string]struct {
		change func(*Options)
		option string // the one that is wrong; "" for none
	}{
		"Smallest":           {func(*Options) {}, ""},
		"IPv6":               {func(o *Options) { o.Host = "::1" }, ""},
		"Loopback":           {func(o *Options) { o.Host, o.TLS, o.Username = "127.0.0.1", "none", "a" }, ""},
		"Everything":         {func(o *Options) { o.CAFile, o.Username, o.Password, o.LogoURL = ca, "a", "b", "https://e.com/l.png" }, ""},
		"NoHost":             {func(o *Options) { o.Host = "" }, "Host"},
		"HostAndPort":        {func(o *Options) { o.Host = "[::1]:25" }, "Host"},
		"URL":                {func(o *Options) { o.Host = "smtp://example.com" }, "Host"},
		"Port":               {func(o *Options) { o.Port = 65536 }, "Port"},
		"NegativePort":       {func(o *Options) { o.Port = -1 }, "Port"},
		"TLS":                {func(o *Options) { o.TLS = "opportunistic" }, "TLS"},
		"PasswordInTheClear": {func(o *Options) { o.TLS, o.Username, o.Password = "none", "a", "b" }, "TLS"},
		"PasswordAlone":      {func(o *Options) { o.Password = "b" }, "Username"},
		"NoFrom":             {func(o *Options) { o.From = "" }, "From"},
		"FromName":           {func(o *Options) { o.From = "Example" }, "From"},
		"FromTwo":            {func(o *Options) { o.From = "a@example.com, b@example.com" }, "From"},
		"FromNotASCII":       {func(o *Options) { o.From = "a@éxample.com" }, "From"},
		"NoCAFile":           {func(o *Options) { o.CAFile = nothing }, "CAFile"},
		"EmptyCAFile":        {func(o *Options) { o.CAFile = empty }, "CAFile"},
		"UnknownKind":        {func(o *Options) { o.Disabled = []Kind{"spam"} }, "Disabled"},
		"RequiredKind":       {func(o *Options) { o.Disabled = []Kind{Welcome, PasswordChanged} }, "Disabled"},
		"NoProductName":      {func(o *Options) { o.ProductName = " " }, "ProductName"},
		"Logo":               {func(o *Options) { o.LogoURL = "data:image/png;base64,x" }, "LogoURL"},
		"Home":               {func(o *Options) { o.HomeURL = "javascript:alert(1)" }, "HomeURL"},
		"Support":            {func(o *Options) { o.SupportAddress = "Help <help@example.com>" }, "SupportAddress"},
		"Color":              {func(o *Options) { o.PrimaryColor = "red;}" }, "PrimaryColor"},
		"Locale":             {func(o *Options) { o.Locale = "fr" }, "Locale"},
		"NoTemplatesDir":     {func(o *Options) { o.TemplatesDir = nothing }, "TemplatesDir"},
		"TemplatesFile":      {func(o *Options) { o.TemplatesDir = empty }, "TemplatesDir"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Host: "smtp.example.com", From: "mail@example.com", Design: Design{ProductName: "Example"}}
			test.change(&o)
			m, err := New(o)
			if test.option == "" {
				require.NoError(t, err)
				require.NotNil(t, m)
				return
			}
			var option *OptionError
			require.ErrorAs(t, err, &option)
			require.Equal(t, test.option, option.Option)
			require.Contains(t, err.Error(), "mailer: "+test.option+" ")
		})
	}
}

func TestNew_Defaults(t *testing.T) {
	t.Parallel()
	for mode, port := range map[string]int{"": 587, "starttls": 587, "tls": 465, "none": 25} {
		m, err := New(Options{Host: "smtp.example.com", TLS: mode, From: "mail@example.com", Design: Design{ProductName: "Example"}})
		require.NoError(t, err)
		require.Equal(t, port, m.o.Port)
		require.Positive(t, m.o.ConnectTimeout)
		require.Positive(t, m.o.GreetingTimeout)
		require.Positive(t, m.o.Timeout)
		require.False(t, m.tls.InsecureSkipVerify)
		require.Equal(t, "smtp.example.com", m.tls.ServerName)
	}
}
