package mailer

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

func TestTemplates_Render(t *testing.T) {
	t.Parallel()
	templates := newTemplates(t)
	for name, change := range map[string]func(*Message){
		"Kind":           func(m *Message) { m.Kind = "spam" },
		"NoKind":         func(m *Message) { m.Kind = "" },
		"NoLink":         func(m *Message) { m.Link = "" },
		"Script":         func(m *Message) { m.Link = "javascript:alert(1)" },
		"Relative":       func(m *Message) { m.Link = "/verify-email" },
		"NoHost":         func(m *Message) { m.Link = "https:///verify-email" },
		"Credentials":    func(m *Message) { m.Link = "https://example.com@evil.example/" },
		"TwoLines":       func(m *Message) { m.Link = "https://example.com/\r\nX: y" },
		"Markup":         func(m *Message) { m.Link = `https://example.com/"><b>` },
		"AnotherKindsIs": func(m *Message) { m.Kind, m.Link = Welcome, "javascript:alert(1)" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Sample(VerifyEmail, "en")
			change(&m)
			mail, err := templates.Render(m)
			require.Error(t, err)
			require.True(t, Permanent(err))
			require.Zero(t, mail)
			require.NotContains(t, err.Error(), "example")
		})
	}
}

// Whatever people choose to be called is shown as it is, on one line.
func TestTemplates_HostileText(t *testing.T) {
	t.Parallel()
	// Where ours show no name an operator's may: in a subject, and in bold.
	templates := newTemplates(t, from(write(t,
		"en/credits_granted.txt", `{{define "subject"}}Credits for {{.Name}}{{end}}{{define "content"}}For {{.Name}}{{end}}`,
		"en/credits_granted.html", `{{define "title"}}T{{end}}{{define "content"}}<strong>For {{.Name}}</strong>{{end}}`)))
	for name, test := range map[string]struct{ given, shown string }{
		"Markup":       {`<script>alert(1)</script><b x="`, `<script>alert(1)</script><b x="`},
		"Link":         {`<a href="https://evil.example">click</a>`, `<a href="https://evil.example">click</a>`},
		"Template":     {`{{.Link}}{{template "mail" .}}`, `{{.Link}}{{template "mail" .}}`},
		"Define":       {`{{end}}{{define "subject"}}x{{end}}`, `{{end}}{{define "subject"}}x{{end}}`},
		"Lines":        {"Ada\r\nBcc: eve@example.com\n\nfree\tmoney\u2028now\x00", "Ada Bcc: eve@example.com free money now"},
		"Direction":    {"Ada \u202egnp.exe\u2066", "Ada gnp.exe"},
		"NotUTF8":      {"Ada\xff\xfe", "Ada"},
		"Comment":      {"<!--", "<!--"},
		"Entity":       {"&lt;b&gt; &amp;", "&lt;b&gt; &amp;"},
		"Long":         {strings.Repeat("ü", 500), strings.Repeat("ü", maxName-1) + "…"},
		"Percent":      {"%s%d%!x(MISSING)", "%s%d%!x(MISSING)"},
		"OtherScripts": {"Юлия 李 עדה 👩‍🚀", "Юлия 李 עדה 👩‍🚀"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Sample(CreditsGranted, "en")
			m.Name = test.given
			mail, err := templates.Render(m)
			require.NoError(t, err)
			require.Equal(t, "Credits for "+test.shown, mail.Subject)
			require.True(t, strings.HasPrefix(mail.Text, "Hello "+test.shown+",\n\nFor "+test.shown+"\n"), mail.Text)

			honest, err := templates.Render(Sample(CreditsGranted, "en"))
			require.NoError(t, err)
			tags, text := parts(mail.HTML)
			want, _ := parts(honest.HTML)
			require.Equal(t, want, tags, "no tag more or less")
			require.Contains(t, text, "Hello "+test.shown+",")
			require.Contains(t, text, "For "+test.shown)
		})
	}

	m := Sample(NewSignIn, "en")
	m.UserAgent, m.IP = "<img src=x onerror=alert(1)>\r\n"+strings.Repeat("A", 999), "<b>\n1"
	mail, err := templates.Render(m)
	require.NoError(t, err)
	require.Contains(t, mail.Text, "\nIP address: <b> 1\nDevice: <img src=x onerror=alert(1)> AAA")
	require.NotContains(t, mail.Text, strings.Repeat("A", maxLine))
	require.Contains(t, mail.HTML, "<td>&lt;b&gt; 1</td>")
	require.Contains(t, mail.HTML, "<td>&lt;img src=x onerror=alert(1)&gt; AAA")
}

// parts takes HTML apart into its tags and what a reader sees.
func parts(body string) (tags []string, text string) {
	z := html.NewTokenizer(strings.NewReader(body))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tags, text
		case html.TextToken:
			text += z.Token().Data
		default:
			tags = append(tags, z.Token().String())
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.FixedZone("CET", 3600))
	for lang, want := range map[string][6]string{
		"en":    {"4 March 2026, 04:06 UTC", "30 minutes", "1 hour", "24 hours", "7 days", "1 minute"},
		"de":    {"4. März 2026, 04:06 UTC", "30 Minuten", "1 Stunde", "24 Stunden", "7 Tage", "1 Minute"},
		"de-at": {"4. März 2026, 04:06 UTC", "30 Minuten", "1 Stunde", "24 Stunden", "7 Tage", "1 Minute"},
		"it":    {"4 marzo 2026, 04:06 UTC", "30 minuti", "1 ora", "24 ore", "7 giorni", "1 minuto"},
		"fr":    {"2026-03-04 04:06 UTC", "30 min", "1 h", "24 h", "7 d", "1 min"},
	} {
		l := languageOf(lang)
		require.Equal(t, want, [6]string{
			l.moment(at), l.span(30 * time.Minute), l.span(time.Hour), l.span(24 * time.Hour),
			l.span(7 * 24 * time.Hour), l.span(time.Second),
		}, lang)
		require.Empty(t, l.moment(time.Time{}))
		require.Empty(t, l.span(0))
		require.Equal(t, l.span(90*time.Minute), count(90, l.minutes))
		if l.months != nil {
			require.Len(t, l.months, 12)
		}
	}
	require.Equal(t, "25 May 2026, 00:00 UTC", languageOf("en").moment(time.Date(2026, 5, 25, 0, 0, 0, 0, time.UTC)))
	require.Equal(t, "25. Mai 2026, 00:00 UTC", languageOf("de").moment(time.Date(2026, 5, 25, 0, 0, 0, 0, time.UTC)))
}

func TestDevice(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0": "Edge · Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":               "Chrome · Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":         "Safari · macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Safari/604.1":      "Chrome · iPhone",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":         "Chrome · Android",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                        "Firefox · Linux",
		"curl/8.5.0":                          "curl/8.5.0",
		"Mozilla/5.0 (compatible; Thing/1.0)": "Mozilla/5.0 (compatible; Thing/1.0)",
		"Chrome/1 on Windows\r\n":             "Chrome/1 on Windows",
		"":                                    "",
	} {
		require.Equal(t, want, Device(agent))
	}
}

// An update makes no new device, another program or system does.
func TestFamily(t *testing.T) {
	t.Parallel()
	for name, same := range map[string][]string{
		"Firefox · Linux": {
			"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
		},
		"Chrome · Windows": {
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
			"Mozilla/5.0 (Windows NT 11.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
		},
		"curl":                        {"curl/8.5.0", "curl/8.14.1"},
		"Example (iPhone; iOS) build": {"Example/2.3.1 (iPhone; iOS 18.1) build 77", "Example/v2.4 (iPhone; iOS 18_2) build 78"},
		"okhttp":                      {"okhttp/4.12.0", "okhttp/5"},
		"":                            {"", "8.5"},
	} {
		for _, agent := range same {
			require.Equal(t, name, Family(agent), agent)
		}
	}
	require.LessOrEqual(t, utf8.RuneCountInString(Family(strings.Repeat("ü", 999))), 120, "as long as the table holds")
}

// Amounts are written as people of the locale do, and exactly.
func TestCredits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		amount int64
		scale  int
		want   map[string]string
	}{
		{0, 2, map[string]string{"en": "0.00", "de": "0,00", "it": "0,00"}},
		{5, 2, map[string]string{"en": "0.05", "de": "0,05"}},
		{1_234_567, 2, map[string]string{"en": "12,345.67", "de": "12.345,67", "it": "12.345,67", "de-CH": "12’345.67", "fr": "12\u00a0345,67", "xx": "12,345.67"}},
		{1_234_567, 0, map[string]string{"en": "1,234,567", "de": "1.234.567"}},
		{1_000_000_001, 9, map[string]string{"en": "1.000000001", "de": "1,000000001"}},
		{9_007_199_254_740_991, 0, map[string]string{"en": "9,007,199,254,740,991"}},
		{9_007_199_254_740_991, 2, map[string]string{"en": "90,071,992,547,409.91"}},
		{9_007_199_254_740_989, 2, map[string]string{"en": "90,071,992,547,409.89"}},
		{9_007_199_254_740_991, 9, map[string]string{"en": "9,007,199.254740991"}},
	} {
		for locale, want := range test.want {
			require.Equal(t, want, credits(locale, &test.amount, test.scale), "%d in %s", test.amount, locale)
		}
	}
	require.Empty(t, credits("en", nil, 2))

	templates := newTemplates(t)
	for locale, want := range map[string]string{
		"de": "12.345,00", "de-CH": "12’345.00", "de_CH": "12’345.00", "en": "12,345.00",
		"fr-FR": "12,345.00", // in words of the service's language
	} {
		mail, err := templates.Render(Sample(CreditsGranted, locale))
		require.NoError(t, err)
		require.Contains(t, mail.Text, want, locale)
	}
}

func TestTemplates_Prefer(t *testing.T) {
	t.Parallel()
	templates := newTemplates(t)
	for header, want := range map[string]string{
		"":                                   "",
		"*":                                  "",
		"und":                                "",
		"de":                                 "de",
		"de-at,de;q=0.9,en;q=0.8":            "de-AT",
		"en;q=0.1, it;q=0.9, de;q=0.5":       "it",
		"fr-CH, fr;q=0.9, it;q=0.2, *;q=0.1": "it", // the first that there are mails in
		"fr-CH, fr;q=0.9, ja;q=0.2":          "fr-CH",
		"en;q=0, de":                         "de",
		"de;q=much, <script>":                "",
		"de\r\nX: y":                         "",
		strings.Repeat("a-", 5000):           "",
	} {
		require.Equal(t, want, templates.Prefer(header), "%.40q", header)
	}
}

// Mails that lead nowhere else lead to the product, if it is known where that is.
func TestTemplates_HomeURL(t *testing.T) {
	t.Parallel()
	templates := newTemplates(t, func(d *Design) { d.HomeURL = "https://www.example.com/start" })
	for _, kind := range Kinds() {
		m := Sample(kind, "en")
		if !kind.needsLink() {
			m.Link = ""
		}
		mail, err := templates.Render(m)
		require.NoError(t, err)
		require.Equal(t, kind == Welcome || kind == CreditsGranted || kind == LowBalance, strings.Contains(mail.Text, ":\nhttps://www.example.com/start\n"), kind)
		require.NotContains(t, mail.Text, "works once, within .")
	}
}

func TestReadableOn(t *testing.T) {
	t.Parallel()
	for color, want := range map[string]string{
		"#000000": "#ffffff", "#1d4ed8": "#ffffff", "#0F766E": "#ffffff", "#b91c1c": "#ffffff",
		"#ffffff": "#000000", "#facc15": "#000000", "#22d3ee": "#000000", "#888888": "#000000",
	} {
		require.Equal(t, want, readableOn(color), color)
	}
}

func TestKind_Required(t *testing.T) {
	t.Parallel()
	var optional []Kind
	for _, kind := range Kinds() {
		if !kind.Required() {
			optional = append(optional, kind)
		}
	}
	require.Equal(t, []Kind{Welcome, NewSignIn, CreditsGranted, LowBalance}, optional)
}
