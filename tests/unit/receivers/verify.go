// A receiver of Standard Webhooks 1.0.0 written from the specification alone: Go's standard library, nothing of ours.
// stdin: [{"secrets": [...], "headers": {...}, "body": "<base64>", "now": seconds}]; stdout: ["ok" | why not, ...].
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"strconv"
	"strings"
)

const toleranceSeconds = 300

type call struct {
	Secrets []string          `json:"secrets"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
	Now     int64             `json:"now"`
}

func verdict(received call) string {
	id, timestamp := received.Headers["webhook-id"], received.Headers["webhook-timestamp"]
	list := received.Headers["webhook-signature"]
	if id == "" || timestamp == "" || list == "" {
		return "headers"
	}
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return "timestamp"
	}
	if age := received.Now - at; age > toleranceSeconds || age < -toleranceSeconds {
		return "age"
	}
	for _, secret := range received.Secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return "secret"
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(received.Body)
		expected := mac.Sum(nil)
		for _, entry := range strings.Split(list, " ") {
			version, given, _ := strings.Cut(entry, ",")
			bytes, err := base64.StdEncoding.DecodeString(given)
			if err == nil && version == "v1" && hmac.Equal(bytes, expected) {
				return "ok"
			}
		}
	}
	return "signature"
}

func main() {
	var calls []call
	if err := json.NewDecoder(os.Stdin).Decode(&calls); err != nil {
		panic(err)
	}
	verdicts := make([]string, 0, len(calls))
	for _, each := range calls {
		verdicts = append(verdicts, verdict(each))
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		panic(err)
	}
}
