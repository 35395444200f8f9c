package config

import (
	"errors"
	"fmt"
	"time"
)

// problems are what is wrong with the settings: for each variable the first
// thing that was found, never its value.
type problems struct {
	named map[string]bool
	errs  []error
}

func (p *problems) add(variable, complaint string) {
	if p.named[variable] {
		return
	}
	if p.named == nil {
		p.named = map[string]bool{}
	}
	p.named[variable] = true
	p.errs = append(p.errs, fmt.Errorf("%s: %s", variable, complaint))
}

// must adds a complaint unless ok.
func (p *problems) must(ok bool, variable, complaint string) {
	if !ok {
		p.add(variable, complaint)
	}
}

func (p *problems) positive(d time.Duration, variable string) {
	p.must(d > 0, variable, "must be longer than nothing")
}

func (p *problems) err() error { return errors.Join(p.errs...) }
