package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A browser is a headless Chromium with one page, driven by its debugging protocol.
type browser struct {
	conn *websocket.Conn
	next int
}

// openBrowser starts Chromium with a page that loads url.
func openBrowser(ctx context.Context, t *testing.T, url string) *browser {
	t.Helper()
	dir := scratch(t)
	p := start(t, nil, nil, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--autoplay-policy=no-user-gesture-required", "--mute-audio", "--remote-debugging-port=0", "--user-data-dir="+dir, "about:blank")
	var port string
	eventually(t, 60*time.Second, "debugging port of Chromium", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "DevToolsActivePort"))
		port, _, _ = strings.Cut(string(b), "\n")
		return err == nil && port != ""
	})
	var target struct {
		WebSocketDebuggerURL string `json:"webSocketDebuggerUrl"`
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPut, "http://127.0.0.1:"+port+"/json/new?"+url, nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("open a page in Chromium: %v: %s", err, tail(p.log.String()))
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&target); err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(ctx, target.WebSocketDebuggerURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &browser{conn: conn}
}

// eval evaluates an expression in the page and reads its value as JSON into v.
func (b *browser) eval(ctx context.Context, expression string, v any) error {
	b.next++
	call, _ := json.Marshal(map[string]any{"id": b.next, "method": "Runtime.evaluate",
		"params": map[string]any{"expression": "JSON.stringify(" + expression + ")", "awaitPromise": true, "returnByValue": true}})
	if err := b.conn.Write(ctx, websocket.MessageText, call); err != nil {
		return err
	}
	for {
		_, msg, err := b.conn.Read(ctx)
		if err != nil {
			return err
		}
		var answer struct {
			ID     int
			Result struct {
				Result           struct{ Value string }
				ExceptionDetails json.RawMessage
			}
		}
		if err := json.Unmarshal(msg, &answer); err != nil {
			return err
		}
		if answer.ID != b.next {
			continue
		}
		if answer.Result.ExceptionDetails != nil {
			return fmt.Errorf("in the page: %s", answer.Result.ExceptionDetails)
		}
		return json.Unmarshal([]byte(answer.Result.Result.Value), v)
	}
}

// look is what the page's video shows: its clock, its size, how many pictures were decoded, and a small picture.
const look = `(() => {
  const v = document.querySelector("video"), c = document.createElement("canvas");
  if (!v) return {};
  c.width = 32; c.height = 18;
  const g = c.getContext("2d");
  g.drawImage(v, 0, 0, 32, 18);
  return {time: v.currentTime, width: v.videoWidth, height: v.videoHeight,
    frames: v.getVideoPlaybackQuality().totalVideoFrames, dropped: v.getVideoPlaybackQuality().droppedVideoFrames,
    audio: v.webkitAudioDecodedByteCount, picture: Array.from(g.getImageData(0, 0, 32, 18).data),
    state: (document.getElementById("state") || {}).textContent};
})()`

type seen struct {
	Time          float64
	Width, Height int
	Frames        int
	Dropped       int
	Audio         int
	Picture       []int
	State         string
}

// TestBrowser plays the demo's page in Chromium: time advances, the picture changes, sound is decoded.
func TestBrowser(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b := openBrowser(ctx, t, d.http("/"))
	var one, two seen
	eventually(t, 60*time.Second, "first picture in the browser", func() bool {
		return b.eval(ctx, look, &one) == nil && one.Width > 0 && one.Frames > 0 && one.Time > 0
	})
	eventually(t, 30*time.Second, "two more seconds in the browser", func() bool {
		return b.eval(ctx, look, &two) == nil && two.Time > one.Time+2
	})
	if two.Width != 640 || two.Height != 360 {
		t.Errorf("it plays the camera's picture: got %dx%d; want 640x360", two.Width, two.Height)
	}
	if got := two.Frames - one.Frames; got < 20 {
		t.Errorf("it decodes pictures: got %d in 2 s; want 20 at least", got)
	}
	if two.Audio <= one.Audio {
		t.Errorf("it decodes sound: got %d bytes after %d", two.Audio, one.Audio)
	}
	changed := 0
	for i := range one.Picture {
		if d := one.Picture[i] - two.Picture[i]; d > 8 || d < -8 {
			changed++
		}
	}
	if changed < 20 {
		t.Errorf("it shows a moving picture: got %d changed samples of %d; want 20 at least", changed, len(one.Picture))
	}
}
