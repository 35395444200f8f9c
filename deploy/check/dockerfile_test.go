package check

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
)

const dockerfile = deploy + "/Dockerfile"

func stages() ([]instructions.Stage, error) {
	content, err := os.ReadFile(dockerfile)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	all, _, err := instructions.Parse(parsed.AST, nil)
	return all, err
}

// buildCommand is how the Dockerfile builds the program.
func buildCommand() (string, error) {
	all, err := stages()
	if err != nil {
		return "", err
	}
	for _, command := range all[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok {
			return strings.Join(run.CmdLine, " "), nil
		}
	}
	return "", errors.New("the Dockerfile builds nothing")
}

// anyImage stands for the registries, which the linter would ask for base images.
type anyImage struct{}

func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","config":{}}`), nil
}

// Docker's own linter.
func TestDockerfile_Lint(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(dockerfile)
	require.NoError(t, err)
	lint := func(content []byte) (complaints []string) {
		source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", content)
		source.Definition = &llb.Definition{}
		results, err := dockerfile2llb.DockerfileLint(t.Context(), content, dockerfile2llb.ConvertOpt{MetaResolver: anyImage{}, SourceMap: source})
		require.NoError(t, err)
		if results.Error != nil {
			complaints = append(complaints, results.Error.Message)
		}
		for _, warning := range results.Warnings {
			complaints = append(complaints, warning.RuleName+": "+warning.Detail)
		}
		return complaints
	}
	require.Empty(t, lint(content))
	require.NotEmpty(t, lint(bytes.Replace(content, []byte("AS build"), []byte("as build"), 1)), "the linter looks")
}

// The image runs as nobody, asks itself how it is, and waits for no shell.
func TestDockerfile_Image(t *testing.T) {
	t.Parallel()
	all, err := stages()
	require.NoError(t, err)
	image := all[len(all)-1]
	require.True(t, strings.HasPrefix(image.BaseName, "gcr.io/distroless/static-"), image.BaseName)
	found := map[string][]string{}
	for _, command := range image.Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			found["user"] = []string{c.User}
		case *instructions.EntrypointCommand:
			require.False(t, c.PrependShell)
			found["entrypoint"] = c.CmdLine
		case *instructions.CmdCommand:
			require.False(t, c.PrependShell)
			found["command"] = c.CmdLine
		case *instructions.HealthCheckCommand:
			found["health"] = c.Health.Test
		case *instructions.CopyCommand:
			found["copy"] = []string{c.DestPath}
		}
	}
	const program = "/usr/local/bin/authservice"
	require.Equal(t, map[string][]string{
		"user": {"65532:65532"}, "entrypoint": {program}, "command": {"serve"}, "health": {"CMD", program, "health"}, "copy": {program},
	}, found)
}

// Nothing that git has is kept from the build, or the version would be that of a
// changed tree; what must not get into an image is.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	require.NoError(t, err)
	patterns, err := ignorefile.ReadAll(bytes.NewReader(content))
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	ignored := func(path string) bool {
		ignored, err := matcher.MatchesOrParentMatches(path)
		require.NoError(t, err)
		return ignored
	}

	list := exec.Command("git", "ls-files", "-z")
	list.Dir = root
	tracked, err := list.Output()
	require.NoError(t, err)
	require.Greater(t, len(tracked), 1000)
	for path := range strings.SplitSeq(strings.TrimRight(string(tracked), "\x00"), "\x00") {
		require.False(t, ignored(path), path)
	}
	for _, path := range []string{".env", "deploy/compose/.env", "deploy/compose/tls/tls.key", "api/node_modules/x/y.js", "bin/authservice", "x/y.test"} {
		require.True(t, ignored(path), path)
	}
}
