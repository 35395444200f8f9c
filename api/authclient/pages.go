package authclient

import (
	"iter"

	"github.com/oapi-codegen/nullable"
)

// largestPage is the most items that the service puts on a page.
const largestPage = 200

// pages iterates over a list, of which fetch returns the page at a cursor, nil
// for where the caller begins.
func pages[T any](fetch func(cursor *string) ([]T, nullable.Nullable[string], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var cursor *string
		for {
			items, next, err := fetch(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			following, err := next.Get()
			if err != nil { // null, or absent
				return
			}
			cursor = &following
		}
	}
}
