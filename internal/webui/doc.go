// Package webui serves the pages that this service shows in a browser: Swagger UI at /docs, and the pages of mailed
// links at /verify-email and /reset-password.
//
// Everything is embedded in the binary and comes from our own origin, so the pages work without internet
// access and under a Content-Security-Policy that allows no inline script, no inline style and no other host.
//
// The room knows nothing of the API, of Echo or of the other rooms: it offers plain [http.Handler] values,
// and httpapi decides where they are mounted. It holds no state and never sees a credential: what a person
// types under Authorize stays in that browser tab, and the token of a link goes from the tab to the API.
package webui
