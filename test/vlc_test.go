package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/test/units"
)

// vlc is a VLC that passes on to its standard output, as MPEG-TS and untouched, what it plays for some seconds. It refuses to
// be root, who we are: in truth, or in a user namespace, where one without names is nobody.
func vlc(url string) []string {
	nobody := []string{"runuser", "-u", "nobody", "--"}
	if ids, err := os.ReadFile("/proc/self/uid_map"); err != nil || !strings.Contains(string(ids), "4294967295") {
		nobody = []string{"unshare", "-U"}
	}
	return append(nobody, "cvlc", "-I", "dummy", "--run-time", "5", "--play-and-exit", "--sout", "#std{access=file,mux=ts,dst=-}", url, "vlc://quit")
}

// TestVLC plays the built-in camera in VLC. Debian's is built without RTSP.
func TestVLC(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	source, err := demoUnits()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ it, url string }{
		{"rtmp", fmt.Sprintf("rtmp://127.0.0.1:%d/demo/camera", d.base)},
		{"http-flv", d.http("/demo/camera.flv")},
		{"http-ts", d.http("/demo/camera.ts")},
		{"udp", fmt.Sprintf("udp://@127.0.0.1:%d", d.base+4)},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			file, err := os.Create(filepath.Join(scratch(t), "vlc.ts"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			args := vlc(c.url)
			p := start(t, nil, file, args[0], args[1:]...)
			if err := p.wait(60 * time.Second); err != nil {
				t.Fatalf("%v: %s", err, tail(p.log.String()))
			}
			got, err := units.Probe(file.Name(), "h264", "aac")
			if err != nil {
				t.Fatal(err)
			}
			pictures := 0
			for _, u := range got {
				for _, s := range source {
					if u.Kind == units.Video && string(u.Data) == string(s.Data) {
						pictures++
						break
					}
				}
			}
			if pictures < 50 {
				t.Errorf("VLC plays it: got %d pictures of the camera in 5 s; want 50 at least: %s", pictures, tail(p.log.String()))
			}
		})
	}
}
