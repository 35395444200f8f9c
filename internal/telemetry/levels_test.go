package telemetry

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLevels_Set(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"debug":                        "debug",
		"info":                         "info",
		" warn ,\n":                    "",
		" warn \n":                     "warn",
		"error,http=debug":             "error,http=debug",
		"jobs=debug":                   "info,jobs=debug",
		"jobs=debug,http=error,warn":   "warn,http=error,jobs=debug",
		"info, jobs = debug":           "",
		"info,jobs=info":               "info",
		"river=error,river=warn,debug": "debug,river=warn",
		"":                             "",
		"INFO":                         "",
		"verbose":                      "",
		"info,jobs":                    "",
		"info,jobs=":                   "",
		"info,nobody=debug":            "",
		"info,=debug":                  "",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			l, err := NewLevels("warn")
			require.NoError(t, err)
			err = l.Set(text)
			if want == "" {
				require.Error(t, err)
				require.Equal(t, "warn", l.String(), "nothing has changed")
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, l.String())
			again, err := NewLevels(l.String())
			require.NoError(t, err)
			for _, room := range Rooms {
				require.Equal(t, again.of(room).Level(), l.of(room).Level())
			}
		})
	}
}

func TestLevelName(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		-100: "debug", slog.LevelDebug: "debug", slog.LevelInfo - 1: "debug", slog.LevelInfo: "info", slog.LevelInfo + 1: "info",
		slog.LevelWarn: "warn", slog.LevelError: "error", 100: "error",
	} {
		require.Equal(t, want, levelName(level))
		require.Equal(t, levelIndex(levelNames[want]), levelIndex(level))
	}
}
