package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"weir/transmux"
)

// subject is one server under measurement.
type subject struct {
	name    string
	start   func(dir, addr, http string) (*exec.Cmd, error)
	join    func(addr, http string) (net.Conn, error)
	publish bool // whether it must be published to
	cost    []float64
	memory  []float64
}

// fanout measures what players cost.
func (b *bench) fanout(ctx context.Context) ([]cost, error) {
	rtmp := func(addr, _ string) (net.Conn, error) { return join(addr, "live", "bench") }
	weir := func(dir, addr, http string) (*exec.Cmd, error) {
		return startWeir(b.weir, dir, "rtmp: "+addr, "http: "+http)
	}
	nginx := func(chunk string) func(dir, addr, _ string) (*exec.Cmd, error) {
		return func(dir, addr, _ string) (*exec.Cmd, error) { return startNginx(dir, addr, chunk) }
	}
	subjects := []*subject{
		{
			name: "writev loop", start: func(_, addr, _ string) (*exec.Cmd, error) { return startFloor(addr, b.clip) },
			join: func(addr, _ string) (net.Conn, error) { return net.Dial("tcp", addr) },
		},
		{name: "weir", publish: true, start: weir, join: rtmp},
		{name: "nginx-rtmp, 60000-byte chunks", publish: true, start: nginx("60000"), join: rtmp},
		{name: "nginx-rtmp as shipped", publish: true, start: nginx("4096"), join: rtmp},
		{name: "weir, HTTP-FLV", publish: true, start: weir, join: func(_, addr string) (net.Conn, error) { return get(addr, "/live/bench.flv") }},
	}
	units, err := readClip(b.clip)
	if err != nil {
		return nil, err
	}
	for round := range b.rounds {
		for _, s := range subjects {
			say("players, round %d of %d: %s", round+1, b.rounds, s.name)
			if err := b.run(ctx, s, units); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	var out []cost
	least, other := median(subjects[0].cost), median(subjects[2].cost)
	for _, s := range subjects {
		c := median(s.cost)
		out = append(out, cost{s.name, c, c / least, c / other, median(s.memory) / 1000})
	}
	return out, nil
}

// run starts the server, lets everybody join, and adds what it cost.
func (b *bench) run(ctx context.Context, s *subject, units []transmux.AccessUnit) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	web, err := freePort()
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return err
	}
	server, err := s.start(home, addr, web)
	if err != nil {
		return err
	}
	defer end(server)
	if err := awaitPort(ctx, addr); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	if s.publish {
		// Message by message, each in its time, as the floor sends them: ffmpeg would send several at once.
		near := newStream(units)
		all.Go(func() { _ = send(ctx, near.stream, "rtmp://"+addr+"/live/bench") }) // what fails shows in the bytes that arrive
		all.Go(func() { publish(ctx, near.writer, units, false) })
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	before := memory(server.Process.Pid)
	var received atomic.Int64
	for range b.players {
		c, err := s.join(addr, web)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { c.Close() })
		all.Go(func() {
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				received.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	begun := time.Now()
	bytes, cpu := received.Load(), cpuSeconds(server.Process.Pid)
	if err := pause(ctx, b.seconds); err != nil {
		return err
	}
	bytes, cpu = received.Load()-bytes, cpuSeconds(server.Process.Pid)-cpu
	want := float64(b.players) * 2.5e6 / 8 * time.Since(begun).Seconds()
	if float64(bytes) < want*0.9 {
		return fmt.Errorf("only %.0f %% of the stream reached the players", float64(bytes)/want*100)
	}
	s.cost = append(s.cost, cpu/(float64(bytes)*8/1e9))
	s.memory = append(s.memory, (memory(server.Process.Pid)-before)/float64(b.players))
	return nil
}

// get asks for a stream over HTTP and returns the connection behind the request.
func get(addr, path string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	if err == nil {
		err = req.Write(c)
	}
	line := make([]byte, len("HTTP/1.1 200"))
	if err == nil {
		_, err = io.ReadFull(c, line)
	}
	if err == nil && string(line) != "HTTP/1.1 200" {
		err = fmt.Errorf("the answer begins with %q", line)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
