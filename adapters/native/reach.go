//go:build cgo && linux

// Package native lets tests hold the C of this folder against Go's own readers of
// the same formats. It promises nothing to anybody else: what the Agent loads is
// built by tools/native.sh, from the same files, and has no Go in it.
package native

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -fvisibility=hidden
#include "config.h"
#include "json.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>
*/
import "C"

import "unsafe"

// field is one element of an object, in the order of the text.
type field struct {
	name  string
	value any
}

// readJSON is the value of a text as json.c reads it: nil, bool, float64,
// string, []any or []field. ok is false where it reads none.
func readJSON(text []byte) (value any, ok bool) {
	var memory C.struct_json_memory
	defer C.json_free(&memory)
	bytes := C.CBytes(text)
	defer C.free(bytes)
	read := C.json_read(&memory, (*C.char)(bytes), C.size_t(len(text)))
	if read == nil {
		return nil, false
	}
	return goValue(read), true
}

func goValue(v *C.struct_json) any {
	switch v.kind {
	case C.JSON_FALSE, C.JSON_TRUE:
		return v.kind == C.JSON_TRUE
	case C.JSON_NUMBER:
		return float64(v.number)
	case C.JSON_STRING:
		return C.GoStringN(v.string, C.int(v.length))
	case C.JSON_ARRAY:
		out := []any{}
		for e := v.first; e != nil; e = e.next {
			out = append(out, goValue(e))
		}
		return out
	case C.JSON_OBJECT:
		out := []field{}
		for e := v.first; e != nil; e = e.next {
			out = append(out, field{C.GoStringN(e.name, C.int(e.name_length)), goValue(e)})
		}
		return out
	}
	return nil
}

// writeJSON is a text as text.c writes it into a request.
func writeJSON(text string) string {
	s := C.CString(text)
	defer C.free(unsafe.Pointer(s))
	var out C.struct_text
	defer C.text_free(&out)
	C.text_json(&out, s)
	return C.GoStringN(out.bytes, C.int(out.length))
}

// configValue is the text of a key at the top of a configuration, as config.c reads it.
func configValue(config, key string) (string, bool) {
	c, k := C.CString(config), C.CString(key)
	defer C.free(unsafe.Pointer(c))
	defer C.free(unsafe.Pointer(k))
	var out C.struct_text
	defer C.text_free(&out)
	ok := C.config_value(c, k, &out)
	return C.GoString(C.text_string(&out)), bool(ok)
}

// configList are the texts of a list at the top of a configuration.
func configList(config, key string) []string {
	c, k := C.CString(config), C.CString(key)
	defer C.free(unsafe.Pointer(c))
	defer C.free(unsafe.Pointer(k))
	var out C.struct_list
	defer C.list_free(&out)
	C.config_list(c, k, &out)
	return goList(&out)
}

// hidden is a text without the secrets of a configuration.
func hidden(config, text string) string {
	c, t := C.CString(config), C.CString(text)
	defer C.free(unsafe.Pointer(c))
	defer C.free(unsafe.Pointer(t))
	var secrets C.struct_list
	defer C.list_free(&secrets)
	var out C.struct_text
	defer C.text_free(&out)
	C.config_secrets(c, &secrets)
	C.hide(t, &secrets, &out)
	return C.GoString(C.text_string(&out))
}

func goList(l *C.struct_list) []string {
	out := []string{}
	for _, item := range unsafe.Slice(l.items, int(l.count)) {
		out = append(out, C.GoString(item))
	}
	return out
}
