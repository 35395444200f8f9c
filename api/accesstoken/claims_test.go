package accesstoken

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lists of names that must not come in another case are those of the members.
func TestExact(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		of    any
		names []string
	}{{Header{}, headerNames}, {Claims{}, claimNames}} {
		var want []string
		for field := range reflect.TypeOf(test.of).Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
				want = append(want, name)
			}
		}
		require.ElementsMatch(t, want, test.names)
	}
}
