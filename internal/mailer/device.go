package mailer

import (
	"regexp"
	"strings"
)

// The first of each list that a User-Agent names is it: they quote each other,
// as Edge says that it is Chrome, and Chrome that it is Safari.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"Chrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// Device says in few words what a User-Agent stands for. What it does not know
// it quotes.
func Device(userAgent string) string {
	browser, system := first(browsers, userAgent), first(systems, userAgent)
	if strings.HasPrefix(userAgent, "Mozilla/") && browser != "" && system != "" {
		return browser + " · " + system
	}
	return line(userAgent, maxLine)
}

// version is what an update changes: /8.5.0, 140.0, 18_1.
var version = regexp.MustCompile(`[/ ]?v?[0-9]+([._-][0-9]+)*`)

// Family is the Device that a User-Agent stands for, whichever version it has.
func Family(userAgent string) string {
	return line(version.ReplaceAllString(Device(userAgent), ""), maxLine)
}

func first(names [][2]string, userAgent string) string {
	for _, n := range names {
		if strings.Contains(userAgent, n[0]) {
			return n[1]
		}
	}
	return ""
}
