// Schedule a webhook from Go with the standard library and wait for its run.
//
//	SQUIRREL_SERVER=http://127.0.0.1:8080 TARGET=http://127.0.0.1:9000/ go run -C examples/go .
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type run struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Finished string `json:"finished"`
	Attempts []struct {
		Status int `json:"status"`
	} `json:"attempts"`
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// call sends JSON and reads JSON; a problem document becomes an error.
func call(method, url string, body, answer any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, url, &sent)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		var problem struct{ Detail string }
		_ = json.NewDecoder(response.Body).Decode(&problem)
		return fmt.Errorf("%s: %s", response.Status, problem.Detail)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func main() {
	api := setting("SQUIRREL_SERVER", "http://127.0.0.1:8080") + "/api/v1"
	var made struct {
		ID      string `json:"id"`
		NextRun string `json:"next_run"`
	}
	err := call("POST", api+"/schedules", map[string]any{
		"event":   "email.reminder",
		"when":    map[string]any{"in_seconds": 1},
		"target":  map[string]any{"type": "http", "url": setting("TARGET", "http://127.0.0.1:9000/")},
		"message": map[string]any{"to": "ada@example.com"},
	}, &made)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s runs at %s\n", made.ID, made.NextRun)
	for range 100 {
		var page struct{ Items []run }
		if err := call("GET", api+"/schedules/"+made.ID+"/runs", nil, &page); err != nil {
			log.Fatal(err)
		}
		if len(page.Items) > 0 && page.Items[0].Finished != "" && len(page.Items[0].Attempts) > 0 {
			first := page.Items[0]
			fmt.Printf("%s %s, answered %d\n", first.ID, first.State, first.Attempts[len(first.Attempts)-1].Status)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	log.Fatal("the reminder did not run within 20 seconds")
}
