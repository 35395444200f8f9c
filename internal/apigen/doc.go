// Package apigen is what oapi-codegen makes of api/openapi.yaml for the server:
// models, routes and the strict handler interface that package httpapi
// implements. Nothing in it is written by hand but this file.
package apigen
