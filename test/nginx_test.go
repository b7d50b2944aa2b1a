package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// nginxServer is nginx-rtmp as an independent RTMP server: application live relays, application rec also records what is
// published as FLV.
type nginxServer struct {
	process *process
	port    int
	records string // where recordings lie, NAME.flv
}

const nginxConf = `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log notice;
load_module modules/ngx_rtmp_module.so;
events { worker_connections 512; }
rtmp { server { listen 127.0.0.1:%[2]d; chunk_size 4096; max_message 8M;
  application live { live on; wait_key on; sync 0; }
  application rec { live on; record all; record_path %[1]s; record_unique off; record_suffix .flv; record_max_size 64M; }
} }
`

// nginx is the one server that tests outside of the matrix share, started when first asked for.
var nginx = sync.OnceValues(func() (nginxServer, error) {
	s, err := startNginx(filepath.Join(os.Getenv(scratchKey), "nginx"), ports(2))
	shared.add(s.process)
	return s, err
})

// startNginx starts a server that records to dir and waits until it listens.
func startNginx(dir string, port int) (nginxServer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nginxServer{}, err
	}
	os.Chmod(dir, 0o777)
	s := nginxServer{port: port, records: dir}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, s.port), 0o666); err != nil {
		return s, err
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	if s.process, err = spawn(nil, nil, program, "-p", "/usr/share/nginx/", "-c", conf); err != nil {
		return s, err
	}
	if !poll(10*time.Second, func() bool { return bound(s.port) }) {
		s.process.stop()
		return s, fmt.Errorf("nginx does not listen: %s", s.process.log.String())
	}
	return s, nil
}

func (s nginxServer) url(app, key string) string {
	return fmt.Sprintf("rtmp://127.0.0.1:%d/%s/%s", s.port, app, key)
}

// record is the file in which the stream of application rec is recorded.
func (s nginxServer) record(key string) string { return filepath.Join(s.records, key+".flv") }
