package jobs

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuiet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		at   slog.Level // of the log
		want []string
	}{
		{slog.LevelDebug, []string{"WARN", "ERROR"}},
		{slog.LevelInfo, []string{"WARN", "ERROR"}},
		{slog.LevelError, []string{"ERROR"}},
	} {
		t.Run(test.at.String(), func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			log := slog.New(quiet{slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: test.at, ReplaceAttr: onlyLevel})})
			log = log.With("level", "kept").WithGroup("g")
			log.Debug("m")
			log.Info("m")
			log.Warn("m")
			log.Error("m")
			var want string
			for _, level := range test.want {
				want += "level=" + level + " level=kept\n"
			}
			require.Equal(t, want, buf.String())
		})
	}
}

func onlyLevel(_ []string, a slog.Attr) slog.Attr {
	if a.Key != slog.LevelKey {
		return slog.Attr{}
	}
	return a
}
