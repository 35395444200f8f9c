package mailer

import (
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mail is a message in words.
type Mail struct{ Subject, Text, HTML string }

// Data is what templates are filled in with. Everything is text that a
// template may show as it is; what is not known is empty.
type Data struct {
	ProductName, LogoURL, SupportAddress string

	PrimaryColor string
	ButtonColor  string // of the words on PrimaryColor: black or white, whichever is easier to read

	Language string // of the templates: "de"
	Subject  string // in HTML only: what the text's "subject" came to
	Name     string // of the person
	Email    string // where the mail goes

	Link     string
	ValidFor string // "30 minutes"; empty if the link does not expire

	When, IP, Device string // of what the mail is about

	NewEmail, Amount, Balance, Threshold string
}

// Render writes a message in its language. It fails where the message lacks
// something or has a link that is none; a second try would fail too.
func (t *Templates) Render(m Message) (Mail, error) {
	lang, p := t.find(m.Kind, m.Locale)
	switch {
	case p == nil:
		return Mail{}, permanent("render", fmt.Errorf("there is no kind %q", m.Kind))
	case m.Link == "" && m.Kind.needsLink():
		return Mail{}, permanent("render", fmt.Errorf("%s needs a link", m.Kind))
	case m.Link != "" && !isWebURL(m.Link):
		return Mail{}, permanent("render", errors.New("the link must be an http or https URL"))
	}
	written, err := p.fill(t.data(lang, m))
	if err != nil {
		return Mail{}, permanent("render", err)
	}
	return written, nil
}

func (t *Templates) data(lang string, m Message) Data {
	words, d := languageOf(lang), t.design
	numbers := lang
	if locales := chain(m.Locale); slices.Contains(locales, lang) {
		numbers = locales[0] // In Switzerland, 1’234.50 is German too.
	}
	if m.Link == "" && m.Kind.leadsHome() {
		m.Link = d.HomeURL
	}
	return Data{
		ProductName: d.ProductName, LogoURL: d.LogoURL, SupportAddress: d.SupportAddress,
		PrimaryColor: d.PrimaryColor, ButtonColor: readableOn(d.PrimaryColor),
		Language: lang, Name: line(m.Name, maxName), Email: line(m.To, 254),
		Link: m.Link, ValidFor: words.span(m.LinkLifetime),
		When: words.moment(m.At), IP: line(m.IP, maxName), Device: Device(m.UserAgent),
		NewEmail: line(m.NewEmail, 254),
		Amount:   credits(numbers, m.Amount, d.CreditsScale), Balance: credits(numbers, m.Balance, d.CreditsScale),
		Threshold: credits(numbers, m.Threshold, d.CreditsScale),
	}
}

var blankLines = regexp.MustCompile(`\n(?:[ \t]*\n){2,}`)

func (p *pair) fill(d Data) (Mail, error) {
	var subject, text, html strings.Builder
	if err := p.text.ExecuteTemplate(&subject, "subject", d); err != nil {
		return Mail{}, err
	}
	d.Subject = line(subject.String(), 200)
	if err := p.text.ExecuteTemplate(&text, "mail", d); err != nil {
		return Mail{}, err
	}
	if err := p.html.ExecuteTemplate(&html, "mail", d); err != nil {
		return Mail{}, err
	}
	return Mail{
		Subject: d.Subject,
		Text:    strings.TrimSpace(blankLines.ReplaceAllString(text.String(), "\n\n")) + "\n",
		HTML:    strings.TrimSpace(blankLines.ReplaceAllString(html.String(), "\n\n")) + "\n",
	}, nil
}

// try renders a kind with everything and with next to nothing: some mistakes
// show only when a template runs.
func (t *Templates) try(lang string, kind Kind) error {
	full := Sample(kind, lang)
	for _, m := range []Message{full, full.bare()} {
		name := path.Join(lang, string(kind))
		written, err := t.sets[lang][kind].fill(t.data(lang, m))
		switch {
		case err != nil:
			return fmt.Errorf("has a template that cannot be used: %s: %w", name, err)
		case written.Subject == "":
			return fmt.Errorf("has a template that cannot be used: %s.txt: its subject is empty", name)
		case !kind.needsLink():
		case !strings.Contains(written.Text, m.Link):
			return fmt.Errorf("has a template that cannot be used: %s.txt does not show the link", name)
		case !strings.Contains(written.HTML, `href="`+m.Link+`"`):
			return fmt.Errorf("has a template that cannot be used: %s.html does not have the link", name)
		}
	}
	return nil
}

// readableOn picks white or black by the luminance of the colour behind (WCAG 2, 1.4.3).
func readableOn(color string) string {
	var luminance float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c, _ := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8) // hexColor has seen it
		luminance += weight * math.Pow((float64(c)/255+0.055)/1.055, 2.4)
	}
	if luminance > 0.179 { // black and white have the same contrast here
		return "#000000"
	}
	return "#ffffff"
}
