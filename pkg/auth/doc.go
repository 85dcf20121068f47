// Package auth attaches credentials to requests: one http.RoundTripper per
// kind of credential.
//
// It promises that a credential reaches only the origins that it was made for
// (every other request fails before anything is sent), that it is never
// printed, and that issued tokens lie in one file that only its owner may
// read.
//
// It judges no answers but those of the token endpoint, and knows neither the
// audit APIs nor the configuration. Its errors tell about themselves through
// the methods Code, What, Next, WaitUntil and NeedsPerson.
package auth
