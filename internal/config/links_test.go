package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfig_LinkPattern(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]struct {
		pattern string
		hidden  bool
	}{
		"":                                       {"https://auth.example.com/{page}#token={token}", true},
		"https://app.example.com":                {"https://app.example.com/{page}#token={token}", true},
		"https://app.example.com/a//":            {"https://app.example.com/a/{page}#token={token}", true},
		"https://app.example.com/account/{page}": {"https://app.example.com/account/{page}#token={token}", true},
		"https://app.example.com/{page}.html?lang=en":           {"https://app.example.com/{page}.html?lang=en#token={token}", true},
		"https://app.example.com/account/{page}#token={token}":  {"https://app.example.com/account/{page}#token={token}", true},
		"https://app.example.com/#/account/{page}?t={token}&x=": {"https://app.example.com/#/account/{page}?t={token}&x=", true},
		"https://app.example.com/link#{token}":                  {"https://app.example.com/link#{token}", true},
		"https://app.example.com/{page}?token={token}":          {"https://app.example.com/{page}?token={token}", false},
		"https://app.example.com/{page}/{token}":                {"https://app.example.com/{page}/{token}", false},
		"https://app.example.com/{token}#{page}":                {"https://app.example.com/{token}#{page}", false},
		"http://localhost:3000/{page}":                          {"http://localhost:3000/{page}#token={token}", true},
	} {
		c := load(t, "AUTH_PUBLIC_URL=https://auth.example.com/", "AUTH_FRONTEND_URL="+setting)
		require.Equal(t, want.pattern, c.LinkPattern(), setting)
		require.Equal(t, want.hidden, c.HidesLinkTokens(), setting)
	}
}

func TestConfig_LinkPattern_Refused(t *testing.T) {
	t.Parallel()
	const (
		form  = "must be a URL such as https://app.example.com or https://app.example.com/account/{page}#token={token}"
		host  = "must have {page} and {token} behind the host"
		token = "must say where {token} stands, once"
	)
	for setting, want := range map[string]string{
		"www.example.com":                                      form,
		"/account/{page}":                                      form,
		"javascript:alert(1)":                                  form,
		"javascript:alert('{token}')":                          form,
		"data:text/html,{token}":                               form,
		"https://me:secret@www.example.com":                    form,
		"https://{token}@www.example.com":                      form,
		"https://":                                             form,
		"https:///{page}":                                      form,
		"https://app.example.com/{page}#{secret}":              form,
		"https://app.example.com/{Page}":                       form,
		"https://app.example.com/{page":                        form,
		"https://app.example.com/page}":                        form,
		"https://app.example.com/{{page}}":                     form,
		"https://app.example.com/a b/{page}":                   form,
		"https://app.example.com/\"{page}":                     form,
		"https://app.example.com/ä/{page}":                     form,
		"https://app.example.com:{page}/":                      form,
		"https://{page}.example.com/":                          host,
		"https://app.example.com{page}/":                       host,
		"https://app.{token}.example.com/":                     host,
		"https://{page}/#{token}":                              host,
		"https://app.example.com/?page=":                       token,
		"https://app.example.com/#":                            token,
		"https://app.example.com/#/{page}":                     token,
		"https://app.example.com/{page}/{token}#token={token}": token,
	} {
		_, err := Load(environ("AUTH_FRONTEND_URL=" + setting))
		require.Equal(t, []string{"AUTH_FRONTEND_URL: " + want}, lines(err), setting)
	}
}
