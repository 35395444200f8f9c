package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/authservice/authservice/internal/apperr"
)

// fieldsOf tells for people what the schema found, without the values.
func fieldsOf(err error) []apperr.Field {
	var many openapi3.MultiError
	var one *openapi3.SchemaError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		var fields []apperr.Field
		for _, e := range many {
			fields = append(fields, fieldsOf(e)...)
		}
		return fields
	case errors.As(err, &one):
		at := pointer(one.JSONPointer())
		switch one.SchemaField {
		case "properties":
			return unknownMembers(at, one)
		case "discriminator":
			at += pointer([]string{one.Schema.Discriminator.PropertyName})
		}
		return []apperr.Field{{Pointer: at, Message: message(one)}}
	}
	return []apperr.Field{{Pointer: "", Message: "is not valid"}}
}

func firstMessage(err error) string {
	var request *openapi3filter.RequestError
	if errors.As(err, &request) {
		var parse *openapi3filter.ParseError
		switch {
		case errors.Is(request.Err, openapi3filter.ErrInvalidRequired):
			return "is required"
		case errors.Is(request.Err, openapi3filter.ErrInvalidEmptyValue):
			return "must not be empty"
		case errors.As(request.Err, &parse):
			return "must be of type " + strings.Join(request.Parameter.Schema.Value.Type.Slice(), " or ")
		}
		err = request.Err
	}
	return fieldsOf(err)[0].Message
}

func unknownMembers(at string, e *openapi3.SchemaError) (fields []apperr.Field) {
	members, _ := e.Value.(map[string]any)
	for name := range members {
		// The error names its member only in a sentence.
		if e.Schema.Properties[name] == nil && strings.Contains(e.Reason, fmt.Sprintf("%q", name)) {
			fields = append(fields, apperr.Field{Pointer: at + pointer([]string{name}), Message: "is not a field of this request"})
		}
	}
	return fields
}

func message(e *openapi3.SchemaError) string {
	s := e.Schema
	switch e.SchemaField {
	case "required":
		return "is required"
	case "type", "nullable":
		if s.Type == nil {
			return "must not be null"
		}
		return "must be of type " + strings.Join(s.Type.Slice(), " or ")
	case "minimum":
		return fmt.Sprintf("must be at least %.0f", *s.Min)
	case "maximum":
		return fmt.Sprintf("must be at most %.0f", *s.Max)
	case "minLength":
		if s.MinLength == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", s.MinLength)
	case "maxLength":
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case "minItems":
		return fmt.Sprintf("must have at least %d items", s.MinItems)
	case "maxItems":
		return fmt.Sprintf("must have at most %d items", *s.MaxItems)
	case "minProperties":
		return fmt.Sprintf("must have at least %d members", s.MinProps)
	case "maxProperties":
		return fmt.Sprintf("must have at most %d members", *s.MaxProps)
	case "uniqueItems":
		return "must not name an item twice"
	case "enum":
		return fmt.Sprintf("must be one of %v", s.Enum)
	case "discriminator":
		if e.Value == nil {
			return "is required"
		}
		return fmt.Sprintf("must be one of %v", slices.Sorted(maps.Keys(s.Discriminator.Mapping)))
	case "format":
		return "must be a valid " + s.Format
	case "pattern":
		return "has characters that are not allowed"
	}
	return "is not valid"
}

// pointer is RFC 6901. Names of unknown members come from outside, and are cut.
func pointer(path []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, name := range path {
		if len(name) > 64 {
			for name = name[:64]; !utf8.ValidString(name); {
				name = name[:len(name)-1]
			}
			name += "…"
		}
		b.WriteString("/" + escape.Replace(name))
	}
	return b.String()
}
