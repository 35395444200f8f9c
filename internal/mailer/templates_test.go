package mailer

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the golden files")

var design = Design{
	ProductName: "Example & Co", LogoURL: "https://example.com/logo.png", SupportAddress: "help@example.com", PrimaryColor: "#0f766e", CreditsScale: 2,
}

func newTemplates(t *testing.T, change ...func(*Design)) *Templates {
	t.Helper()
	d := design
	for _, f := range change {
		f(&d)
	}
	templates, err := NewTemplates(d)
	require.NoError(t, err)
	return templates
}

func TestTemplates_Golden(t *testing.T) {
	t.Parallel()
	full := newTemplates(t)
	plain := newTemplates(t, func(d *Design) { *d = Design{ProductName: "Example"} })
	require.Equal(t, []string{"de", "en", "it"}, full.Languages())
	for _, lang := range full.Languages() {
		for _, kind := range Kinds() {
			t.Run(lang+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				mail, err := full.Render(Sample(kind, lang))
				require.NoError(t, err)
				bare, err := plain.Render(Sample(kind, lang).bare())
				require.NoError(t, err)
				name := filepath.Join("testdata", lang, string(kind))
				golden(t, name+".txt", "Subject: "+mail.Subject+"\n\n"+mail.Text+
					"\n======== with nothing that it can do without ========\nSubject: "+bare.Subject+"\n\n"+bare.Text)
				golden(t, name+".html", mail.HTML)
			})
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update")
	require.Empty(t, cmp.Diff(string(want), got))
}

// What is true of every mail, whatever its words.
func TestTemplates_Manners(t *testing.T) {
	t.Parallel()
	templates := newTemplates(t)
	for _, lang := range templates.Languages() {
		for _, kind := range Kinds() {
			m := Sample(kind, lang)
			mail, err := templates.Render(m)
			require.NoError(t, err)
			name := lang + "/" + string(kind)

			require.NotEmpty(t, mail.Subject, name)
			require.LessOrEqual(t, len(mail.Subject), 78, name)
			require.Contains(t, mail.Text, "Ada Lovelace", name)
			require.Contains(t, mail.Text, "help@example.com", name)
			require.NotRegexp(t, `[ \t]\n`, strings.ReplaceAll(mail.Text, "-- \n", ""), name)
			require.NotRegexp(t, `<no value>|ZgotmplZ|&amp;lt;|\{\{`, mail.Text+mail.HTML, name)
			require.NotContains(t, mail.Text, "&amp;", name)
			require.Contains(t, mail.HTML, `<html lang="`+lang+`">`, name)
			require.Contains(t, mail.HTML, "prefers-color-scheme: dark", name)
			// EmailChanged goes to somebody who can do nothing by a link.
			if kind != EmailChanged {
				require.Contains(t, mail.Text, "\n"+m.Link+"\n", name)
				require.Equal(t, 2, strings.Count(mail.HTML, `href="`+m.Link+`"`), "%s: a button and an address", name)
				require.Contains(t, mail.HTML, ">"+m.Link+"</a>", name)
			}
			if m.LinkLifetime > 0 {
				require.Contains(t, mail.Text, languageOf(lang).span(m.LinkLifetime), name)
			}
			switch kind {
			case ResetPassword, PasswordChanged, ConfirmEmailChange, EmailChanged, RefreshReused, AccountExists, NewSignIn:
				for _, detail := range []string{languageOf(lang).moment(m.At), "203.0.113.7", "Firefox · Linux"} {
					require.Contains(t, mail.Text, detail, name)
					require.Contains(t, mail.HTML, detail, name)
				}
			default:
			}
			requireNoRequests(t, mail.HTML, name)
		}
	}
}

// requireNoRequests lets a mail load its logo and nothing else.
func requireNoRequests(t *testing.T, body, name string) {
	t.Helper()
	require.NotRegexp(t, `url\(|@import|@font-face`, body, name)
	for z := html.NewTokenizer(strings.NewReader(body)); z.Next() != html.ErrorToken; {
		token := z.Token()
		require.NotContains(t, []string{"script", "link", "iframe", "object", "form", "base", "video"}, token.Data, name)
		for _, a := range token.Attr {
			switch a.Key {
			case "src":
				require.Equal(t, "https://example.com/logo.png", a.Val, name)
			case "srcset", "background", "poster", "action", "ping":
				require.Fail(t, "loads something", "%s: %s=%q", name, a.Key, a.Val)
			}
			require.False(t, strings.HasPrefix(a.Key, "on"), "%s: %s", name, a.Key)
		}
	}
}

func TestTemplates_Languages(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "de": "de", "DE": "de", "de-AT": "de", "de_CH.UTF-8": "de",
		"de-Latn-AT": "de", "it-IT": "it", "fr": "en", "xx-de": "en", "../de": "en", "-": "en", "deutsch": "en",
	} {
		lang, p := newTemplates(t).find(Welcome, locale)
		require.Equal(t, want, lang, "%q", locale)
		require.NotNil(t, p)
	}
	austrian := newTemplates(t, func(d *Design) { d.Locale = "de-AT" })
	for locale, want := range map[string]string{"": "de", "fr": "de", "en": "en", "it": "it"} {
		lang, _ := austrian.find(Welcome, locale)
		require.Equal(t, want, lang, "%q", locale)
	}
}

// write makes a templates directory of pairs of names and contents.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		file := filepath.Join(dir, filepath.FromSlash(files[i]))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(files[i+1]), 0o644))
	}
	return dir
}

func from(dir string) func(*Design) { return func(d *Design) { d.TemplatesDir = dir } }

func TestTemplates_Override(t *testing.T) {
	t.Parallel()
	standard := newTemplates(t)
	render := func(templates *Templates, kind Kind, locale string) Mail {
		mail, err := templates.Render(Sample(kind, locale))
		require.NoError(t, err)
		return mail
	}

	t.Run("OneFile", func(t *testing.T) {
		t.Parallel()
		own := newTemplates(t, from(write(t, "de/welcome.txt",
			"{{define \"subject\"}}Servus {{.Name}}{{end}}\r\n{{define \"content\"}}Eine Zeile\r\n\r\n\r\n\r\nund noch eine{{end}}\r\n")))
		mail := render(own, Welcome, "de")
		require.Equal(t, "Servus Ada Lovelace", mail.Subject)
		require.Contains(t, mail.Text, "Hallo Ada Lovelace,\n\nEine Zeile\n\nund noch eine\n\n-- \n")
		require.Equal(t, strings.ReplaceAll(render(standard, Welcome, "de").HTML, "Willkommen bei Example &amp; Co", "Servus Ada Lovelace"), mail.HTML)
		for _, kind := range Kinds()[2:] {
			require.Equal(t, render(standard, kind, "de"), render(own, kind, "de"))
		}
		require.Equal(t, render(standard, Welcome, "it"), render(own, Welcome, "it"))
	})
	t.Run("Layout", func(t *testing.T) {
		t.Parallel()
		own := newTemplates(t, from(write(t, "layout.html",
			`{{define "mail"}}<p>{{template "title" .}}{{template "content" .}}</p>{{end}}{{define "button"}}<a href="{{.Link}}">{{template "label" .}}</a>{{end}}`)))
		for _, lang := range own.Languages() {
			require.True(t, strings.HasPrefix(render(own, VerifyEmail, lang).HTML, "<p>"))
		}
	})
	t.Run("Language", func(t *testing.T) {
		t.Parallel()
		own := newTemplates(t, from(write(t,
			"fr/welcome.txt", `{{define "subject"}}Bienvenue{{end}}{{define "content"}}Bonjour, {{.When}}{{end}}`,
			"fr/welcome.html", `{{define "title"}}Bienvenue{{end}}{{define "content"}}<p>Bonjour</p>{{end}}`,
			"de-at/common.txt", strings.ReplaceAll(read(t, "de/common.txt"), "Hallo", "Servus"),
			"de-at/common.html", strings.ReplaceAll(read(t, "de/common.html"), "Hallo", "Servus"),
			"de-at/low_balance.txt", read(t, "de/low_balance.txt"),
			"de-at/low_balance.html", read(t, "de/low_balance.html"),
			"README.md", "not a template", ".git/config.txt", "{{", "de/welcome.txt~", "{{",
		)))
		require.Equal(t, []string{"de", "de-at", "en", "fr", "it"}, own.Languages())
		french := render(own, Welcome, "fr-CA")
		require.Equal(t, "Bienvenue", french.Subject)
		require.Contains(t, french.Text, "Bonjour, 2026-11-24 14:05 UTC")
		require.Contains(t, french.HTML, `<html lang="fr">`)
		require.Equal(t, render(standard, ResetPassword, "en"), render(own, ResetPassword, "fr"), "what French lacks is in English")
		require.Contains(t, render(own, LowBalance, "de-AT").Text, "Servus")
		require.Equal(t, render(standard, ResetPassword, "de"), render(own, ResetPassword, "de-AT"))
	})
	t.Run("Exported", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "new")
		require.NoError(t, Export(dir))
		require.FileExists(t, filepath.Join(dir, "README.md"))
		own := newTemplates(t, from(dir))
		for _, kind := range Kinds() {
			require.Equal(t, render(standard, kind, "it"), render(own, kind, "it"))
		}
		file := filepath.Join(dir, "en", "welcome.txt")
		require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
		require.ErrorIs(t, Export(dir), os.ErrExist)
		mine, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "mine", string(mine))
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("templates", filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(b)
}

func TestNewTemplates_Broken(t *testing.T) {
	t.Parallel()
	const subject = `{{define "subject"}}S{{end}}` + "\n"
	for name, test := range map[string]struct {
		file, content string
		want          string // a regular expression
	}{
		"Syntax":        {"de/welcome.txt", subject + "\n{{define \"content\"}}{{if}}{{end}}", `/de/welcome\.txt:3: missing value for if`},
		"Unclosed":      {"de/welcome.html", "{{define \"content\"}}", `/de/welcome\.html:1: unexpected EOF`},
		"UnknownField":  {"it/welcome.txt", subject + "{{define \"content\"}}{{.Nickname}}{{end}}", `/it/welcome\.txt:2:.*can't evaluate field Nickname`},
		"FieldInHTML":   {"it/welcome.html", "{{define \"title\"}}T{{end}}\n{{define \"content\"}}{{.Nickname}}{{end}}", `/it/welcome\.html:2:.*can't evaluate field Nickname`},
		"UnsafeContext": {"en/welcome.html", "{{define \"title\"}}T{{end}}\n{{define \"content\"}}<a href={{if .Link}}\"{{end}}{{end}}", `/en/welcome\.html:2:.*different contexts`},
		"RareBranch":    {"en/low_balance.txt", subject + "{{define \"content\"}}{{if not .Threshold}}{{.Nothing}}{{end}}{{end}}", `/en/low_balance\.txt:2:.*can't evaluate field Nothing`},
		"NoSubject":     {"en/welcome.txt", `{{define "content"}}C{{end}}`, `en/welcome: .*no template "subject"`},
		"EmptySubject":  {"en/welcome.txt", `{{define "subject"}} {{end}}{{define "content"}}C{{end}}`, `en/welcome\.txt: its subject is empty`},
		"NoContent":     {"en/welcome.html", `{{define "title"}}T{{end}}`, `en/welcome: .*no such template "content"`},
		"NoLinkInText":  {"en/verify_email.txt", subject + `{{define "content"}}Hi{{end}}`, `en/verify_email\.txt does not show the link`},
		"NoLinkInHTML":  {"de/reset_password.html", `{{define "title"}}T{{end}}{{define "content"}}{{.Link}}{{end}}`, `de/reset_password\.html does not have the link`},
		"Layout":        {"layout.html", "\n{{define \"mail\"}}{{.Oops}}{{end}}", `/layout\.html:2:.*can't evaluate field Oops`},
		"Unreadable":    {"de/common.txt/x", "", `de/common\.txt: is a directory`},
		"OnePartOnly":   {"fr/welcome.txt", subject + `{{define "content"}}C{{end}}`, `fr/welcome\.html: file does not exist`},
		"Misspelt":      {"en/verify-email.html", "x", `has en/verify-email\.html, which is no template's name`},
		"NoLanguage":    {"English/welcome.txt", "x", `has English/welcome\.txt, which is no template's name`},
		"TooDeep":       {"mail/en/welcome.txt", "x", `has mail/en/welcome\.txt, which is no template's name`},
		"NotInLanguage": {"welcome.txt", "x", `has welcome\.txt, which is no template's name`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, test.file, test.content)
			_, err := NewTemplates(Design{ProductName: "Example", TemplatesDir: dir})
			require.Error(t, err)
			require.Regexp(t, `^mailer: TemplatesDir .*`+test.want, err.Error())
			var option *OptionError
			require.ErrorAs(t, err, &option)
			require.Equal(t, "TemplatesDir", option.Option)
		})
	}
}
