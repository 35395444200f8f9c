package mailer

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	tags "golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// language is how dates and lengths of time are written; all other words are in
// the templates. The zero value needs no words.
type language struct {
	date                 string    // a layout for time.Format
	months               []string  // January first; empty: as Go writes them
	days, hours, minutes [2]string // one, several
}

var languages = map[string]language{
	"en": {
		date: "2 January 2006, 15:04 UTC",
		days: [2]string{"day", "days"}, hours: [2]string{"hour", "hours"}, minutes: [2]string{"minute", "minutes"},
	},
	"de": {
		date: "2. January 2006, 15:04 UTC",
		months: []string{
			"Januar", "Februar", "März", "April", "Mai", "Juni",
			"Juli", "August", "September", "Oktober", "November", "Dezember",
		},
		days: [2]string{"Tag", "Tage"}, hours: [2]string{"Stunde", "Stunden"}, minutes: [2]string{"Minute", "Minuten"},
	},
	"it": {
		date: "2 January 2006, 15:04 UTC",
		months: []string{
			"gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno",
			"luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre",
		},
		days: [2]string{"giorno", "giorni"}, hours: [2]string{"ora", "ore"}, minutes: [2]string{"minuto", "minuti"},
	},
}

// unworded serves languages that only a templates directory knows.
var unworded = language{
	date: "2006-01-02 15:04 UTC",
	days: [2]string{"d", "d"}, hours: [2]string{"h", "h"}, minutes: [2]string{"min", "min"},
}

func languageOf(name string) language {
	base, _, _ := strings.Cut(name, "-")
	if l, ok := languages[base]; ok {
		return l
	}
	return unworded
}

// moment writes t, or nothing if it is zero.
func (l language) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	written := t.Format(l.date)
	if l.months != nil {
		written = strings.Replace(written, t.Month().String(), l.months[t.Month()-1], 1)
	}
	return written
}

// span writes a length of time, in minutes at the finest, or nothing if it is zero.
func (l language) span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return ""
	case d >= 2*day && d%day == 0:
		return count(d/day, l.days)
	case d%time.Hour == 0:
		return count(d/time.Hour, l.hours)
	default:
		return count(max(1, d/time.Minute), l.minutes)
	}
}

func count(n time.Duration, unit [2]string) string {
	word := unit[1]
	if n == 1 {
		word = unit[0]
	}
	return strconv.Itoa(int(n)) + " " + word
}

// credits writes an amount in the smallest unit as people of a locale do, or
// nothing if it is nil. It is exact up to 2^53 − 1, the largest amount there is:
// of two numbers as close as that no float64 serves both.
func credits(locale string, amount *int64, scale int) string {
	if amount == nil {
		return ""
	}
	return message.NewPrinter(tags.Make(locale)).Sprint(number.Decimal(float64(*amount)/math.Pow10(scale), number.Scale(scale)))
}

// Prefer is the language (BCP 47) that a browser asks for in its Accept-Language
// header: the first that has templates, or else the first; empty for none.
func (t *Templates) Prefer(acceptLanguage string) string {
	wanted, _, err := tags.ParseAcceptLanguage(acceptLanguage)
	preferred := ""
	for _, tag := range wanted {
		if base, _, _ := tag.Raw(); err != nil || base.String() == "und" || base.String() == "mul" { // mul: *
			continue
		}
		if slices.ContainsFunc(chain(tag.String()), func(l string) bool { return t.sets[l] != nil }) {
			return tag.String()
		}
		if preferred == "" {
			preferred = tag.String()
		}
	}
	return preferred
}
