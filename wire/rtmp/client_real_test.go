package rtmp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"weir/wire/rtmp/chunk"
)

// nginx runs nginx-rtmp on a free port until the test ends.
func nginx(t *testing.T) (addr string) {
	t.Helper()
	path := program(t, "nginx", "nginx")
	const module = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	if _, err := os.Stat(module); err != nil {
		t.Fatal("nginx has no RTMP module: apt-get install libnginx-mod-rtmp")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("load_module %s;\ndaemon off;\nmaster_process off;\nworker_processes 1;\npid %s/pid;\nerror_log %s/error.log;\nevents {}\nrtmp { server { listen %s; ping 1s; application live { live on; } } }\n", module, dir, dir, addr)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", conf)
	var diagnostics bytes.Buffer
	cmd.Stderr = &diagnostics
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %v\n%s", err, diagnostics.String())
		}
		time.Sleep(20 * time.Millisecond) // until a real program is ready
	}
}

func TestClientThroughNginx(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	file, err := os.ReadFile(clip(ctx, t, "3"))
	if err != nil {
		t.Fatal(err)
	}
	u := parse(t, "rtmp://"+nginx(t)+"/live/cam")
	c, err := Play(ctx, u, ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	p, err := Publish(ctx, u, ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- p.Wait() }()

	// nginx begins with a key frame and drops what is too much at once, so it goes at four times the real speed.
	sent := flvMessages(t, file)
	begin := time.Now()
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for _, m := range sent {
			for time.Since(begin)*4 < time.Duration(m.Timestamp)*time.Millisecond {
				<-tick.C
			}
			if p.WriteBuffers(chunk.Split(m).AppendTo(nil, p.ID())) != nil {
				return
			}
		}
	}()
	var videos, matched int
	for _, want := range sent {
		if want.Type != chunk.Video || want.Payload[1] == 2 { // the end of the sequence is not relayed by all
			continue
		}
		videos++
		for {
			m, err := c.Read()
			if err != nil {
				t.Fatalf("after %d of %d pictures: %v", matched, videos, err)
			}
			if m.Type != chunk.Video || m.Payload[1] == 0 && want.Payload[1] != 0 {
				continue
			}
			if !bytes.Equal(m.Payload, want.Payload) {
				t.Fatalf("got another picture at %d; want that at %d", m.Timestamp, want.Timestamp)
			}
			matched++
			break
		}
	}
	if matched < 75 {
		t.Errorf("got %d pictures; want at least 75", matched)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	<-waited
}
