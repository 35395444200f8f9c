package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/authservice/authservice/queries"
)

var parameter = regexp.MustCompile(`@(\w+)`)

// serviceQuery returns a query of the service with its parameters written as
// the values say, so that a floor does what the service does.
func serviceQuery(name string, values map[string]string) (string, error) {
	query, err := queries.Named(name)
	if err != nil {
		return "", err
	}
	query = parameter.ReplaceAllStringFunc(query, func(p string) string {
		value, known := values[p[1:]]
		if !known {
			err = fmt.Errorf("query %s has a parameter %s that authbench does not know", name, p)
		}
		return value
	})
	return query, err
}

// positional is serviceQuery with the parameters numbered in the given order.
func positional(name string, parameters ...string) (string, error) {
	values := map[string]string{}
	for _, p := range parameters {
		values[p] = fmt.Sprintf("$%d", slices.Index(parameters, p)+1)
	}
	return serviceQuery(name, values)
}
