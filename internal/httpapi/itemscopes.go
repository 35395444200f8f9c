package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/identity"
)

// itemScopes are for an operation whose body is a list of things to do: each
// asks for the scope of its kind. A caller with none of these scopes is not let
// in, and nothing is done unless the caller has all that the body asks for.
type itemScopes struct {
	list   string            // the member of the body
	by     string            // the member of an item that names its kind
	scopes map[string]string // of each kind
}

// newItemScopes reads the extension {of-each: …, by: …, scopes: {kind: scope}}.
func newItemScopes(extension any) (*itemScopes, error) {
	rule, _ := extension.(map[string]any)
	s := &itemScopes{scopes: map[string]string{}}
	s.list, _ = rule["of-each"].(string)
	s.by, _ = rule["by"].(string)
	scopes, _ := rule["scopes"].(map[string]any)
	if s.list == "" || s.by == "" || len(scopes) == 0 || len(rule) != 3 {
		return nil, errors.New("is not {of-each: …, by: …, scopes: {…}}")
	}
	for kind, named := range scopes {
		scope, _ := named.(string)
		if !slices.Contains(identity.Scopes, scope) {
			return nil, fmt.Errorf("names no scope that there is for %s", kind)
		}
		s.scopes[kind] = scope
	}
	return s, nil
}

func (s *itemScopes) names() []string { return slices.Compact(slices.Sorted(maps.Values(s.scopes))) }

func (s *itemScopes) any(caller identity.Caller) bool {
	return slices.ContainsFunc(s.names(), caller.Has)
}

// check looks through a body that is valid. A kind without a scope is for nobody.
func (s *itemScopes) check(caller identity.Caller, body any) error {
	object, _ := body.(map[string]any)
	items, _ := object[s.list].([]any)
	for i, item := range items {
		object, _ := item.(map[string]any)
		kind, _ := object[s.by].(string)
		scope := s.scopes[kind]
		if !caller.Has(scope) {
			return needsScope(scope).WithFields(apperr.Field{Pointer: fmt.Sprintf("/%s/%d", s.list, i), Message: "needs the scope " + scope})
		}
	}
	return nil
}
