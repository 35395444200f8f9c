package mailer

import (
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	text "text/template"
)

// fallback is the language that has every template.
const fallback = "en"

//go:embed templates
var embedded embed.FS

// ours holds the templates as they are delivered.
var ours = func() fs.FS {
	sub, err := fs.Sub(embedded, "templates")
	if err != nil {
		panic(err) // A mistake in this file, which every test would hit.
	}
	return sub
}()

// Templates are the mails' texts in every language, ready to be filled in.
type Templates struct {
	design Design
	sets   map[string]map[Kind]*pair // by language
}

// pair is one mail's two parts.
type pair struct {
	text *text.Template
	html *html.Template
}

// NewTemplates reads the templates and fills each of them in on trial, so that
// a broken one is found here. Errors name the file, and mostly the line; those
// of an option are an *[OptionError].
func NewTemplates(d Design) (*Templates, error) {
	if err := d.complete(); err != nil {
		return nil, err
	}
	src := source{dir: d.TemplatesDir}
	if d.TemplatesDir != "" {
		if info, err := os.Stat(d.TemplatesDir); err != nil || !info.IsDir() {
			return nil, wrong("TemplatesDir", "must be a directory")
		}
		src.own = os.DirFS(d.TemplatesDir)
	}
	names, err := src.languages()
	if err != nil {
		return nil, &OptionError{Option: "TemplatesDir", Err: err}
	}
	t := &Templates{design: d, sets: map[string]map[Kind]*pair{}}
	for _, name := range names {
		if t.sets[name], err = src.parse(name); err != nil {
			return nil, &OptionError{Option: "TemplatesDir", Err: err}
		}
	}
	if !slices.ContainsFunc(chain(d.Locale), func(l string) bool { return t.sets[l] != nil }) {
		return nil, wrong("Locale", "must be a language that has templates: %s", strings.Join(names, ", "))
	}
	for _, name := range names {
		for _, kind := range kinds {
			if t.sets[name][kind] == nil {
				continue
			}
			if err := t.try(name, kind); err != nil {
				return nil, &OptionError{Option: "TemplatesDir", Err: err}
			}
		}
	}
	return t, nil
}

// Languages returns the languages that have templates, sorted.
func (t *Templates) Languages() []string {
	names := make([]string, 0, len(t.sets))
	for name := range t.sets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// find returns the templates of a kind for a locale, and their language: in
// "de-at", then "de", then the service's own language, then English.
func (t *Templates) find(kind Kind, locale string) (string, *pair) {
	for _, lang := range slices.Concat(chain(locale), chain(t.design.Locale), []string{fallback}) {
		if p := t.sets[lang][kind]; p != nil {
			return lang, p
		}
	}
	return "", nil
}

// chain lists the directories that may serve a locale: de_AT.UTF-8 is served by
// de-at and de.
func chain(locale string) []string {
	locale, _, _ = strings.Cut(locale, ".")
	locale = strings.ReplaceAll(strings.ToLower(locale), "_", "-")
	var names []string
	for locale != "" {
		names = append(names, locale)
		locale = locale[:max(0, strings.LastIndexByte(locale, '-'))]
	}
	return names
}

// source is our templates with the operator's in front of them.
type source struct {
	dir string
	own fs.FS // nil: none
}

// read returns a file and where it is.
func (s source) read(name string) (body, from string, err error) {
	from = name
	var b []byte
	if s.own != nil {
		if b, err = fs.ReadFile(s.own, name); err == nil {
			from = filepath.Join(s.dir, filepath.FromSlash(name))
		}
	}
	if s.own == nil || errors.Is(err, fs.ErrNotExist) {
		b, err = fs.ReadFile(ours, name)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n"), from, err
}

func (s source) has(name string) bool {
	_, _, err := s.read(name)
	return !errors.Is(err, fs.ErrNotExist)
}

var langName = regexp.MustCompile(`^[a-z]{2,3}(-[a-z0-9]+)*$`)

// languages lists the directories, and refuses templates with names that
// nothing reads: a misspelt one would silently replace nothing.
func (s source) languages() ([]string, error) {
	var names []string
	for _, files := range []fs.FS{ours, s.own} {
		if files == nil {
			continue
		}
		err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && len(name) > 1 && name[0] == '.' {
				return fs.SkipDir // .git and its like
			}
			if ext := path.Ext(name); entry.IsDir() || (ext != ".html" && ext != ".txt") {
				return nil
			}
			lang, file := path.Split(name)
			base := strings.TrimSuffix(file, path.Ext(file))
			lang = strings.TrimSuffix(lang, "/")
			switch {
			case lang == "" && base == "layout":
			case lang != "" && langName.MatchString(lang) && (base == "common" || slices.Contains(kinds, Kind(base))):
				names = append(names, lang)
			default:
				return fmt.Errorf("has %s, which is no template's name", name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// parse reads what there is in a language. A kind has both parts in it or none,
// then the mail is in English; common words may be missing.
func (s source) parse(lang string) (map[Kind]*pair, error) {
	common := fallback
	for _, l := range chain(lang) {
		if s.has(l+"/common.txt") && s.has(l+"/common.html") {
			common = l
			break
		}
	}
	base := &pair{text: text.New("any.txt"), html: html.New("any.html")}
	for _, name := range []string{"layout", common + "/common"} {
		if err := s.add(base, name); err != nil {
			return nil, err
		}
	}
	set := map[Kind]*pair{}
	for _, kind := range kinds {
		name := path.Join(lang, string(kind))
		if !s.has(name+".txt") && !s.has(name+".html") {
			continue
		}
		p := &pair{text: text.Must(base.text.Clone()), html: html.Must(base.html.Clone())}
		if err := s.add(p, name); err != nil {
			return nil, err
		}
		set[kind] = p
	}
	return set, nil
}

// add parses both files of a name into p. Errors of text/template begin with
// the name of the template, so that is the path.
func (s source) add(p *pair, name string) error {
	body, from, err := s.read(name + ".txt")
	if err == nil {
		_, err = p.text.New(from).Parse(body)
	}
	if err == nil {
		if body, from, err = s.read(name + ".html"); err == nil {
			_, err = p.html.New(from).Parse(body)
		}
	}
	if err != nil {
		return fmt.Errorf("has a template that cannot be used: %w", err)
	}
	return nil
}

// Export writes the templates as they are delivered into dir, which it makes
// if need be, to be changed there. Files that exist are an error and stay.
func Export(dir string) error {
	if err := os.CopyFS(dir, ours); err != nil {
		return fmt.Errorf("exporting mail templates: %w", err)
	}
	return nil
}
