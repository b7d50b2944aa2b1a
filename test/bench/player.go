package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"time"
)

// join plays rtmp://addr/app/name with the fewest bytes that a server accepts, and returns the connection behind the
// play command. It shares no code with what is measured.
func join(addr, app, name string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	hello := make([]byte, 1537)
	hello[0] = 3
	reply := make([]byte, 1+2*1536)
	steps := []func() error{
		func() error { _, err := c.Write(hello); return err },
		func() error { _, err := io.ReadFull(c, reply); return err },
		func() error { _, err := c.Write(reply[1:1537]); return err },
		func() error {
			body := str(nil, "connect")
			body = num(body, 1)
			body = append(body, 3)
			body = pair(body, "app", app)
			body = pair(body, "tcUrl", "rtmp://"+addr+"/"+app)
			body = append(body, 0, 0, 9)
			return command(c, 0, body)
		},
		func() error { return command(c, 0, append(num(str(nil, "createStream"), 2), 5)) },
		func() error { return command(c, 1, num(str(append(num(str(nil, "play"), 3), 5), name), -2000)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			c.Close()
			return nil, fmt.Errorf("join %s: %w", addr, err)
		}
	}
	return c, c.SetDeadline(time.Time{})
}

// command sends an AMF0 command in one chunk stream, cut into chunks of 128 bytes.
func command(w io.Writer, stream byte, body []byte) error {
	msg := []byte{3, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), 20, stream, 0, 0, 0}
	for len(body) > 128 {
		msg = append(append(msg, body[:128]...), 0xC3)
		body = body[128:]
	}
	_, err := w.Write(append(msg, body...))
	return err
}

func str(b []byte, s string) []byte {
	return append(append(b, 2, byte(len(s)>>8), byte(len(s))), s...)
}

func num(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0), math.Float64bits(v))
}

func pair(b []byte, k, v string) []byte {
	return str(append(append(b, byte(len(k)>>8), byte(len(k))), k...), v)
}
