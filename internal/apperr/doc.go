// Package apperr is the one way in which an error travels from where it arises
// to the client: a Kind, a stable code, a message that anyone may read, and a
// cause that only the logs see. It knows nothing of HTTP (package httpapi maps
// kinds to statuses, in one place) and imports nothing of ours.
package apperr
