package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Rooms are the names of the loggers, as in log.logger and in AUTH_LOG_LEVEL.
var Rooms = []string{"audit", "http", "jobs", "ledger", "river", "service", "telemetry"}

// Levels say from which level on lines are written: one level for all rooms, and
// exceptions. They can be changed at any time.
type Levels struct {
	mu    sync.Mutex
	text  string
	rooms map[string]*slog.LevelVar
}

// NewLevels reads levels such as "info,jobs=debug"; see Set.
func NewLevels(text string) (*Levels, error) {
	l := &Levels{rooms: map[string]*slog.LevelVar{}}
	for _, room := range Rooms {
		l.rooms[room] = new(slog.LevelVar)
	}
	return l, l.Set(text)
}

var levelNames = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Set changes all levels to what text says: debug, info, warn or error, and, after
// commas, exceptions of the form room=level. Without a level for all it is info.
// After an error nothing has changed.
func (l *Levels) Set(text string) error {
	all, exceptions := slog.LevelInfo, map[string]slog.Level{}
	for _, item := range strings.Split(strings.TrimSpace(text), ",") {
		room, name, isException := strings.Cut(strings.TrimSpace(item), "=")
		if !isException {
			name = room
		}
		level, ok := levelNames[name]
		switch {
		case !ok:
			return errors.New("must be debug, info, warn or error, with exceptions such as info,jobs=debug")
		case !isException:
			all = level
		case l.rooms[room] == nil:
			return fmt.Errorf("there is no such logger; there are %s", strings.Join(Rooms, ", "))
		default:
			exceptions[room] = level
		}
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = levelName(all)
	for _, room := range Rooms {
		level, isException := exceptions[room]
		if !isException {
			level = all
		}
		l.rooms[room].Set(level)
		if level != all {
			l.text += "," + room + "=" + levelName(level)
		}
	}
	return nil
}

// String is the levels in the form that Set takes.
func (l *Levels) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// of returns the level of a room, which changes with Set.
func (l *Levels) of(room string) *slog.LevelVar {
	if !slices.Contains(Rooms, room) {
		panic("telemetry: Rooms lacks " + room)
	}
	return l.rooms[room]
}

// levelName is a level as lines have it; what is between two is the lower one.
func levelName(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warn"
	case level >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}
