package test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"weir/test/units"
)

// A player is a real program that receives a stream and leaves a recording, or (ffprobe) a print of its packets.
type player struct {
	name     string
	args     []string
	file     string                      // where the recording lies
	printed  bool                        // the file is what ffprobe printed with units.ProbeArgs
	external bool                        // somebody who runs anyway writes the file
	run      func(context.Context) error // instead of args: a library as the player
	list     []units.Unit                // instead of a file: what run gathered

	process *process
	cancel  context.CancelFunc
	done    chan struct{}
	err     error  // of run, once done is closed
	said    string // its last words, once it has ended
}

// ffprobe is ffprobe as a player, printing line by line, so that nothing is lost when it is ended.
func ffprobe(url string, options ...string) []string {
	args := append([]string{"stdbuf", "-oL", "ffprobe"}, units.ProbeArgs...)
	return append(append(args, options...), url)
}

func (p *player) start(t *testing.T) error {
	switch {
	case p.external:
		return nil
	case p.run != nil:
		var ctx context.Context
		ctx, p.cancel = context.WithCancel(context.Background())
		t.Cleanup(p.cancel)
		p.done = make(chan struct{})
		go func() {
			defer close(p.done)
			p.err = p.run(ctx)
		}()
		return nil
	}
	var stdout *os.File
	if p.printed {
		var err error
		if stdout, err = os.Create(p.file); err != nil {
			return err
		}
		defer stdout.Close()
	}
	var err error
	if stdout != nil {
		p.process, err = spawn(nil, stdout, p.args[0], p.args[1:]...)
	} else {
		p.process, err = spawn(nil, nil, p.args[0], p.args[1:]...)
	}
	if err == nil {
		t.Cleanup(p.process.stop)
	}
	return err
}

// end waits until the player ends by itself, at most d, then ends it. It may be called again.
func (p *player) end(d time.Duration) {
	switch {
	case p.process != nil:
		p.process.wait(d)
		p.process.stop()
		p.said = tail(p.process.log.String())
	case p.run != nil:
		select {
		case <-p.done:
		case <-time.After(d):
			p.cancel()
			<-p.done
		}
		p.said = fmt.Sprint(p.err)
	}
}

// finish is end, and reads what the player recorded.
func (p *player) finish(c content, d time.Duration) ([]units.Unit, error) {
	p.end(d)
	var list []units.Unit
	var err error
	if p.list != nil {
		list = p.list
	} else if p.printed {
		var b []byte
		if b, err = os.ReadFile(p.file); err == nil {
			list, err = units.ReadProbe(bytes.NewReader(b), c.video, c.audio)
		}
	} else {
		list, err = c.units(p.file)
	}
	if err != nil || len(list) == 0 {
		return nil, fmt.Errorf("%s recorded nothing: %v %s", p.name, err, p.said)
	}
	return list, nil
}

// tail is the end of a long log.
func tail(s string) string {
	if len(s) > 600 {
		return "…" + s[len(s)-600:]
	}
	return s
}
