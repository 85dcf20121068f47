// Package modeltest reads the assets with the models of Datadog's own API
// client, so that a field that Datadog does not know, or a value that it does
// not take, is found before anybody installs them, and has that client use the
// organisation that the tests of `assets install` use. It holds tests alone, and is
// a module of its own: the client takes minutes to compile.
package modeltest
