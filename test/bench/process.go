package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func startFloor(addr, clip string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.Command(self, "-floor", addr, clip))
}

// startWeir runs weir with listeners, such as "rtmp: 127.0.0.1:1935".
func startWeir(weir, dir string, listen ...string) (*exec.Cmd, error) {
	file := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(file, []byte("listen:\n  "+strings.Join(listen, "\n  ")+"\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(weir, "--log-level", "error", "run", file)
	cmd.Stderr = os.Stderr
	return start(cmd)
}

func startNginx(dir, addr, chunk string) (*exec.Cmd, error) {
	conf := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/log crit;
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
events { worker_connections 4096; }
rtmp { access_log off; server { listen %[2]s; chunk_size %[3]s; application live { live on; } } }
`, dir, addr, chunk)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", file)
	cmd.Stderr = io.Discard
	started, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("nginx (Debian packages nginx, libnginx-mod-rtmp): %w", err)
	}
	return started, nil
}

// start runs a program that an interrupt at the terminal does not reach: end stops it.
func start(cmd *exec.Cmd) (*exec.Cmd, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, cmd.Start()
}

// end stops a program that was started here.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
}

func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func awaitPort(ctx context.Context, addr string) error {
	var err error
	for range 100 {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return err
}

// cpuSeconds is the user and system time of a process so far (proc(5), fields 14 and 15, in ticks of 10 ms).
func cpuSeconds(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// memory is the resident memory of a process in bytes.
func memory(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseFloat(f[1], 64)
	return pages * float64(os.Getpagesize())
}
