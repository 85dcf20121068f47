package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/auth"
)

// ProtocolVersion is the version of the request that this program speaks.
const ProtocolVersion = 1

// RequestVariable is the environment variable that may hold the request.
const RequestVariable = "ATLASSIAN_AUDIT_RECORDS_REQUEST"

// maxRequest bounds a request, in bytes.
const maxRequest = 8 << 20

// Request is what an adapter asks for: one run of one instance.
type Request struct {
	CheckID   string
	CheckName string
	// InitConfig and Instance are YAML (or JSON) texts, for Parse.
	InitConfig []byte
	Instance   []byte
	Agent      AgentInfo
}

// AgentInfo is what the Agent tells of itself. Every field may be missing.
type AgentInfo struct {
	Version     string
	Hostname    string
	RunPath     string
	LogsRunPath string
	// LogsEnabled is nil where the adapter did not say.
	LogsEnabled *bool
	// LogLevel is the Agent's word, such as "info" or "warning"; empty where
	// the adapter did not say.
	LogLevel string
	// Proxy has no Source. Its URLs are as the Agent has them.
	Proxy Proxy
	// DatadogConf is where the Agent's settings are to be read, for an adapter
	// that the Agent tells nothing; else empty.
	DatadogConf string
}

// Complete fills in what the adapter left out from the Agent's settings. known
// tells that they could be read, so that what they do not say is the Agent's
// default.
func (a *AgentInfo) Complete(s agent.Settings, known bool) {
	if a.RunPath == "" {
		a.RunPath = agent.RunPath()
		if filepath.IsAbs(s.RunPath) {
			a.RunPath = s.RunPath
		}
	}
	if a.LogsRunPath == "" && filepath.IsAbs(s.LogsRunPath) {
		a.LogsRunPath = s.LogsRunPath
	}
	if a.LogsEnabled == nil {
		a.LogsEnabled = s.LogsEnabled
	}
	if a.LogsEnabled == nil && known {
		a.LogsEnabled = new(bool)
	}
	if a.Proxy.IsZero() {
		a.Proxy = SettingsProxy(s)
	}
}

// RequestError says why a request could not be read. Nothing of the request is
// quoted. The program ends with status 2.
type RequestError struct{ Reason string }

func (e *RequestError) Error() string { return "the request cannot be read: " + e.Reason }

func badRequest(format string, args ...any) error {
	return &RequestError{Reason: fmt.Sprintf(format, args...)}
}

// wireRequest is the request as it is written.
type wireRequest struct {
	Protocol   *json.Number `json:"protocol"`
	CheckID    string       `json:"check_id"`
	CheckName  string       `json:"check_name"`
	InitConfig wireText     `json:"init_config"`
	Instance   wireText     `json:"instance"`
	Agent      struct {
		Version     string `json:"version"`
		Hostname    string `json:"hostname"`
		RunPath     string `json:"run_path"`
		LogsRunPath string `json:"logs_run_path"`
		LogsEnabled *bool  `json:"logs_enabled"`
		LogLevel    string `json:"log_level"`
		DatadogConf string `json:"datadog_conf"`
		Proxy       struct {
			HTTP    string   `json:"http"`
			HTTPS   string   `json:"https"`
			NoProxy wireList `json:"no_proxy"`
		} `json:"proxy"`
	} `json:"agent"`
}

// wireText is a YAML text, or a JSON object that is turned into one.
type wireText []byte

var errNotText = errors.New("neither a text nor an object")

func (t *wireText) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case 'n':
		*t = nil
		return nil
	case '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*t = wireText(s)
		return nil
	case '{':
		// JSON is YAML but for its escapes of characters beyond 16 bits:
		// decoding and encoding leaves none.
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var v map[string]any
		if err := dec.Decode(&v); err != nil {
			return err
		}
		text, err := marshalLine(v)
		if err != nil {
			return err
		}
		*t = text
		return nil
	}
	return errNotText
}

// wireList is a list of texts, or one text with commas.
type wireList []string

func (l *wireList) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*l = splitNoProxy(s)
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// ReadRequest reads the request from the environment variable where that is
// set and not empty, else from stdin up to its end. The error is a
// *RequestError.
func ReadRequest(stdin io.Reader, getenv func(string) string) (*Request, error) {
	text := []byte(getenv(RequestVariable))
	if len(text) == 0 {
		var err error
		if text, err = io.ReadAll(io.LimitReader(stdin, maxRequest+1)); err != nil {
			return nil, badRequest("standard input: %s", err)
		}
	}
	if len(text) > maxRequest {
		return nil, badRequest("it is larger than 8 MiB")
	}
	return parseRequest(text)
}

func parseRequest(text []byte) (*Request, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if len(text) == 0 {
		return nil, badRequest("it is empty; this command is started by the Agent's adapter: to run the check by hand, use `atlassian-audit-records check --conf FILE`")
	}
	if text[0] != '{' {
		return nil, badRequest("it is not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	var w wireRequest
	if err := dec.Decode(&w); err != nil {
		return nil, badRequest("%s", jsonReason(err))
	}
	if dec.More() || len(bytes.TrimSpace(text[dec.InputOffset():])) > 0 {
		return nil, badRequest("something follows the JSON object")
	}
	switch {
	case w.Protocol == nil:
		return nil, badRequest("the field protocol is missing: it must be %d", ProtocolVersion)
	case w.Protocol.String() != "1":
		return nil, badRequest("the adapter speaks another version of the protocol than this program, which speaks %d: install both from one release", ProtocolVersion)
	case w.Instance == nil:
		return nil, badRequest("the field instance is missing")
	}
	a := w.Agent
	return &Request{
		CheckID: w.CheckID, CheckName: w.CheckName, InitConfig: w.InitConfig, Instance: w.Instance,
		Agent: AgentInfo{
			Version: a.Version, Hostname: a.Hostname, RunPath: a.RunPath, LogsRunPath: a.LogsRunPath,
			LogsEnabled: a.LogsEnabled, LogLevel: a.LogLevel, DatadogConf: a.DatadogConf,
			Proxy: Proxy{HTTP: auth.Secret(a.Proxy.HTTP), HTTPS: auth.Secret(a.Proxy.HTTPS), NoProxy: a.Proxy.NoProxy},
		},
	}, nil
}

// jsonReason puts the decoder's error without quoting the request.
func jsonReason(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON object is cut short"
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is not valid JSON from byte %d on", syntax.Offset)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Sprintf("the field %s must be %s", kind.Field, jsonKind(kind.Type))
	case errors.Is(err, errNotText):
		return "init_config and instance must be texts or objects"
	}
	return "it is not a valid JSON object"
}

func jsonKind(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list of texts"
	case t.Kind() == reflect.Struct:
		return "an object"
	}
	return "a text"
}
