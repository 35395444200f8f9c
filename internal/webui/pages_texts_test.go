package webui

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every language says everything, and the script finds its placeholders.
func TestPagesTexts(t *testing.T) {
	t.Parallel()
	for _, texts := range pagesTexts("Example") {
		t.Run(texts.Lang, func(t *testing.T) {
			t.Parallel()
			requireWords(t, "", reflect.ValueOf(texts))
			require.Equal(t, 1, strings.Count(texts.Rejected, "{reason}"))
			require.Equal(t, 1, strings.Count(texts.TooMany, "{when}"))
			require.Equal(t, 1, strings.Count(texts.Unavailable, "{when}"))
			for _, words := range []string{texts.Verify.Done, texts.Reset.Intro, texts.Invited.Intro, texts.Home} {
				require.Contains(t, words, "Example")
			}
		})
	}
}

func requireWords(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	if v.Kind() != reflect.Struct {
		if name != "Verify.Label" { // That page asks for nothing.
			require.NotEmpty(t, v.String(), name)
		}
		return
	}
	for i := range v.NumField() {
		requireWords(t, strings.TrimPrefix(name+"."+v.Type().Field(i).Name, "."), v.Field(i))
	}
}
