package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/devmail"
)

func subjectsTo(box *devmail.Mailbox, email string) (subjects []string) {
	for _, m := range box.Messages(email) {
		subjects = append(subjects, m.Subject)
	}
	slices.Sort(subjects)
	return subjects
}

// Mails are in the language of the person: the one they name, or their browser's.
func TestMails_Language(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	register := func(locale, acceptLanguage string) (*authclient.RegisterUserResponse, string) {
		request := authclient.RegisterRequest{Email: uuid.NewString() + "@example.com", Password: testPassword}
		if locale != "" {
			request.Locale = &locale
		}
		r, err := s.as(t, "Accept-Language", acceptLanguage).RegisterUserWithResponse(t.Context(), request)
		require.NoError(t, err)
		return r, request.Email
	}
	for _, who := range []struct{ locale, acceptLanguage, stored, subject string }{
		{"de-at", "it", "de-AT", "Bestätige deine"},
		{"", "fr-CH, it;q=0.9, en;q=0.8", "it", "Conferma"},
		{"fr", "de", "fr", "Confirm your"},
		{"", "*", "", "Confirm your"},
	} {
		r, email := register(who.locale, who.acceptLanguage)
		require.NotNil(t, r.JSON201, string(r.Body))
		stored, _ := r.JSON201.User.Locale.Get()
		require.Equal(t, who.stored, stored)
		mailed(t, box, email, who.subject)
	}
	for _, wrong := range []string{"german", "xx", "x", "de_", strings.Repeat("de-", 20) + "AT"} {
		r, _ := register(wrong, "")
		require.Equal(t, 422, r.StatusCode(), wrong)
		require.Equal(t, "/locale", problemOf(t, r.Body).Errors[0].Pointer)
	}

	// Changed, cleared, and given to somebody who is invited.
	r, email := register("de", "")
	user := s.withSession(t, *r.JSON201)
	change := func(locale nullable.Nullable[string]) string {
		changed, err := user.UpdateMeWithResponse(t.Context(), authclient.UpdateMeRequest{Locale: locale})
		require.NoError(t, err)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		stored, _ := changed.JSON200.Locale.Get()
		return stored
	}
	require.Equal(t, "it", change(nullable.NewNullableWithValue("it")))
	_, err := s.anonymous(t).ForgotPasswordWithResponse(t.Context(), authclient.ForgotPasswordRequest{Email: email})
	require.NoError(t, err)
	mailed(t, box, email, "Nuova password")
	require.Empty(t, change(nullable.NewNullNullable[string]()))

	admin, invited := s.admin(t), uuid.NewString()+"@example.com"
	locale := "de-CH"
	created, err := admin.CreateUserWithResponse(t.Context(), authclient.CreateUserRequest{Email: invited, Locale: &locale})
	require.NoError(t, err)
	require.Equal(t, locale, created.JSON201.Locale.MustGet())
	mailed(t, box, invited, "Deine Einladung")
	updated, err := admin.UpdateUserWithResponse(t.Context(), created.JSON201.ID, authclient.UpdateUserRequest{Locale: nullable.NewNullNullable[string]()})
	require.NoError(t, err)
	require.True(t, updated.JSON200.Locale.IsNull())
}

// A login on a device that was not seen before is told.
func TestMails_NewSignIn(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	email := uuid.NewString() + "@example.com"
	on := func(agent string) *caller { return s.as(t, "User-Agent", agent) }
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	r, err := on(firefox).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
	require.NoError(t, err)
	logIn := func(agent string) {
		in, err := on(agent).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: testPassword})
		require.NoError(t, err)
		require.Equal(t, 200, in.StatusCode())
	}
	logIn(firefox)
	logIn("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1")
	told, _ := mailed(t, box, email, "New sign-in")
	require.Contains(t, told.Text, "Safari · iPhone")
	logIn("Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.2 Safari/604.1")
	logIn(firefox)
	exported, err := s.withSession(t, *r.JSON201).ExportMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Len(t, exported.JSON200.Devices, 2)
	require.Equal(t, "Firefox · Linux", exported.JSON200.Devices[0].Name)
	s.requireSent(t)
	require.Len(t, subjectsTo(box, email), 2, "to verify, and about the one new device")
}

// What people call themselves arrives as they wrote it, to them and nobody else.
func TestMails_HostileNames(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	for _, name := range []string{
		`{{.Link}}{{template "footer" .}}`, `</p><img src="https://evil.example/x"><script>alert(1)</script>`, `"><a href="https://evil.example">you won</a>`,
		`Ada" <eve@evil.example>, "`, `=?utf-8?q?Ada?=`, `%0d%0aBcc: eve@evil.example`,
	} {
		email := `{{.link}}+` + uuid.NewString() + "@example.com"
		r, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword, Name: &name})
		require.NoError(t, err)
		require.Equal(t, 201, r.StatusCode(), string(r.Body))
		m, token := mailed(t, box, email, "Confirm your e-mail address for Auth Service")
		require.Equal(t, []string{email}, m.To)
		require.NotEmpty(t, token)
		require.True(t, strings.HasPrefix(m.Text, "Hello "+name+",\n"), m.Text)
		require.Contains(t, m.Text, "Please confirm that "+email+" is yours")
		require.NotRegexp(t, `(?i)<(img|script)|href="https://evil`, m.HTML)
		require.NotRegexp(t, `(?mi)^bcc:`, m.Source)
		require.Contains(t, m.Links, "https://auth.example.com/verify-email#token="+token)
	}
	// Lines cannot even be asked for.
	for field, body := range map[string]string{
		"/name":  `{"email":"ada@example.com","password":"` + testPassword + `","name":"Ada\r\nBcc: eve@evil.example"}`,
		"/email": `{"email":"ada@example.com\r\nBcc: eve@evil.example","password":"` + testPassword + `"}`,
	} {
		response, answer := s.anonymous(t).send(t, http.MethodPost, "/v1/auth/register", body)
		require.Equal(t, 422, response.StatusCode)
		require.Equal(t, field, problemOf(t, answer).Errors[0].Pointer)
	}
}

// Whatever a request says about the host, links lead to the one in the settings.
func TestMails_LinkHost(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"AUTH_FRONTEND_URL=": `https://auth\.example\.com/reset-password#token=aset_\S+`,
		"AUTH_FRONTEND_URL=https://app.example.com/account/{page}?lang=en#token={token}": `https://app\.example\.com/account/reset-password\?lang=en#token=aset_\S+`,
	} {
		s, box := startServiceWithMail(t, settings, "AUTH_TRUSTED_PROXIES=127.0.0.0/8", "AUTH_RATE_LIMIT_ENABLED=false")
		for _, header := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "Forwarded", "Origin", "Referer"} {
			email := s.user(t).session.User.Email
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/auth/password/forgot", strings.NewReader(`{"email":"`+email+`"}`))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/json")
			switch header {
			case "Host":
				r.Host = "evil.example"
			case "Forwarded":
				r.Header.Set(header, "host=evil.example;proto=http")
			case "Origin", "Referer":
				r.Header.Set(header, "https://evil.example")
			default:
				r.Header.Set(header, "evil.example")
			}
			response, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, 202, response.StatusCode, header)
			m, _ := mailed(t, box, email, "Choose a new password")
			require.Len(t, m.Links, 1, header)
			require.Regexp(t, "^"+want+"$", m.Links[0], header)
			require.NotContains(t, m.Source, "evil.example")
		}
	}
}

// Kinds that security does not need can be switched off, and only they.
func TestMails_Disabled(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t, "AUTH_MAIL_DISABLED=welcome, new_sign_in,credits_granted,low_balance")
	user := s.user(t)
	email := user.session.User.Email
	_, token := mailed(t, box, email, "Confirm")
	verified, err := user.VerifyEmailWithResponse(t.Context(), authclient.VerifyEmailRequest{Token: token})
	require.NoError(t, err)
	require.Equal(t, 204, verified.StatusCode())
	in, err := s.as(t, "User-Agent", "another").LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: testPassword})
	require.NoError(t, err)
	require.Equal(t, 200, in.StatusCode())
	changed, err := user.ChangeMyPasswordWithResponse(t.Context(), authclient.ChangePasswordRequest{CurrentPassword: testPassword, NewPassword: otherPassword})
	require.NoError(t, err)
	require.Equal(t, 204, changed.StatusCode())
	mailed(t, box, email, "was changed")
	s.requireSent(t)
	require.Len(t, subjectsTo(box, email), 2)
}

// Mails and pages that lead nowhere else lead to the product.
func TestMails_Home(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t, "AUTH_MAIL_HOME_URL=https://www.example.com/start")
	user := s.user(t)
	_, token := mailed(t, box, user.session.User.Email, "Confirm")
	verified, err := user.VerifyEmailWithResponse(t.Context(), authclient.VerifyEmailRequest{Token: token})
	require.NoError(t, err)
	require.Equal(t, 204, verified.StatusCode())
	m, _ := mailed(t, box, user.session.User.Email, "Welcome")
	require.Equal(t, []string{"https://www.example.com/start"}, m.Links)
	_, page := user.send(t, http.MethodGet, "/verify-email", "")
	require.Contains(t, string(page), `<a href="https://www.example.com/start">`)

	// The mailbox is dev's alone.
	for _, path := range []string{"/dev/mail", "/dev/mail.json", "/dev/mail/1"} {
		response, _ := user.send(t, http.MethodGet, path, "")
		require.Equal(t, 404, response.StatusCode)
	}
}

// A wrong setting is found at start and named, before anything is touched: the
// database that is named here is none.
func TestServe_RefusesMailSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "en"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "en", "welcome.txt"), []byte("{{.Nothing}}"), 0o600))
	for name, setting := range map[string]string{
		"TLS": "AUTH_SMTP_TLS=maybe", "Host": "AUTH_SMTP_HOST=no host", "Port": "AUTH_SMTP_PORT=x", "From": "AUTH_SMTP_FROM=nobody",
		"CAFile":       "AUTH_SMTP_CA_FILE=/nowhere/ca.pem",
		"SecurityKind": "AUTH_MAIL_DISABLED=reset_password", "NoKind": "AUTH_MAIL_DISABLED=spam", "Locale": "AUTH_MAIL_LOCALE=fr",
		"Template": "AUTH_MAIL_TEMPLATES_DIR=" + dir, "Color": "AUTH_MAIL_PRIMARY_COLOR=red", "Logo": "AUTH_MAIL_LOGO_URL=logo.png",
		"Support": "AUTH_MAIL_SUPPORT_ADDRESS=help", "Home": "AUTH_MAIL_HOME_URL=home", "LowBalance": "AUTH_MAIL_LOW_BALANCE=1.5",
		"Links": "AUTH_FRONTEND_URL=https://{page}.example.com",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variable, _, _ := strings.Cut(setting, "=")
			code, stdout, stderr := runOnce(t, []string{"serve"}, "DATABASE_URL=postgres://u:p@127.0.0.1:1/x", newEncryptionKey(),
				"AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_SMTP_HOST=mail.example.com", "AUTH_SMTP_FROM=no-reply@example.com",
				"AUTH_SMTP_PASSWORD=canary", "AUTH_SMTP_USERNAME=me", setting)
			require.Equal(t, 1, code)
			require.Regexp(t, `(?m)^\W*(authservice: )?`+variable+`: `, stderr)
			require.NotContains(t, stdout+stderr, "canary")
		})
	}
}

// What the ledger does to a person's credits, they are told.
func TestMails_Credits(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t, "AUTH_MAIL_LOW_BALANCE=5000")
	user := s.user(t)
	email := user.session.User.Email
	s.admin(t).grant(t, user.id(), 10_050)
	mailed(t, box, email, "100.50 credits for you")
	require.Equal(t, 201, user.debit(t, uuid.NewString(), authclient.DebitRequest{Amount: 5_000}).StatusCode())
	require.Equal(t, 201, user.debit(t, uuid.NewString(), authclient.DebitRequest{Amount: 1_000}).StatusCode())
	low, _ := mailed(t, box, email, "running low")
	require.Contains(t, low.Text, "40.50 credits left, less than 50.00")
}
