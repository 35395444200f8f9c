// Package http1 lets HTTP/1 requests through that can be read in one way only.
//
// net/http is lenient where RFC 9112 allows it to be: it takes a request with
// both a Content-Length and a Transfer-Encoding, folded header fields, lines that
// end without a carriage return. A proxy before the service may read such a
// request differently, find its end elsewhere, and so be made to pass one person's
// bytes on as another's request (request smuggling, RFC 9112, section 11.2). Here
// the connection is refused at the first byte about which there could be two
// opinions: net/http then answers 400 and hangs up.
//
// The package looks at the form of messages and at nothing that they say.
package http1
